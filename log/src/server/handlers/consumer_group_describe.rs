//! ConsumerGroupDescribe (key 69), versions 0 and 1.
//!
//! Version 1 (Kafka 4.0) tells of each member whether it speaks the classic protocol. Authorized operations are not told: there are no rights yet.

use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, TopicName as WireTopicName,
};

use super::wire::text;
use crate::broker::{DescribedConsumerGroup, DescribedConsumerGroupMember, DescribedPartitions};
use crate::server::context::RequestContext;
use crate::types::GroupId;

const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

/// Kafka's "not asked for".
const NO_AUTHORIZED_OPERATIONS: i32 = i32::MIN;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let asked: Vec<GroupId> = request
        .group_ids
        .iter()
        .map(|id| GroupId::new(id.as_str()))
        .collect();
    let described = context.broker().consumer_group_describe(asked).await;
    let groups = request.group_ids.into_iter().zip(described).map(|(id, outcome)| {
        let answer = match outcome {
            Ok(group) => answer(context, group),
            Err(error) => DescribedGroup::default()
                .with_error_code(error.code().code())
                .with_error_message(Some(text(error.message()))),
        };
        answer
            .with_group_id(id)
            .with_authorized_operations(NO_AUTHORIZED_OPERATIONS)
    });
    ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
}

fn answer(context: &RequestContext, group: DescribedConsumerGroup) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_state(text(group.state.name()))
        .with_group_epoch(group.epoch)
        .with_assignment_epoch(group.assignment_epoch)
        .with_assignor_name(text(group.assignor))
        .with_members(
            group
                .members
                .into_iter()
                .map(|described| member(context, described))
                .collect(),
        )
}

fn member(context: &RequestContext, member: DescribedConsumerGroupMember) -> Member {
    let names = member
        .subscribed_names
        .into_iter()
        .map(|name| WireTopicName(text(name)));
    let answer = Member::default()
        .with_member_id(text(member.id.as_str()))
        .with_instance_id(member.instance_id.map(text))
        .with_rack_id(member.rack_id.map(text))
        .with_member_epoch(member.epoch)
        .with_client_id(text(member.client_id))
        .with_client_host(text(member.client_host))
        .with_subscribed_topic_names(names.collect())
        .with_subscribed_topic_regex(member.subscribed_pattern.map(text))
        .with_assignment(assignment(member.assigned))
        .with_target_assignment(assignment(member.target));
    match context.version {
        0 => answer,
        _ => answer.with_member_type(if member.is_classic {
            CLASSIC_MEMBER
        } else {
            CONSUMER_MEMBER
        }),
    }
}

fn assignment(topics: Vec<DescribedPartitions>) -> Assignment {
    let topic = |topic: DescribedPartitions| {
        TopicPartitions::default()
            .with_topic_id(topic.topic_id.get())
            .with_topic_name(WireTopicName(text(topic.topic.as_str())))
            .with_partitions(topic.partitions.into_iter().map(|number| number.get()).collect())
    };
    Assignment::default().with_topic_partitions(topics.into_iter().map(topic).collect())
}
