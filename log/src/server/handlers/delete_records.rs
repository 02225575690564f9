//! DeleteRecords (key 21), versions 0 to 2.
//!
//! An offset of -1 means the high watermark. Left out: the timeout, since there is no replica to wait for.

use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::wire::topic_partition;
use crate::broker::{BrokerError, ErrorCode};
use crate::server::context::RequestContext;
use crate::types::Offset;

/// Stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;
/// The low watermark of an answer that has none.
const NO_WATERMARK: i64 = -1;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut asked = Vec::new();
        let mut places = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let place = topic_partition(&topic.name, partition.partition_index).and_then(|name| {
                let before = before(partition.offset)?;
                asked.push((name, before));
                Ok(asked.len() - 1)
            });
            places.push((partition.partition_index, place));
        }
        let deleted = context.broker().delete_records(asked).await;
        let partitions = places.into_iter().map(|(index, place)| {
            let answer = DeleteRecordsPartitionResult::default().with_partition_index(index);
            match place.and_then(|at| deleted[at].clone()) {
                Ok(low_watermark) => answer.with_low_watermark(low_watermark.get()),
                Err(error) => answer
                    .with_low_watermark(NO_WATERMARK)
                    .with_error_code(error.code().code()),
            }
        });
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name),
        );
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

fn before(offset: i64) -> Result<Option<Offset>, BrokerError> {
    match offset {
        HIGH_WATERMARK => Ok(None),
        0.. => Ok(Some(Offset::new(offset))),
        _ => Err(BrokerError::new(
            ErrorCode::OffsetOutOfRange,
            format!("offset {offset} is negative; -1 means the high watermark"),
        )),
    }
}
