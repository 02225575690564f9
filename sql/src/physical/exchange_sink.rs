//! Writes pre-aggregated groups to the repartition topic, one record per partition.

use millpond_log::types::PartitionId;
use millpond_streams::processor::{
    Batch, Headers, InitContext, NO_TIME, OutputIndex, ProcessContext, ProcessError, Processor, SinkRecord,
};

use super::exchange::encode_exchange;
use super::local_aggregate::ExchangeBatch;

/// A record is split while it is larger than this: well below `max.message.bytes`.
const RECORD_BYTES_MAX: usize = 256 << 10;

/// The encoder of the repartition sink.
pub struct ExchangeSink {
    topic: String,
    output: Option<OutputIndex>,
}

impl ExchangeSink {
    /// Writes to the repartition topic called `topic` in the topology.
    pub fn new(topic: String) -> ExchangeSink {
        ExchangeSink { topic, output: None }
    }
}

impl Processor for ExchangeSink {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.output = Some(context.output(&self.topic)?);
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let unknown = || ProcessError::Unknown {
            node: self.topic.clone(),
            kind: "output topic",
            name: self.topic.clone(),
        };
        let topic = self.output.ok_or_else(unknown)?;
        let groups =
            batch
                .into_columns::<ExchangeBatch>()
                .map_err(|other| ProcessError::UnexpectedBatch {
                    node: context.node().to_owned(),
                    expected: "pre-aggregated groups",
                    actual: other.shape(),
                })?;
        let time = context.stream_time();
        for (partition, batch) in groups.parts {
            let mut pieces = vec![batch];
            while let Some(piece) = pieces.pop() {
                let value = encode_exchange(&piece).map_err(|e| ProcessError::node(context.node(), e))?;
                let rows = piece.num_rows();
                if value.len() > RECORD_BYTES_MAX && rows > 1 {
                    // The first half is taken off the stack first, so groups keep their order.
                    pieces.push(piece.slice(rows / 2, rows - rows / 2));
                    pieces.push(piece.slice(0, rows / 2));
                    continue;
                }
                context.send(&SinkRecord {
                    topic,
                    partition: Some(PartitionId::new(partition)),
                    key: None,
                    value: Some(&value),
                    timestamp: if time == NO_TIME { 0 } else { time },
                    headers: &Headers::NONE,
                });
            }
        }
        Ok(())
    }
}
