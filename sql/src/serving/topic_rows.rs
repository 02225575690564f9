//! A topic as a bounded table: everything committed when the query began, decoded as it is read.
//!
//! Malformed values are left out, as jobs leave them out (those also write them to their dead-letter topic), and told to the log.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use millpond_log::broker::Broker;
use millpond_log::record::DecodedBatch;
use millpond_log::types::{Offset, TopicPartition};

use super::topic_reader::{TopicReader, committed_ranges};
use crate::catalog::TopicTable;
use crate::error::SqlError;
use crate::format::RowDecoder;
use crate::planner::RowSource;

/// The rows of a topic.
#[derive(Debug)]
pub struct TopicRows {
    broker: Broker,
    table: TopicTable,
}

impl TopicRows {
    /// The rows of `table`.
    pub fn new(broker: Broker, table: TopicTable) -> TopicRows {
        TopicRows { broker, table }
    }
}

#[async_trait]
impl RowSource for TopicRows {
    async fn scan(
        &self,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let decoder = RowDecoder::new(&self.table, projection.map(Vec::as_slice)).map_err(external)?;
        let schema = decoder.schema().clone();
        let ranges = committed_ranges(&self.broker, &self.table.topic)
            .await
            .map_err(external)?;
        let partitions = ranges
            .into_iter()
            .map(|(partition, start, end)| {
                Arc::new(TopicScan {
                    broker: self.broker.clone(),
                    table: self.table.clone(),
                    projection: projection.cloned(),
                    schema: schema.clone(),
                    partition,
                    start,
                    end,
                }) as Arc<dyn PartitionStream>
            })
            .collect();
        Ok(Arc::new(StreamingTableExec::try_new(
            schema,
            partitions,
            None,
            [],
            false,
            limit,
        )?))
    }
}

#[derive(Debug)]
struct TopicScan {
    broker: Broker,
    table: TopicTable,
    projection: Option<Vec<usize>>,
    schema: SchemaRef,
    partition: TopicPartition,
    start: Offset,
    end: Offset,
}

impl PartitionStream for TopicScan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let reader = TopicReader::new(self.broker.clone(), self.partition.clone(), self.start);
        let decoder = RowDecoder::new(&self.table, self.projection.as_deref());
        let (start, end) = (self.start, self.end);
        let rows = futures::stream::try_unfold((reader, decoder), move |(mut reader, decoder)| async move {
            let mut decoder = decoder.map_err(external)?;
            while reader.position() < end {
                let from = reader.position().max(start);
                let batches = reader.next(Duration::ZERO).await.map_err(external)?;
                if batches.is_empty() && reader.position() <= from {
                    break;
                }
                let rows = decode_batches(&mut decoder, &batches, from, Some(end)).map_err(external)?;
                if rows.num_rows() > 0 {
                    return Ok(Some((rows, (reader, Ok(decoder)))));
                }
            }
            Ok::<_, DataFusionError>(None)
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

/// The rows of the records with `from ≤ offset < end`.
pub(super) fn decode_batches(
    decoder: &mut RowDecoder,
    batches: &[DecodedBatch],
    from: Offset,
    end: Option<Offset>,
) -> crate::error::Result<RecordBatch> {
    let mut values = Vec::new();
    for batch in batches {
        for record in batch.iter() {
            let record = record.map_err(|e| SqlError::runtime("reading a record batch", e))?;
            if record.offset >= from && end.is_none_or(|end| record.offset < end) {
                values.push(record.value);
            }
        }
    }
    let decoded = decoder.decode(&values)?;
    if let Some(first) = decoded.bad.first() {
        tracing::warn!(rows = decoded.bad.len(), reason = %first.reason, "malformed rows left out of a query");
    }
    Ok(decoded.batch)
}

fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
