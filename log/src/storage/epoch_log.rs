//! The leader epochs of a partition, kept in `leader-epoch-checkpoint`.
//!
//! Always: an assignment is in the file, durably, before the first batch of that epoch is acknowledged: a follower would otherwise truncate by
//! the wrong epoch later (KIP-101). New epochs are rare, so the file is written in line.

use std::path::{Path, PathBuf};

use super::checkpoint::{CheckpointError, read_epochs, write_epochs};
use super::disk::{Disk, DiskError, DiskOp, DiskResult};
use super::epoch_cache::EpochCache;
use super::log_dir::LogDir;
use crate::types::{LeaderEpoch, Offset};

/// Name of the file, as in Kafka.
pub(super) const EPOCH_FILE: &str = "leader-epoch-checkpoint";

/// Epochs of one partition and the file they are in.
#[derive(Clone, Debug)]
pub(super) struct EpochLog {
    path: PathBuf,
    cache: EpochCache,
}

impl EpochLog {
    /// Reads the file; `None` if it is damaged, and the epochs must be taken from the log.
    pub(super) fn load(disk: &dyn Disk, partition_path: &Path) -> DiskResult<Option<Self>> {
        let path = partition_path.join(EPOCH_FILE);
        match read_epochs(disk, &path) {
            Ok(entries) => Ok(EpochCache::from_entries(entries)
                .ok()
                .map(|cache| Self { path, cache })),
            Err(CheckpointError::Disk(error)) => Err(error),
            Err(CheckpointError::Malformed { .. }) => Ok(None),
        }
    }

    /// No epochs yet.
    pub(super) fn empty(partition_path: &Path) -> Self {
        Self {
            path: partition_path.join(EPOCH_FILE),
            cache: EpochCache::new(),
        }
    }

    /// As the file of a new partition has it: epoch 0 from offset 0.
    pub(super) fn started(partition_path: &Path) -> Self {
        let mut epochs = Self::empty(partition_path);
        epochs.cache.assign(LeaderEpoch::ZERO, Offset::ZERO);
        epochs
    }

    /// Notes the epoch of an append; writes the file if it is new.
    pub(super) fn on_append(
        &mut self,
        dir: &LogDir,
        epoch: LeaderEpoch,
        base_offset: Offset,
    ) -> DiskResult<()> {
        if self.cache.assign(epoch, base_offset) {
            self.store(dir)
        } else {
            Ok(())
        }
    }

    /// The log now starts at `start`.
    pub(super) fn on_log_start(&mut self, dir: &LogDir, start: Offset) -> DiskResult<()> {
        if self.cache.truncate_from_start(start) {
            self.store(dir)
        } else {
            Ok(())
        }
    }

    /// The log now ends at `end`.
    pub(super) fn on_log_end(&mut self, dir: &LogDir, end: Offset) -> DiskResult<()> {
        if self.cache.truncate_from_end(end) {
            self.store(dir)
        } else {
            Ok(())
        }
    }

    /// The epochs.
    pub(super) fn cache(&self) -> &EpochCache {
        &self.cache
    }

    fn store(&self, dir: &LogDir) -> DiskResult<()> {
        dir.faults.point("K8");
        write_epochs(&*dir.disk, &self.path, self.cache.entries()).map_err(|e| match e {
            CheckpointError::Disk(error) => error,
            other => DiskError::new(
                DiskOp::Write,
                &self.path,
                std::io::Error::other(other.to_string()),
            ),
        })
    }
}
