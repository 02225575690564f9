//! DescribeLogDirs (key 35), versions 1 to 4.
//!
//! Version 2 is flexible, 3 has an error of its own, 4 tells the size of the file system (KIP-827). Version 5 (KIP-1066) tells cordoned directories: none
//! is, and `protocol/legacy.rs` says so. Always true: the answer has one directory.

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::wire::{text, topic_partition};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let asked = request.topics.map(|topics| {
        let partitions = topics.iter().flat_map(|topic| {
            let of_topic = |index: &i32| topic_partition(&topic.topic, *index).ok();
            topic.partitions.iter().filter_map(of_topic)
        });
        partitions.collect()
    });
    let described = match context.broker().describe_log_dirs(asked) {
        Ok(described) => described,
        Err(error) => {
            let failed = DescribeLogDirsResult::default().with_error_code(error.code().code());
            return DescribeLogDirsResponse::default().with_results(vec![failed]);
        }
    };
    let topics = described.topics.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|(index, bytes)| {
            DescribeLogDirsPartition::default()
                .with_partition_index(index.get())
                .with_partition_size(signed(bytes))
        });
        DescribeLogDirsTopic::default()
            .with_name(text(topic.as_str()).into())
            .with_partitions(partitions.collect())
    });
    let result = DescribeLogDirsResult::default()
        .with_error_code(described.failure.map_or(0, |failure| failure.code().code()))
        .with_log_dir(text(described.path))
        .with_topics(topics.collect())
        .with_total_bytes(signed(described.total_bytes))
        .with_usable_bytes(signed(described.usable_bytes));
    DescribeLogDirsResponse::default().with_results(vec![result])
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
