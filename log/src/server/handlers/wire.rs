//! Small translations that many handlers need.

use kafka_protocol::protocol::StrBytes;

use crate::broker::{BrokerError, ErrorCode};
use crate::types::{PartitionId, TopicName, TopicPartition};

/// Text for the wire.
pub(in crate::server) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// A topic name from the wire, if Kafka's rules allow it.
pub(in crate::server) fn topic_name(name: &str) -> Result<TopicName, BrokerError> {
    TopicName::new(name)
        .map_err(|refused| BrokerError::new(ErrorCode::InvalidTopicException, refused.to_string()))
}

/// A partition from the wire. A name no topic can have is an unknown topic.
pub(in crate::server) fn topic_partition(topic: &str, partition: i32) -> Result<TopicPartition, BrokerError> {
    let topic = TopicName::new(topic)
        .map_err(|refused| BrokerError::new(ErrorCode::UnknownTopicOrPartition, refused.to_string()))?;
    Ok(TopicPartition::new(topic, PartitionId::new(partition)))
}

/// The code of an outcome.
pub(in crate::server) fn code_of<T>(outcome: &Result<T, BrokerError>) -> i16 {
    outcome.as_ref().map_or_else(|error| error.code().code(), |_| 0)
}

/// What an error says, for answers that have a place for it.
pub(in crate::server) fn note(error: &BrokerError) -> Option<StrBytes> {
    Some(text(error.message()))
}
