//! Produce (key 0), versions 3 to 13.
//!
//! Version 5 tells the log start offset, 8 explains errors record by record (KIP-467), 10 names a new leader (KIP-951), 12 is the first of TV2 (KIP-890), 13 names topics by id.

use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use super::txn_codes;
use super::wire::{text, topic_partition};
use crate::broker::{self, Acks, BrokerError, ErrorCode, ProduceAck, ProducePartition};
use crate::server::context::RequestContext;
use crate::types::{TopicId, TransactionVersion, TransactionalId};

pub(in crate::server) async fn handle(context: &RequestContext, request: ProduceRequest) -> ProduceResponse {
    let acks = match request.acks {
        0 => Some(Acks::None),
        1 => Some(Acks::Leader),
        -1 => Some(Acks::All),
        _ => None,
    };
    let mut asked = Vec::new();
    let mut places = Vec::new();
    for topic in &request.topic_data {
        let name = topic_name(context, &topic.name, topic.topic_id);
        for partition in &topic.partition_data {
            let place = match (&name, acks) {
                (_, None) => Err(BrokerError::new(
                    ErrorCode::InvalidRequiredAcks,
                    format!("acks {} is none of -1, 0 and 1", request.acks),
                )),
                (Err(error), _) => Err(error.clone()),
                (Ok(name), Some(_)) => topic_partition(name, partition.index).map(|name| {
                    asked.push(ProducePartition {
                        partition: name,
                        batches: partition.records.clone().unwrap_or_default(),
                    });
                    asked.len() - 1
                }),
            };
            places.push(place);
        }
    }
    let produced = context
        .broker()
        .produce(broker::ProduceRequest {
            transactional_id: request
                .transactional_id
                .map(|id| TransactionalId::new(id.as_str())),
            acks: acks.unwrap_or_default(),
            partitions: asked,
            transaction_version: TransactionVersion::of_produce(context.version),
        })
        .await;
    let mut places = places.into_iter();
    let topics = request.topic_data.into_iter().map(|topic| {
        let answers = topic
            .partition_data
            .iter()
            .zip(&mut places)
            .map(|(partition, place)| {
                answer(
                    context,
                    partition.index,
                    place.and_then(|at| produced[at].clone()),
                )
            });
        TopicProduceResponse::default()
            .with_partition_responses(answers.collect())
            .with_name(topic.name)
            .with_topic_id(topic.topic_id)
    });
    ProduceResponse::default().with_responses(topics.collect())
}

fn topic_name(context: &RequestContext, name: &str, id: uuid::Uuid) -> Result<String, BrokerError> {
    if context.version < 13 {
        return Ok(name.to_owned());
    }
    match context.broker().topic_name_of(TopicId::new(id)) {
        Some(name) => Ok(name.as_str().to_owned()),
        None => Err(BrokerError::new(
            ErrorCode::UnknownTopicId,
            format!("no topic has the id {}", TopicId::new(id)),
        )),
    }
}

fn answer(
    context: &RequestContext,
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
                .with_error_code(txn_codes::of_produce(context.version, error.code()).code())
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1);
            match context.version {
                8.. => answer.with_error_message(Some(text(error.message()))),
                _ => answer,
            }
        }
    }
}
