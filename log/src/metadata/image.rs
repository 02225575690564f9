//! The metadata as of one offset of its log.
//!
//! An image is a value: persistent maps, so taking a copy costs nothing and a reader's copy never changes. Topics are found by id; the
//! index by name leads to ids. Always true: `ids` and `topics` hold the same topics; partitions of a topic are numbered from 0 without gaps.

use std::collections::BTreeMap;

use imbl::OrdMap;
use uuid::Uuid;

use crate::types::{LeaderEpoch, Offset, PartitionId, TopicId, TopicName, TopicPartition};

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// Its partitions, by number.
    pub partitions: OrdMap<PartitionId, PartitionImage>,
    /// Settings that differ from the broker's defaults.
    pub configs: OrdMap<String, String>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    /// Brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
    /// The one that leads.
    pub leader: i32,
    /// Term of the leader.
    pub leader_epoch: LeaderEpoch,
}

/// All metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataImage {
    pub(super) applied_to: Offset,
    pub(super) cluster_id: Option<Uuid>,
    pub(super) topics: OrdMap<TopicId, TopicImage>,
    pub(super) ids: OrdMap<TopicName, TopicId>,
    pub(super) partition_count: usize,
    pub(super) next_producer_id: i64,
}

impl MetadataImage {
    /// First offset of the metadata log that is not in this image.
    pub fn applied_to(&self) -> Offset {
        self.applied_to
    }

    /// The cluster's id, once founded.
    pub fn cluster_id(&self) -> Option<Uuid> {
        self.cluster_id
    }

    /// The topic with this name.
    pub fn topic(&self, name: &TopicName) -> Option<&TopicImage> {
        self.ids.get(name).and_then(|id| self.topics.get(id))
    }

    /// The topic with this id.
    pub fn topic_by_id(&self, id: &TopicId) -> Option<&TopicImage> {
        self.topics.get(id)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &TopicImage> {
        self.ids.iter().filter_map(|(_, id)| self.topics.get(id))
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// How many partitions there are.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// First producer id that was not given out.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// True if the partition exists.
    pub fn contains(&self, partition: &TopicPartition) -> bool {
        self.topic(&partition.topic)
            .is_some_and(|topic| topic.partitions.contains_key(&partition.partition))
    }
}

impl TopicImage {
    /// How many partitions it has.
    pub fn partition_count(&self) -> i32 {
        self.partitions.len() as i32
    }

    /// Its partitions, by number.
    pub fn topic_partitions(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        self.partitions
            .iter()
            .map(|(partition, _)| TopicPartition::new(self.name.clone(), *partition))
    }

    /// Its own settings as an ordinary map.
    pub fn overrides(&self) -> BTreeMap<String, String> {
        self.configs
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}
