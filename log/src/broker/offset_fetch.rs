//! OffsetFetch (API key 9), always stable (`require_stable`, KIP-447).

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, OffsetAndMetadata};
use crate::types::{GroupId, TopicPartition};

impl Broker {
    /// The committed offsets of a group: of the asked partitions, or of all. Partitions without one are left out.
    ///
    /// Errs with `UnstableOffsetCommit` (retriable) while an open transaction holds a pending offset of an asked partition. Cancel-safe.
    pub fn offset_fetch<'a>(
        &'a self,
        group: &'a GroupId,
        partitions: Option<Vec<TopicPartition>>,
    ) -> BoxFuture<'a, Result<Vec<(TopicPartition, OffsetAndMetadata)>, BrokerError>> {
        async move { self.offsets().fetch(group, partitions.as_deref(), true) }.boxed()
    }
}
