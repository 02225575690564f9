//! ListPartitionReassignments (key 46, KIP-455), version 0: with one broker none is ever under way.

use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    _context: &RequestContext,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default().with_error_message(None)
}
