//! DescribeLogDirs (API key 35) and AlterReplicaLogDirs (34), on a node with one log directory.

use std::collections::BTreeMap;
use std::path::Path;

use super::node::unknown_partition;
use super::{Broker, BrokerError, ErrorCode};
use crate::types::{PartitionId, TopicName, TopicPartition};

/// The log directory and what is in it.
#[derive(Clone, Debug)]
pub struct LogDirDescription {
    /// Its path.
    pub path: String,
    /// Size of its file system.
    pub total_bytes: u64,
    /// What of it may still be written.
    pub usable_bytes: u64,
    /// Bytes of the log of each partition, by topic.
    pub topics: BTreeMap<TopicName, Vec<(PartitionId, u64)>>,
    /// Why nothing is written any more, if that is so.
    pub failure: Option<BrokerError>,
}

impl Broker {
    /// Describes the log directory with those of the asked partitions that are there, or all. Errs if the file system cannot be asked.
    pub fn describe_log_dirs(
        &self,
        asked: Option<Vec<TopicPartition>>,
    ) -> Result<LogDirDescription, BrokerError> {
        let store = self.node().store()?;
        let (total_bytes, usable_bytes) = store.volume_bytes()?;
        let handles = match asked {
            Some(asked) => {
                let known = asked
                    .iter()
                    .filter_map(|partition| self.node().partition(partition).ok());
                known.collect()
            }
            None => store.partitions(),
        };
        let mut topics: BTreeMap<TopicName, Vec<_>> = BTreeMap::new();
        for handle in handles {
            let TopicPartition { topic, partition } = handle.topic_partition().clone();
            if topic.as_str() != crate::metadata::METADATA_TOPIC {
                topics
                    .entry(topic)
                    .or_default()
                    .push((partition, handle.size_bytes()));
            }
        }
        Ok(LogDirDescription {
            path: store.path().display().to_string(),
            total_bytes,
            usable_bytes,
            topics,
            failure: store.failure().map(BrokerError::from),
        })
    }

    /// Moves a partition to another log directory: there is none, so it stays where it is if `path` is where it is. Errs with `LogDirNotFound`
    /// and `UnknownTopicOrPartition`.
    pub fn alter_replica_log_dir(&self, path: &str, partition: &TopicPartition) -> Result<(), BrokerError> {
        let store = self.node().store()?;
        if Path::new(path) != store.path() {
            let message = format!(
                "log directory {path:?} does not exist; the only one is {}",
                store.path().display()
            );
            return Err(BrokerError::new(ErrorCode::LogDirNotFound, message));
        }
        self.node()
            .partition(partition)
            .map(drop)
            .map_err(|_| unknown_partition(partition))
    }
}
