//! What flows between SQL operators: Arrow columns, how often each row is added or taken back, and the event-time progress that came with them.
//!
//! Always true: `watermarks`, when present, has one entry per row: the watermark before that row. It is absent when no row of
//! the batch can be late, which is the common case and costs nothing. `weights`, when present, has one entry per row, never 0: n adds the
//! row n times, -n takes it back n times; a batch without weights only adds, each row once. A relation is the sum of all batches that made it,
//! so the order in which rows arrive does not matter to an operator, and a row may be taken back before it is added.

use std::any::Any;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use millpond_streams::processor::Columns;

/// A batch of rows.
#[derive(Debug, Clone)]
pub struct ColumnBatch {
    /// The rows.
    pub batch: RecordBatch,
    /// The watermark before each row, in microseconds, if some row may be late.
    pub watermarks: Option<Int64Array>,
    /// The timestamp of each row's record in milliseconds, where the result is written row by row.
    pub timestamps: Option<Int64Array>,
    /// How often each row is added (positive) or taken back (negative); absent when every row is added once.
    pub weights: Option<Int64Array>,
    /// Which input of the operator that takes the batch it belongs to: 0 for all that have one.
    pub port: usize,
}

impl ColumnBatch {
    /// Rows that are added, without event time.
    pub fn plain(batch: RecordBatch) -> ColumnBatch {
        ColumnBatch {
            batch,
            watermarks: None,
            timestamps: None,
            weights: None,
            port: 0,
        }
    }

    /// Rows that are added or taken back.
    pub fn weighted(batch: RecordBatch, weights: Int64Array) -> ColumnBatch {
        ColumnBatch {
            weights: Some(weights),
            ..ColumnBatch::plain(batch)
        }
    }

    /// How often `row` is added.
    pub fn weight(&self, row: usize) -> i64 {
        self.weights.as_ref().map_or(1, |weights| weights.value(row))
    }
}

impl Columns for ColumnBatch {
    fn row_count(&self) -> usize {
        self.batch.num_rows()
    }

    fn duplicate(&self) -> Box<dyn Columns> {
        Box::new(self.clone())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
