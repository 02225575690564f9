//! One log directory: what its partitions, owner loops and flusher share.
//!
//! Always: the first write or sync error is final. From then on no append is accepted and none is acknowledged, the reason stays, reads and
//! deletes go on; a sync is never tried again, for the kernel drops the dirty pages and the second try would lie.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::disk::{Disk, DiskError};
use super::file_cache::FileCache;
use super::headroom::{Headroom, Need};
use super::leases::LeaseChanges;
use super::partition::Partition;
use super::settings::StorageConfig;
use super::storage_error::StorageError;
use super::tail_cache::TailCache;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::metrics::StorageMetrics;
use crate::types::TopicPartition;

/// Shared by everything that works in one directory.
#[derive(Debug)]
pub(super) struct LogDir {
    pub(super) path: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) faults: Faults,
    pub(super) config: StorageConfig,
    pub(super) files: Arc<FileCache>,
    pub(super) tail_cache: TailCache,
    pub(super) headroom: Headroom,
    pub(super) metrics: StorageMetrics,
    /// Every partition of the directory.
    pub(super) registry: RwLock<BTreeMap<TopicPartition, Arc<Partition>>>,
    /// Files renamed to `.deleted`, and when they may be removed.
    doomed: Mutex<Vec<(Duration, PathBuf)>>,
    numbers: AtomicU64,
    /// Held while a checkpoint is put together and written.
    pub(super) checkpoint_lock: Mutex<()>,
    /// Leases the file does not know of yet.
    pub(super) lease_changes: LeaseChanges,
    failure: Mutex<Option<String>>,
}

impl LogDir {
    pub(super) fn new(
        path: PathBuf,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        faults: Faults,
        config: StorageConfig,
    ) -> Self {
        Self {
            files: Arc::new(FileCache::new(Arc::clone(&disk), config.open_files_max)),
            tail_cache: TailCache::new(config.tail_cache_bytes),
            headroom: Headroom::new(config.reserved_disk_bytes),
            metrics: StorageMetrics::default(),
            path,
            disk,
            clock,
            faults,
            config,
            registry: RwLock::default(),
            doomed: Mutex::default(),
            numbers: AtomicU64::new(0),
            checkpoint_lock: Mutex::new(()),
            lease_changes: LeaseChanges::default(),
            failure: Mutex::new(None),
        }
    }

    /// Stops all writing for good; the first reason stays.
    pub(super) fn fail(&self, error: &DiskError) {
        self.fail_because(error.to_string());
    }

    /// The same for a reason that is not the disk's.
    pub(super) fn fail_because(&self, reason: String) {
        let mut failure = self.failure.lock();
        if failure.is_none() {
            tracing::error!(dir = %self.path.display(), reason, "log directory stopped writing; restart the node after the disk is mended");
            *failure = Some(reason);
        }
    }

    /// The error every write gets, if the directory failed. `maybe_done`: the caller's bytes may be in the file.
    pub(super) fn failure(&self, maybe_done: bool) -> Option<StorageError> {
        let reason = self.failure.lock().clone()?;
        Some(StorageError::LogDirOffline {
            dir: self.path.clone(),
            reason,
            maybe_done,
        })
    }

    /// `Err` if the directory failed before.
    pub(super) fn check_writable(&self) -> Result<(), StorageError> {
        match self.failure(false) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// A number no other call gets.
    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Has a file removed once `due` has passed.
    pub(super) fn doom(&self, due: Duration, file: PathBuf) {
        self.doomed.lock().push((due, file));
    }

    /// Removes the files that are due. Deletes go on after a failure: they free space.
    pub(super) fn remove_doomed(&self) {
        let now = self.clock.monotonic();
        let due: Vec<PathBuf> = {
            let mut doomed = self.doomed.lock();
            let (due, later) = std::mem::take(&mut *doomed)
                .into_iter()
                .partition(|(at, _)| *at <= now);
            *doomed = later;
            let due: Vec<(Duration, PathBuf)> = due;
            due.into_iter().map(|(_, file)| file).collect()
        };
        for file in due {
            match self.disk.remove_file(&file) {
                Err(error) if !error.is_not_found() => {
                    tracing::warn!(%error, "a deleted segment file is still there; the next start removes it")
                }
                _ => {}
            }
        }
    }

    /// Checks that `bytes` more fit without touching the reserve, or the half of it that `need` must leave alone.
    pub(super) fn check_headroom(&self, bytes: u64, need: Need) -> Result<(), StorageError> {
        self.headroom
            .take(bytes, need, &self.path, &*self.disk, &*self.clock)
    }
}
