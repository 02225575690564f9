//! ListOffsets (key 2), versions 0 to 11.
//!
//! Special timestamps: -1 latest, -2 earliest, -3 the record with the highest timestamp (KIP-734, version 7), -4 earliest local (8, KIP-405: the same as earliest where
//! nothing is tiered), -5 latest tiered (9, KIP-1005: none). Version 10 carries a timeout, which only remote lookups need.

use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::wire::topic_partition;
use crate::broker::{BrokerError, ErrorCode, Isolation, ListedOffset, OffsetSpec};
use crate::server::context::RequestContext;
use crate::types::LeaderEpoch;

fn spec(context: &RequestContext, timestamp: i64) -> Result<OffsetSpec, BrokerError> {
    let since = |version| {
        (context.version >= version)
            .then_some(())
            .ok_or_else(|| unsupported(timestamp, context.version))
    };
    match timestamp {
        -1 => Ok(OffsetSpec::Latest),
        -2 => Ok(OffsetSpec::Earliest),
        -3 => since(7).map(|()| OffsetSpec::MaxTimestamp),
        -4 => since(8).map(|()| OffsetSpec::Earliest),
        -5 => since(9).map(|()| OffsetSpec::LatestTiered),
        // Nothing is ever uploaded to another tier.
        -6 if context.old_version == Some(11) => Ok(OffsetSpec::LatestTiered),
        0.. => Ok(OffsetSpec::Timestamp(timestamp)),
        _ => Err(unsupported(timestamp, context.version)),
    }
}

fn unsupported(timestamp: i64, version: i16) -> BrokerError {
    let message = format!("special timestamp {timestamp} is not known to version {version}");
    BrokerError::new(ErrorCode::UnsupportedVersion, message)
}

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let isolation = match request.isolation_level {
        1 => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    };
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut asked = Vec::new();
        let mut places = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let place = topic_partition(&topic.name, partition.partition_index).and_then(|name| {
                context
                    .broker()
                    .check_leader_epoch(&name, LeaderEpoch::new(partition.current_leader_epoch))?;
                Ok((name, spec(context, partition.timestamp)?))
            });
            places.push(place.map(|found| {
                asked.push(found);
                asked.len() - 1
            }));
        }
        let listed = context.broker().list_offsets(asked, isolation).await;
        let partitions = topic.partitions.iter().zip(places).map(|(partition, place)| {
            let outcome = place.and_then(|at| listed[at].clone());
            answer(context, partition.partition_index, outcome)
        });
        topics.push(
            ListOffsetsTopicResponse::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name),
        );
    }
    ListOffsetsResponse::default().with_topics(topics)
}

fn answer(
    context: &RequestContext,
    partition: i32,
    outcome: Result<ListedOffset, BrokerError>,
) -> ListOffsetsPartitionResponse {
    let answer = ListOffsetsPartitionResponse::default().with_partition_index(partition);
    match outcome {
        Ok(listed) => {
            let answer = answer
                .with_timestamp(listed.timestamp.unwrap_or(-1))
                .with_offset(listed.offset.map_or(-1, |offset| offset.get()));
            match (context.version, listed.leader_epoch) {
                (4.., Some(epoch)) => answer.with_leader_epoch(epoch.get()),
                _ => answer,
            }
        }
        Err(error) => answer
            .with_error_code(error.code().code())
            .with_timestamp(-1)
            .with_offset(-1),
    }
}
