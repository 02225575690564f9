//! Encodes rows and sends them to a topic, through two buffers that are reused for every record.

use std::sync::Arc;

use millpond_log::types::PartitionId;

use crate::dsl::options::Partitioner;
use crate::dsl::row::rows_of;
use crate::processor::{
    Batch, InitContext, OutputIndex, ProcessContext, ProcessError, Processor, SinkRecord,
};
use crate::serde::{self, Data, SerdeError, SerdeRef};

pub(in crate::dsl) struct SinkSettings<K, V> {
    pub(in crate::dsl) topic: String,
    pub(in crate::dsl) key: SerdeRef<K>,
    pub(in crate::dsl) value: SerdeRef<V>,
    pub(in crate::dsl) partitioner: Option<Partitioner<K, V>>,
    /// Grouping cannot use a null key, so such rows need not travel (as in Kafka Streams).
    pub(in crate::dsl) skips_null_keys: bool,
}

/// Rows in, records out.
pub(in crate::dsl) struct EncodeSink<K, V> {
    settings: Arc<SinkSettings<K, V>>,
    topic: Option<OutputIndex>,
    buffer: Vec<u8>,
}

impl<K, V> EncodeSink<K, V> {
    pub(in crate::dsl) fn new(settings: Arc<SinkSettings<K, V>>) -> Self {
        EncodeSink {
            settings,
            topic: None,
            buffer: Vec::new(),
        }
    }
}

impl<K: Data, V: Data> Processor for EncodeSink<K, V> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.topic = Some(context.output(&self.settings.topic)?);
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, V>(batch, context)?;
        let settings = &*self.settings;
        let topic = self.topic.ok_or_else(|| ProcessError::Unknown {
            node: context.node().to_owned(),
            kind: "output topic",
            name: settings.topic.clone(),
        })?;
        for row in &rows {
            if settings.skips_null_keys && settings.key.is_null(&row.key) {
                context.skipped(1);
                continue;
            }
            self.buffer.clear();
            let mut encode = || -> Result<(Option<usize>, Option<usize>), SerdeError> {
                let key = serde::write(&*settings.key, &row.key, &mut self.buffer)?;
                Ok((key, serde::write(&*settings.value, &row.value, &mut self.buffer)?))
            };
            let (key_len, value_len) = match encode() {
                Ok(lengths) => lengths,
                Err(cause) => {
                    context.refuse(None, row.offset, row.timestamp, cause.into())?;
                    continue;
                }
            };
            let (key, value) = self.buffer.split_at(key_len.unwrap_or(0));
            let partition = settings
                .partitioner
                .as_ref()
                .and_then(|choose| choose(&row.key, &row.value));
            context.send(&SinkRecord {
                topic,
                partition: partition.map(PartitionId::new),
                key: key_len.map(|_| key),
                value: value_len.map(|_| value),
                timestamp: row.timestamp,
                headers: &row.headers,
            });
        }
        Ok(())
    }
}
