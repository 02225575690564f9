//! ElectLeaders (key 43), versions 0 to 2.
//!
//! Version 1 tells preferred from unclean elections (KIP-460), 2 is flexible. Null asks for all partitions; those that need no election are then left out of the
//! answer, which leaves none.

use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::wire::{code_of, note, topic_partition};
use crate::broker::ErrorCode;
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let is_known = context.version < 1 || matches!(request.election_type, 0 | 1);
    if !is_known {
        return ElectLeadersResponse::default().with_error_code(ErrorCode::InvalidRequest.code());
    }
    let results = request.topic_partitions.into_iter().flatten().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            let outcome = topic_partition(&topic.topic, *index)
                .and_then(|partition| context.broker().elect_leader(&partition));
            PartitionResult::default()
                .with_partition_id(*index)
                .with_error_code(code_of(&outcome))
                .with_error_message(outcome.err().as_ref().and_then(note))
        });
        ReplicaElectionResult::default()
            .with_partition_result(partitions.collect())
            .with_topic(topic.topic)
    });
    ElectLeadersResponse::default().with_replica_election_results(results.collect())
}
