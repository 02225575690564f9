//! Decodes the records of a topic into typed rows, finds their event time and advances stream time.
//!
//! A record that cannot be decoded never stops the task unless it is asked to: it goes to the dead-letter topic with the reason. Stream time advances on every
//! record with a valid time, also on those that later nodes filter out.

use std::hash::BuildHasher;
use std::sync::Arc;

use millpond_log::types::{Offset, Timestamp};

use crate::config::ErrorPolicy;
use crate::dsl::row::{Row, batch_of};
use crate::dsl::timestamps::{OnInvalid, RecordTimes, TimestampExtractor};
use crate::processor::{
    Batch, Headers, NO_TIME, ProcessContext, ProcessError, Processor, RawBatch, RawRecordRef,
};
use crate::serde::{self, Data, SerdeError, SerdeRef};

pub(in crate::dsl) struct SourceSettings<K, V> {
    pub(in crate::dsl) key: SerdeRef<K>,
    pub(in crate::dsl) value: SerdeRef<V>,
    pub(in crate::dsl) timestamps: TimestampExtractor<K, V>,
    pub(in crate::dsl) on_error: Option<ErrorPolicy>,
}

/// Raw batches in, rows out.
pub(in crate::dsl) struct DecodeSource<K, V> {
    pub(in crate::dsl) settings: Arc<SourceSettings<K, V>>,
}

/// Which half of a record could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the record's {part}")]
struct Undecodable {
    part: &'static str,
    #[source]
    cause: SerdeError,
}

#[derive(Debug, thiserror::Error)]
#[error("the record at offset {offset} has no valid timestamp")]
struct InvalidTimestamp {
    offset: i64,
}

impl<K: Data, V: Data> Processor for DecodeSource<K, V> {
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let Batch::Raw(raw) = batch else {
            let (node, actual) = (context.node().to_owned(), batch.shape());
            return Err(ProcessError::UnexpectedBatch {
                node,
                expected: "raw records",
                actual,
            });
        };
        let rows = self.decode(&raw, context)?;
        if context.is_record_at_a_time() {
            forward_one_by_one(rows, context);
            Ok(())
        } else if context.keeps_in_step() {
            self.forward_in_step(rows, context)
        } else {
            context.forward(batch_of(rows));
            Ok(())
        }
    }
}

/// Each row goes through everything downstream, and is followed by what its time causes, before the next one begins.
fn forward_one_by_one<K: Data, V: Data>(rows: Vec<Row<K, V>>, context: &mut ProcessContext<'_>) {
    let mut seen = context.time_track().before();
    for row in rows {
        // Time that went on with records that are not among the rows.
        while let Some(time) = context.time_track().next_before(row.offset, seen) {
            seen = time;
            context.forward_time(time);
            context.forward_on_time(true);
        }
        let own = context.time_track().next_before(row.offset.next(), seen);
        context.forward_time(row.stream_time);
        context.forward(batch_of(vec![row]));
        seen = own.unwrap_or(seen);
        if let Some(time) = own {
            context.forward_time(time);
        }
        context.forward_on_time(own.is_some());
    }
}

impl<K: Data, V: Data> DecodeSource<K, V> {
    fn decode(
        &self,
        raw: &RawBatch,
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Row<K, V>>, ProcessError> {
        let settings = &*self.settings;
        let mut rows = Vec::with_capacity(raw.record_count_hint());
        let mut marks = raw.time_marks().iter().copied().peekable();
        let follows_upstreams = marks.peek().is_some();
        let mut stream_time = NO_TIME;
        let keeps_partition_time = settings.timestamps.needs_partition_time();
        let mut partition_time = context
            .partition_time(raw.partition())
            .filter(|_| keeps_partition_time);
        let now_ms = context.now_ms();
        raw.try_for_each(|found| {
            let record = &found.record;
            while let Some((_, time)) = marks.next_if(|(from, _)| *from <= record.offset) {
                stream_time = time;
            }
            let (key, value) = match self.decode_record(&found) {
                Ok(pair) => pair,
                Err(cause) => {
                    context.refuse(
                        settings.on_error.as_ref(),
                        record.offset,
                        record.timestamp,
                        cause.into(),
                    )?;
                    return Ok(());
                }
            };
            let times = RecordTimes {
                record: record.timestamp,
                partition: partition_time,
                wall_clock: now_ms,
            };
            let Some(timestamp) = settings.timestamps.extract(&key, &value, times) else {
                return self.refuse_time(record.offset, record.timestamp, context);
            };
            if keeps_partition_time {
                partition_time = partition_time.max(Some(timestamp));
            }
            if !follows_upstreams {
                stream_time = context.observe_record(record.offset, timestamp);
            }
            rows.push(Row {
                key,
                value,
                timestamp,
                headers: Headers::of_record(record),
                stream_time,
                offset: record.offset,
            });
            Ok::<(), ProcessError>(())
        })?;
        if let Some(time) = partition_time.filter(|_| keeps_partition_time) {
            context.observe_partition_time(raw.partition(), time);
        }
        Ok(rows)
    }

    /// Forwards the rows in batches that hold no key twice. Of keys only hashes are compared: two that share one cost a batch more and nothing else.
    fn forward_in_step(
        &self,
        rows: Vec<Row<K, V>>,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let hasher = foldhash::fast::FixedState::with_seed(0);
        let mut seen = hashbrown::HashSet::with_hasher(foldhash::fast::FixedState::with_seed(1));
        let mut batch = Vec::new();
        let mut key = Vec::new();
        for row in rows {
            key.clear();
            let written = self.settings.key.serialize(&row.key, &mut key);
            written.map_err(|cause| ProcessError::node(context.node(), cause))?;
            let hash = hasher.hash_one(&key);
            if !seen.insert(hash) {
                context.forward(batch_of(std::mem::take(&mut batch)));
                seen.clear();
                seen.insert(hash);
            }
            batch.push(row);
        }
        context.forward(batch_of(batch));
        Ok(())
    }

    fn decode_record(&self, found: &RawRecordRef<'_>) -> Result<(K, V), Undecodable> {
        let settings = &*self.settings;
        let key = serde::read(&*settings.key, found.record.key, found.owner)
            .map_err(|cause| Undecodable { part: "key", cause })?;
        let value = serde::read(&*settings.value, found.record.value, found.owner)
            .map_err(|cause| Undecodable { part: "value", cause })?;
        Ok((key, value))
    }

    fn refuse_time(
        &self,
        offset: Offset,
        timestamp: Timestamp,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let policy = self.settings.timestamps.on_invalid;
        let invalid = InvalidTimestamp { offset: offset.get() };
        match policy {
            OnInvalid::Fail => return Err(ProcessError::node(context.node(), invalid)),
            OnInvalid::UsePartitionTime => {
                return context.refuse(self.settings.on_error.as_ref(), offset, timestamp, invalid.into());
            }
            OnInvalid::LogAndSkip => {}
        }
        tracing::warn!(
            node = context.node(),
            offset = offset.get(),
            "record without a valid timestamp is skipped"
        );
        context.skipped(1);
        Ok(())
    }
}
