//! OffsetFetch (API key 9), always stable (`require_stable`, KIP-447).

use super::{Broker, BrokerError, OffsetAndMetadata};
use crate::types::{GroupId, TopicPartition};

impl Broker {
    /// The committed offsets of a group: of the asked partitions, or of all. Partitions without one are left out.
    ///
    /// Errs with `UnstableOffsetCommit` (retriable) while an open transaction holds a pending offset of an asked partition. Cancel-safe.
    pub async fn offset_fetch(
        &self,
        group: &GroupId,
        partitions: Option<Vec<TopicPartition>>,
    ) -> Result<Vec<(TopicPartition, OffsetAndMetadata)>, BrokerError> {
        self.offsets().fetch(group, partitions.as_deref(), true)
    }
}
