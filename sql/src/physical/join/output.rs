//! The rows that leave a join: pairs, and rows of one side without a partner.
//!
//! Always true: no batch is longer than is allowed, none holds a weight 0. Absent weights mean that all rows are added once.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Int64Array, UInt32Array, new_null_array};
use datafusion::arrow::datatypes::SchemaRef;
use millpond_streams::processor::{Batch, ProcessContext};

use super::super::calc::batch_of;
use super::super::column_batch::ColumnBatch;
use super::kind::{Shown, shows_pairs};
use super::pair_filter::Picked;
use crate::error::Result;
use crate::logical::JoinPlan;

/// Makes the output of one join.
pub(super) struct Output {
    schema: SchemaRef,
    sides: [SchemaRef; 2],
    /// Whether pairs leave; then rows without a partner are padded.
    pub(super) shows_pairs: bool,
    /// Whether a last column says which rows match.
    is_marked: bool,
    chunk: usize,
}

/// Rows of one side that come or go without a partner.
#[derive(Default)]
pub(super) struct Alone {
    rows: Vec<u32>,
    weights: Vec<i64>,
    matched: Vec<bool>,
}

impl Alone {
    /// A row that matches something, or does not, is added.
    pub(super) fn add(&mut self, shown: Shown, row: u32, weight: i64, matched: bool) {
        if shown.is_shown(matched) {
            self.rows.push(row);
            self.weights.push(weight);
            self.matched.push(matched);
        }
    }

    /// A row that had so many matches has so many now.
    pub(super) fn turn(&mut self, shown: Shown, row: u32, weight: i64, matches: [i64; 2]) {
        let [before, after] = matches.map(|matches| matches > 0);
        if before != after {
            self.add(shown, row, -weight, before);
            self.add(shown, row, weight, after);
        }
    }

    /// Whether nothing is to be said.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Output {
    /// The output of a plan, in batches of at most `chunk` rows.
    pub(super) fn new(plan: &JoinPlan, chunk: usize) -> Output {
        Output {
            schema: Arc::clone(&plan.schema),
            sides: [Arc::clone(&plan.left), Arc::clone(&plan.right)],
            shows_pairs: shows_pairs(plan.kind),
            is_marked: Shown::of(plan.kind).contains(&Shown::Marked),
            chunk,
        }
    }

    /// Sends pairs.
    pub(super) fn pairs(
        &self,
        sides: [Picked<'_>; 2],
        weights: Vec<i64>,
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for (picked, schema) in sides.iter().zip(&self.sides) {
            for column in 0..schema.fields().len() {
                columns.push(picked.column(column)?);
            }
        }
        self.send(columns, weights, context)
    }

    /// Sends rows of a side that are shown without a partner, taken from `columns`.
    pub(super) fn alone(
        &self,
        side: usize,
        columns: &[ArrayRef],
        alone: &Alone,
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        for start in (0..alone.rows.len()).step_by(self.chunk) {
            let end = (start + self.chunk).min(alone.rows.len());
            let rows = UInt32Array::from_iter_values(alone.rows[start..end].iter().copied());
            let picked = Picked { columns, rows: &rows };
            let own = (0..self.sides[side].fields().len()).map(|column| picked.column(column));
            let mut own = own.collect::<Result<Vec<_>>>()?;
            if self.shows_pairs {
                let nulls = self.sides[1 - side].fields().iter();
                let mut nulls: Vec<ArrayRef> = nulls
                    .map(|field| new_null_array(field.data_type(), end - start))
                    .collect();
                if side == 0 {
                    own.append(&mut nulls);
                } else {
                    nulls.append(&mut own);
                    own = nulls;
                }
            } else if self.is_marked {
                let matched: BooleanArray = alone.matched[start..end].iter().copied().map(Some).collect();
                own.push(Arc::new(matched));
            }
            self.send(own, alone.weights[start..end].to_vec(), context)?;
        }
        Ok(())
    }

    fn send(
        &self,
        columns: Vec<ArrayRef>,
        weights: Vec<i64>,
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        let batch = batch_of(&self.schema, columns, weights.len())?;
        let only_adds = weights.iter().all(|weight| *weight == 1);
        context.forward(Batch::Columns(Box::new(ColumnBatch {
            weights: (!only_adds).then(|| Int64Array::from(weights)),
            ..ColumnBatch::plain(batch)
        })));
        Ok(())
    }
}
