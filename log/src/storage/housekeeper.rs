//! What nobody asks for but time: retention, compaction, expiry and storing of leases, removal of `.deleted` files, forgetting of idle producers.
//!
//! One task per log directory; it asks the owner loops and never writes to a partition itself. An error of one partition is logged and does not keep
//! the others from their turn; the next round tries again, unless the directory failed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};

use super::checkpoints;
use super::cleaner::clean;
use super::disk::DiskExt;
use super::log_dir::LogDir;
use super::owner::Command;
use super::partition_handle::PartitionHandle;
use super::storage_error::StorageError;
use crate::types::TopicPartition;

/// The task's state.
pub(super) struct Housekeeper {
    dir: Arc<LogDir>,
    handles: Arc<RwLock<BTreeMap<TopicPartition, PartitionHandle>>>,
    owners: Vec<mpsc::Sender<Command>>,
    next_retention: Duration,
}

impl Housekeeper {
    pub(super) fn new(
        dir: Arc<LogDir>,
        handles: Arc<RwLock<BTreeMap<TopicPartition, PartitionHandle>>>,
        owners: Vec<mpsc::Sender<Command>>,
    ) -> Self {
        let next_retention = dir.clock.monotonic() + dir.config.retention_check_interval;
        Self {
            dir,
            handles,
            owners,
            next_retention,
        }
    }

    /// The loop; ends when the store is gone or its directory failed.
    pub(super) async fn run(mut self) {
        loop {
            let interval = self
                .dir
                .config
                .cleaner_interval
                .min(self.dir.config.retention_check_interval);
            self.dir.clock.sleep(interval).await;
            if self.dir.failure(false).is_some() {
                return;
            }
            match self.round().await {
                Err(StorageError::ShuttingDown) => return,
                Err(error) => tracing::warn!(%error, "upkeep of the log directory stopped early"),
                Ok(()) => {}
            }
        }
    }

    async fn round(&mut self) -> Result<(), StorageError> {
        let handles: Vec<PartitionHandle> = self.handles.read().values().cloned().collect();
        let retains = self.dir.clock.monotonic() >= self.next_retention;
        if retains {
            for handle in &handles {
                handle.shared().drop_expired_leases();
            }
        }
        self.store_leases(retains).await?;
        for handle in &handles {
            let cleaned = clean(handle, false).await;
            if let Some(stats) = unless_stopped(handle, "compaction", cleaned)?.flatten() {
                tracing::info!(partition = %handle.topic_partition(), ?stats, "compacted");
            }
        }
        if retains {
            self.next_retention = self.dir.clock.monotonic() + self.dir.config.retention_check_interval;
            for handle in &handles {
                let retained = handle
                    .ask(|reply| Command::Retain {
                        key: handle.shared().key,
                        reply,
                    })
                    .await
                    .and_then(|r| r);
                unless_stopped(handle, "retention", retained)?;
            }
        }
        self.dir.remove_doomed();
        for owner in &self.owners {
            let (reply, done) = oneshot::channel();
            owner
                .send(Command::Tidy { reply })
                .await
                .map_err(|_| StorageError::ShuttingDown)?;
            done.await.map_err(|_| StorageError::ShuttingDown)?;
        }
        Ok(())
    }

    async fn store_leases(&self, also_sometime: bool) -> Result<(), StorageError> {
        let dir = Arc::clone(&self.dir);
        let stored = self
            .dir
            .disk
            .blocking(move || checkpoints::write_changed_leases(&dir, also_sometime))
            .await;
        stored.map_err(|error| {
            self.dir.fail(&error);
            error.into()
        })
    }
}

/// Only what concerns the whole directory ends a round. A partition deleted meanwhile is no error.
fn unless_stopped<T>(
    handle: &PartitionHandle,
    what: &str,
    result: Result<T, StorageError>,
) -> Result<Option<T>, StorageError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StorageError::UnknownPartition { .. }) => Ok(None),
        Err(error @ (StorageError::ShuttingDown | StorageError::LogDirOffline { .. })) => Err(error),
        Err(error) => {
            tracing::warn!(partition = %handle.topic_partition(), %error, "{what} stopped early");
            Ok(None)
        }
    }
}
