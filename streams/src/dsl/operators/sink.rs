//! Encodes rows and sends them to a topic, through two buffers that are reused for every record.

use std::sync::Arc;

use millpond_log::types::PartitionId;

use crate::dsl::options::{Partitioner, Partitions};
use crate::dsl::row::{Row, rows_of};
use crate::dsl::table_origin::Wish;
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
    topic: Option<Target>,
    buffer: Vec<u8>,
    /// A join below has results for records with a null key.
    keeps_null_keys: Wish,
}

/// An output topic and its number of partitions.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) topic: OutputIndex,
    pub(super) partitions: i32,
}

/// A partitioner named a partition that is not there.
#[derive(Debug, thiserror::Error)]
#[error("there is no partition {partition}; the topic has {count}")]
struct NoSuchPartition {
    partition: i32,
    count: i32,
}

impl<K, V> EncodeSink<K, V> {
    pub(in crate::dsl) fn new(settings: Arc<SinkSettings<K, V>>) -> Self {
        EncodeSink {
            settings,
            topic: None,
            buffer: Vec::new(),
            keeps_null_keys: Wish::default(),
        }
    }

    /// Null keys are not skipped once the wish is made.
    pub(in crate::dsl) fn keeping_null_keys(self, keeps_null_keys: Wish) -> Self {
        EncodeSink {
            keeps_null_keys,
            ..self
        }
    }
}

impl<K: Data, V: Data> Processor for EncodeSink<K, V> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.topic = Some(Target::look_up(&self.settings.topic, context)?);
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, V>(batch, context)?;
        let settings = &*self.settings;
        let target = self.topic.ok_or_else(|| ProcessError::Unknown {
            node: context.node().to_owned(),
            kind: "output topic",
            name: settings.topic.clone(),
        })?;
        let skips_null_keys = settings.skips_null_keys && !self.keeps_null_keys.is_made();
        for row in &rows {
            if skips_null_keys && settings.key.is_null(&row.key) {
                context.skipped(1);
                continue;
            }
            send_row(row, target, settings, &mut self.buffer, context)?;
        }
        Ok(())
    }
}

impl Target {
    pub(super) fn look_up(topic: &str, context: &mut InitContext<'_>) -> Result<Target, ProcessError> {
        let topic = context.output(topic)?;
        let partitions = context.output_partitions(topic);
        Ok(Target { topic, partitions })
    }
}

/// Encodes a row into `buffer` and sends it where its partitioner says.
pub(super) fn send_row<K: Data, V: Data>(
    row: &Row<K, V>,
    target: Target,
    settings: &SinkSettings<K, V>,
    buffer: &mut Vec<u8>,
    context: &mut ProcessContext<'_>,
) -> Result<(), ProcessError> {
    buffer.clear();
    let mut encode = || -> Result<(Option<usize>, Option<usize>), SerdeError> {
        let key = serde::write(&*settings.key, &row.key, buffer)?;
        Ok((key, serde::write(&*settings.value, &row.value, buffer)?))
    };
    let (key_len, value_len) = match encode() {
        Ok(lengths) => lengths,
        Err(cause) => return context.refuse(None, row.offset, row.timestamp, cause.into()),
    };
    let (key, value) = buffer.split_at(key_len.unwrap_or(0));
    let mut record = SinkRecord {
        topic: target.topic,
        partition: None,
        key: key_len.map(|_| key),
        value: value_len.map(|_| value),
        timestamp: row.timestamp,
        headers: &row.headers,
    };
    let count = target.partitions;
    let chosen = match &settings.partitioner {
        Some(choose) => choose(&row.key, &row.value, count),
        None => Partitions::ByKey,
    };
    match chosen {
        Partitions::ByKey => {
            context.produce(&record, row.offset)?;
        }
        Partitions::One(partition) => {
            record.partition = Some(PartitionId::new(partition));
            context.produce(&record, row.offset)?;
        }
        Partitions::Each(partitions) => {
            if let Some(&partition) = partitions
                .iter()
                .find(|partition| !(0..count).contains(*partition))
            {
                let cause = NoSuchPartition { partition, count };
                return context.refuse(None, row.offset, row.timestamp, cause.into());
            }
            for partition in partitions {
                record.partition = Some(PartitionId::new(partition));
                // Refused by one partition is refused by all: it is dealt with once.
                if !context.produce(&record, row.offset)? {
                    break;
                }
            }
        }
    }
    Ok(())
}
