//! DescribeProducers (key 61), version 0.

use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};

use super::wire::{text, topic_partition};
use crate::broker::{BrokerError, ProducerDescription};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut topics = Vec::new();
    for topic in request.topics {
        let mut partitions = Vec::new();
        for number in topic.partition_indexes {
            let described = describe(context, &topic.name, number).await;
            let response = PartitionResponse::default().with_partition_index(number);
            partitions.push(match described {
                Ok(producers) => response.with_active_producers(producers.iter().map(producer).collect()),
                Err(error) => response
                    .with_error_code(error.code().code())
                    .with_error_message(Some(text(error.message()))),
            });
        }
        topics.push(
            TopicResponse::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    DescribeProducersResponse::default().with_topics(topics)
}

async fn describe(
    context: &RequestContext,
    topic: &str,
    number: i32,
) -> Result<Vec<ProducerDescription>, BrokerError> {
    let partition = topic_partition(topic, number)?;
    context.broker().describe_producers(&partition).await
}

fn producer(described: &ProducerDescription) -> ProducerState {
    ProducerState::default()
        .with_producer_id(described.producer_id.get().into())
        .with_producer_epoch(described.producer_epoch.get().into())
        .with_last_sequence(described.last_sequence.get())
        .with_last_timestamp(described.last_timestamp)
        .with_coordinator_epoch(described.coordinator_epoch)
        .with_current_txn_start_offset(described.txn_start_offset.map_or(-1, |offset| offset.get()))
}
