//! Sets of partitions named by topic id: what a member owns, gives up or shall own.
//!
//! A topic made again under the same name has another id, so its partitions are never taken for the old ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::types::{PartitionId, TopicId};

/// One partition of the topic with this id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIdPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition within it.
    pub partition: PartitionId,
}

impl TopicIdPartition {
    /// The given partition of the given topic.
    pub fn new(topic: TopicId, partition: impl Into<PartitionId>) -> Self {
        let partition = partition.into();
        Self { topic, partition }
    }
}

impl fmt::Debug for TopicIdPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.topic, self.partition)
    }
}

/// Some partitions.
pub type PartitionSet = BTreeSet<TopicIdPartition>;

/// Partitions a member owns, each with the epoch at which it got it (KIP-1251).
pub type OwnedPartitions = BTreeMap<TopicIdPartition, i32>;

/// The same partitions, topic by topic.
pub(super) fn by_topic<'a>(
    partitions: impl IntoIterator<Item = &'a TopicIdPartition>,
) -> BTreeMap<TopicId, Vec<PartitionId>> {
    let mut topics: BTreeMap<TopicId, Vec<PartitionId>> = BTreeMap::new();
    for partition in partitions {
        topics
            .entry(partition.topic)
            .or_default()
            .push(partition.partition);
    }
    topics
}
