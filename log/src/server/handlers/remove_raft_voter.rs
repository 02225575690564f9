//! RemoveRaftVoter (key 81, KIP-853), version 0: the last voter stays.

use kafka_protocol::messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};

use super::wire::{code_of, note};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: RemoveRaftVoterRequest,
) -> RemoveRaftVoterResponse {
    let outcome = context.broker().remove_raft_voter(
        request.cluster_id.as_deref(),
        request.voter_id,
        request.voter_directory_id,
    );
    RemoveRaftVoterResponse::default()
        .with_error_code(code_of(&outcome))
        .with_error_message(outcome.err().as_ref().and_then(note))
}
