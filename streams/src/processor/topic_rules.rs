//! What a topic surely refuses, known before anything is sent, so that one record is refused and not the batch and the transaction around it.
//!
//! A rule that is not known lets everything through: the log has the last word. Rules come from the topic's settings when a task opens, and from the log's own
//! answer when it refuses a batch as too large (`runtime/output_rules.rs`).

use std::collections::BTreeMap;

use millpond_log::record::{BatchBuilder, BatchOptions, Compression, Header};
use millpond_log::types::{NO_TIMESTAMP, Timestamp};

use super::SinkRecord;

/// What a batch has before its first record.
const EMPTY_BATCH_BYTES: usize = 61;
/// More than a record needs beside its key, value and headers.
const RECORD_OVERHEAD: usize = 32;
/// More than a header needs beside its name and value.
const HEADER_OVERHEAD: usize = 10;

/// The rules of one topic. The default lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicRules {
    /// Largest batch it takes, in bytes, after compression (`max.message.bytes`).
    pub max_message_bytes: Option<usize>,
    /// Records without a key are refused, because it is compacted (`cleanup.policy`).
    pub needs_key: bool,
    /// How far behind the wall clock a record's time may be, in ms (`message.timestamp.before.max.ms`).
    pub timestamp_before_max_ms: Option<i64>,
    /// How far ahead of the wall clock a record's time may be, in ms (`message.timestamp.after.max.ms`).
    pub timestamp_after_max_ms: Option<i64>,
    /// How batches to it are packed: a record above the largest size may still fit when packed.
    pub compression: Compression,
}

/// Why a topic will not take a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordRefused {
    /// It is larger than the largest batch.
    #[error(
        "topic {topic} does not take a record of {size} bytes, its `max.message.bytes` is {limit}; raise it, or make the record smaller"
    )]
    TooLarge {
        /// The topic.
        topic: String,
        /// Bytes of the smallest batch with the record.
        size: usize,
        /// Largest batch the topic takes, in bytes.
        limit: usize,
    },
    /// It has no key.
    #[error("topic {topic} is compacted and does not take a record without a key")]
    NoKey {
        /// The topic.
        topic: String,
    },
    /// Its time is too far from the wall clock.
    #[error(
        "topic {topic} does not take a record with timestamp {timestamp}, only those from {earliest} to {latest}; see its `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`"
    )]
    Timestamp {
        /// The topic.
        topic: String,
        /// The record's time in ms.
        timestamp: Timestamp,
        /// Earliest time it takes now, in ms, inclusive.
        earliest: Timestamp,
        /// Latest time it takes now, in ms, inclusive.
        latest: Timestamp,
    },
}

impl TopicRules {
    /// Reads the rules out of a topic's settings, by Kafka's names. What is not there is not known.
    pub fn from_configs(configs: &BTreeMap<String, String>) -> TopicRules {
        fn number<N: std::str::FromStr>(configs: &BTreeMap<String, String>, name: &str) -> Option<N> {
            configs.get(name)?.parse().ok()
        }
        let policy = configs.get("cleanup.policy").map_or("", String::as_str);
        // The log stamps such records itself.
        let own_time = configs
            .get("message.timestamp.type")
            .is_some_and(|kind| kind == "LogAppendTime");
        let time = |name| number(configs, name).filter(|_| !own_time);
        TopicRules {
            max_message_bytes: number(configs, "max.message.bytes"),
            needs_key: policy.split(',').any(|part| part.trim() == "compact"),
            timestamp_before_max_ms: time("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: time("message.timestamp.after.max.ms"),
            compression: Compression::None,
        }
    }

    /// Why the topic `name` will not take this record; `None` when it will, as far as is known.
    pub(super) fn refusal(
        &self,
        name: &str,
        record: &SinkRecord<'_>,
        now_ms: Timestamp,
    ) -> Option<RecordRefused> {
        let topic = || name.to_owned();
        if self.needs_key && record.key.is_none() {
            return Some(RecordRefused::NoKey { topic: topic() });
        }
        if record.timestamp != NO_TIMESTAMP {
            let earliest = now_ms.saturating_sub(self.timestamp_before_max_ms.unwrap_or(i64::MAX));
            let latest = now_ms.saturating_add(self.timestamp_after_max_ms.unwrap_or(i64::MAX));
            if record.timestamp < earliest || record.timestamp > latest {
                return Some(RecordRefused::Timestamp {
                    topic: topic(),
                    timestamp: record.timestamp,
                    earliest,
                    latest,
                });
            }
        }
        let limit = self.max_message_bytes?;
        if at_most(record) <= limit {
            return None;
        }
        let size = packed(record, self.compression);
        (size > limit).then(|| RecordRefused::TooLarge {
            topic: topic(),
            size,
            limit,
        })
    }
}

/// Bytes a batch with this record alone has at most.
fn at_most(record: &SinkRecord<'_>) -> usize {
    let headers = record.headers.iter();
    let headers: usize = headers
        .map(|header| header.key.len() + header.value.as_ref().map_or(0, bytes::Bytes::len) + HEADER_OVERHEAD)
        .sum();
    let (key, value) = (
        record.key.map_or(0, <[u8]>::len),
        record.value.map_or(0, <[u8]>::len),
    );
    EMPTY_BATCH_BYTES + RECORD_OVERHEAD + key + value + headers
}

/// Bytes of a batch with this record alone: for records that may be too large only.
fn packed(record: &SinkRecord<'_>, compression: Compression) -> usize {
    let mut batch = BatchBuilder::new(BatchOptions {
        compression,
        ..BatchOptions::default()
    });
    let headers: Vec<Header> = record.headers.iter().cloned().collect();
    match batch.append(record.timestamp, record.key, record.value, &headers) {
        Ok(()) => batch.build().len(),
        // Larger than the format can hold.
        Err(_) => at_most(record),
    }
}

#[cfg(test)]
#[path = "topic_rules_test.rs"]
mod topic_rules_test;
