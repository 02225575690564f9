//! Filters and projections behind operators that keep state.
//!
//! Always true: a row that cannot be computed goes to the dead-letter topic, as JSON with the reason, and costs its neighbours nothing. It is so
//! each time it is added or taken back, so what was never let through is never taken back either.

use bytes::Bytes;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::array::{Array, Int64Array};
use datafusion::arrow::compute::{concat, concat_batches};
use millpond_streams::processor::{Batch, Headers, ProcessContext, ProcessError, Processor, RawRecord};

use super::calc::run_steps;
use super::column_batch::ColumnBatch;
use crate::error::{Result, SqlError};
use crate::format::JsonWriter;
use crate::logical::Step;

/// Runs steps over rows that change.
pub struct RowSteps {
    steps: Vec<Step>,
    writer: JsonWriter,
}

impl RowSteps {
    /// An operator for one task.
    pub fn new(steps: Vec<Step>) -> RowSteps {
        RowSteps {
            steps,
            writer: JsonWriter::new(),
        }
    }

    fn run(&mut self, input: ColumnBatch, context: &mut ProcessContext<'_>) -> Result<Option<ColumnBatch>> {
        let output = match run_steps(&self.steps, input.clone(), &mut 0) {
            Ok(output) => output,
            Err(_) => match self.one_by_one(&input, context)? {
                Some(output) => output,
                None => return Ok(None),
            },
        };
        Ok(Some(output).filter(|output| output.batch.num_rows() > 0))
    }

    fn one_by_one(
        &mut self,
        input: &ColumnBatch,
        context: &mut ProcessContext<'_>,
    ) -> Result<Option<ColumnBatch>> {
        let mut outputs: Vec<ColumnBatch> = Vec::new();
        for row in 0..input.batch.num_rows() {
            let weights = input.weights.as_ref().map(|weights| weights.slice(row, 1));
            let one = ColumnBatch {
                weights: Some(weights.unwrap_or_else(|| Int64Array::from_value(1, 1))),
                port: input.port,
                ..ColumnBatch::plain(input.batch.slice(row, 1))
            };
            match run_steps(&self.steps, one, &mut 0) {
                Ok(output) => outputs.push(output),
                Err(e) => {
                    let text = self.writer.rows(&input.batch.slice(row, 1))?;
                    context.dead_letter(&without_origin(text.into_iter().next()), &e.message);
                }
            }
        }
        outputs.retain(|output| output.batch.num_rows() > 0);
        let Some(first) = outputs.first() else {
            return Ok(None);
        };
        let failed = |e| SqlError::runtime("joining rows", e);
        let batch =
            concat_batches(&first.batch.schema(), outputs.iter().map(|o| &o.batch)).map_err(failed)?;
        let weights: Vec<&dyn Array> = outputs
            .iter()
            .filter_map(|o| o.weights.as_ref())
            .map(|w| w as &dyn Array)
            .collect();
        let weights = concat(&weights).map_err(failed)?.as_primitive().clone();
        Ok(Some(ColumnBatch {
            port: input.port,
            ..ColumnBatch::weighted(batch, weights)
        }))
    }
}

/// A row of an operator comes from no single record.
fn without_origin(value: Option<Bytes>) -> RawRecord {
    RawRecord {
        origin: None,
        key: None,
        value,
        timestamp: 0,
        headers: Headers::NONE,
    }
}

impl Processor for RowSteps {
    fn process(
        &mut self,
        batch: Batch,
        context: &mut ProcessContext<'_>,
    ) -> std::result::Result<(), ProcessError> {
        let rows = batch
            .into_columns::<ColumnBatch>()
            .map_err(|other| ProcessError::UnexpectedBatch {
                node: context.node().to_owned(),
                expected: "rows",
                actual: other.shape(),
            })?;
        if let Some(output) = self
            .run(*rows, context)
            .map_err(|e| ProcessError::node(context.node(), e))?
        {
            context.forward(Batch::Columns(Box::new(output)));
        }
        Ok(())
    }
}
