//! Results on their way to a view's topic, and the operator that writes them.
//!
//! Always true: the value is the result row as JSON, null for a group that left the result; the key is the group's columns as
//! JSON. Changing results go to the partition of the task that owns their group, so the changes of a group stay in order.

use std::any::Any;

use bytes::Bytes;
use datafusion::arrow::array::Int64Array;
use millpond_streams::processor::{
    Batch, Columns, Headers, InitContext, NO_TIME, OutputIndex, ProcessContext, ProcessError, Processor,
    SinkRecord,
};

use super::column_batch::ColumnBatch;
use crate::error::SqlError;
use crate::format::JsonWriter;

/// Changes of groups, ready to write.
#[derive(Debug, Clone, Default)]
pub struct ResultBatch {
    /// (key, value or null, timestamp in milliseconds).
    pub records: Vec<(Bytes, Option<Bytes>, i64)>,
}

impl Columns for ResultBatch {
    fn row_count(&self) -> usize {
        self.records.len()
    }

    fn duplicate(&self) -> Box<dyn Columns> {
        Box::new(self.clone())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// The encoder of a view's sink: takes rows (append) or changes of groups (upsert).
pub struct TopicSink {
    topic: String,
    output: Option<OutputIndex>,
    writer: JsonWriter,
}

impl TopicSink {
    /// Writes to `topic`.
    pub fn new(topic: String) -> TopicSink {
        TopicSink {
            topic,
            output: None,
            writer: JsonWriter::new(),
        }
    }

    fn write_rows(
        &mut self,
        topic: OutputIndex,
        rows: &ColumnBatch,
        context: &mut ProcessContext<'_>,
    ) -> crate::error::Result<()> {
        let values = self.writer.rows(&rows.batch)?;
        let now = context.stream_time();
        for (row, value) in values.iter().enumerate() {
            let known = rows.timestamps.as_ref().map(|t: &Int64Array| t.value(row));
            let Ok(copies) = u64::try_from(rows.weight(row)) else {
                return Err(SqlError::invalid(
                    "a row was taken back from a result that only adds rows",
                ));
            };
            for _ in 0..copies {
                context.send(&SinkRecord {
                    topic,
                    partition: None,
                    key: None,
                    value: Some(value),
                    timestamp: known.unwrap_or(if now == NO_TIME { 0 } else { now }),
                    headers: &Headers::NONE,
                });
            }
        }
        Ok(())
    }
}

impl Processor for TopicSink {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.output = Some(context.output(&self.topic)?);
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let Some(topic) = self.output else {
            return Err(ProcessError::Unknown {
                node: context.node().to_owned(),
                kind: "output topic",
                name: self.topic.clone(),
            });
        };
        let batch = match batch.into_columns::<ResultBatch>() {
            Ok(changes) => {
                let partition = Some(context.task_id().partition);
                for (key, value, timestamp) in &changes.records {
                    context.send(&SinkRecord {
                        topic,
                        partition,
                        key: Some(key),
                        value: value.as_deref(),
                        timestamp: *timestamp,
                        headers: &Headers::NONE,
                    });
                }
                return Ok(());
            }
            Err(other) => other,
        };
        let rows = batch
            .into_columns::<ColumnBatch>()
            .map_err(|other| ProcessError::UnexpectedBatch {
                node: context.node().to_owned(),
                expected: "results",
                actual: other.shape(),
            })?;
        self.write_rows(topic, &rows, context)
            .map_err(|e| ProcessError::node(context.node(), e))
    }
}
