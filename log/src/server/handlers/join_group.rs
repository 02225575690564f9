//! JoinGroup (key 11), versions 0 to 9.
//!
//! Version 0 has no rebalance timeout (the session's counts), 4 wants a known member id (KIP-394), 5 has static members (KIP-345), 7 answers the
//! protocol type (KIP-559), 9 may spare a static leader the assignment (KIP-814). The answer waits for the rebalance; so do later requests of the connection.

use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::group_wire::{group, instance, member};
use super::wire::text;
use crate::broker::{GroupProtocol, JoinGroup, JoinRefused, JoinedGroup};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let version = context.version;
    let protocols = request.protocols.into_iter().map(|protocol| GroupProtocol {
        name: protocol.name.to_string(),
        metadata: protocol.metadata,
    });
    let join = JoinGroup {
        member_id: member(&request.member_id),
        instance_id: instance(request.group_instance_id.as_ref()),
        client_id: context.client_id().to_owned(),
        client_host: format!("/{}", context.connection.peer.ip().to_canonical()),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        },
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.collect(),
        requires_known_member_id: version >= 4,
        supports_skipping_assignment: version >= 9,
    };
    let joined = context.broker().join_group(group(&request.group_id), join).await;
    match joined {
        Ok(joined) => of_joined(version, joined),
        Err(refused) => of_refused(version, &refused),
    }
}

fn of_joined(version: i16, joined: JoinedGroup) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|joined| {
        JoinGroupResponseMember::default()
            .with_member_id(text(joined.member_id.as_str()))
            .with_group_instance_id(joined.instance_id.map(|id| text(id.as_str())))
            .with_metadata(joined.metadata)
    });
    let protocol = joined.protocol.map(text);
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.map(text))
        .with_protocol_name(protocol.or_else(|| no_protocol(version)))
        .with_leader(text(joined.leader.as_str()))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(text(joined.member_id.as_str()))
        .with_members(members.collect())
}

fn of_refused(version: i16, refused: &JoinRefused) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(refused.error.code().code())
        .with_protocol_name(no_protocol(version))
        .with_member_id(text(refused.member_id.as_str()))
}

/// The protocol name may be null from version 7 on.
fn no_protocol(version: i16) -> Option<kafka_protocol::protocol::StrBytes> {
    (version < 7).then(Default::default)
}
