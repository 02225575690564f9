//! How the rows of partitions lie in their store.
//!
//! Always true: key = 0 ++ arrow-row of PARTITION BY ++ arrow-row of ORDER BY, then of all columns; value = weight (i64, little endian), never 0. So
//! the rows of a partition are those with one beginning, in their order, and rows that are equal in it are in that of their columns. A weight
//! below 0 is a row that was taken back before it came; it is not there.

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::row::{RowConverter, RowParser, Rows, SortField};

use super::super::row_bag::sort_fields;
use crate::catalog::layout_type;
use crate::error::{Result, SqlError};
use crate::logical::OverPlan;

/// How the rows of `plan` lie in their store, in words, as the catalogue remembers it.
pub fn over_layout(plan: &OverPlan) -> Result<String> {
    OverLayout::new(plan)?;
    let kind = |column: &usize| layout_type(plan.input.field(*column).data_type());
    let partition = plan.partition.iter().map(kind).collect::<Result<Vec<_>>>()?;
    let order = plan.order.iter().map(|(column, options)| {
        let way = if options.descending {
            "descending"
        } else {
            "ascending"
        };
        let nulls = if options.nulls_first { "first" } else { "last" };
        Ok(format!("{} {way} nulls {nulls}", kind(column)?))
    });
    let order = order.collect::<Result<Vec<_>>>()?;
    let fields = plan.input.fields().iter();
    let row = fields.map(|field| layout_type(field.data_type()));
    Ok(format!(
        "rows in order; partition [{}]; order [{}]; row [{}]",
        partition.join(", "),
        order.join(", "),
        row.collect::<Result<Vec<_>>>()?.join(", ")
    ))
}

/// From rows to keys and back.
pub(super) struct OverLayout {
    partition: Vec<usize>,
    order: Vec<usize>,
    /// None without columns.
    partitions: Option<RowConverter>,
    /// ORDER BY, then all columns; none if there are no columns at all.
    rows: Option<(RowConverter, RowParser)>,
}

/// A batch in bytes.
pub(super) struct EncodedRows {
    partitions: Option<Rows>,
    rows: Option<Rows>,
}

impl EncodedRows {
    /// Writes the key of a row; gives the length of its partition's.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) -> usize {
        out.push(0);
        if let Some(partitions) = &self.partitions {
            out.extend_from_slice(partitions.row(row).data());
        }
        let partition = out.len();
        if let Some(rows) = &self.rows {
            out.extend_from_slice(rows.row(row).data());
        }
        partition
    }
}

impl OverLayout {
    pub(super) fn new(plan: &OverPlan) -> Result<OverLayout> {
        let converter = |fields: Vec<SortField>| match fields.is_empty() {
            true => Ok(None),
            false => RowConverter::new(fields).map(Some).map_err(encoding),
        };
        let order: Vec<usize> = plan.order.iter().map(|(column, _)| *column).collect();
        sort_fields(&plan.input, &order)?;
        let mut fields: Vec<SortField> = plan
            .order
            .iter()
            .map(|(column, options)| {
                SortField::new_with_options(plan.input.field(*column).data_type().clone(), *options)
            })
            .collect();
        let all: Vec<usize> = (0..plan.input.fields().len()).collect();
        fields.extend(sort_fields(&plan.input, &all)?);
        Ok(OverLayout {
            partitions: converter(sort_fields(&plan.input, &plan.partition)?)?,
            rows: converter(fields)?.map(|rows| {
                let parser = rows.parser();
                (rows, parser)
            }),
            partition: plan.partition.clone(),
            order,
        })
    }

    pub(super) fn encode(&self, batch: &RecordBatch) -> Result<EncodedRows> {
        let columns = |columns: &[usize]| -> Vec<ArrayRef> {
            columns
                .iter()
                .map(|column| batch.column(*column).clone())
                .collect()
        };
        let partitions = self.partitions.as_ref();
        let partitions = partitions.map(|converter| converter.convert_columns(&columns(&self.partition)));
        let rows = self.rows.as_ref().map(|(converter, _)| {
            let mut columns = columns(&self.order);
            columns.extend_from_slice(batch.columns());
            converter.convert_columns(&columns)
        });
        Ok(EncodedRows {
            partitions: partitions.transpose().map_err(encoding)?,
            rows: rows.transpose().map_err(encoding)?,
        })
    }

    /// The columns of rows, from what stands behind their partition's key.
    pub(super) fn decode<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let Some((converter, parser)) = &self.rows else {
            return Ok(Vec::new());
        };
        let mut columns = converter
            .convert_rows(rows.map(|row| parser.parse(row)))
            .map_err(|e| SqlError::runtime("decoding rows", e))?;
        columns.drain(..self.order.len());
        Ok(columns)
    }
}

fn encoding(error: datafusion::arrow::error::ArrowError) -> SqlError {
    SqlError::runtime("encoding rows", error)
}

/// A stored weight.
pub(super) fn weight_from(value: &[u8]) -> Result<i64> {
    let damaged = |_| SqlError::invalid("a stored row of a partition has a damaged weight");
    value.try_into().map(i64::from_le_bytes).map_err(damaged)
}
