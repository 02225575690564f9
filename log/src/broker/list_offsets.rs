//! ListOffsets (API key 2).

use super::{Broker, BrokerError, Isolation};
use crate::types::{Offset, Timestamp, TopicPartition};

/// Which offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first readable one.
    Earliest,
    /// The next one to be readable: the high watermark, or the last stable offset for read_committed.
    Latest,
    /// The last stable offset, whatever the isolation.
    LastStable,
    /// That of the record with the highest timestamp.
    MaxTimestamp,
    /// That of the first record at or after this time.
    Timestamp(Timestamp),
}

/// An offset, with the time of its record where a record was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; none if no record fits the asked time.
    pub offset: Option<Offset>,
    /// The record's timestamp, for `MaxTimestamp` and `Timestamp`.
    pub timestamp: Option<Timestamp>,
}

impl Broker {
    /// Looks up offsets; one answer per asked partition, in order. Errs with `UnknownTopicOrPartition`. Cancel-safe.
    pub async fn list_offsets(
        &self,
        partitions: Vec<(TopicPartition, OffsetSpec)>,
        isolation: Isolation,
    ) -> Vec<Result<ListedOffset, BrokerError>> {
        let _ = (partitions, isolation);
        unimplemented!()
    }
}
