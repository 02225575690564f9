//! What flows between SQL operators: Arrow columns with the event-time progress that came with them.
//!
//! Always true: `watermarks`, when present, has one entry per row: the watermark before that row. It is absent when no row of
//! the batch can be late, which is the common case and costs nothing.

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
}

impl ColumnBatch {
    /// Rows without event time.
    pub fn plain(batch: RecordBatch) -> ColumnBatch {
        ColumnBatch {
            batch,
            watermarks: None,
            timestamps: None,
        }
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
