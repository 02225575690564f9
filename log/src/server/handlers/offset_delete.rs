//! OffsetDelete (key 47), version 0 (KIP-496).

use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::group_wire::group;
use super::wire::{code_of, topic_partition};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let named = |topic: &str, partition: i32| topic_partition(topic, partition);
    let mut partitions = Vec::new();
    for topic in &request.topics {
        let of_topic = topic.partitions.iter();
        partitions.extend(of_topic.filter_map(|asked| named(&topic.name, asked.partition_index).ok()));
    }
    let deleted = context
        .broker()
        .offset_delete(&group(&request.group_id), partitions)
        .await;
    let mut deleted = match deleted {
        Ok(deleted) => deleted.into_iter(),
        Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code().code()),
    };
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let answers = topic.partitions.iter().map(|asked| {
            let outcome =
                named(&topic.name, asked.partition_index).and_then(|_| deleted.next().unwrap_or(Ok(())));
            OffsetDeleteResponsePartition::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(code_of(&outcome))
        });
        let answers = answers.collect();
        topics.push(
            OffsetDeleteResponseTopic::default()
                .with_name(topic.name)
                .with_partitions(answers),
        );
    }
    OffsetDeleteResponse::default().with_topics(topics)
}
