//! OffsetFetch (API key 9), as a client asks for it and, for embedded consumers, always stable (`require_stable`, KIP-447).

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, OffsetAndMetadata};
use crate::coordinator::group::OffsetsToFetch;
use crate::types::{GroupId, MemberId, TopicPartition};

/// Committed offsets to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffsetFetch {
    /// Whose offsets.
    pub group: GroupId,
    /// KIP-848: which member asks.
    pub member_id: Option<MemberId>,
    /// KIP-848: its epoch; -1 if it is no such member.
    pub member_epoch: i32,
    /// Of which partitions; none means all that have one.
    pub partitions: Option<Vec<TopicPartition>>,
    /// Refuse partitions with an offset in an open transaction (KIP-447).
    pub require_stable: bool,
}

/// A partition with its committed offset, or none, or why it cannot be told.
pub type FetchedOffset = (TopicPartition, Result<Option<OffsetAndMetadata>, BrokerError>);

impl Broker {
    /// The committed offsets of a group: of the asked partitions, or of all. Partitions without one are left out.
    ///
    /// Errs with `UnstableOffsetCommit` (retriable) while an open transaction holds a pending offset of an asked partition. Cancel-safe.
    pub fn offset_fetch<'a>(
        &'a self,
        group: &'a GroupId,
        partitions: Option<Vec<TopicPartition>>,
    ) -> BoxFuture<'a, Result<Vec<(TopicPartition, OffsetAndMetadata)>, BrokerError>> {
        async move {
            let fetch = OffsetsToFetch {
                group: group.clone(),
                member_id: None,
                member_epoch: -1,
                partitions,
                require_stable: true,
            };
            let mut offsets = Vec::new();
            for (partition, offset) in self.groups().fetch(&fetch)? {
                offsets.extend(offset?.map(|offset| (partition, offset)));
            }
            Ok(offsets)
        }
        .boxed()
    }

    /// The committed offsets of a group: one answer for each asked partition, in order, or all there are. Errs, for KIP-848 members, with
    /// `UnknownMemberId`, `StaleMemberEpoch`; per partition with `UnstableOffsetCommit` (retriable).
    pub fn offset_fetch_by(
        &self,
        fetch: GroupOffsetFetch,
    ) -> BoxFuture<'_, Result<Vec<FetchedOffset>, BrokerError>> {
        async move {
            self.groups().fetch(&OffsetsToFetch {
                group: fetch.group,
                member_id: fetch.member_id,
                member_epoch: fetch.member_epoch,
                partitions: fetch.partitions,
                require_stable: fetch.require_stable,
            })
        }
        .boxed()
    }
}
