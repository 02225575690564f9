//! The sink of a node without an encoder: copies raw records as they are.

use super::{Batch, Headers, InitContext, OutputIndex, ProcessContext, ProcessError, Processor, SinkRecord};

/// Raw records in, the same out.
pub(super) struct CopySink {
    name: String,
    topic: Option<OutputIndex>,
}

impl CopySink {
    /// Writes to the topic of that name in the topology.
    pub(super) fn new(name: String) -> CopySink {
        CopySink { name, topic: None }
    }
}

impl Processor for CopySink {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.topic = Some(context.output(&self.name)?);
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let (Batch::Raw(raw), Some(topic)) = (&batch, self.topic) else {
            let node = context.node().to_owned();
            return Err(ProcessError::UnexpectedBatch {
                node,
                expected: "raw records",
                actual: batch.shape(),
            });
        };
        for found in raw.records() {
            let record = found?.record;
            let headers = Headers::of_record(&record);
            let (key, value, timestamp) = (record.key, record.value, record.timestamp);
            let record_out = SinkRecord {
                topic,
                partition: None,
                key,
                value,
                timestamp,
                headers: &headers,
            };
            context.produce(&record_out, record.offset)?;
        }
        Ok(())
    }
}
