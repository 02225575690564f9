//! DescribeGroups (key 15), versions 0 to 6: classic groups.
//!
//! Version 3 has authorized operations (answered as unknown, until there are rights), 4 static members. Up to 5 a group that does not exist is described as
//! `Dead`; 6 says `GROUP_ID_NOT_FOUND` (KIP-1043).

use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::group_wire::group;
use super::wire::text;
use crate::broker::{BrokerError, ErrorCode, GroupDescription, MemberDescription};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let groups = request.groups.iter().map(group).collect();
    let described = context.broker().describe_groups(groups).await;
    let answers = request.groups.into_iter().zip(described);
    let answers = answers.map(|(id, described)| {
        let answer = match described {
            Ok(described) => of_known(described),
            Err(error) => of_unknown(context.version, &error),
        };
        answer.with_group_id(id)
    });
    DescribeGroupsResponse::default().with_groups(answers.collect())
}

fn of_known(group: GroupDescription) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_state(text(group.state))
        .with_protocol_type(text(group.protocol_type))
        .with_protocol_data(text(group.protocol))
        .with_members(group.members.into_iter().map(of_member).collect())
}

fn of_member(member: MemberDescription) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(text(member.member_id.as_str()))
        .with_group_instance_id(member.instance_id.map(|id| text(id.as_str())))
        .with_client_id(text(member.client_id))
        .with_client_host(text(member.client_host))
        .with_member_metadata(member.metadata)
        .with_member_assignment(member.assignment)
}

fn of_unknown(version: i16, error: &BrokerError) -> DescribedGroup {
    let answer = DescribedGroup::default().with_group_state(text("Dead"));
    match (error.code(), version) {
        (ErrorCode::GroupIdNotFound, ..6) => answer,
        (code, 6..) => answer
            .with_error_code(code.code())
            .with_error_message(Some(text(error.message()))),
        (code, _) => answer.with_error_code(code.code()),
    }
}
