//! WriteTxnMarkers (key 27), version 1.
//!
//! For administrators (`kafka-transactions abort`); between brokers there is nothing to send yet. Left out: version 2, which tells markers of TV2 apart
//! and is not encoded by the library in use.

use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarker as AskedMarker;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use super::wire::{code_of, topic_partition};
use crate::broker::{ProducerIdentity, TxnResult, WritableTxnMarker};
use crate::server::context::RequestContext;
use crate::types::{ProducerEpoch, ProducerId};

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let mut results = Vec::new();
    for marker in request.markers {
        results.push(write(context, marker).await);
    }
    WriteTxnMarkersResponse::default().with_markers(results)
}

async fn write(context: &RequestContext, marker: AskedMarker) -> WritableTxnMarkerResult {
    let mut asked = Vec::new();
    let mut places = Vec::new();
    for topic in &marker.topics {
        for number in &topic.partition_indexes {
            places.push(topic_partition(&topic.name, *number).map(|partition| {
                asked.push(partition);
                asked.len() - 1
            }));
        }
    }
    let written = context
        .broker()
        .write_txn_marker(WritableTxnMarker {
            producer: ProducerIdentity {
                producer_id: ProducerId::new(marker.producer_id.0),
                producer_epoch: ProducerEpoch::new(marker.producer_epoch),
            },
            result: if marker.transaction_result {
                TxnResult::Commit
            } else {
                TxnResult::Abort
            },
            coordinator_epoch: marker.coordinator_epoch,
            partitions: asked,
        })
        .await;
    let mut places = places.into_iter();
    let topics = marker.topics.into_iter().map(|topic| {
        let results = topic
            .partition_indexes
            .iter()
            .zip(&mut places)
            .map(|(number, place)| {
                let outcome = place.and_then(|at| written[at].clone());
                WritableTxnMarkerPartitionResult::default()
                    .with_partition_index(*number)
                    .with_error_code(code_of(&outcome))
            });
        let results = results.collect();
        WritableTxnMarkerTopicResult::default()
            .with_name(topic.name)
            .with_partitions(results)
    });
    WritableTxnMarkerResult::default()
        .with_producer_id(marker.producer_id)
        .with_topics(topics.collect())
}
