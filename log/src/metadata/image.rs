//! The metadata as of one offset of its log.
//!
//! An image is a value: persistent maps, so taking a copy costs nothing and a reader's copy never changes. Topics are found by id; the
//! index by name leads to ids. Always true: `ids` and `topics` hold the same topics; partitions of a topic are numbered from 0 without gaps.

use std::collections::BTreeMap;

use imbl::{OrdMap, OrdSet};
use uuid::Uuid;

use super::record::ConfigOwner;
use crate::config::{BrokerConfig, ConfigError, DynamicConfigs};
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
    /// Names by what they are once `.` and `_` count as one, for those that have either: metrics cannot tell them apart.
    pub(super) collisions: OrdMap<String, OrdSet<TopicName>>,
    pub(super) configs: OrdMap<ConfigOwner, OrdMap<String, String>>,
    pub(super) features: OrdMap<String, i16>,
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

    /// Another topic whose name differs from this one only in `.` for `_`.
    pub fn colliding_topic(&self, name: &TopicName) -> Option<&TopicName> {
        self.collisions
            .get(&collision_key(name)?)?
            .iter()
            .find(|other| *other != name)
    }

    /// The settings of a broker, group or client metrics subscription; none if it has none of its own.
    pub fn configs_of(&self, owner: &ConfigOwner) -> Option<&OrdMap<String, String>> {
        self.configs.get(owner)
    }

    /// The same as an ordinary map, empty if there are none.
    pub fn owned_configs(&self, owner: &ConfigOwner) -> BTreeMap<String, String> {
        self.configs_of(owner).map(to_map).unwrap_or_default()
    }

    /// What brokers were told while they ran, as it concerns this one.
    pub fn dynamic_configs(&self, broker_id: i32) -> DynamicConfigs {
        DynamicConfigs {
            all_brokers: self.owned_configs(&ConfigOwner::AllBrokers),
            this_broker: self.owned_configs(&ConfigOwner::Broker(broker_id)),
        }
    }

    /// A broker's settings in force: those it was started with, and what it was told since on top.
    pub fn effective_config(
        &self,
        started_with: &BrokerConfig,
        broker_id: i32,
    ) -> Result<BrokerConfig, ConfigError> {
        let dynamic = self.dynamic_configs(broker_id);
        started_with.with_dynamic(dynamic.all_brokers.iter().chain(&dynamic.this_broker))
    }

    /// All that have settings of their own besides topics.
    pub fn config_owners(&self) -> impl Iterator<Item = &ConfigOwner> {
        self.configs.keys()
    }

    /// The level of a feature; 0 if it is off or unknown.
    pub fn feature_level(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or_default()
    }

    /// The features that are on, by name, each with its level: what Kafka calls finalized.
    pub fn features(&self) -> impl Iterator<Item = (&str, i16)> {
        self.features
            .iter()
            .filter(|(_, level)| **level > 0)
            .map(|(name, level)| (name.as_str(), *level))
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

/// What a name shares with those it collides with; none if it has no character that can collide.
pub(super) fn collision_key(name: &TopicName) -> Option<String> {
    let name = name.as_str();
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
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
        to_map(&self.configs)
    }
}

fn to_map(configs: &OrdMap<String, String>) -> BTreeMap<String, String> {
    configs
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
