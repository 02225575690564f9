//! A sink that chooses the topic for every record, among those that were declared.
//!
//! Always true: topics are looked up when the task is opened, so a record can only go where the application knows the partition count. A name that was not
//! declared refuses the record; it never stops the task unless the policy is to fail.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sink::{SinkSettings, Target, send_row};
use crate::dsl::process::RecordMetadata;
use crate::dsl::row::{NO_OFFSET, Row, rows_of};
use crate::dsl::{RecordContext, stream_sink::Extract};
use crate::processor::{Batch, InitContext, ProcessContext, ProcessError, Processor};
use crate::serde::Data;

/// The sink's own settings (whose topic is not used), the topics it may write to, and the choice.
pub(in crate::dsl) struct ExtractSettings<K, V> {
    pub(in crate::dsl) sink: SinkSettings<K, V>,
    pub(in crate::dsl) topics: Vec<String>,
    pub(in crate::dsl) extract: Extract<K, V>,
}

/// Rows in, records out.
pub(in crate::dsl) struct ExtractSink<K, V> {
    settings: Arc<ExtractSettings<K, V>>,
    targets: BTreeMap<String, Target>,
    buffer: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
#[error("topic {topic:?} was not declared: it is none of the {declared} topics of this sink")]
struct Undeclared {
    topic: String,
    declared: usize,
}

impl<K, V> ExtractSink<K, V> {
    pub(in crate::dsl) fn new(settings: Arc<ExtractSettings<K, V>>) -> Self {
        ExtractSink {
            settings,
            targets: BTreeMap::new(),
            buffer: Vec::new(),
        }
    }
}

impl<K: Data, V: Data> Processor for ExtractSink<K, V> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        for topic in &self.settings.topics {
            self.targets
                .insert(topic.clone(), Target::look_up(topic, context)?);
        }
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        for row in rows_of::<K, V>(batch, context)? {
            let mut found = Err(String::new());
            (self.settings.extract)(
                &row.key,
                &row.value,
                &record_context(&row, context),
                &mut |topic| {
                    found = self.targets.get(topic).copied().ok_or_else(|| topic.to_owned());
                },
            );
            match found {
                Ok(target) => send_row(&row, target, &self.settings.sink, &mut self.buffer, context)?,
                Err(topic) => {
                    let declared = self.settings.topics.len();
                    let cause = Undeclared { topic, declared };
                    context.refuse(None, row.offset, row.timestamp, cause.into())?;
                }
            }
        }
        Ok(())
    }
}

fn record_context<'a, K, V>(row: &'a Row<K, V>, context: &'a ProcessContext<'_>) -> RecordContext<'a> {
    let partition = context.origin_partition().filter(|_| row.offset != NO_OFFSET);
    RecordContext {
        timestamp: row.timestamp,
        headers: &row.headers,
        source: partition.map(|partition| RecordMetadata {
            topic: &partition.topic,
            partition: partition.partition,
            offset: row.offset,
        }),
    }
}
