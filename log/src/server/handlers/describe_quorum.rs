//! DescribeQuorum (key 55, KIP-595), versions 0 to 2: the quorum of one.
//!
//! Version 1 tells when a replica last fetched (the leader: now), 2 the nodes' addresses and directories (KIP-853). Only `__cluster_metadata-0` has a quorum.

use kafka_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::wire::text;
use crate::broker::ErrorCode;
use crate::metadata::METADATA_TOPIC;
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let answer = DescribeQuorumResponse::default().with_error_message(None);
    let topics = request.topics.into_iter().map(|topic| {
        let is_metadata = **topic.topic_name == *METADATA_TOPIC;
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            if is_metadata && index == 0 {
                return metadata_partition(context);
            }
            PartitionData::default()
                .with_partition_index(index)
                .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
                .with_error_message(
                    (context.version >= 2)
                        .then(|| text(format!("only {METADATA_TOPIC}-0 has a quorum; ask for that"))),
                )
        });
        TopicData::default()
            .with_partitions(partitions.collect())
            .with_topic_name(topic.topic_name)
    });
    let answer = answer.with_topics(topics.collect());
    if context.version < 2 {
        return answer;
    }
    let (host, port) = context.advertised();
    let listener = Listener::default()
        .with_name(text("PLAINTEXT"))
        .with_host(text(host))
        .with_port(port);
    let node = Node::default()
        .with_node_id(context.broker().node_id().into())
        .with_listeners(vec![listener]);
    answer.with_nodes(vec![node])
}

fn metadata_partition(context: &RequestContext) -> PartitionData {
    let quorum = context.broker().describe_quorum();
    let voter = ReplicaState::default()
        .with_replica_id(quorum.leader_id.into())
        .with_log_end_offset(quorum.high_watermark.get());
    let voter = match context.version {
        0 => voter,
        _ => {
            let now = context.broker().clock().now_ms();
            voter
                .with_last_fetch_timestamp(now)
                .with_last_caught_up_timestamp(now)
        }
    };
    PartitionData::default()
        .with_partition_index(0)
        .with_error_message(None)
        .with_leader_id(quorum.leader_id.into())
        .with_leader_epoch(quorum.leader_epoch.get())
        .with_high_watermark(quorum.high_watermark.get())
        .with_current_voters(vec![voter])
}
