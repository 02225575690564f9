//! OffsetCommit (API key 8), for consumers that assign their partitions themselves.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::node::unknown_partition;
use super::{Broker, BrokerError};
use crate::types::{GroupId, LeaderEpoch, Offset, TopicPartition};

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The next offset to read.
    pub offset: Offset,
    /// Leader epoch of the last record read; none if unknown.
    pub leader_epoch: Option<LeaderEpoch>,
    /// Whatever the committer wants to keep with it; `offset.metadata.max.bytes` at most.
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// An offset without anything else.
    pub fn new(offset: Offset) -> Self {
        Self {
            offset,
            leader_epoch: None,
            metadata: String::new(),
        }
    }

    /// The same with metadata.
    pub fn with_metadata(mut self, metadata: impl Into<String>) -> Self {
        self.metadata = metadata.into();
        self
    }
}

impl Broker {
    /// Commits offsets of a group: all or none. Errs with `InvalidGroupId`, `OffsetMetadataTooLarge`. Cancel-safe: a dropped call
    /// may or may not have committed.
    pub fn offset_commit<'a>(
        &'a self,
        group: &'a GroupId,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            self.check_offset_partitions(&offsets)?;
            self.offsets().commit(group, None, offsets).await
        }
        .boxed()
    }

    /// Offsets of partitions that do not exist are refused: a topic made later must not start from them.
    pub(super) fn check_offset_partitions(
        &self,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Result<(), BrokerError> {
        let image = self.node().image();
        match offsets.iter().find(|(partition, _)| !image.contains(partition)) {
            Some((partition, _)) => Err(unknown_partition(partition)),
            None => Ok(()),
        }
    }
}
