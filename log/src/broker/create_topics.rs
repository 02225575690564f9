//! CreateTopics (API key 19).
//!
//! A topic exists once its metadata records are durable; its directories follow, and are made at the next start if a crash comes between.

use std::collections::BTreeMap;

use super::{Broker, BrokerError, TopicDescription};
use crate::types::TopicName;

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
    pub async fn create_topics(&self, topics: Vec<NewTopic>) -> Vec<Result<TopicDescription, BrokerError>> {
        let _ = topics;
        unimplemented!()
    }
}
