//! ConsumerGroupHeartbeat (key 68), versions 0 and 1.
//!
//! Version 1 (Kafka 4.0) brought the topic pattern and member ids made by the client (KIP-1082); for version 0 a joining member without id gets one here.

use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::wire::text;
use crate::broker::{ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer, PartitionSet, TopicIdPartition};
use crate::server::context::RequestContext;
use crate::types::{GroupId, TopicId};

const JOIN_EPOCH: i32 = 0;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let group = GroupId::new(request.group_id.as_str());
    let heartbeat = heartbeat(context, request);
    match context.broker().consumer_group_heartbeat(group, heartbeat).await {
        Ok(told) => answer(told),
        Err(error) => ConsumerGroupHeartbeatResponse::default()
            .with_error_code(error.code().code())
            .with_error_message(Some(text(error.message()))),
    }
}

fn heartbeat(context: &RequestContext, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeat {
    let owned = |topics: Vec<kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions>| -> PartitionSet {
        let partitions = topics.into_iter().flat_map(|topic| {
            let id = TopicId::new(topic.topic_id);
            topic.partitions.into_iter().map(move |number| TopicIdPartition::new(id, number))
        });
        partitions.collect()
    };
    let mut member_id = request.member_id.to_string();
    if member_id.is_empty() && context.version == 0 && request.member_epoch == JOIN_EPOCH {
        member_id = TopicId::random(&**context.broker().rng()).to_string();
    }
    ConsumerGroupHeartbeat {
        member_id,
        member_epoch: request.member_epoch,
        instance_id: request.instance_id.map(|id| id.to_string()),
        rack_id: request.rack_id.map(|id| id.to_string()),
        rebalance_timeout_ms: (request.rebalance_timeout_ms != -1).then_some(request.rebalance_timeout_ms),
        subscribed_names: request
            .subscribed_topic_names
            .map(|names| names.iter().map(|name| name.to_string()).collect()),
        subscribed_pattern: request.subscribed_topic_regex.map(|pattern| pattern.to_string()),
        server_assignor: request.server_assignor.map(|assignor| assignor.to_string()),
        owned: request.topic_partitions.map(owned),
        client_id: context.client_id().to_owned(),
        client_host: context.client_host(),
    }
}

fn answer(told: ConsumerGroupHeartbeatAnswer) -> ConsumerGroupHeartbeatResponse {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    let assignment = told.assignment.map(|assigned| {
        for partition in assigned {
            let id = partition.topic.get();
            match topics.last_mut().filter(|topic| topic.topic_id == id) {
                Some(topic) => topic.partitions.push(partition.partition.get()),
                None => topics.push(
                    TopicPartitions::default()
                        .with_topic_id(id)
                        .with_partitions(vec![partition.partition.get()]),
                ),
            }
        }
        Assignment::default().with_topic_partitions(topics)
    });
    ConsumerGroupHeartbeatResponse::default()
        .with_member_id(Some(text(told.member_id.as_str())))
        .with_member_epoch(told.member_epoch)
        .with_heartbeat_interval_ms(told.heartbeat_interval_ms)
        .with_assignment(assignment)
}
