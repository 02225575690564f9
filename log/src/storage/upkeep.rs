//! How a log gets shorter: retention, DeleteRecords, and the swap that ends a compaction. Run by the owner loop.
//!
//! Always: the new log start is stored before a file goes (or a crash would bring deleted records back); a file is renamed to `.deleted` first and
//! removed later, so that a reader which already chose it is not left without.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::aborted_segments;
use super::checkpoints;
use super::cleaner::CleanedGroup;
use super::disk::{DiskExt, DiskResult};
use super::leftovers::{SWAP, snapshot_offsets};
use super::loader::open_closed;
use super::log_dir::LogDir;
use super::partition_log::PartitionLog;
use super::retention::{SegmentFacts, expired_segments};
use super::roll::RollReason;
use super::segment::Segment;
use super::snapshots;
use super::storage_error::StorageError;
use crate::types::{LeaderEpoch, Offset, ProducerId};

impl PartitionLog {
    /// Closes the active segment if it holds anything.
    pub(super) fn roll_if_used(&mut self, reason: RollReason) -> Result<(), StorageError> {
        self.shared.check_open()?;
        if self.shared.active().size_bytes() > 0 {
            self.roll(reason).map_err(|e| self.failed(&e, false))?;
        }
        Ok(())
    }

    /// See `PartitionHandle::end_of_epoch`.
    pub(super) fn end_of_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.cache().end_offset_for(epoch, self.next_offset())
    }

    /// Newest batch of every producer; its marker where a producer has no data.
    pub(super) fn last_batches(&self) -> BTreeMap<ProducerId, Offset> {
        self.producers
            .entries()
            .filter_map(|(id, e)| e.last_batch().map(|b| (id, b.last_offset)))
            .collect()
    }

    /// Moves the log start to `before`, or the high watermark.
    pub(super) async fn delete_records(&mut self, before: Option<Offset>) -> Result<Offset, StorageError> {
        self.shared.check_open()?;
        let offsets = self.shared.offsets();
        let before = before.unwrap_or(offsets.high_watermark);
        if before > offsets.high_watermark || before < Offset::ZERO {
            return Err(StorageError::OffsetOutOfRange {
                partition: self.shared.id.clone(),
                requested: before,
                log_start_offset: offsets.log_start_offset,
                log_end_offset: offsets.high_watermark,
            });
        }
        if before > offsets.log_start_offset {
            self.shared.publish(|marks| marks.on_log_start(before));
            self.store_log_start().await?;
            self.delete_expired().await?;
        }
        Ok(self.shared.offsets().log_start_offset)
    }

    /// Deletes the segments retention no longer keeps.
    pub(super) async fn retain(&mut self) -> Result<usize, StorageError> {
        if self.shared.damage().is_some()
            || !self.shared.is_configured()
            || self.shared.dir.failure(false).is_some()
        {
            return Ok(0);
        }
        self.delete_expired().await
    }

    async fn delete_expired(&mut self) -> Result<usize, StorageError> {
        let segments = self.shared.segments();
        let facts: Vec<SegmentFacts> = segments
            .iter()
            .zip(
                segments
                    .iter()
                    .skip(1)
                    .map(|s| s.base_offset())
                    .chain([self.next_offset()]),
            )
            .map(|(s, next_offset)| SegmentFacts {
                base_offset: s.base_offset(),
                next_offset,
                size_bytes: s.size_bytes(),
                max_timestamp: s.max_timestamp(),
            })
            .collect();
        let offsets = self.shared.offsets();
        let count = expired_segments(
            &facts,
            offsets.log_start_offset,
            offsets.high_watermark,
            self.shared.lease(),
            self.shared.dir.clock.now_ms(),
            &self.shared.config(),
        );
        if count == facts.len() {
            self.roll(RollReason::Time).map_err(|e| self.failed(&e, false))?;
        }
        let count = self.with_snapshot_at_end(&facts, count)?;
        if count == 0 {
            return Ok(0);
        }
        let doomed: Vec<Arc<Segment>> = segments.iter().take(count).cloned().collect();
        let start = facts[count - 1].next_offset;
        self.shared.publish(|marks| marks.on_log_start(start));
        self.store_log_start().await?;
        self.shared.dir.faults.point("K11");
        self.shared
            .replace_segments(self.shared.segments().without_oldest(count));
        let dir = Arc::clone(&self.shared.dir);
        for segment in &doomed {
            retire(
                &dir,
                &self.shared.path,
                segment,
                self.shared.config().file_delete_delay_ms,
            )
            .map_err(|e| self.failed(&e, false))?;
            self.shared.dir.faults.point("K11");
        }
        let start = self.shared.offsets().log_start_offset;
        // Up to the first batch that is still there, not up to the log start: recovery compares every batch with the epochs.
        let first_base = self.shared.segments().first_base();
        // The snapshot at the new start stays: it is all that is left of the producers before it.
        self.remove_snapshots_between(Offset::new(-1), first_base)?;
        self.epochs
            .on_log_start(&dir, first_base)
            .map_err(|e| self.failed(&e, false))?;
        tracing::info!(partition = %self.shared.id, segments = count, log_start_offset = %start, "deleted old segments");
        Ok(count)
    }

    /// Of the oldest `count` segments those that may go now. The snapshot at the new start is all that will be left of the producers before it; the
    /// roll has ordered it, and until it is there the segments have to wait for the next round.
    fn with_snapshot_at_end(&self, facts: &[SegmentFacts], count: usize) -> Result<usize, StorageError> {
        let dir = &self.shared.dir;
        for count in (1..=count).rev() {
            let snapshot = snapshots::path_of(&self.shared.path, facts[count - 1].next_offset);
            if dir.disk.exists(&snapshot)? {
                return Ok(count);
            }
        }
        Ok(0)
    }

    async fn store_log_start(&self) -> Result<(), StorageError> {
        let dir = Arc::clone(&self.shared.dir);
        let stored = self
            .shared
            .dir
            .disk
            .blocking(move || checkpoints::write_log_starts(&dir))
            .await;
        stored.map_err(|e| self.failed(&e, false))
    }

    /// Removes the snapshots above `from` and below `to`, both exclusive.
    fn remove_snapshots_between(&self, from: Offset, to: Offset) -> Result<(), StorageError> {
        let dir = &self.shared.dir;
        let remove = || -> DiskResult<()> {
            for at in snapshot_offsets(&*dir.disk, &self.shared.path)?
                .into_iter()
                .filter(|at| *at > from && *at < to)
            {
                dir.disk.remove_file(&snapshots::path_of(&self.shared.path, at))?;
            }
            Ok(())
        };
        remove().map_err(|e| self.failed(&e, false))
    }

    /// Puts a cleaned segment in the place of the segments it was made from.
    pub(super) async fn swap(&mut self, group: CleanedGroup) -> Result<(), StorageError> {
        self.shared.check_open()?;
        let current = self.shared.segments();
        if !group
            .old
            .iter()
            .all(|old| current.closed().iter().any(|s| Arc::ptr_eq(s, old)))
        {
            // Retention was faster; what the cleaner wrote is dropped at the next start.
            return Err(StorageError::InvalidRecord {
                partition: self.shared.id.clone(),
                reason: "the segments to swap are no longer there",
            });
        }
        let result = self.swap_files(&group).await;
        result.map_err(|e| self.failed(&e, false))?;
        self.shared
            .raise_tombstone_horizon(group.tombstones_removed_below);
        let (first, last) = (
            group.old[0].base_offset(),
            group.old[group.old.len() - 1].base_offset(),
        );
        let end = current
            .iter()
            .map(|s| s.base_offset())
            .find(|base| *base > last)
            .unwrap_or(last);
        self.remove_snapshots_between(first, end)?;
        Ok(())
    }

    async fn swap_files(&self, group: &CleanedGroup) -> DiskResult<()> {
        let dir = Arc::clone(&self.shared.dir);
        let path = self.shared.path.clone();
        let base = group.old[0].base_offset();
        let cleaned: Vec<PathBuf> = Segment::paths(&path, base).to_vec();
        for name in &cleaned {
            let from = with_suffix(name, ".cleaned");
            if dir.disk.exists(&from)? {
                dir.disk.rename(&from, &with_suffix(name, SWAP))?;
            }
        }
        dir.faults.point("K10");
        sync_dir(&dir, &path).await?;
        self.exchange(group, &cleaned)?;
        // Before the next group may count on this one being gone.
        sync_dir(&dir, &path).await?;
        dir.faults.point("K10");
        Ok(())
    }

    /// The moment of a swap: files and list change together. A reader in between would read new files by the sizes and indexes of old ones.
    fn exchange(&self, group: &CleanedGroup, cleaned: &[PathBuf]) -> DiskResult<()> {
        let (dir, path) = (&self.shared.dir, &self.shared.path);
        let _no_reader = self.shared.names.write();
        // The tail may hold batches whose aborted transactions will no longer be listed.
        dir.tail_cache.clear(&self.shared.tail);
        for old in &group.old {
            retire(dir, path, old, self.shared.config().file_delete_delay_ms)?;
        }
        dir.faults.point("K10");
        for name in cleaned {
            let from = with_suffix(name, SWAP);
            if dir.disk.exists(&from)? {
                dir.disk.rename(&from, name)?;
                dir.files.forget(name);
            }
        }
        let new = Arc::new(open_closed(dir, path, group.old[0].base_offset())?);
        let (partition, listed) = (Arc::clone(&self.shared), Arc::clone(&new));
        self.flush()
            .push_chore(Box::new(move || aborted_segments::note(&partition, &listed)));
        self.shared
            .replace_segments(self.shared.segments().with_replaced(&group.old, Some(new)));
        Ok(())
    }
}

async fn sync_dir(dir: &Arc<LogDir>, path: &Path) -> DiskResult<()> {
    let (disk, path) = (Arc::clone(&dir.disk), path.to_path_buf());
    dir.disk.blocking(move || disk.sync_dir(&path)).await
}

/// The path with something appended to its last name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Renames a segment's files to `.deleted` and has them removed after `delay_ms`.
fn retire(dir: &LogDir, path: &Path, segment: &Segment, delay_ms: i64) -> DiskResult<()> {
    segment.forget_files(dir);
    let due = dir.clock.monotonic() + std::time::Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0));
    for file in Segment::paths(path, segment.base_offset()) {
        // The same base may be retired again by the next compaction before this one is removed: the number keeps the names apart.
        let doomed = with_suffix(&file, &format!(".{}.deleted", dir.next_number()));
        match dir.disk.rename(&file, &doomed) {
            Ok(()) => dir.doom(due, doomed),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
