//! Window functions over a whole partition, before and after it changed.
//!
//! Always true: rows come in the order of the plan, each as often as its weight says; what leaves is the difference of the two results, so rows
//! whose results stay the same are not sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{RowConverter, RowParser, Rows};
use datafusion::physical_expr::window::WindowExpr;

use super::super::calc::batch_of;
use super::super::row_bag::sort_fields;
use super::layout::OverLayout;
use super::{CHUNK, Weighted};
use crate::error::{Result, SqlError};
use crate::logical::OverPlan;

/// The functions.
pub(super) struct Windows {
    exprs: Vec<Arc<dyn WindowExpr>>,
    input: SchemaRef,
    output: SchemaRef,
    converter: RowConverter,
    parser: RowParser,
}

impl Windows {
    pub(super) fn new(exprs: Vec<Arc<dyn WindowExpr>>, plan: &OverPlan) -> Result<Windows> {
        let all: Vec<usize> = (0..plan.schema.fields().len()).collect();
        let converter = RowConverter::new(sort_fields(&plan.schema, &all)?)
            .map_err(|e| SqlError::runtime("encoding rows", e))?;
        Ok(Windows {
            exprs,
            input: Arc::clone(&plan.input),
            output: Arc::clone(&plan.schema),
            parser: converter.parser(),
            converter,
        })
    }

    /// The rows that come and go when a partition changes from `old` to `new`, both in order.
    pub(super) fn changes(
        &self,
        layout: &OverLayout,
        old: &Weighted<'_>,
        new: &Weighted<'_>,
    ) -> Result<Vec<(RecordBatch, Int64Array)>> {
        let (old, new) = (self.results(layout, old)?, self.results(layout, new)?);
        let mut weights: BTreeMap<&[u8], i64> = BTreeMap::new();
        for (rows, weight) in [(&old, -1), (&new, 1)] {
            for row in rows.iter().flatten() {
                *weights.entry(row.data()).or_default() += weight;
            }
        }
        let changed: Vec<(&[u8], i64)> = weights.into_iter().filter(|(_, weight)| *weight != 0).collect();
        let batches = changed.chunks(CHUNK).map(|chunk| {
            let rows = chunk.iter().map(|(row, _)| self.parser.parse(row));
            let columns = self
                .converter
                .convert_rows(rows)
                .map_err(|e| SqlError::runtime("decoding rows", e))?;
            let weights = Int64Array::from_iter_values(chunk.iter().map(|(_, weight)| *weight));
            Ok((batch_of(&self.output, columns, chunk.len())?, weights))
        });
        batches.collect()
    }

    /// The rows of a partition with their results, in bytes; none if there are no rows.
    fn results(&self, layout: &OverLayout, rows: &Weighted<'_>) -> Result<Option<Rows>> {
        let copies = rows
            .iter()
            .flat_map(|(row, weight)| std::iter::repeat_n(*row, usize::try_from(*weight).unwrap_or(0)));
        let count = copies.clone().count();
        if count == 0 {
            return Ok(None);
        }
        let batch = batch_of(&self.input, layout.decode(copies)?, count)?;
        let mut columns = batch.columns().to_vec();
        for expr in &self.exprs {
            let values = expr.evaluate(&batch).map_err(|e| {
                SqlError::invalid(format!("cannot compute {}: {}", expr.name(), e.strip_backtrace()))
            })?;
            columns.push(values);
        }
        self.converter
            .convert_columns(&columns)
            .map(Some)
            .map_err(|e| SqlError::runtime("encoding rows", e))
    }
}
