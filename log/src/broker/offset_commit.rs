//! OffsetCommit (API key 8), for members of groups and for consumers that assign their partitions themselves.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::node::unknown_partition;
use super::{Broker, BrokerError};
use crate::coordinator::group::OffsetsToCommit;
use crate::types::{GroupId, LeaderEpoch, Offset, TopicPartition};

pub use crate::coordinator::group::Committer;

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

/// Offsets to commit for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffsetCommit {
    /// Whose offsets.
    pub group: GroupId,
    /// Who commits.
    pub committer: Committer,
    /// After how many milliseconds they expire, if the committer says so (versions 2 to 4).
    pub retention_ms: Option<i64>,
    /// Next offset to read, per partition.
    pub offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
}

impl Broker {
    /// Commits offsets; one answer each, in order. Errs with `UnknownMemberId`, `IllegalGeneration`, `RebalanceInProgress`, `FencedInstanceId`,
    /// `GroupIdNotFound`, `UnsupportedVersion`, then nothing is committed; per partition with `UnknownTopicOrPartition`, `OffsetMetadataTooLarge`. Cancel-safe: a dropped call
    /// may or may not have committed.
    pub fn offset_commit_by(
        &self,
        commit: GroupOffsetCommit,
    ) -> BoxFuture<'_, Result<Vec<Result<(), BrokerError>>, BrokerError>> {
        async move {
            let answers = self.judge_offsets(&commit.offsets);
            let accepted = commit.offsets.into_iter().zip(&answers);
            let accepted = accepted.filter(|(_, answer)| answer.is_ok());
            let commit = OffsetsToCommit {
                group: commit.group,
                committer: commit.committer,
                producer: None,
                retention_ms: commit.retention_ms,
                offsets: accepted.map(|(offset, _)| offset).collect(),
            };
            self.groups().commit_as(commit).await?;
            Ok(answers)
        }
        .boxed()
    }

    /// Commits offsets of a group: all or none. Errs with `InvalidGroupId`, `OffsetMetadataTooLarge`. Cancel-safe: a dropped call
    /// may or may not have committed.
    pub fn offset_commit<'a>(
        &'a self,
        group: &'a GroupId,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            self.check_offset_partitions(&offsets)?;
            self.groups().commit(group, None, offsets).await
        }
        .boxed()
    }

    /// What is wrong with each offset by itself.
    pub(super) fn judge_offsets(
        &self,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Vec<Result<(), BrokerError>> {
        let image = self.node().image();
        let judge = |(partition, offset): &(TopicPartition, OffsetAndMetadata)| {
            if !image.contains(partition) {
                return Err(unknown_partition(partition));
            }
            match self.groups().metadata_too_large(partition, offset) {
                Some(error) => Err(error),
                None => Ok(()),
            }
        };
        offsets.iter().map(judge).collect()
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
