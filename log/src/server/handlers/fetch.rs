//! Fetch (key 1), versions 4 to 18.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse};

use super::wire::topic_partition;
use crate::broker::{self, BrokerError, ErrorCode, FetchPartition, FetchedData, Isolation};
use crate::server::context::RequestContext;
use crate::types::{LeaderEpoch, Offset, TopicId};

pub(in crate::server) async fn handle(context: &RequestContext, request: FetchRequest) -> FetchResponse {
    let isolation = match request.isolation_level {
        1 => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    };
    let mut asked = Vec::new();
    let mut places = Vec::new();
    for topic in &request.topics {
        let name = match context.version {
            13.. => context
                .broker()
                .topic_name_of(TopicId::new(topic.topic_id))
                .map(|name| name.as_str().to_owned()),
            _ => Some(topic.topic.to_string()),
        };
        for partition in &topic.partitions {
            let place = match &name {
                None => Err(BrokerError::new(
                    ErrorCode::UnknownTopicId,
                    "no topic has this id",
                )),
                Some(name) => topic_partition(name, partition.partition).and_then(|name| {
                    context
                        .broker()
                        .check_leader_epoch(&name, LeaderEpoch::new(partition.current_leader_epoch))?;
                    asked.push(FetchPartition {
                        partition: name,
                        fetch_offset: Offset::new(partition.fetch_offset),
                        max_bytes: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
                    });
                    Ok(asked.len() - 1)
                }),
            };
            places.push(place);
        }
    }
    let failed = places.iter().any(Result::is_err);
    let fetched = context
        .broker()
        .fetch(broker::FetchRequest {
            max_wait: if failed {
                Duration::ZERO
            } else {
                Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0))
            },
            min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
            max_bytes: usize::try_from(request.max_bytes).unwrap_or(0),
            isolation,
            partitions: asked,
        })
        .await;
    let mut places = places.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic
            .partitions
            .iter()
            .zip(&mut places)
            .map(|(partition, place)| {
                let outcome = place.and_then(|at| fetched.partitions[at].1.clone());
                answer(context, partition.partition, outcome)
            });
        FetchableTopicResponse::default()
            .with_partitions(partitions.collect())
            .with_topic(topic.topic)
            .with_topic_id(topic.topic_id)
    });
    FetchResponse::default().with_responses(topics.collect())
}

fn answer(
    _context: &RequestContext,
    partition: i32,
    outcome: Result<FetchedData, BrokerError>,
) -> PartitionData {
    let answer = PartitionData::default().with_partition_index(partition);
    match outcome {
        Ok(data) => answer
            .with_high_watermark(data.high_watermark.get())
            .with_last_stable_offset(data.last_stable_offset.get())
            .with_log_start_offset(data.log_start_offset.get())
            .with_aborted_transactions(Some(
                data.aborted
                    .iter()
                    .map(|aborted| {
                        AbortedTransaction::default()
                            .with_producer_id(aborted.producer_id.get().into())
                            .with_first_offset(aborted.first_offset.get())
                    })
                    .collect(),
            ))
            .with_records(Some(joined(data.batches))),
        Err(error) => answer
            .with_error_code(error.code().code())
            .with_high_watermark(-1)
            .with_records(Some(Bytes::new())),
    }
}

fn joined(batches: Vec<Bytes>) -> Bytes {
    let mut all = BytesMut::with_capacity(batches.iter().map(Bytes::len).sum());
    for batch in batches {
        all.extend_from_slice(&batch);
    }
    all.freeze()
}
