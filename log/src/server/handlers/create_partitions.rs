//! CreatePartitions (key 37), versions 0 to 3.
//!
//! Version 2 is flexible, 3 may answer a quota error. Left out: the timeout.

use std::collections::BTreeSet;

use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::wire::{code_of, note, topic_name};
use crate::broker::{BrokerError, ErrorCode, NewPartitions};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut asked = Vec::new();
    let mut places = Vec::new();
    let mut seen = BTreeSet::new();
    for topic in &request.topics {
        let place = topic_name(&topic.name)
            .map_err(|error| BrokerError::new(ErrorCode::UnknownTopicOrPartition, error.message()))
            .map(|name| {
                let assignments = topic.assignments.iter().flatten();
                asked.push(NewPartitions {
                    topic: name,
                    count: topic.count,
                    assignments: assignments
                        .map(|assignment| assignment.broker_ids.iter().map(|id| id.0).collect())
                        .collect(),
                });
                asked.len() - 1
            });
        // A name that is given twice is answered once.
        if seen.insert(topic.name.clone()) {
            places.push((topic.name.clone(), place));
        }
    }
    let created = context
        .broker()
        .create_partitions(asked, request.validate_only)
        .await;
    let results = places.into_iter().map(|(name, place)| {
        let outcome = place.and_then(|at| created[at].clone());
        CreatePartitionsTopicResult::default()
            .with_name(name)
            .with_error_code(code_of(&outcome))
            .with_error_message(outcome.err().as_ref().and_then(note))
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}
