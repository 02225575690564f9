//! OffsetCommit (key 8), versions 0 to 10.
//!
//! Version 1 has members, 2 to 4 may say how long to keep the offsets, 6 has leader epochs, 7 static members (KIP-345), 9 member epochs and
//! `GROUP_ID_NOT_FOUND` (KIP-848; members of that protocol may not commit below it), 10 topic ids. An error of the whole group is told for every partition.

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::group_wire::{commit_code, group, instance, member, offset_topic};
use super::wire::code_of;
use crate::broker::{BrokerError, Committer, GroupOffsetCommit, OffsetAndMetadata};
use crate::server::context::RequestContext;
use crate::types::{LeaderEpoch, Offset, TopicName, TopicPartition};

/// The first version that knows `GROUP_ID_NOT_FOUND` and member epochs.
const KNOWS_MEMBER_EPOCHS: i16 = 9;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let named = |topic: &OffsetCommitRequestTopic| offset_topic(context, &topic.name, topic.topic_id);
    let names: Vec<Result<TopicName, BrokerError>> = request.topics.iter().map(named).collect();
    let mut offsets = Vec::new();
    for (topic, name) in request.topics.iter().zip(&names) {
        for partition in &topic.partitions {
            // A topic without a name is answered below.
            if let Ok(name) = name {
                let name = TopicPartition::new(name.clone(), partition.partition_index);
                offsets.push((name, offset(partition)));
            }
        }
    }
    let commit = GroupOffsetCommit {
        group: group(&request.group_id),
        committer: Committer {
            member_id: member(&request.member_id),
            instance_id: instance(request.group_instance_id.as_ref()),
            generation_or_epoch: request.generation_id_or_member_epoch,
            transactional: false,
            knows_member_epochs: context.version >= KNOWS_MEMBER_EPOCHS,
        },
        retention_ms: Some(request.retention_time_ms).filter(|retention| *retention >= 0),
        offsets,
    };
    let committed = context.broker().offset_commit_by(commit).await;
    let (mut answers, of_group) = match committed {
        Ok(answers) => (answers.into_iter(), 0),
        Err(error) => (
            Vec::new().into_iter(),
            commit_code(&error, context.version, KNOWS_MEMBER_EPOCHS),
        ),
    };
    let mut topics = Vec::with_capacity(request.topics.len());
    for (topic, name) in request.topics.into_iter().zip(names) {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let code = match (of_group, &name) {
                (0, Ok(_)) => answers.next().map_or(0, |answer| code_of(&answer)),
                (0, Err(unknown)) => unknown.code().code(),
                (of_group, _) => of_group,
            };
            partitions.push(
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code),
            );
        }
        topics.push(
            OffsetCommitResponseTopic::default()
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
                .with_partitions(partitions),
        );
    }
    OffsetCommitResponse::default().with_topics(topics)
}

fn offset(partition: &OffsetCommitRequestPartition) -> OffsetAndMetadata {
    let metadata = partition.committed_metadata.as_ref();
    OffsetAndMetadata {
        offset: Offset::new(partition.committed_offset),
        leader_epoch: Some(LeaderEpoch::new(partition.committed_leader_epoch))
            .filter(|epoch| epoch.get() >= 0),
        metadata: metadata.map(|text| text.to_string()).unwrap_or_default(),
    }
}
