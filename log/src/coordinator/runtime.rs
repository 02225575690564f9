//! The internal topic of a coordinator: made on first use, keyed to partitions, appended to, replayed.
//!
//! The rule of both coordinators: a request becomes records and a response; the records go to the partition of their key; the state
//! takes them on, and the response leaves, once they are durable; loading is replay.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::{BrokerError, ErrorCode, Node, TopicSpec, unknown_partition};
use crate::storage::{AppendAck, PartitionHandle};
use crate::types::{PartitionId, TopicName, TopicPartition};

use super::log_io;

/// One internal topic.
#[derive(Debug)]
pub(crate) struct InternalTopic {
    node: Arc<Node>,
    spec: TopicSpec,
}

impl InternalTopic {
    /// A compacted topic of that name; not made yet.
    pub(crate) fn new(node: Arc<Node>, name: &'static str, partitions: i32) -> Result<Self, BrokerError> {
        let name = TopicName::new(name)
            .map_err(|error| BrokerError::new(ErrorCode::InvalidTopicException, error.to_string()))?;
        let configs = [
            ("cleanup.policy", "compact"),
            ("compression.type", "producer"),
            // Whatever the default of topics is: a decision that power loss takes back would tear the transaction it decided.
            ("durability", "fsync"),
            ("segment.bytes", "104857600"),
        ];
        let configs = configs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Ok(Self {
            node,
            spec: TopicSpec {
                name,
                partitions,
                configs: BTreeMap::from(configs),
            },
        })
    }

    /// Its partitions if it was made.
    pub(crate) fn existing(&self) -> Result<Vec<PartitionHandle>, BrokerError> {
        let image = self.node.image();
        let Some(topic) = image.topic(&self.spec.name) else {
            return Ok(Vec::new());
        };
        topic
            .topic_partitions()
            .map(|partition| self.node.partition(&partition))
            .collect()
    }

    /// The partition of a key; makes the topic if there is none. Its number of partitions never changes afterwards.
    pub(crate) async fn partition_of(&self, key: &str) -> Result<PartitionHandle, BrokerError> {
        let partition = self.name_of(key).await?;
        self.node
            .partition(&partition)
            .map_err(|_| unknown_partition(&partition))
    }

    /// The name of the partition of a key; makes the topic if there is none.
    pub(crate) async fn name_of(&self, key: &str) -> Result<TopicPartition, BrokerError> {
        let image = self.node.ensure_topic(self.spec.clone()).await?;
        let partitions = image
            .topic(&self.spec.name)
            .map_or(1, |topic| topic.partition_count());
        Ok(TopicPartition::new(
            self.spec.name.clone(),
            partition_for(key, partitions),
        ))
    }

    /// The same without making the topic: none if it does not exist.
    pub(crate) fn existing_name_of(&self, key: &str) -> Option<TopicPartition> {
        let image = self.node.image();
        let partitions = image.topic(&self.spec.name)?.partition_count();
        Some(TopicPartition::new(
            self.spec.name.clone(),
            partition_for(key, partitions),
        ))
    }

    /// Appends one record and waits until it is durable, or only written in order.
    pub(crate) async fn append_one(
        &self,
        log: &PartitionHandle,
        key: Bytes,
        value: Option<Bytes>,
        durable: bool,
    ) -> Result<AppendAck, BrokerError> {
        let batch = log_io::build_batch(self.node.clock.now_ms(), None, [(Some(key), value)])?;
        log_io::append(log, batch, durable).await
    }
}

/// Kafka's choice: the absolute value of Java's string hash, modulo the number of partitions.
pub(crate) fn partition_for(key: &str, partitions: i32) -> PartitionId {
    let hash = key.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    PartitionId::new(hash.checked_abs().unwrap_or(0) % partitions.max(1))
}
