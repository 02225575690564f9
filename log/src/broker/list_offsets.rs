//! ListOffsets (API key 2).

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::future::join_all;

use super::{Broker, BrokerError, Isolation};
use crate::types::{LeaderEpoch, Offset, Timestamp, TopicPartition};

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
    /// The last one in tiered storage; there is none (KIP-1005).
    LatestTiered,
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
    /// The term in which the record at that offset was (or, at the log end, would be) written.
    pub leader_epoch: Option<LeaderEpoch>,
}

impl Broker {
    /// Looks up offsets; one answer per asked partition, in order. Errs with `UnknownTopicOrPartition`. Cancel-safe.
    pub fn list_offsets(
        &self,
        partitions: Vec<(TopicPartition, OffsetSpec)>,
        isolation: Isolation,
    ) -> BoxFuture<'_, Vec<Result<ListedOffset, BrokerError>>> {
        async move {
            let lookups = partitions.into_iter().map(|(partition, spec)| async move {
                let log = self.node().partition(&partition)?;
                let offsets = log.offsets();
                let leader_epoch = Some(self.leader_epoch(&partition)?);
                let at = |offset| ListedOffset {
                    offset: Some(offset),
                    timestamp: None,
                    leader_epoch,
                };
                let found = |record: Option<(Offset, Timestamp)>| ListedOffset {
                    offset: record.map(|(offset, _)| offset),
                    timestamp: record.map(|(_, timestamp)| timestamp),
                    leader_epoch: leader_epoch.filter(|_| record.is_some()),
                };
                Ok(match spec {
                    OffsetSpec::Earliest => at(offsets.log_start_offset),
                    OffsetSpec::Latest => at(offsets.read_limit(isolation)),
                    OffsetSpec::LatestTiered => found(None),
                    OffsetSpec::LastStable => at(offsets.last_stable_offset),
                    OffsetSpec::MaxTimestamp => found(log.max_timestamp_offset().await?),
                    OffsetSpec::Timestamp(timestamp) => {
                        let limit = offsets.read_limit(isolation);
                        found(
                            log.offset_for_timestamp(timestamp)
                                .await?
                                .filter(|(offset, _)| *offset < limit),
                        )
                    }
                })
            });
            join_all(lookups).await
        }
        .boxed()
    }
}
