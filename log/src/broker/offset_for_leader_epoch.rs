//! OffsetForLeaderEpoch (API key 23, KIP-101, KIP-320): where a leader's term ended.

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::future::join_all;

use super::{Broker, BrokerError};
use crate::types::{LeaderEpoch, Offset, TopicPartition};

/// What is asked of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochQuery {
    /// Which.
    pub partition: TopicPartition,
    /// The term the asker thinks is the current one; -1 if it does not know.
    pub current_leader_epoch: LeaderEpoch,
    /// The term whose end is wanted.
    pub leader_epoch: LeaderEpoch,
}

/// A term and where it ended (exclusive); none if the asked one is newer than all.
pub type EpochEnd = Result<Option<(LeaderEpoch, Offset)>, BrokerError>;

impl Broker {
    /// Tells for each query, in order, the largest term at or below the asked one that wrote records, and where it ended (exclusive); the current one
    /// ends where the log does, which is never below what a consumer could read. None if the asked term is newer than all. Errs per
    /// partition with `FencedLeaderEpoch`, `UnknownLeaderEpoch`, `UnknownTopicOrPartition`. Cancel-safe.
    pub fn offsets_for_leader_epochs(&self, queries: Vec<EpochQuery>) -> BoxFuture<'_, Vec<EpochEnd>> {
        async move {
            let answers = queries.into_iter().map(|query| async move {
                let log = self.node().partition(&query.partition)?;
                self.check_leader_epoch(&query.partition, query.current_leader_epoch)?;
                Ok(log.end_of_epoch(query.leader_epoch).await?)
            });
            join_all(answers).await
        }
        .boxed()
    }
}
