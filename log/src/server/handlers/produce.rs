//! Produce (key 0), versions 3 to 13.
//!
//! Version 5 tells the log start offset, 8 explains errors (KIP-467), 12 is the first of TV2 (KIP-890: partitions enter the transaction by themselves),
//! 13 names topics by id. Left out: pointing to a new leader (10, KIP-951), since there is one node. The answer comes when the batches are as durable
//! as asked; the next request of the connection is begun before that, so pipelined produces share flushes and keep their order.
//! `acks=0` is answered with silence; if it fails the connection ends, which is the only way to tell the client.

use futures::FutureExt;
use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};

use super::txn_codes;
use super::wire::{text, topic_partition};
use crate::broker::{self, Acks, BrokerError, ErrorCode, ProduceAck, ProducePartition, Producing};
use crate::protocol::guard;
use crate::protocol::produce_request::{ProduceRequest, ProduceTopic, decode};
use crate::protocol::reply::Reply;
use crate::server::context::{Request, RequestContext};
use crate::server::dispatch::{RequestError, encode};
use crate::server::outbox::PendingReply;
use crate::types::{TopicId, TransactionVersion, TransactionalId};

pub(in crate::server) async fn handle(request: Request) -> Result<PendingReply, RequestError> {
    let Request { context, body } = request;
    let (api, version) = (context.api, context.version);
    let request = guard::check_request(api, version, &body)
        .and_then(|()| decode(body, version))
        .map_err(|cause| RequestError::Unreadable { api, version, cause })?;
    let acks = acks_of(request.acks);
    let (answers, producing) = begin(&context, request).await;
    if acks.as_ref().is_ok_and(|acks| *acks == Acks::None) {
        let silence = async move {
            let outcome = answers.finish(producing).await;
            match outcome.failure() {
                None => Some(Reply::default()),
                Some(failure) => {
                    tracing::warn!(peer = %context.connection.peer, client = context.client_id(), failure, "produce without acks failed; closing its connection");
                    None
                }
            }
        };
        return Ok(PendingReply::Later(silence.boxed()));
    }
    let answer = async move {
        let outcome = answers.finish(producing).await;
        match encode(&context, &outcome.into_response(version)) {
            Ok(reply) => Some(reply),
            Err(error) => {
                tracing::error!(%error, "answer lost; closing the connection");
                None
            }
        }
    };
    Ok(PendingReply::Later(answer.boxed()))
}

fn acks_of(acks: i16) -> Result<Acks, BrokerError> {
    match acks {
        0 => Ok(Acks::None),
        1 => Ok(Acks::Leader),
        -1 => Ok(Acks::All),
        _ => Err(BrokerError::new(
            ErrorCode::InvalidRequiredAcks,
            format!("acks {acks} is none of -1, 0 and 1"),
        )),
    }
}

/// What is known of each partition once its batches are in the queue: refused, or the place of its answer.
type Place = Result<usize, BrokerError>;

/// Something about each partition of a request, by topic (its name, or its id from version 13 on) and number.
type ByPartition<T> = Vec<(String, uuid::Uuid, Vec<(i32, T)>)>;

/// The frame of an answer.
struct Answers {
    topics: ByPartition<Place>,
}

/// Every partition's outcome.
struct Outcome {
    topics: ByPartition<Result<ProduceAck, BrokerError>>,
}

async fn begin(context: &RequestContext, request: ProduceRequest) -> (Answers, Producing) {
    let acks = acks_of(request.acks);
    let mut asked = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for ProduceTopic { name, id, partitions } in request.topics {
        let named = topic_name(context, &name, id);
        let mut places = Vec::with_capacity(partitions.len());
        for (index, batches) in partitions {
            let place = match (&named, &acks) {
                (_, Err(error)) | (Err(error), _) => Err(error.clone()),
                (Ok(name), Ok(_)) => topic_partition(name, index).map(|partition| {
                    asked.push(ProducePartition { partition, batches });
                    asked.len() - 1
                }),
            };
            places.push((index, place));
        }
        topics.push((name, id, places));
    }
    let request = broker::ProduceRequest {
        transactional_id: request.transactional_id.as_deref().map(TransactionalId::new),
        acks: acks.unwrap_or_default(),
        partitions: asked,
        transaction_version: TransactionVersion::of_produce(context.version),
    };
    let producing = context.broker().begin_produce(request).await;
    (Answers { topics }, producing)
}

fn topic_name(context: &RequestContext, name: &str, id: uuid::Uuid) -> Result<String, BrokerError> {
    if context.version < 13 {
        return Ok(name.to_owned());
    }
    let id = TopicId::new(id);
    match context.broker().topic_name_of(id) {
        Some(name) => Ok(name.as_str().to_owned()),
        None => Err(BrokerError::new(
            ErrorCode::UnknownTopicId,
            format!("no topic has the id {id}"),
        )),
    }
}

impl Answers {
    async fn finish(self, producing: Producing) -> Outcome {
        let produced = producing.finish().await;
        let outcome = |(index, place): (i32, Place)| (index, place.and_then(|at| produced[at].clone()));
        let topics = self.topics.into_iter().map(|(name, id, places)| {
            let partitions = places.into_iter().map(outcome).collect();
            (name, id, partitions)
        });
        Outcome {
            topics: topics.collect(),
        }
    }
}

impl Outcome {
    fn failure(&self) -> Option<String> {
        let mut outcomes = self.topics.iter().flat_map(|(_, _, partitions)| partitions);
        outcomes.find_map(|(index, outcome)| {
            outcome
                .as_ref()
                .err()
                .map(|error| format!("partition {index}: {error}"))
        })
    }

    fn into_response(self, version: i16) -> ProduceResponse {
        let topics = self.topics.into_iter().map(|(name, id, partitions)| {
            let answers = partitions
                .into_iter()
                .map(|(index, outcome)| answer(version, index, outcome));
            TopicProduceResponse::default()
                .with_partition_responses(answers.collect())
                .with_name(text(name).into())
                .with_topic_id(id)
        });
        ProduceResponse::default().with_responses(topics.collect())
    }
}

fn answer(
    version: i16,
    partition: i32,
    outcome: Result<ProduceAck, BrokerError>,
) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default().with_index(partition);
    match outcome {
        Ok(ack) => answer
            .with_base_offset(ack.base_offset.get())
            .with_log_append_time_ms(ack.log_append_time.unwrap_or(-1))
            .with_log_start_offset(ack.log_start_offset.get()),
        Err(error) => {
            let answer = answer
                .with_error_code(txn_codes::of_produce(version, error.code()).code())
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1);
            match version {
                8.. => answer
                    .with_error_message(Some(text(error.message())))
                    .with_record_errors(bad_records(&error)),
                _ => answer,
            }
        }
    }
}

/// KIP-467: the client refuses only these records for good, and may send the others again.
fn bad_records(error: &BrokerError) -> Vec<BatchIndexAndErrorMessage> {
    let to_blame = error.bad_records().iter().map(|record| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(record.index)
            .with_batch_index_error_message(Some(text(record.reason.as_str())))
    });
    to_blame.collect()
}
