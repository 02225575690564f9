//! SyncGroup (key 14), versions 0 to 5.
//!
//! Version 3 has static members (KIP-345), 5 says and answers the protocol (KIP-559): there both names must be in the request.

use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::group_wire::{group, instance, member};
use super::wire::text;
use crate::broker::{ErrorCode, SyncGroup};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    if context.version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        return SyncGroupResponse::default().with_error_code(ErrorCode::InconsistentGroupProtocol.code());
    }
    let assignments = request.assignments.into_iter();
    let sync = SyncGroup {
        member_id: member(&request.member_id),
        instance_id: instance(request.group_instance_id.as_ref()),
        generation: request.generation_id,
        protocol_type: request.protocol_type.map(|name| name.to_string()),
        protocol: request.protocol_name.map(|name| name.to_string()),
        assignments: assignments
            .map(|assigned| (member(&assigned.member_id), assigned.assignment))
            .collect(),
    };
    match context.broker().sync_group(group(&request.group_id), sync).await {
        Ok(synced) => SyncGroupResponse::default()
            .with_protocol_type(synced.protocol_type.map(text))
            .with_protocol_name(synced.protocol.map(text))
            .with_assignment(synced.assignment),
        Err(error) => SyncGroupResponse::default().with_error_code(error.code().code()),
    }
}
