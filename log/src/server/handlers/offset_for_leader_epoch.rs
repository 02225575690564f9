//! OffsetForLeaderEpoch (key 23), versions 2 to 4.
//!
//! Version 3 names the replica that asks (a consumer is -1), 4 is flexible. A term newer than all known is answered with -1 and -1, without an error.

use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::wire::topic_partition;
use crate::broker::EpochQuery;
use crate::server::context::RequestContext;
use crate::types::LeaderEpoch;

const UNDEFINED: i32 = -1;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut asked = Vec::new();
        let mut places = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let place = topic_partition(&topic.topic, partition.partition).map(|name| {
                asked.push(EpochQuery {
                    partition: name,
                    current_leader_epoch: LeaderEpoch::new(partition.current_leader_epoch),
                    leader_epoch: LeaderEpoch::new(partition.leader_epoch),
                });
                asked.len() - 1
            });
            places.push((partition.partition, place));
        }
        let found = context.broker().offsets_for_leader_epochs(asked).await;
        let partitions = places.into_iter().map(|(index, place)| {
            let answer = EpochEndOffset::default()
                .with_partition(index)
                .with_leader_epoch(UNDEFINED)
                .with_end_offset(UNDEFINED.into());
            match place.and_then(|at| found[at].clone()) {
                Ok(Some((epoch, end))) => answer.with_leader_epoch(epoch.get()).with_end_offset(end.get()),
                Ok(None) => answer,
                Err(error) => answer.with_error_code(error.code().code()),
            }
        });
        topics.push(
            OffsetForLeaderTopicResult::default()
                .with_partitions(partitions.collect())
                .with_topic(topic.topic),
        );
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}
