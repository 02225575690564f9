//! AlterReplicaLogDirs (key 34), versions 1 to 2: moving partitions between log directories, of which there is one. Version 2 is flexible.

use std::collections::BTreeMap;

use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, TopicName};

use super::wire::{code_of, topic_partition};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let mut results: BTreeMap<TopicName, Vec<_>> = BTreeMap::new();
    for dir in request.dirs {
        for topic in dir.topics {
            for index in topic.partitions {
                let outcome = topic_partition(&topic.name, index)
                    .and_then(|partition| context.broker().alter_replica_log_dir(&dir.path, &partition));
                results.entry(topic.name.clone()).or_default().push(
                    AlterReplicaLogDirPartitionResult::default()
                        .with_partition_index(index)
                        .with_error_code(code_of(&outcome)),
                );
            }
        }
    }
    let results = results.into_iter().map(|(name, partitions)| {
        AlterReplicaLogDirTopicResult::default()
            .with_topic_name(name)
            .with_partitions(partitions)
    });
    AlterReplicaLogDirsResponse::default().with_results(results.collect())
}
