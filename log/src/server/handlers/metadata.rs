//! Metadata (key 3), versions 0 to 13.
//!
//! Version 0 asks for all topics with an empty list, later ones with null; 4 may forbid auto-creation, 10 tells topic ids, 12 asks by id, 13 has an error of
//! its own (KIP-1102). Left out: authorized operations, until there are rights (answered as unknown, as Kafka does where nobody asks).

use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName as WireTopicName};

use super::wire::{text, topic_name};
use crate::broker::{BrokerError, ErrorCode, TopicMetadata};
use crate::server::context::RequestContext;
use crate::types::TopicId;

/// Authorized operations that were not asked for or are not known.
const UNKNOWN_OPERATIONS: i32 = i32::MIN;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: MetadataRequest,
) -> MetadataResponse {
    let broker = context.broker();
    let all = match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && context.version == 0,
    };
    let topics = if all {
        let known = broker.topic_metadata_all();
        known.into_iter().map(|topic| of_known(context, topic)).collect()
    } else {
        let may_create = context.version < 4 || request.allow_auto_topic_creation;
        let mut topics = Vec::new();
        for asked in request.topics.unwrap_or_default() {
            topics.push(match asked.name {
                Some(name) => by_name(context, &name, may_create).await,
                None => by_id(context, TopicId::new(asked.topic_id)),
            });
        }
        topics
    };
    let (host, port) = context.advertised();
    let node = MetadataResponseBroker::default()
        .with_node_id(broker.node_id().into())
        .with_host(text(host))
        .with_port(port.into());
    let answer = MetadataResponse::default()
        .with_brokers(vec![node])
        .with_controller_id(broker.node_id().into())
        .with_cluster_id(Some(text(broker.cluster_id())))
        .with_topics(topics);
    match context.version {
        8..=10 => answer.with_cluster_authorized_operations(UNKNOWN_OPERATIONS),
        _ => answer,
    }
}

async fn by_name(context: &RequestContext, name: &str, may_create: bool) -> MetadataResponseTopic {
    let found = match topic_name(name) {
        Ok(name) => context.broker().topic_metadata_or_create(&name, may_create).await,
        Err(refused) => Err(refused),
    };
    match found {
        Ok(topic) => of_known(context, topic),
        Err(error) => failed(&error).with_name(Some(WireTopicName::from(text(name)))),
    }
}

fn by_id(context: &RequestContext, id: TopicId) -> MetadataResponseTopic {
    match context.broker().topic_metadata_by_id(id) {
        Some(topic) => of_known(context, topic),
        None => MetadataResponseTopic::default()
            .with_error_code(ErrorCode::UnknownTopicId.code())
            .with_name(None)
            .with_topic_id(id.get())
            .with_topic_authorized_operations(UNKNOWN_OPERATIONS),
    }
}

fn failed(error: &BrokerError) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(error.code().code())
        .with_topic_authorized_operations(UNKNOWN_OPERATIONS)
}

fn of_known(context: &RequestContext, topic: TopicMetadata) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().map(|(index, partition)| {
        MetadataResponsePartition::default()
            .with_partition_index(index.get())
            .with_leader_id(partition.leader.into())
            .with_leader_epoch(partition.leader_epoch.get())
            .with_replica_nodes(partition.replicas.iter().map(|id| (*id).into()).collect())
            .with_isr_nodes(partition.isr.iter().map(|id| (*id).into()).collect())
    });
    let answer = MetadataResponseTopic::default()
        .with_name(Some(WireTopicName::from(text(topic.name.as_str()))))
        .with_is_internal(topic.internal)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(UNKNOWN_OPERATIONS);
    match context.version {
        10.. => answer.with_topic_id(topic.id.get()),
        _ => answer,
    }
}
