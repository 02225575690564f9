//! The requests of a reset: fencing, positions, topics.
//!
//! What is always true: each may be repeated; what is done already is no error, or says so by Kafka's code.

use std::collections::BTreeMap;

use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::{
    DeleteTopicsRequest, GroupId, InitProducerIdRequest, OffsetCommitRequest, OffsetDeleteRequest, TopicName,
    TransactionalId,
};

use crate::cli::wire::{Client, To, kafka_failure, text};

/// The last version of OffsetCommit that names topics.
const OFFSETS_VERSION_MAX: i16 = 9;

/// Takes a transactional id, so that whoever had it can commit nothing more.
pub(super) async fn fence(client: &mut Client, id: &str) -> anyhow::Result<()> {
    let answer = client
        .ask(
            To::Transaction(id),
            |_| {
                InitProducerIdRequest::default()
                    .with_transactional_id(Some(TransactionalId(text(id))))
                    .with_transaction_timeout_ms(60_000)
                    .with_producer_id((-1).into())
                    .with_producer_epoch(-1)
            },
            |answer| answer.error_code,
        )
        .await?;
    match answer.error_code {
        0 => Ok(()),
        code => Err(kafka_failure(&format!("transactional id {id}"), code, None).into()),
    }
}

/// Sets the positions of the group to the new ones, without metadata.
pub(super) async fn set_offsets(
    client: &mut Client,
    group: &str,
    inputs: &BTreeMap<(String, i32), (Option<i64>, i64)>,
) -> anyhow::Result<()> {
    let mut by_topic: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, partition), (_, offset)) in inputs {
        by_topic.entry(topic).or_default().push(
            OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(text(""))),
        );
    }
    let answer = client
        .ask_below(
            To::Group(group),
            OFFSETS_VERSION_MAX,
            |_| {
                let topics = by_topic.iter().map(|(topic, partitions)| {
                    OffsetCommitRequestTopic::default()
                        .with_name(TopicName(text(*topic)))
                        .with_partitions(partitions.clone())
                });
                OffsetCommitRequest::default()
                    .with_group_id(GroupId(text(group)))
                    .with_generation_id_or_member_epoch(-1)
                    .with_topics(topics.collect())
            },
            |answer| {
                let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
                partitions
                    .map(|partition| partition.error_code)
                    .max()
                    .unwrap_or_default()
            },
        )
        .await?;
    for topic in answer.topics {
        let refused = topic
            .partitions
            .iter()
            .find(|partition| partition.error_code != 0);
        if let Some(partition) = refused {
            let what = format!("group {group}, {}-{}", topic.name.0, partition.partition_index);
            return Err(kafka_failure(&what, partition.error_code, None).into());
        }
    }
    Ok(())
}

/// Deletes positions of the group.
pub(super) async fn forget_offsets(
    client: &mut Client,
    group: &str,
    keys: &[(String, i32)],
) -> anyhow::Result<()> {
    let mut by_topic: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
    for (topic, partition) in keys {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(*partition);
        by_topic.entry(topic).or_default().push(partition);
    }
    let answer = client
        .ask(
            To::Group(group),
            |_| {
                let topics = by_topic.iter().map(|(topic, partitions)| {
                    OffsetDeleteRequestTopic::default()
                        .with_name(TopicName(text(*topic)))
                        .with_partitions(partitions.clone())
                });
                OffsetDeleteRequest::default()
                    .with_group_id(GroupId(text(group)))
                    .with_topics(topics.collect())
            },
            |answer| answer.error_code,
        )
        .await?;
    match answer.error_code {
        0 => Ok(()),
        code => Err(kafka_failure(&format!("group {group}"), code, None).into()),
    }
}

/// Deletes topics.
pub(super) async fn delete_topics(client: &mut Client, topics: &[String]) -> anyhow::Result<()> {
    let names: Vec<TopicName> = topics
        .iter()
        .map(|topic| TopicName(text(topic.clone())))
        .collect();
    let timeout_ms = client.timeout_ms();
    let answer = client
        .ask(
            To::Controller,
            |version| {
                let request = DeleteTopicsRequest::default().with_timeout_ms(timeout_ms);
                match version >= 6 {
                    true => {
                        let topics = names.iter();
                        request.with_topics(
                            topics
                                .map(|name| DeleteTopicState::default().with_name(Some(name.clone())))
                                .collect(),
                        )
                    }
                    false => request.with_topic_names(names.clone()),
                }
            },
            |answer| answer.responses.first().map_or(0, |topic| topic.error_code),
        )
        .await?;
    let refused = answer.responses.into_iter().find(|result| result.error_code != 0);
    if let Some(result) = refused {
        let name = result.name.map(|name| name.0.to_string()).unwrap_or_default();
        let message = result.error_message.as_deref();
        return Err(kafka_failure(&format!("topic {name}"), result.error_code, message).into());
    }
    Ok(())
}
