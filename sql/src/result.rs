//! What a statement answers.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use crate::serving::ChangeStream;

/// The answer to one statement.
#[derive(Debug)]
pub enum StatementResult {
    /// Rows, all of them.
    Rows {
        /// Their columns.
        schema: SchemaRef,
        /// The rows, in order.
        batches: Vec<RecordBatch>,
    },
    /// Rows that keep coming (`EMIT CHANGES`).
    Stream(ChangeStream),
    /// A sentence.
    Message(String),
}
