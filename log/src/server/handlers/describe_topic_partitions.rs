//! DescribeTopicPartitions (key 75, KIP-966), version 0: partitions of many topics, a page at a time.
//!
//! Eligible leader replicas are told as empty: with one replica there are none besides the in-sync ones.

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName as WireTopicName,
};

use super::wire::{text, topic_name};
use crate::broker::{BrokerError, ErrorCode, TopicCursor, TopicMetadata};
use crate::server::context::RequestContext;
use crate::types::{PartitionId, TopicName};

/// Authorized operations that are not known.
const UNKNOWN_OPERATIONS: i32 = i32::MIN;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let cursor = match request.cursor.as_ref().map(|cursor| {
        let topic = topic_name(&cursor.topic_name)?;
        let partition = PartitionId::new(cursor.partition_index);
        Ok::<_, BrokerError>(TopicCursor { topic, partition })
    }) {
        None => None,
        Some(Ok(cursor)) if cursor.partition.get() >= 0 => Some(cursor),
        // The answer has no place for an error of its own: every topic gets it, as in Kafka.
        Some(_) => return all_refused(request, ErrorCode::InvalidRequest),
    };
    let mut refused = Vec::new();
    let names = (!request.topics.is_empty()).then(|| {
        let mut names = Vec::new();
        for topic in &request.topics {
            match topic_name(&topic.name) {
                Ok(name) => names.push(name),
                Err(error) => refused.push(failed(topic.name.clone(), error.code())),
            }
        }
        names
    });
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let page = context.broker().describe_topic_partitions(names, cursor, limit);
    let described = page.topics.into_iter().map(|(name, described)| match described {
        Ok(topic) => of_topic(topic),
        Err(error) => failed(wire_name(&name), error.code()),
    });
    let next = page.next.map(|cursor| {
        Cursor::default()
            .with_topic_name(wire_name(&cursor.topic))
            .with_partition_index(cursor.partition.get())
    });
    DescribeTopicPartitionsResponse::default()
        .with_topics(refused.into_iter().chain(described).collect())
        .with_next_cursor(next)
}

fn wire_name(name: &TopicName) -> WireTopicName {
    WireTopicName(text(name.as_str()))
}

fn all_refused(request: DescribeTopicPartitionsRequest, code: ErrorCode) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.into_iter().map(|topic| failed(topic.name, code));
    DescribeTopicPartitionsResponse::default()
        .with_topics(topics.collect())
        .with_next_cursor(None)
}

fn failed(name: WireTopicName, code: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code.code())
        .with_name(Some(name))
        .with_topic_authorized_operations(UNKNOWN_OPERATIONS)
}

fn of_topic(topic: TopicMetadata) -> DescribeTopicPartitionsResponseTopic {
    let ids = |ids: &[i32]| ids.iter().map(|id| (*id).into()).collect();
    let partitions = topic.partitions.iter().map(|(index, partition)| {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(index.get())
            .with_leader_id(partition.leader.into())
            .with_leader_epoch(partition.leader_epoch.get())
            .with_replica_nodes(ids(&partition.replicas))
            .with_isr_nodes(ids(&partition.isr))
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(wire_name(&topic.name)))
        .with_topic_id(topic.id.get())
        .with_is_internal(topic.internal)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(UNKNOWN_OPERATIONS)
}
