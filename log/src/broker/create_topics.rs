//! CreateTopics (API key 19).
//!
//! A topic exists once its metadata records are durable; its directories follow, and are made at the next start if a crash comes between.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::node::{TopicSpec, is_internal, new_topic_records, unknown_topic};
use super::{Broker, BrokerError, ErrorCode, TopicDescription};
use crate::metadata::{METADATA_TOPIC, limits};
use crate::types::{TopicId, TopicName};

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: TopicName,
    /// How many partitions; `-1` asks for the broker's `num.partitions`.
    pub partitions: i32,
    /// Settings that differ from the broker's defaults, under Kafka's names.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with default settings.
    pub fn new(name: TopicName, partitions: i32) -> Self {
        Self {
            name,
            partitions,
            configs: BTreeMap::new(),
        }
    }

    /// Adds a setting.
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(key.into(), value.into());
        self
    }
}

impl Broker {
    /// Creates topics; one answer per topic, in order. Errs per topic with `TopicAlreadyExists`, `InvalidPartitions`, `InvalidConfig`
    /// (unknown settings suggest a near name) or `PolicyViolation` (a cap). Cancel-safe: a dropped call may or may not have created them.
    pub fn create_topics(
        &self,
        topics: Vec<NewTopic>,
    ) -> BoxFuture<'_, Vec<Result<TopicDescription, BrokerError>>> {
        async move {
            let mut created = Vec::with_capacity(topics.len());
            for topic in topics {
                // One batch a topic: no record batch ever speaks of two topics' partitions.
                created.push(self.create_topic(topic).await);
            }
            created
        }
        .boxed()
    }

    async fn create_topic(&self, topic: NewTopic) -> Result<TopicDescription, BrokerError> {
        let NewTopic {
            name,
            partitions,
            configs,
        } = topic;
        if name.as_str() == METADATA_TOPIC || is_internal(&name) {
            let message = format!("topic name {name} belongs to the broker");
            return Err(BrokerError::new(ErrorCode::InvalidTopicException, message));
        }
        self.config().topic_defaults.with_overrides(&configs)?;
        check_config_sizes(&configs)?;
        let partitions = if partitions == -1 {
            self.config().num_partitions
        } else {
            partitions
        };
        // Before the decision: the metadata record may use the reserve, a new topic may not. One that exists is told so below.
        if self.partition_count(&name).is_none() {
            self.node()
                .store()?
                .check_room(u64::try_from(partitions).unwrap_or_default())?;
        }
        let id = TopicId::random(&**self.rng());
        let spec = TopicSpec {
            name,
            partitions,
            configs,
        };
        let name = spec.name.clone();
        let image = self
            .node()
            .change_metadata(move |image| match image.topic(&spec.name) {
                Some(_) => {
                    let message = format!("topic {} already exists", spec.name);
                    Err(BrokerError::new(ErrorCode::TopicAlreadyExists, message))
                }
                None => new_topic_records(image, id, &spec),
            })
            .await?;
        image
            .topic(&name)
            .map(TopicDescription::of)
            .ok_or_else(|| unknown_topic(&name))
    }
}

/// Caps on what metadata stores per topic.
pub(super) fn check_config_sizes(configs: &BTreeMap<String, String>) -> Result<(), BrokerError> {
    if configs.len() > limits::CONFIGS_PER_TOPIC {
        let message = format!(
            "topic would have {} settings, at most {} are allowed",
            configs.len(),
            limits::CONFIGS_PER_TOPIC
        );
        return Err(BrokerError::new(ErrorCode::PolicyViolation, message));
    }
    match configs
        .iter()
        .find(|(_, value)| value.len() > limits::CONFIG_VALUE_BYTES)
    {
        Some((key, value)) => {
            let message = format!(
                "setting {key} has {} bytes, at most {} are allowed",
                value.len(),
                limits::CONFIG_VALUE_BYTES
            );
            Err(BrokerError::new(ErrorCode::PolicyViolation, message))
        }
        None => Ok(()),
    }
}
