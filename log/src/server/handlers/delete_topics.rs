//! DeleteTopics (key 20), versions 1 to 6.
//!
//! Version 4 is flexible, 5 tells a message (KIP-599), 6 also takes topic ids (KIP-516). Left out: the timeout.

use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use super::wire::{note, topic_name};
use crate::broker::{BrokerError, ErrorCode, TopicRef};
use crate::server::context::RequestContext;
use crate::types::TopicId;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let named = request
        .topic_names
        .into_iter()
        .map(|name| DeleteTopicState::default().with_name(Some(name)));
    let asked: Vec<_> = named.chain(request.topics).collect();
    let mut found = Vec::new();
    let places: Vec<_> = asked
        .iter()
        .map(|topic| {
            reference(topic).map(|topic| {
                found.push(topic);
                found.len() - 1
            })
        })
        .collect();
    // Names are looked up before they are gone: an answer to an id tells the name too.
    let names: Vec<_> = found
        .iter()
        .map(|topic| match topic {
            TopicRef::Id(id) => context.broker().topic_name_of(*id),
            TopicRef::Name(_) => None,
        })
        .collect();
    let deleted = context.broker().delete_topics(found).await;
    let responses = asked.into_iter().zip(places).map(|(topic, place)| {
        let name_of_id = place.as_ref().ok().and_then(|at| names[*at].clone());
        let outcome = place.and_then(|at| deleted[at].clone());
        let name = topic.name.or_else(|| {
            name_of_id
                .filter(|_| outcome.is_ok())
                .map(|name| super::wire::text(name.as_str()).into())
        });
        let answer = DeletableTopicResult::default()
            .with_name(name)
            .with_topic_id(topic.topic_id);
        match outcome {
            Ok(()) => answer,
            Err(error) => {
                let code = match (error.code(), context.version) {
                    // The code came with version 3 (KIP-322).
                    (ErrorCode::TopicDeletionDisabled, ..3) => ErrorCode::InvalidRequest,
                    (code, _) => code,
                };
                let answer = answer.with_error_code(code.code());
                match context.version {
                    5.. => answer.with_error_message(note(&error)),
                    _ => answer,
                }
            }
        }
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

fn reference(topic: &DeleteTopicState) -> Result<TopicRef, BrokerError> {
    let refused = |message: &str| Err(BrokerError::new(ErrorCode::InvalidRequest, message));
    match (&topic.name, topic.topic_id.is_nil()) {
        (Some(name), true) => match topic_name(name) {
            Ok(name) => Ok(TopicRef::Name(name)),
            // No topic can have that name.
            Err(error) => Err(BrokerError::new(
                ErrorCode::UnknownTopicOrPartition,
                error.message(),
            )),
        },
        (None, false) => Ok(TopicRef::Id(TopicId::new(topic.topic_id))),
        (Some(_), false) => refused("a topic has both name and id; give one of them"),
        (None, true) => refused("a topic has neither name nor id; give one of them"),
    }
}
