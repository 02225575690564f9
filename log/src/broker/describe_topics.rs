//! Describing topics (Metadata, API key 3, and DescribeTopicPartitions, 75).

use std::collections::BTreeMap;

use super::{Broker, BrokerError};
use crate::types::{TopicId, TopicName};

/// What is known about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: TopicName,
    /// Its id; changes when a topic is deleted and made again.
    pub id: TopicId,
    /// How many partitions it has, numbered from 0.
    pub partitions: i32,
    /// Settings that differ from the broker's defaults.
    pub configs: BTreeMap<String, String>,
    /// True for the log's own topics (`__consumer_offsets`, `__transaction_state`).
    pub internal: bool,
}

impl Broker {
    /// Describes the asked topics in order, or all of them by name. Errs per topic with `UnknownTopicOrPartition`. Cancel-safe.
    pub async fn describe_topics(
        &self,
        topics: Option<Vec<TopicName>>,
    ) -> Vec<Result<TopicDescription, BrokerError>> {
        let _ = topics;
        unimplemented!()
    }
}
