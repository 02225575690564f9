//! LeaveGroup (key 13), versions 0 to 5.
//!
//! Version 3 takes several members and names them by instance too (KIP-345): then each has its own error. 5 adds a reason (KIP-800), which is not kept.

use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::group_wire::{group, instance, member};
use super::wire::code_of;
use crate::broker::LeavingMember;
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let leaving = match context.version {
        3.. => request.members,
        _ => vec![MemberIdentity::default().with_member_id(request.member_id)],
    };
    let members = leaving.iter().map(|leaving| LeavingMember {
        member_id: member(&leaving.member_id),
        instance_id: instance(leaving.group_instance_id.as_ref()),
    });
    let group = group(&request.group_id);
    let left = match context.broker().leave_group(&group, members.collect()).await {
        Ok(left) => left,
        Err(error) => return LeaveGroupResponse::default().with_error_code(error.code().code()),
    };
    if context.version < 3 {
        let code = left.first().map_or(0, code_of);
        return LeaveGroupResponse::default().with_error_code(code);
    }
    let members = leaving.into_iter().zip(&left).map(|(leaving, left)| {
        MemberResponse::default()
            .with_member_id(leaving.member_id)
            .with_group_instance_id(leaving.group_instance_id)
            .with_error_code(code_of(left))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}
