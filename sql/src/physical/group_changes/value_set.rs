//! The values that calls need, as they lie in the store: of each group, in order, with how often they are there.
//!
//! Always true: key = the group's key ++ number of the set (u8) ++ arrow-row of the set's columns, the ORDER BY of the call first; value = weight
//! (i64, little endian), never 0. A weight below 0 is a value that was taken back before it came; it is not there. Calls over the same columns in
//! the same order share a set.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{RowConverter, RowParser, SortField};

use super::sums::damaged;
use crate::catalog::layout_type;
use crate::error::{Result, SqlError};

/// What is kept of which rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ValueSpec {
    /// Columns of the input with their order.
    pub(super) columns: Vec<(usize, SortOptions)>,
    /// Only rows where it is true.
    pub(super) filter: Option<usize>,
    /// Only rows where no column is NULL.
    pub(super) skips_nulls: bool,
}

impl ValueSpec {
    /// The place of a column of the input, which is added if it is not among the columns yet.
    pub(super) fn place(&mut self, column: usize, options: SortOptions) -> usize {
        match self.columns.iter().position(|(known, _)| *known == column) {
            Some(place) => place,
            None => {
                self.columns.push((column, options));
                self.columns.len() - 1
            }
        }
    }

    /// In words, as the catalogue remembers it.
    pub(super) fn words(&self, input: &SchemaRef) -> Result<String> {
        let columns = self.columns.iter().map(|(column, options)| {
            let order = if options.descending {
                "descending"
            } else {
                "ascending"
            };
            let nulls = if options.nulls_first { "first" } else { "last" };
            Ok(format!("{} {order} nulls {nulls}", type_words(input, *column)?))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?.join(", ");
        let nulls = if self.skips_nulls { " without nulls" } else { "" };
        Ok(format!("({columns}{nulls})"))
    }
}

/// A column's type in layouts; errs for what cannot be kept, with the column's name.
pub(super) fn type_words(schema: &SchemaRef, column: usize) -> Result<String> {
    let field = schema.field(column);
    let sort = SortField::new(field.data_type().clone());
    let words = layout_type(field.data_type());
    match words {
        Ok(words) if RowConverter::supports_fields(&[sort]) => Ok(words),
        _ => Err(SqlError::unsupported(format!(
            "groups cannot keep column \"{}\": its type is {}",
            field.name(),
            field.data_type()
        ))
        .with_hint("cast the column to another type, for example VARCHAR")),
    }
}

/// A converter of columns; errs for what cannot be kept, with the column's name.
pub(super) fn converter(schema: &SchemaRef, columns: &[(usize, SortOptions)]) -> Result<RowConverter> {
    let fields = columns.iter().map(|(column, options)| {
        type_words(schema, *column)?;
        let kind = schema.field(*column).data_type().clone();
        Ok(SortField::new_with_options(kind, *options))
    });
    RowConverter::new(fields.collect::<Result<_>>()?).map_err(|e| SqlError::runtime("encoding rows", e))
}

/// A set of values.
pub(super) struct ValueSet {
    pub(super) spec: ValueSpec,
    pub(super) converter: RowConverter,
    pub(super) parser: RowParser,
}

impl ValueSet {
    pub(super) fn new(spec: ValueSpec, input: &SchemaRef) -> Result<ValueSet> {
        let converter = converter(input, &spec.columns)?;
        Ok(ValueSet {
            parser: converter.parser(),
            converter,
            spec,
        })
    }

    /// The set's columns of a batch.
    pub(super) fn columns(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        let columns = self.spec.columns.iter();
        columns.map(|(column, _)| batch.column(*column).clone()).collect()
    }

    /// The columns from the bytes of their rows.
    pub(super) fn decode<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        self.converter
            .convert_rows(rows.map(|row| self.parser.parse(row)))
            .map_err(|e| SqlError::runtime("decoding values", e))
    }
}

/// The weights of rows for a call: 0 where the filter is not true, or where one of `present` is NULL.
pub(super) fn weights_of(
    weights: &[i64],
    batch: &RecordBatch,
    filter: Option<usize>,
    present: impl Iterator<Item = usize>,
) -> Result<Vec<i64>> {
    let mut weights = weights.to_vec();
    if let Some(filter) = filter {
        let filter = batch
            .column(filter)
            .as_boolean_opt()
            .ok_or_else(|| SqlError::invalid("the FILTER of an aggregate is not true or false"))?;
        for (row, weight) in weights.iter_mut().enumerate() {
            if filter.is_null(row) || !filter.value(row) {
                *weight = 0;
            }
        }
    }
    for column in present {
        if let Some(nulls) = Arc::clone(batch.column(column)).logical_nulls()
            && nulls.null_count() > 0
        {
            for (row, weight) in weights.iter_mut().enumerate() {
                if nulls.is_null(row) {
                    *weight = 0;
                }
            }
        }
    }
    Ok(weights)
}

/// A stored weight.
pub(super) fn weight_from(value: &[u8]) -> Result<i64> {
    value.try_into().map(i64::from_le_bytes).map_err(|_| damaged())
}
