//! Metadata (API key 3): who leads what, as clients ask before anything else.

use std::collections::BTreeMap;

use super::create_topics::check_collision;
use super::node::{TopicSpec, is_internal, unknown_topic};
use super::{Broker, BrokerError, ErrorCode};
use crate::metadata::{METADATA_TOPIC, PartitionImage, TopicImage};
use crate::types::{PartitionId, TopicId, TopicName};

/// A topic as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: TopicName,
    /// Its id; changes when a topic is deleted and made again.
    pub id: TopicId,
    /// True for the log's own topics.
    pub internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<(PartitionId, PartitionImage)>,
}

impl TopicMetadata {
    pub(super) fn of(topic: &TopicImage) -> Self {
        Self {
            name: topic.name.clone(),
            id: topic.id,
            internal: is_internal(&topic.name),
            partitions: topic
                .partitions
                .iter()
                .map(|(id, partition)| (*id, partition.clone()))
                .collect(),
        }
    }
}

impl Broker {
    /// Every topic, by name. Answered from memory.
    pub fn topic_metadata_all(&self) -> Vec<TopicMetadata> {
        self.node().image().topics().map(TopicMetadata::of).collect()
    }

    /// The topic with this id, if there is one. Answered from memory.
    pub fn topic_metadata_by_id(&self, id: TopicId) -> Option<TopicMetadata> {
        self.node().image().topic_by_id(&id).map(TopicMetadata::of)
    }

    /// The topic with this name. If there is none, `may_create` is set and the broker's `auto.create.topics.enable` is on, it is created with
    /// default settings. Errs with `UnknownTopicOrPartition`, and as `create_topics` does. Cancel-safe.
    pub async fn topic_metadata_or_create(
        &self,
        name: &TopicName,
        may_create: bool,
    ) -> Result<TopicMetadata, BrokerError> {
        if let Some(topic) = self.node().image().topic(name) {
            return Ok(TopicMetadata::of(topic));
        }
        if !may_create || !self.config().auto_create_topics_enable {
            return Err(unknown_topic(name));
        }
        if name.as_str() == METADATA_TOPIC || is_internal(name) {
            // They are made by what needs them.
            return Err(unknown_topic(name));
        }
        check_collision(&self.node().image(), name)?;
        let partitions = self.config().num_partitions;
        self.node()
            .store()?
            .check_room(partitions.unsigned_abs().into())?;
        let spec = TopicSpec {
            name: name.clone(),
            partitions,
            configs: BTreeMap::new(),
        };
        let image = self.node().ensure_topic(spec).await?;
        image.topic(name).map(TopicMetadata::of).ok_or_else(|| {
            BrokerError::new(
                ErrorCode::UnknownTopicOrPartition,
                format!("topic {name} was deleted as soon as it was made"),
            )
        })
    }
}
