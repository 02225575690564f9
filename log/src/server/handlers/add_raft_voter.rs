//! AddRaftVoter (key 80, KIP-853), version 0: this version keeps a quorum of one.

use kafka_protocol::messages::{AddRaftVoterRequest, AddRaftVoterResponse};

use super::wire::{code_of, note};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AddRaftVoterRequest,
) -> AddRaftVoterResponse {
    let outcome = context
        .broker()
        .add_raft_voter(request.cluster_id.as_deref(), request.voter_id);
    AddRaftVoterResponse::default()
        .with_error_code(code_of(&outcome))
        .with_error_message(outcome.err().as_ref().and_then(note))
}
