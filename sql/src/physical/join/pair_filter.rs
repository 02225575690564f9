//! The condition of a join over candidate pairs.
//!
//! Always true: only the columns the condition reads are put together; NULL is not true. A pair that cannot be compared does not match, and goes to
//! the dead-letter topic with the reason, as JSON of those columns. That is so each time it is looked at, so no such pair is ever shown or taken back.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

use super::super::calc::{batch_of, evaluate};
use crate::error::{Result, SqlError};
use crate::format::JsonWriter;
use crate::logical::JoinPlan;

/// Rows of one side, one for each pair.
#[derive(Clone, Copy)]
pub(super) struct Picked<'a> {
    pub(super) columns: &'a [ArrayRef],
    pub(super) rows: &'a UInt32Array,
}

impl Picked<'_> {
    /// One column of the rows.
    pub(super) fn column(&self, column: usize) -> Result<ArrayRef> {
        let values = self
            .columns
            .get(column)
            .ok_or_else(|| SqlError::invalid(format!("a join has no column {column}")))?;
        take(values, self.rows, None).map_err(|e| SqlError::runtime("joining rows", e))
    }
}

/// A condition.
pub(super) struct PairFilter {
    predicate: Arc<dyn PhysicalExpr>,
    /// What it reads: (side, column).
    columns: Vec<(usize, usize)>,
    schema: SchemaRef,
    writer: JsonWriter,
}

impl PairFilter {
    /// The condition of a plan, if it has one.
    pub(super) fn of(plan: &JoinPlan) -> Result<Option<PairFilter>> {
        let Some(filter) = &plan.filter else {
            return Ok(None);
        };
        let width = plan.left.fields().len();
        let mut columns: Vec<(usize, usize)> = Vec::new();
        let mut fields = Vec::new();
        let predicate = Arc::clone(&filter.predicate).transform_up(|expr| {
            let Some(column) = expr.downcast_ref::<Column>() else {
                return Ok(Transformed::no(expr));
            };
            let (side, schema, name) = match column.index() < width {
                true => (0, &plan.left, "left"),
                false => (1, &plan.right, "right"),
            };
            let place = (side, column.index() - side * width);
            let field = schema.fields().get(place.1).ok_or_else(|| {
                DataFusionError::Plan(format!("the condition reads column {}", column.index()))
            })?;
            let known = columns.iter().position(|known| *known == place);
            let position = known.unwrap_or_else(|| {
                columns.push(place);
                fields.push(Field::new(
                    format!("{name}.{}", field.name()),
                    field.data_type().clone(),
                    true,
                ));
                columns.len() - 1
            });
            let moved = Column::new(fields[position].name(), position);
            Ok(Transformed::yes(Arc::new(moved) as Arc<dyn PhysicalExpr>))
        });
        let predicate = predicate
            .data()
            .map_err(|e| SqlError::invalid(format!("the condition of a join: {}", e.strip_backtrace())))?;
        Ok(Some(PairFilter {
            predicate,
            columns,
            schema: Arc::new(Schema::new(fields)),
            writer: JsonWriter::new(),
        }))
    }

    /// Which pairs match; tells `refuse` of those that cannot be compared.
    pub(super) fn matching(
        &mut self,
        sides: [Picked<'_>; 2],
        mut refuse: impl FnMut(Option<Bytes>, &str),
    ) -> Result<BooleanArray> {
        let columns = self
            .columns
            .iter()
            .map(|(side, column)| sides[*side].column(*column));
        let pairs = batch_of(&self.schema, columns.collect::<Result<_>>()?, sides[0].rows.len())?;
        if let Ok(mask) = self.mask(&pairs) {
            return Ok(mask);
        }
        let mut mask = Vec::with_capacity(pairs.num_rows());
        for pair in 0..pairs.num_rows() {
            let pair = pairs.slice(pair, 1);
            mask.push(match self.mask(&pair) {
                Ok(mask) => mask.is_valid(0) && mask.value(0),
                Err(e) => {
                    let text = self.writer.rows(&pair)?;
                    refuse(text.into_iter().next(), &e.message);
                    false
                }
            });
        }
        Ok(BooleanArray::from(mask))
    }

    fn mask(&self, pairs: &RecordBatch) -> Result<BooleanArray> {
        let mask = evaluate(self.predicate.as_ref(), pairs)?;
        match mask.as_boolean_opt() {
            Some(mask) => Ok(mask.clone()),
            None => Err(SqlError::invalid(format!(
                "the condition of a join gives {}, not true or false",
                mask.data_type()
            ))),
        }
    }
}
