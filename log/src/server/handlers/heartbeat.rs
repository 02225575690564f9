//! Heartbeat (key 12), versions 0 to 4. Version 3 has static members (KIP-345).

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::group_wire::{group, instance, member};
use super::wire::code_of;
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: HeartbeatRequest,
) -> HeartbeatResponse {
    let (group, member) = (group(&request.group_id), member(&request.member_id));
    let instance = instance(request.group_instance_id.as_ref());
    let alive = context
        .broker()
        .heartbeat(&group, &member, instance.as_ref(), request.generation_id)
        .await;
    HeartbeatResponse::default().with_error_code(code_of(&alive))
}
