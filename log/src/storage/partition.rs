//! The half of a partition that everyone sees: published ends, segments, tail, waiters. The other half, which only the owner loop
//! touches, is `partition_log.rs`.
//!
//! Always: readers take one snapshot of the ends and bound everything by it; the segment list is replaced as a whole, so a reader keeps
//! a consistent one. Locks here are held for a few loads and stores, never across an await, and but for `names` never across I/O.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::leases::{Leases, Urgency};
use super::log_dir::LogDir;
use super::log_offsets::LogOffsets;
use super::segment::Segment;
use super::segment_set::SegmentSet;
use super::settings::TopicConfig;
use super::storage_error::StorageError;
use super::tail_cache::PartitionTail;
use super::waiters::{Mark, Marks, Waiters, wake};
use super::watermarks::Watermarks;
use crate::types::{Offset, TopicId, TopicPartition};

/// Shared state of one partition.
#[derive(Debug)]
pub(super) struct Partition {
    /// Never used twice in one run of the process.
    pub(super) key: u64,
    pub(super) id: TopicPartition,
    pub(super) topic_id: TopicId,
    pub(super) path: PathBuf,
    pub(super) dir: Arc<LogDir>,
    pub(super) tail: Arc<PartitionTail>,
    ends: Mutex<Ends>,
    segments: RwLock<Arc<SegmentSet>>,
    /// Held shared while files are read, alone while a compacted segment takes the name of an old one: a name then means another file.
    pub(super) names: RwLock<()>,
    config: RwLock<Arc<TopicConfig>>,
    leases: Mutex<Leases>,
    tombstone_horizon: AtomicI64,
    /// Below this the segments themselves are synced; the stored recovery point follows it.
    synced_end: AtomicI64,
    stored_recovery_point: AtomicI64,
    /// Below this compaction has been.
    cleaned_to: AtomicI64,
    /// Settings were given since the start; before that nothing is deleted or compacted by defaults.
    configured: AtomicBool,
    gone: AtomicBool,
    damage: Option<StorageError>,
}

#[derive(Debug)]
struct Ends {
    marks: Watermarks,
    waiters: Waiters,
}

/// What a partition starts from.
#[derive(Debug)]
pub(super) struct PartitionParts {
    pub(super) key: u64,
    pub(super) id: TopicPartition,
    pub(super) topic_id: TopicId,
    pub(super) path: PathBuf,
    pub(super) config: TopicConfig,
    pub(super) watermarks: Watermarks,
    pub(super) segments: SegmentSet,
    pub(super) tombstone_horizon: Offset,
    pub(super) cleaned_to: Offset,
    pub(super) leases: Leases,
    pub(super) configured: bool,
    pub(super) synced_end: Offset,
    pub(super) damage: Option<StorageError>,
}

impl Partition {
    pub(super) fn new(dir: Arc<LogDir>, parts: PartitionParts) -> Self {
        Self {
            key: parts.key,
            id: parts.id,
            topic_id: parts.topic_id,
            path: parts.path,
            dir,
            tail: Arc::default(),
            ends: Mutex::new(Ends {
                marks: parts.watermarks,
                waiters: Waiters::default(),
            }),
            segments: RwLock::new(Arc::new(parts.segments)),
            names: RwLock::new(()),
            config: RwLock::new(Arc::new(parts.config)),
            leases: Mutex::new(parts.leases),
            tombstone_horizon: AtomicI64::new(parts.tombstone_horizon.get()),
            synced_end: AtomicI64::new(parts.synced_end.get()),
            stored_recovery_point: AtomicI64::new(0),
            cleaned_to: AtomicI64::new(parts.cleaned_to.get()),
            configured: AtomicBool::new(parts.configured),
            gone: AtomicBool::new(false),
            damage: parts.damage,
        }
    }

    pub(super) fn offsets(&self) -> LogOffsets {
        self.ends.lock().marks.offsets()
    }

    pub(super) fn marks(&self) -> Marks {
        let ends = self.ends.lock();
        Marks {
            durable: ends.marks.durable_end(),
            offsets: ends.marks.offsets(),
        }
    }

    /// Changes the ends and wakes whoever waited for it, outside the lock.
    pub(super) fn publish(&self, change: impl FnOnce(&mut Watermarks)) {
        let due = {
            let mut ends = self.ends.lock();
            change(&mut ends.marks);
            let marks = Marks {
                durable: ends.marks.durable_end(),
                offsets: ends.marks.offsets(),
            };
            ends.waiters.due(&marks)
        };
        wake(due);
    }

    /// Waits until `mark` is above `above`. Returns early if the partition is gone or its directory failed; the caller looks.
    pub(super) async fn wait_beyond(&self, mark: Mark, above: Offset) {
        let parked = {
            let mut ends = self.ends.lock();
            let marks = Marks {
                durable: ends.marks.durable_end(),
                offsets: ends.marks.offsets(),
            };
            // A failed directory makes nothing durable any more; readers just wait on, for what is there stays readable.
            if marks.get(mark) > above
                || self.is_gone()
                || (mark == Mark::Durable && self.dir.failure(true).is_some())
            {
                return;
            }
            ends.waiters.park(mark, above)
        };
        // A dropped sender means the partition went away, which is an answer too.
        parked.await.ok();
    }

    /// Lets everyone go who waits for durability: the directory failed.
    pub(super) fn release_durable_waiters(&self) {
        let released = self.ends.lock().waiters.release(Some(Mark::Durable));
        wake(released);
    }

    pub(super) fn segments(&self) -> Arc<SegmentSet> {
        Arc::clone(&self.segments.read())
    }

    pub(super) fn replace_segments(&self, segments: SegmentSet) {
        *self.segments.write() = Arc::new(segments);
    }

    pub(super) fn active(&self) -> Arc<Segment> {
        Arc::clone(self.segments.read().active())
    }

    pub(super) fn config(&self) -> Arc<TopicConfig> {
        Arc::clone(&self.config.read())
    }

    pub(super) fn set_config(&self, config: TopicConfig) {
        *self.config.write() = Arc::new(config);
        self.configured.store(true, Ordering::Release);
    }

    pub(super) fn set_lease(&self, name: &str, offset: Offset) {
        let urgency = self.leases.lock().set(name, offset, self.dir.clock.now_ms());
        self.dir.lease_changes.note(urgency);
    }

    pub(super) fn remove_lease(&self, name: &str) {
        let removed = self.leases.lock().remove(name);
        if let Some(urgency) = removed {
            self.dir.lease_changes.note(urgency);
        }
    }

    /// The lowest lease that has not expired.
    pub(super) fn lease(&self) -> Option<Offset> {
        let kept_ms = self.dir.config.retention_lease_ms;
        self.leases.lock().lowest(self.dir.clock.now_ms(), kept_ms)
    }

    /// Forgets those who were silent for too long.
    pub(super) fn drop_expired_leases(&self) {
        let kept_ms = self.dir.config.retention_lease_ms;
        let expired = self.leases.lock().take_expired(self.dir.clock.now_ms(), kept_ms);
        for (name, lease) in expired {
            tracing::info!(partition = %self.id, lease = name, offset = %lease.offset, renewed_ms = lease.renewed_ms, "a retention lease expired: nobody renewed it");
            self.dir.lease_changes.note(Urgency::Soon);
        }
    }

    /// All leases.
    pub(super) fn leases(&self) -> Leases {
        self.leases.lock().clone()
    }

    pub(super) fn tombstone_horizon(&self) -> Offset {
        Offset::new(self.tombstone_horizon.load(Ordering::Acquire))
    }

    pub(super) fn raise_tombstone_horizon(&self, to: Offset) {
        self.tombstone_horizon.fetch_max(to.get(), Ordering::AcqRel);
    }

    pub(super) fn is_configured(&self) -> bool {
        self.configured.load(Ordering::Acquire)
    }

    pub(super) fn cleaned_to(&self) -> Offset {
        Offset::new(self.cleaned_to.load(Ordering::Acquire))
    }

    pub(super) fn raise_cleaned_to(&self, to: Offset) {
        self.cleaned_to.fetch_max(to.get(), Ordering::AcqRel);
    }

    /// The recovery point as the file has it, or lower.
    pub(super) fn stored_recovery_point(&self) -> Offset {
        Offset::new(self.stored_recovery_point.load(Ordering::Acquire))
    }

    /// The file now has this recovery point.
    pub(super) fn on_recovery_point_stored(&self, point: Offset) {
        self.stored_recovery_point
            .fetch_max(point.get(), Ordering::AcqRel);
    }

    /// Where a restart checks from. Of a damaged log it stays: the damage below it must be found again.
    pub(super) fn recovery_point(&self) -> Offset {
        self.synced_end()
    }

    pub(super) fn synced_end(&self) -> Offset {
        Offset::new(self.synced_end.load(Ordering::Acquire))
    }

    pub(super) fn raise_synced_end(&self, to: Offset) {
        self.synced_end.fetch_max(to.get(), Ordering::AcqRel);
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(super) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
        let released = self.ends.lock().waiters.release(None);
        wake(released);
        self.dir.tail_cache.clear(&self.tail);
    }

    /// Errs if nothing may be written any more: the directory failed, or recovery found damage.
    pub(super) fn check_open(&self) -> Result<(), StorageError> {
        self.dir.check_writable()?;
        match &self.damage {
            Some(damage) => Err(damage.clone()),
            None => Ok(()),
        }
    }

    /// The damage recovery found below the durable mark, if any.
    pub(super) fn damage(&self) -> Option<&StorageError> {
        self.damage.as_ref()
    }

    pub(super) fn unknown(&self) -> StorageError {
        StorageError::UnknownPartition {
            partition: self.id.clone(),
        }
    }
}
