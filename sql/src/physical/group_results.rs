//! From groups to results: HAVING, expressions over aggregates, and the JSON of keys and rows.

use bytes::Bytes;
use datafusion::arrow::array::{Int64Array, RecordBatch};

use super::calc::run_steps;
use super::column_batch::ColumnBatch;
use super::results::ResultBatch;
use crate::error::{Result, SqlError};
use crate::format::JsonWriter;
use crate::logical::{AggregatePlan, Step};

/// Computes results for groups.
pub struct GroupResults {
    steps: Vec<Step>,
    key_columns: usize,
    windowed: bool,
    writer: JsonWriter,
}

/// What became of some groups.
#[derive(Debug)]
pub struct Changes {
    /// Upserts and, for groups that left the result, tombstones; in the order of the groups.
    pub batch: ResultBatch,
    /// For each group whether the result shows it now.
    pub visible: Vec<bool>,
}

impl GroupResults {
    /// Results of `plan`, shaped by `steps`.
    pub fn new(plan: &AggregatePlan, steps: Vec<Step>) -> GroupResults {
        GroupResults {
            steps,
            key_columns: plan.group_columns.len(),
            windowed: plan.window.is_some(),
            writer: JsonWriter::new(),
        }
    }

    /// The results of rows of the aggregate's output, for readers.
    pub fn rows(&self, groups: RecordBatch) -> Result<RecordBatch> {
        run_steps(&self.steps, ColumnBatch::plain(groups), &mut 0).map(|output| output.batch)
    }

    /// The changes these groups make to the output topic. `visible`: what it shows of each now. `now_ms`: stream time, for groups
    /// without a window. `dead` gets the key of a group
    /// whose result cannot be computed, and the reason; such a group is shown no more.
    pub fn changes(
        &mut self,
        groups: &RecordBatch,
        panes: &[i64],
        visible: &[bool],
        now_ms: i64,
        mut dead: impl FnMut(Bytes, &str),
    ) -> Result<Changes> {
        let indices: Vec<usize> = (0..self.key_columns).collect();
        let key_batch = groups
            .project(&indices)
            .map_err(|e| SqlError::runtime("making keys", e))?;
        let keys = if self.key_columns == 0 {
            vec![Bytes::from_static(b"{}"); groups.num_rows()]
        } else {
            self.writer.rows(&key_batch)?
        };
        let mut values: Vec<Option<Bytes>> = vec![None; groups.num_rows()];
        match self.compute(groups, 0) {
            Ok(computed) => computed
                .into_iter()
                .for_each(|(row, value)| values[row] = Some(value)),
            // One group cannot be computed: find it, and keep the others.
            Err(_) => {
                for (row, key) in keys.iter().enumerate() {
                    match self.compute(&groups.slice(row, 1), row) {
                        Ok(computed) => computed
                            .into_iter()
                            .for_each(|(row, value)| values[row] = Some(value)),
                        Err(e) => dead(key.clone(), &e.message),
                    }
                }
            }
        }
        let shown = values.iter().map(Option::is_some).collect();
        let mut records = Vec::with_capacity(values.len());
        for (row, (key, value)) in keys.into_iter().zip(values).enumerate() {
            if value.is_some() || visible[row] {
                let timestamp = if self.windowed {
                    panes[row].div_euclid(1_000).max(0)
                } else {
                    now_ms.max(0)
                };
                records.push((key, value, timestamp));
            }
        }
        Ok(Changes {
            batch: ResultBatch { records },
            visible: shown,
        })
    }

    /// (row, JSON) of the groups that are in the result; the first row of `groups` has number `base`.
    fn compute(&mut self, groups: &RecordBatch, base: usize) -> Result<Vec<(usize, Bytes)>> {
        // The row's number travels where record timestamps do in other jobs: through filters.
        let numbers = Int64Array::from_iter_values((0..groups.num_rows()).map(|row| (base + row) as i64));
        let input = ColumnBatch {
            timestamps: Some(numbers),
            ..ColumnBatch::plain(groups.clone())
        };
        let output = run_steps(&self.steps, input, &mut 0)?;
        let Some(numbers) = output.timestamps else {
            return Ok(Vec::new());
        };
        let numbers = numbers.values().iter().map(|row| *row as usize);
        Ok(numbers.zip(self.writer.rows(&output.batch)?).collect())
    }
}
