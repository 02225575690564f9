//! All partitions of one node: opened, recovered, created, deleted.

use std::path::PathBuf;
use std::sync::Arc;

use super::disk::Disk;
use super::partition_handle::PartitionHandle;
use super::settings::{StorageConfig, TopicConfig};
use super::storage_error::StorageError;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::rng::Rng;
use crate::types::{TopicId, TopicPartition};

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct LogStoreOptions {
    /// Directory of the partitions; created if missing, locked while open.
    pub data_dir: PathBuf,
    /// Where files live.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Kill points and planted bugs.
    pub faults: Faults,
    /// Settings.
    pub config: StorageConfig,
}

/// The partitions of one node.
#[derive(Debug)]
pub struct LogStore {}

impl LogStore {
    /// Locks the directory, replays the journal, recovers every partition found, starts owner loops and flusher.
    pub async fn open(_options: LogStoreOptions) -> Result<LogStore, StorageError> {
        unimplemented!()
    }

    /// Creates the partition's directory, or returns the handle if it exists with the same topic id.
    pub async fn create_partition(
        &self,
        _partition: TopicPartition,
        _topic_id: TopicId,
        _config: TopicConfig,
    ) -> Result<PartitionHandle, StorageError> {
        unimplemented!()
    }

    /// The handle of a partition, if it is here.
    pub fn partition(&self, _partition: &TopicPartition) -> Option<PartitionHandle> {
        unimplemented!()
    }

    /// Every partition here, in order.
    pub fn partitions(&self) -> Vec<PartitionHandle> {
        unimplemented!()
    }

    /// Renames the directory away at once and removes it.
    pub async fn delete_partition(&self, _partition: &TopicPartition) -> Result<(), StorageError> {
        unimplemented!()
    }

    /// Gives a partition new settings; they hold from the next append on. Partitions found at open have defaults until this is called.
    pub async fn update_config(
        &self,
        _partition: &TopicPartition,
        _config: TopicConfig,
    ) -> Result<(), StorageError> {
        unimplemented!()
    }

    /// Stops the owner loops, makes everything durable, writes snapshots and checkpoints, unlocks the directory.
    pub async fn shutdown(self) -> Result<(), StorageError> {
        unimplemented!()
    }
}
