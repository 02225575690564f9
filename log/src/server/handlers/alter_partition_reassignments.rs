//! AlterPartitionReassignments (key 45, KIP-455), versions 0 to 1.
//!
//! Null replicas take a reassignment back. Version 1 may forbid a change of the replication factor (KIP-860), which cannot change with one broker.

use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use super::wire::{code_of, note, topic_partition};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let responses = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let replicas: Option<Vec<i32>> = partition
                .replicas
                .as_ref()
                .map(|replicas| replicas.iter().map(|id| id.0).collect());
            let outcome = topic_partition(&topic.name, partition.partition_index)
                .and_then(|found| context.broker().reassign_partition(&found, replicas.as_deref()));
            ReassignablePartitionResponse::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code_of(&outcome))
                .with_error_message(outcome.err().as_ref().and_then(note))
        });
        ReassignableTopicResponse::default()
            .with_partitions(partitions.collect())
            .with_name(topic.name)
    });
    AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(request.allow_replication_factor_change)
        .with_error_message(None)
        .with_responses(responses.collect())
}
