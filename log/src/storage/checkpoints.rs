//! The offset checkpoints of a log directory, under Kafka's names and two of ours.
//!
//! `recovery-point-offset-checkpoint`: below it the segments are synced; a restart checks from there, and what it finds damaged below is reported,
//! never cut. `log-start-offset-checkpoint`: first readable offset where that is not the first segment's base. `cleaner-offset-checkpoint`: first
//! offset compaction has not looked at. `tombstone-horizon-checkpoint` (ours): highest offset below which tombstones were removed.
//! `retention-lease-checkpoint` (ours): who needs the log from where on, see `leases.rs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::checkpoint::{CheckpointError, read_offsets, write_offsets};
use super::disk::{DiskError, DiskOp, DiskResult};
use super::leases::{self, AllLeases};
use super::log_dir::LogDir;
use super::partition::Partition;
use super::storage_error::StorageError;
use crate::types::{Offset, TopicPartition};

pub(super) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(super) const LOG_STARTS: &str = "log-start-offset-checkpoint";
pub(super) const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";
pub(super) const TOMBSTONE_HORIZONS: &str = "tombstone-horizon-checkpoint";
pub(super) const RETENTION_LEASES: &str = "retention-lease-checkpoint";

/// Offsets per partition.
pub(super) type Offsets = BTreeMap<TopicPartition, Offset>;

/// Reads one; none if the file does not exist.
pub(super) fn read(dir: &LogDir, name: &str) -> Result<Offsets, StorageError> {
    read_offsets(&*dir.disk, &dir.path.join(name)).map_err(unreadable)
}

/// Reads the retention leases; none if the file does not exist.
pub(super) fn read_leases(dir: &LogDir) -> Result<AllLeases, StorageError> {
    leases::read(&*dir.disk, &dir.path.join(RETENTION_LEASES)).map_err(unreadable)
}

fn unreadable(error: CheckpointError) -> StorageError {
    StorageError::Io {
        reason: error.to_string(),
    }
}

/// Replaces one, durably.
pub(super) fn write(dir: &LogDir, name: &str, offsets: &Offsets) -> DiskResult<()> {
    let path = dir.path.join(name);
    write_offsets(&*dir.disk, &path, offsets).map_err(|e| unwritten(e, &path))
}

fn unwritten(error: CheckpointError, path: &Path) -> DiskError {
    match error {
        CheckpointError::Disk(error) => error,
        other => DiskError::new(DiskOp::Write, path, std::io::Error::other(other.to_string())),
    }
}

/// Partitions and where each one's segments are synced up to.
pub(super) type Points = Vec<(Arc<Partition>, Offset)>;

/// Where every partition's segments are synced up to, now.
pub(super) fn recovery_points(dir: &LogDir) -> Points {
    dir.registry
        .read()
        .values()
        .map(|p| (Arc::clone(p), p.recovery_point()))
        .collect()
}

/// Stores recovery points and tells the partitions. One that was deleted meanwhile is left out, even if another of its name exists: a point above
/// the end of that one would look like lost records.
pub(super) fn write_recovery_points(dir: &LogDir, points: &Points) -> DiskResult<()> {
    let _one_at_a_time = dir.checkpoint_lock.lock();
    let current: Points = {
        let registry = dir.registry.read();
        points
            .iter()
            .filter(|(p, _)| registry.get(&p.id).is_some_and(|r| Arc::ptr_eq(r, p)))
            .cloned()
            .collect()
    };
    let offsets = current.iter().map(|(p, point)| (p.id.clone(), *point)).collect();
    write(dir, RECOVERY_POINTS, &offsets)?;
    for (partition, point) in &current {
        partition.on_recovery_point_stored(*point);
    }
    Ok(())
}

/// Stores where every log starts, now.
pub(super) fn write_log_starts(dir: &LogDir) -> DiskResult<()> {
    let _one_at_a_time = dir.checkpoint_lock.lock();
    let starts = dir
        .registry
        .read()
        .values()
        .map(|p| (p.id.clone(), p.offsets().log_start_offset))
        .collect();
    write(dir, LOG_STARTS, &starts)
}

/// Stores the tombstone horizons and first uncompacted offsets, now.
pub(super) fn write_cleaner_offsets(dir: &LogDir) -> DiskResult<()> {
    let _one_at_a_time = dir.checkpoint_lock.lock();
    let (horizons, cleaned): (Offsets, Offsets) = {
        let registry = dir.registry.read();
        let compacted = || registry.values().filter(|p| p.cleaned_to() > Offset::ZERO);
        (
            compacted()
                .map(|p| (p.id.clone(), p.tombstone_horizon()))
                .collect(),
            compacted().map(|p| (p.id.clone(), p.cleaned_to())).collect(),
        )
    };
    write(dir, TOMBSTONE_HORIZONS, &horizons)?;
    write(dir, CLEANER_OFFSETS, &cleaned)
}

/// Stores the retention leases, now.
pub(super) fn write_leases(dir: &LogDir) -> DiskResult<()> {
    let _one_at_a_time = dir.checkpoint_lock.lock();
    let all = dir
        .registry
        .read()
        .values()
        .map(|p| (p.id.clone(), p.leases()))
        .filter(|(_, leases)| !leases.all().is_empty())
        .collect();
    let path = dir.path.join(RETENTION_LEASES);
    leases::write(&*dir.disk, &path, &all).map_err(|e| unwritten(e, &path))
}

/// Stores the retention leases if the file does not say what it should.
pub(super) fn write_changed_leases(dir: &LogDir, also_sometime: bool) -> DiskResult<()> {
    if !dir.lease_changes.take(also_sometime) {
        return Ok(());
    }
    write_leases(dir)
}

/// Rewrites all of them after a partition left the registry, so that a later one of its name starts afresh. The others keep the recovery points
/// they have in the file: newer ones are the flusher's to store, after its chores.
pub(super) fn forget_removed(dir: &LogDir) -> DiskResult<()> {
    let stored = dir
        .registry
        .read()
        .values()
        .map(|p| (Arc::clone(p), p.stored_recovery_point()))
        .collect();
    write_recovery_points(dir, &stored)?;
    write_log_starts(dir)?;
    write_cleaner_offsets(dir)?;
    write_changed_leases(dir, true)
}
