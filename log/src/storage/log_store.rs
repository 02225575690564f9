//! All partitions of one node: opened, recovered, created, deleted.
//!
//! Always: a handle is given out only for a directory that is whole and durable. `partition_dirs.rs` makes and removes directories,
//! `housekeeper.rs` runs what nobody asks for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::checkpoints;
use super::cleaner::{CleanStats, clean};
use super::disk::{DirLock, Disk, DiskExt, DiskResult, LockError};
use super::epoch_log::EpochLog;
use super::flush_queue::FlushQueue;
use super::flusher::Flusher;
use super::found::{create_durably, gather};
use super::headroom::Need;
use super::housekeeper::Housekeeper;
use super::journal;
use super::leases::Leases;
use super::loader::{LoadRequest, Loaded, load};
use super::log_dir::LogDir;
use super::owner::{Command, Owner};
use super::partition::{Partition, PartitionParts};
use super::partition_dirs::{self, NewDirectory};
use super::partition_handle::PartitionHandle;
use super::partition_log::PartitionLog;
use super::settings::{StorageConfig, TopicConfig};
use super::storage_error::StorageError;
use super::watermarks::Watermarks;
use crate::clock::Clock;
use crate::faults::{Faults, Sabotage};
use crate::rng::Rng;
use crate::types::{Offset, TopicId, TopicPartition};

/// Space counted for the files of a new partition.
const PARTITION_BYTES: u64 = 4096;
/// Partitions loaded at the same time.
const PARALLEL_LOADS: usize = 8;

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

/// A partition to create.
#[derive(Clone, Debug)]
pub struct NewPartition {
    /// Which.
    pub partition: TopicPartition,
    /// Id of its topic.
    pub topic_id: TopicId,
    /// Its settings.
    pub config: TopicConfig,
}

/// The partitions of one node. Dropping it without `shutdown` is a crash: its tasks end, nothing more is written.
#[derive(Debug)]
pub struct LogStore {
    dir: Arc<LogDir>,
    flush: Arc<FlushQueue>,
    owners: Vec<mpsc::Sender<Command>>,
    handles: Arc<RwLock<BTreeMap<TopicPartition, PartitionHandle>>>,
    next_key: AtomicU64,
    /// Creating and deleting go one at a time.
    changing: tokio::sync::Mutex<()>,
    stop_flusher: mpsc::Sender<oneshot::Sender<()>>,
    tasks: Tasks,
    _lock: DirLock,
}

/// Tasks that end with the store.
#[derive(Debug)]
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// What checkpoints say of a partition beside where it begins and is synced to.
struct Kept {
    cleaned_to: Option<Offset>,
    tombstone_horizon: Option<Offset>,
    leases: Leases,
}

impl LogStore {
    /// Locks the directory, replays the journal, recovers every partition found, starts owner loops, flusher and housekeeper.
    ///
    /// A damaged partition does not keep the others from opening: it is served up to the damage and refuses appends. Errs if the directory is
    /// locked, or if a file cannot be read or written.
    pub async fn open(options: LogStoreOptions) -> Result<LogStore, StorageError> {
        let LogStoreOptions {
            data_dir,
            disk,
            clock,
            rng: _,
            faults,
            config,
        } = options;
        create_durably(&*disk, &data_dir)?;
        let lock = disk.lock(&data_dir).map_err(|e| match e {
            LockError::Locked { .. } => StorageError::Locked {
                dir: data_dir.clone(),
                reason: e.to_string(),
            },
            LockError::Disk(error) => error.into(),
        })?;
        let dir = Arc::new(LogDir::new(data_dir, disk, clock, faults, config));
        let flush = Arc::new(FlushQueue::default());
        let mut tasks = Vec::new();
        let mut owners = Vec::new();
        for _ in 0..dir.config.owner_loops.max(1) {
            let (sender, inbox) = mpsc::channel(dir.config.owner_inbox.max(1));
            tasks.push(tokio::spawn(
                Owner::new(Arc::clone(&dir), Arc::clone(&flush)).run(inbox),
            ));
            owners.push(sender);
        }
        let (stop_flusher, stop) = mpsc::channel(1);
        let mut store = LogStore {
            dir,
            flush,
            owners,
            handles: Arc::default(),
            next_key: AtomicU64::new(0),
            changing: tokio::sync::Mutex::new(()),
            stop_flusher,
            tasks: Tasks(tasks),
            _lock: lock,
        };
        store.recover().await?;
        let flusher = Flusher::new(Arc::clone(&store.dir), Arc::clone(&store.flush));
        store.tasks.0.push(tokio::spawn(flusher.run(stop)));
        let housekeeper = Housekeeper::new(
            Arc::clone(&store.dir),
            Arc::clone(&store.handles),
            store.owners.clone(),
        );
        store.tasks.0.push(tokio::spawn(housekeeper.run()));
        Ok(store)
    }

    async fn recover(&self) -> Result<(), StorageError> {
        let dir = Arc::clone(&self.dir);
        let mut found = self.dir.disk.blocking(move || gather(&dir)).await?;
        let clean = found.requests.iter().all(|r| r.journal.is_empty());
        let mut requests = found.requests.into_iter().peekable();
        while requests.peek().is_some() {
            let loads = requests.by_ref().take(PARALLEL_LOADS).map(|request| {
                let dir = Arc::clone(&self.dir);
                self.dir.disk.blocking(move || {
                    let loaded = load(&dir, &request);
                    (request, loaded)
                })
            });
            for (request, loaded) in futures::future::join_all(loads).await {
                let kept = Kept {
                    cleaned_to: found.cleaned.get(&request.id).copied(),
                    tombstone_horizon: found.horizons.get(&request.id).copied(),
                    leases: found.leases.remove(&request.id).unwrap_or_default(),
                };
                self.take_over(request, loaded?, kept).await?;
            }
        }
        // Every segment is synced, so the journal has done its work; a point stored before this may be behind, never ahead.
        let dir = Arc::clone(&self.dir);
        let finish = move || -> DiskResult<()> {
            if !clean {
                dir.disk.sync_dir(&dir.path)?;
            }
            let points = checkpoints::recovery_points(&dir);
            checkpoints::write_recovery_points(&dir, &points)?;
            dir.faults.point("K22");
            journal::remove_files(&dir.path, &*dir.disk)
        };
        Ok(self.dir.disk.blocking(finish).await?)
    }

    async fn take_over(&self, request: LoadRequest, loaded: Loaded, kept: Kept) -> Result<(), StorageError> {
        let damaged = loaded.damage.is_some();
        let config = TopicConfig::default();
        let parts = PartitionParts {
            key: self.next_key.fetch_add(1, Ordering::Relaxed),
            id: request.id,
            topic_id: request.topic_id,
            path: request.path,
            watermarks: self.watermarks(&loaded, &config),
            config,
            segments: loaded.segments,
            tombstone_horizon: kept.tombstone_horizon.unwrap_or(Offset::ZERO),
            cleaned_to: kept.cleaned_to.unwrap_or(Offset::ZERO),
            leases: kept.leases,
            configured: false,
            // Damage below the recovery point must be found again next time.
            synced_end: if damaged {
                request.recovery_point
            } else {
                loaded.log_end
            },
            damage: loaded.damage,
        };
        self.insert(parts, loaded.producers, loaded.log_end, loaded.epochs)
            .await
            .map(|_| ())
    }

    fn watermarks(&self, loaded: &Loaded, config: &TopicConfig) -> Watermarks {
        let mut marks = Watermarks::recovered(
            loaded.log_start,
            loaded.log_end,
            loaded.producers.open_txns(),
            config.durability,
        );
        marks.plant_off_by_one(self.dir.faults.sabotaged(Sabotage::LastStableOffsetOffByOne));
        marks
    }

    async fn insert(
        &self,
        parts: PartitionParts,
        producers: super::producer_state::ProducerState,
        log_end: Offset,
        epochs: EpochLog,
    ) -> Result<PartitionHandle, StorageError> {
        let owner = self.owners[parts.key as usize % self.owners.len()].clone();
        let shared = Arc::new(Partition::new(Arc::clone(&self.dir), parts));
        let handle = PartitionHandle::new(Arc::clone(&shared), owner);
        let log = Box::new(PartitionLog::new(
            Arc::clone(&shared),
            producers,
            log_end,
            epochs,
            Arc::clone(&self.flush),
        ));
        handle.ask(|reply| Command::Insert { log, reply }).await?;
        self.dir
            .registry
            .write()
            .insert(shared.id.clone(), Arc::clone(&shared));
        self.handles.write().insert(shared.id.clone(), handle.clone());
        Ok(handle)
    }

    /// Checks that clients may add `partitions` now. Errs with `DiskFull`, or `LogDirOffline`.
    pub(crate) fn check_room(&self, partitions: u64) -> Result<(), StorageError> {
        self.dir.check_writable()?;
        self.dir
            .check_headroom(partitions.saturating_mul(PARTITION_BYTES), Need::Data)
    }

    /// Creates the partition's directory, durably, or gives the existing one with the same topic id these settings. Errs with
    /// `TopicIdMismatch` if the directory belongs to another topic.
    pub async fn create_partition(
        &self,
        partition: TopicPartition,
        topic_id: TopicId,
        config: TopicConfig,
    ) -> Result<PartitionHandle, StorageError> {
        let unknown = StorageError::UnknownPartition {
            partition: partition.clone(),
        };
        let wanted = NewPartition {
            partition: partition.clone(),
            topic_id,
            config,
        };
        self.create_partitions(vec![wanted]).await?;
        self.partition(&partition).ok_or(unknown)
    }

    /// The same for many at once, at little more than the cost of one. After an error some may be there; calling it again is fine.
    pub async fn create_partitions(&self, wanted: Vec<NewPartition>) -> Result<(), StorageError> {
        let _one_at_a_time = self.changing.lock().await;
        let mut missing = Vec::new();
        for new in wanted {
            let Some(handle) = self.partition(&new.partition) else {
                missing.push(new);
                continue;
            };
            if handle.topic_id() != new.topic_id {
                return Err(StorageError::TopicIdMismatch {
                    partition: new.partition,
                    expected: new.topic_id.get(),
                    found: handle.topic_id().get(),
                });
            }
            handle.update_config(new.config).await?;
        }
        if missing.is_empty() {
            return Ok(());
        }
        self.dir.check_writable()?;
        // Whether a topic may be created was decided before, see `check_room`; a decision is carried out.
        self.dir
            .check_headroom(PARTITION_BYTES.saturating_mul(missing.len() as u64), Need::Upkeep)?;
        let ids = missing
            .iter()
            .map(|new| (new.partition.clone(), new.topic_id))
            .collect();
        let made = partition_dirs::make(&self.dir, ids).await.inspect_err(
            |error| tracing::error!(partitions = missing.len(), %error, "could not create partitions"),
        )?;
        for (new, made) in missing.into_iter().zip(made) {
            self.take_over_new(new, made).await?;
        }
        Ok(())
    }

    async fn take_over_new(&self, new: NewPartition, made: NewDirectory) -> Result<(), StorageError> {
        let mut marks = Watermarks::recovered(Offset::ZERO, Offset::ZERO, [], new.config.durability);
        marks.plant_off_by_one(self.dir.faults.sabotaged(Sabotage::LastStableOffsetOffByOne));
        let parts = PartitionParts {
            key: self.next_key.fetch_add(1, Ordering::Relaxed),
            id: new.partition,
            topic_id: new.topic_id,
            path: made.path,
            watermarks: marks,
            config: new.config,
            segments: super::segment_set::SegmentSet::new(vec![Arc::new(made.segment)]),
            tombstone_horizon: Offset::ZERO,
            cleaned_to: Offset::ZERO,
            leases: Leases::default(),
            configured: true,
            synced_end: Offset::ZERO,
            damage: None,
        };
        let producers = super::producer_state::ProducerState::default();
        self.insert(parts, producers, Offset::ZERO, made.epochs)
            .await
            .map(drop)
    }

    /// The handle of a partition, if it is here.
    pub fn partition(&self, partition: &TopicPartition) -> Option<PartitionHandle> {
        self.handles.read().get(partition).cloned()
    }

    /// Every partition here, in order.
    pub fn partitions(&self) -> Vec<PartitionHandle> {
        self.handles.read().values().cloned().collect()
    }

    /// Takes the partition away at once, then removes its files. Errs with `UnknownPartition` if it is not here.
    pub async fn delete_partition(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        self.delete_partitions(std::slice::from_ref(partition)).await
    }

    /// The same for many at once. Errs with `UnknownPartition`, and then takes none away, if one of them is not here.
    pub async fn delete_partitions(&self, partitions: &[TopicPartition]) -> Result<(), StorageError> {
        let _one_at_a_time = self.changing.lock().await;
        let mut doomed = Vec::with_capacity(partitions.len());
        {
            let mut handles = self.handles.write();
            if let Some(unknown) = partitions.iter().find(|p| !handles.contains_key(p)) {
                return Err(StorageError::UnknownPartition {
                    partition: unknown.clone(),
                });
            }
            doomed.extend(partitions.iter().filter_map(|p| handles.remove(p)));
        }
        let mut gone = Vec::with_capacity(doomed.len());
        for handle in doomed {
            let shared = Arc::clone(handle.shared());
            handle
                .ask(|reply| Command::Remove {
                    key: shared.key,
                    reply,
                })
                .await?;
            self.dir.registry.write().remove(&shared.id);
            shared.set_gone();
            gone.push(shared);
        }
        partition_dirs::remove(&self.dir, gone).await
    }

    /// Gives a partition new settings; they hold from the next append on. Partitions found at open have defaults, and are neither deleted from
    /// nor compacted, until this or `create_partition` is called.
    pub async fn update_config(
        &self,
        partition: &TopicPartition,
        config: TopicConfig,
    ) -> Result<(), StorageError> {
        match self.partition(partition) {
            Some(handle) => handle.update_config(config).await,
            None => Err(StorageError::UnknownPartition {
                partition: partition.clone(),
            }),
        }
    }

    /// Runs retention now, for all partitions; returns how many segments were deleted.
    pub async fn apply_retention(&self) -> Result<usize, StorageError> {
        let mut deleted = 0;
        for handle in self.partitions() {
            deleted += handle
                .ask(|reply| Command::Retain {
                    key: handle.shared().key,
                    reply,
                })
                .await??;
        }
        self.dir.remove_doomed();
        Ok(deleted)
    }

    /// Compacts one partition now, whatever its dirty ratio; `None` if it has nothing to compact. `roll`: close the active segment first, so
    /// that it takes part once it is durable.
    pub async fn compact(
        &self,
        partition: &TopicPartition,
        roll: bool,
    ) -> Result<Option<CleanStats>, StorageError> {
        let Some(handle) = self.partition(partition) else {
            return Err(StorageError::UnknownPartition {
                partition: partition.clone(),
            });
        };
        if roll {
            handle
                .ask(|reply| Command::Roll {
                    key: handle.shared().key,
                    reply,
                })
                .await??;
        }
        clean(&handle, true).await
    }

    /// What this store counts.
    pub(crate) fn metrics(&self) -> crate::metrics::StorageMetrics {
        self.dir.metrics.clone()
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.dir.path
    }

    /// Size of the file system that holds the data directory, and what of it may still be written; both in bytes.
    pub fn volume_bytes(&self) -> Result<(u64, u64), StorageError> {
        let (disk, path) = (&self.dir.disk, &self.dir.path);
        Ok((disk.total_bytes(path)?, disk.free_bytes(path)?))
    }

    /// The first write or sync error of the data directory, if there was one: nothing is written any more.
    pub fn failure(&self) -> Option<StorageError> {
        self.dir.failure(false)
    }

    /// Bytes of batches held in memory for readers of the newest records.
    pub fn tail_cache_bytes(&self) -> usize {
        self.dir.tail_cache.used_bytes()
    }

    /// Stops the owner loops, makes everything durable, writes snapshots and checkpoints, unlocks the directory. Errs if the directory had
    /// failed; everything acknowledged is safe even then.
    pub async fn shutdown(self) -> Result<(), StorageError> {
        for owner in &self.owners {
            let (reply, stopped) = oneshot::channel();
            owner
                .send(Command::Stop { reply })
                .await
                .map_err(|_| StorageError::ShuttingDown)?;
            stopped.await.map_err(|_| StorageError::ShuttingDown)?;
        }
        let (done, finished) = oneshot::channel();
        // A flusher that is gone has panicked, and has left its failure behind.
        let lost = || self.failure().unwrap_or(StorageError::ShuttingDown);
        self.stop_flusher.send(done).await.map_err(|_| lost())?;
        finished.await.map_err(|_| lost())?;
        if self.failure().is_none() {
            let dir = Arc::clone(&self.dir);
            self.dir
                .disk
                .blocking(move || checkpoints::write_changed_leases(&dir, true))
                .await?;
        }
        // Everything is synced. Handles and partitions may be kept by callers; open files would keep the file system from being unmounted.
        self.dir.files.forget_dir(&self.dir.path);
        // The directory and its partitions hold each other; whoever still has a handle keeps only that.
        self.dir.registry.write().clear();
        match self.failure() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}
