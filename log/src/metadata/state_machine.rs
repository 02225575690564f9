//! Metadata records → image. The same function live and at replay, and later under a quorum.
//!
//! Always true: applying is deterministic (no clock, no ids made here), and a record that does not fit the image is an error with both sides named, not
//! a guess: it means the log is damaged or was written by a newer build.

use imbl::OrdMap;

use crate::types::{Offset, ProducerId, TopicId, TopicName, TopicPartition};

use super::delta::MetadataDelta;
use super::image::{MetadataImage, PartitionImage, TopicImage, collision_key};
use super::record::{MetadataRecord, PartitionRecord};

/// A record that does not fit the image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A name is taken by another topic.
    #[error("metadata names topic {name} twice: ids {existing} and {found}")]
    NameTaken {
        /// The name.
        name: TopicName,
        /// The id it has.
        existing: TopicId,
        /// The id the record gives it.
        found: TopicId,
    },
    /// A record speaks of a topic that does not exist.
    #[error("metadata speaks of unknown topic id {id}")]
    UnknownTopic {
        /// The id.
        id: TopicId,
    },
    /// The block of producer ids lies below one given out before: ids would repeat.
    #[error("metadata takes producer ids back: from {from} to {to}")]
    ProducerIdsGoBack {
        /// Where the ids stood.
        from: ProducerId,
        /// Where the record puts them.
        to: ProducerId,
    },
}

impl MetadataImage {
    /// The image after one batch, whose records take effect together, and what they changed. `next_offset` is the offset after the batch.
    pub fn apply(
        &self,
        records: &[MetadataRecord],
        next_offset: Offset,
    ) -> Result<(MetadataImage, MetadataDelta), ApplyError> {
        let mut image = self.clone();
        let mut delta = MetadataDelta::default();
        for record in records {
            image.apply_one(record, &mut delta)?;
        }
        image.applied_to = next_offset;
        Ok((image, delta))
    }

    fn apply_one(&mut self, record: &MetadataRecord, delta: &mut MetadataDelta) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::Cluster { cluster_id } => self.cluster_id = Some(*cluster_id),
            MetadataRecord::Topic { name, id } => self.add_topic(name, *id, delta)?,
            MetadataRecord::Partition(partition) => self.set_partition(partition, delta)?,
            MetadataRecord::TopicConfig { topic, name, value } => {
                let image = self
                    .topics
                    .get_mut(topic)
                    .ok_or(ApplyError::UnknownTopic { id: *topic })?;
                match value {
                    Some(value) => image.configs.insert(name.clone(), value.clone()),
                    None => image.configs.remove(name),
                };
                if !delta.created.contains(topic) {
                    delta.reconfigured.insert(*topic);
                }
            }
            MetadataRecord::Config { owner, name, value } => {
                let mut configs = self.configs.get(owner).cloned().unwrap_or_default();
                match value {
                    Some(value) => configs.insert(name.clone(), value.clone()),
                    None => configs.remove(name),
                };
                if configs.is_empty() {
                    self.configs.remove(owner);
                } else {
                    self.configs.insert(owner.clone(), configs);
                }
                delta.configured.insert(owner.clone());
            }
            MetadataRecord::Feature { name, level } => {
                self.features.insert(name.clone(), *level);
            }
            MetadataRecord::RemoveTopic { id } => self.remove_topic(*id, delta)?,
            MetadataRecord::ProducerIds { next_producer_id, .. } => {
                if *next_producer_id < self.next_producer_id {
                    let (from, to) = (
                        ProducerId::new(self.next_producer_id),
                        ProducerId::new(*next_producer_id),
                    );
                    return Err(ApplyError::ProducerIdsGoBack { from, to });
                }
                self.next_producer_id = *next_producer_id;
            }
        }
        Ok(())
    }

    fn add_topic(
        &mut self,
        name: &TopicName,
        id: TopicId,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        if let Some(existing) = self.ids.get(name) {
            return Err(ApplyError::NameTaken {
                name: name.clone(),
                existing: *existing,
                found: id,
            });
        }
        self.ids.insert(name.clone(), id);
        if let Some(key) = collision_key(name) {
            let mut names = self.collisions.get(&key).cloned().unwrap_or_default();
            names.insert(name.clone());
            self.collisions.insert(key, names);
        }
        let topic = TopicImage {
            id,
            name: name.clone(),
            partitions: OrdMap::new(),
            configs: OrdMap::new(),
        };
        self.topics.insert(id, topic);
        delta.created.insert(id);
        Ok(())
    }

    fn set_partition(
        &mut self,
        record: &PartitionRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let topic = self
            .topics
            .get_mut(&record.topic)
            .ok_or(ApplyError::UnknownTopic { id: record.topic })?;
        let partition = PartitionImage {
            replicas: record.replicas.clone(),
            isr: record.isr.clone(),
            leader: record.leader,
            leader_epoch: record.leader_epoch,
        };
        if topic.partitions.insert(record.partition, partition).is_none() {
            self.partition_count += 1;
            delta.created.insert(record.topic);
        }
        Ok(())
    }

    fn remove_topic(&mut self, id: TopicId, delta: &mut MetadataDelta) -> Result<(), ApplyError> {
        let topic = self.topics.remove(&id).ok_or(ApplyError::UnknownTopic { id })?;
        self.ids.remove(&topic.name);
        if let Some(key) = collision_key(&topic.name) {
            let mut names = self.collisions.get(&key).cloned().unwrap_or_default();
            names.remove(&topic.name);
            if names.is_empty() {
                self.collisions.remove(&key);
            } else {
                self.collisions.insert(key, names);
            }
        }
        self.partition_count -= topic.partitions.len();
        delta.created.remove(&id);
        delta.reconfigured.remove(&id);
        delta.removed.extend(
            topic
                .partitions
                .iter()
                .map(|(partition, _)| (TopicPartition::new(topic.name.clone(), *partition), id)),
        );
        Ok(())
    }
}
