//! What a topic asks of each record of a client's batch, as Kafka's validator asks it.
//!
//! Always true of a batch that passes: its records are whole, as many as it says and numbered without a gap, so every reader can take it apart; where the
//! topic is compacted each has a key; each timestamp lies inside the topic's bounds. Kafka takes uncompressed records whatever they say of their offsets,
//! and numbers compressed ones anew: here both are refused, for no client writes them. Pure; nothing is allocated unless a record is refused.

use super::settings::{TimestampSource, TopicConfig};
use crate::record::{BatchError, BatchSlice, DecodeLimits, RecordsSeen, TimestampType};
use crate::types::{NO_TIMESTAMP, Timestamp};

/// Most records of a batch that are refused one by one; more than that are only counted, or an answer could be many times its request.
pub const REFUSED_RECORDS_TOLD: usize = 1_000;

/// A record that may not be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {index}: {reason}")]
pub struct RefusedRecord {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: RecordFault,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// Its bytes are not those of a record, or not of the one that belongs there.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// Compaction could only throw it away.
    #[error("has no key, but the topic is compacted")]
    NoKey,
    /// Outside what the topic allows.
    #[error(
        "timestamp {timestamp} is out of range {earliest}..={latest}; see message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic"
    )]
    Timestamp {
        /// The one that came.
        timestamp: Timestamp,
        /// The earliest allowed now.
        earliest: Timestamp,
        /// The latest allowed now.
        latest: Timestamp,
    },
    /// The batch claims to carry the broker's time.
    #[error("timestamp type is log append time, which only the broker may set")]
    AppendTime,
}

impl RecordFault {
    /// True if the record would do with another timestamp.
    pub fn is_about_time(&self) -> bool {
        matches!(self, Self::Timestamp { .. } | Self::AppendTime)
    }
}

/// The records of a batch that may not be stored; the whole batch is refused with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecords {
    /// The first of them, in order; at least one.
    pub told: Vec<RefusedRecord>,
    /// All of them.
    pub count: usize,
}

impl RefusedRecords {
    /// True if some would do with another timestamp: that is then what the batch is refused for, as in Kafka.
    pub fn is_about_time(&self) -> bool {
        self.told.iter().any(|record| record.reason.is_about_time())
    }

    fn add(&mut self, index: usize, reason: RecordFault) {
        self.count += 1;
        if self.told.len() < REFUSED_RECORDS_TOLD {
            self.told.push(RefusedRecord { index, reason });
        }
    }
}

impl std::fmt::Display for RefusedRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.count, self.told.first()) {
            (1, Some(only)) => write!(f, "{only}"),
            (count, Some(first)) => write!(f, "{count} records are refused, the first is {first}"),
            (count, None) => write!(f, "{count} records are refused"),
        }
    }
}

/// Why a batch is refused for its records.
#[derive(Debug)]
pub(super) enum BatchRefusal {
    Records(RefusedRecords),
    /// Its records cannot be unpacked.
    Packing(BatchError),
}

/// The rules of a topic at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordRules {
    needs_keys: bool,
    /// Earliest and latest, inclusive; none where the broker stamps the records.
    bounds: Option<(Timestamp, Timestamp)>,
}

impl RecordRules {
    pub(super) fn of(config: &TopicConfig, now: Timestamp) -> Self {
        let bounds = (
            now.saturating_sub(config.timestamp_before_max_ms),
            now.saturating_add(config.timestamp_after_max_ms),
        );
        let stamped = config.timestamp_source == TimestampSource::LogAppendTime;
        Self {
            needs_keys: config.cleanup_policy.compact,
            bounds: (!stamped).then_some(bounds),
        }
    }

    /// The latest of the timestamps of a batch that this process encoded, if what its encoder saw is enough to know that every record passes.
    /// When it is not, [`check`](Self::check) has to look: it also says which record is to blame.
    pub(super) fn passes_unseen(&self, batch: &BatchSlice<'_>, seen: RecordsSeen) -> Option<Timestamp> {
        let is_timely = self
            .bounds
            .is_none_or(|(earliest, latest)| seen.earliest >= earliest && seen.latest <= latest);
        let passes = is_timely
            && batch.header.timestamp_type() == TimestampType::CreateTime
            // Farther apart than a delta can say.
            && seen.latest.checked_sub(seen.earliest).is_some()
            && !(self.needs_keys && seen.has_null_key);
        passes.then_some(seen.latest)
    }

    /// Judges every record of the batch; gives the latest of their timestamps.
    pub(super) fn check(&self, batch: &BatchSlice<'_>) -> Result<Timestamp, BatchRefusal> {
        let claims_append_time = batch.header.timestamp_type() == TimestampType::LogAppendTime;
        let mut latest_seen = None;
        let mut refused = RefusedRecords {
            told: Vec::new(),
            count: 0,
        };
        let walked = batch.walk_records(DecodeLimits::default(), |index, record| {
            latest_seen = latest_seen.max(Some(record.timestamp));
            if self.needs_keys && !record.has_key {
                return refused.add(index, RecordFault::NoKey);
            }
            match self.bounds {
                None if claims_append_time => refused.add(index, RecordFault::AppendTime),
                // A record without a timestamp passes.
                Some((earliest, latest))
                    if record.timestamp != NO_TIMESTAMP
                        && !(earliest..=latest).contains(&record.timestamp) =>
                {
                    let timestamp = record.timestamp;
                    refused.add(
                        index,
                        RecordFault::Timestamp {
                            timestamp,
                            earliest,
                            latest,
                        },
                    );
                }
                _ => {}
            }
        });
        match walked {
            Ok(()) if refused.count == 0 => Ok(latest_seen.unwrap_or(NO_TIMESTAMP)),
            Ok(()) => Err(BatchRefusal::Records(refused)),
            // What else was found is moot: the walk may have lost its way before.
            Err(BatchError::InvalidRecord { index, reason }) => {
                let reason = RecordFault::Malformed(reason);
                Err(BatchRefusal::Records(RefusedRecords {
                    told: vec![RefusedRecord { index, reason }],
                    count: 1,
                }))
            }
            Err(packing) => Err(BatchRefusal::Packing(packing)),
        }
    }
}
