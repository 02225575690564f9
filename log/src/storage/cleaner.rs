//! Compaction of one partition: reads the closed segments, writes what `compaction.rs` keeps, hands the result to the owner loop to swap in.
//!
//! Always: only segments wholly below the last stable offset, the stored recovery point and `min.compaction.lag.ms` are touched, from the log start
//! on in order; each group is swapped in durably before the next is written; the new files are synced before they get a name that counts
//! (a compaction that skips this un-syncs synced data). A batch that cannot be read ends the pass: damage is never compacted away.

use std::path::PathBuf;
use std::sync::Arc;

use super::batch_walk::{BatchWalk, Step};
use super::compaction::{AbortedRange, KeyMap, Pass, PassOptions, TxnWalk, apply_fate};
use super::disk::{DiskExt, DiskFile, OpenMode};
use super::offset_index::OffsetIndex;
use super::owner::Command;
use super::partition::Partition;
use super::partition_handle::PartitionHandle;
use super::segment::{Segment, as_disk_error};
use super::settings::TopicConfig;
use super::storage_error::StorageError;
use super::time_index::TimeIndex;
use super::txn_index::{AbortedTxnEntry, TxnIndex};
use super::upkeep::with_suffix;
use crate::record::RecordBatch;
use crate::types::{Offset, Timestamp};

/// A cleaned segment, written as `.cleaned`, and the segments it replaces.
#[derive(Debug)]
pub(super) struct CleanedGroup {
    /// Neighbours, ascending; the new segment takes the base offset of the first.
    pub(super) old: Vec<Arc<Segment>>,
    /// One beyond the highest tombstone that was removed.
    pub(super) tombstones_removed_below: Offset,
}

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanStats {
    /// Bytes of the segments before.
    pub bytes_before: u64,
    /// Bytes after.
    pub bytes_after: u64,
    /// Segments before.
    pub segments_before: usize,
    /// Segments after.
    pub segments_after: usize,
}

/// Compacts `partition` if enough of it is dirty, or always if `force`d; `None` if there was nothing to do.
pub(super) async fn clean(handle: &PartitionHandle, force: bool) -> Result<Option<CleanStats>, StorageError> {
    let partition = Arc::clone(handle.shared());
    let config = partition.config();
    if !config.cleanup_policy.compact
        || !partition.is_configured()
        || partition.damage().is_some()
        || partition.is_gone()
    {
        return Ok(None);
    }
    let segments = cleanable(&partition, &config);
    let Some(last) = segments.last() else {
        return Ok(None);
    };
    let all = partition.segments();
    let end = all
        .iter()
        .find(|s| s.base_offset() > last.base_offset())
        .map_or(Offset::ZERO, |s| s.base_offset());
    let start = partition.cleaned_to();
    if end <= start || !(force || is_due(&segments, start, &partition, &config)) {
        return Ok(None);
    }
    let last_batches = handle
        .ask(|reply| Command::LastBatches {
            key: partition.key,
            reply,
        })
        .await?;
    let plan = {
        let (partition, segments) = (Arc::clone(&partition), segments.clone());
        partition
            .clone()
            .dir
            .disk
            .blocking(move || build_map(&partition, &segments, start))
            .await?
    };
    let Some((map, aborted)) = plan else {
        return Ok(None);
    };
    let options = PassOptions {
        now: partition.dir.clock.now_ms(),
        delete_retention_ms: config.delete_retention_ms,
        tombstones_kept_from: partition.lease().unwrap_or(Offset::MAX),
    };
    let cleaned_to = map.end().min(end);
    let mut stats = CleanStats {
        segments_before: segments.len(),
        bytes_before: segments.iter().map(|s| s.size_bytes()).sum(),
        ..CleanStats::default()
    };
    let mut pass = PassState {
        pass: Pass::new(map, aborted, last_batches, options),
        partition: Arc::clone(&partition),
        config,
    };
    for group in groups(&segments, &pass.config) {
        // The pass goes to the blocking job and comes back: it carries the transactions that span groups.
        let job = move || {
            let written = write_group(&mut pass, &group);
            (pass, group, written)
        };
        let (returned, old, written) = partition.dir.disk.blocking(job).await;
        pass = returned;
        stats.bytes_after += written?;
        stats.segments_after += 1;
        let group = CleanedGroup {
            old,
            tombstones_removed_below: pass.pass.tombstones_removed_below(),
        };
        // Stored before the tombstones are gone: a store that missed them must be able to tell. From here on the log counts as compacted. Never
        // past `start` before the whole pass is done: a tombstone that the next pass does not see again would go before the values it deletes.
        partition.raise_tombstone_horizon(group.tombstones_removed_below);
        partition.raise_cleaned_to(Offset::ZERO.next().min(cleaned_to));
        store_cleaner_offsets(&partition).await?;
        handle
            .ask(|reply| Command::Swap {
                key: partition.key,
                group,
                reply,
            })
            .await??;
    }
    partition.raise_cleaned_to(cleaned_to);
    store_cleaner_offsets(&partition).await?;
    Ok(Some(stats))
}

async fn store_cleaner_offsets(partition: &Arc<Partition>) -> Result<(), StorageError> {
    let dir = Arc::clone(&partition.dir);
    let stored = partition
        .dir
        .disk
        .blocking(move || super::checkpoints::write_cleaner_offsets(&dir))
        .await;
    stored.map_err(|error| {
        partition.dir.fail(&error);
        error.into()
    })
}

struct PassState {
    pass: Pass,
    partition: Arc<Partition>,
    config: Arc<TopicConfig>,
}

/// Closed segments that may be touched, oldest first.
fn cleanable(partition: &Partition, config: &TopicConfig) -> Vec<Arc<Segment>> {
    let segments = partition.segments();
    let stable = partition.offsets().last_stable_offset;
    // Strictly below: a point at the very end of a segment may be older than the roll, and recovery would check that segment once more.
    let durable = partition.stored_recovery_point();
    let young = partition
        .dir
        .clock
        .now_ms()
        .saturating_sub(config.min_compaction_lag_ms);
    let ends = segments.iter().skip(1).map(|s| s.base_offset());
    segments
        .closed()
        .iter()
        .zip(ends)
        .take_while(|(segment, end)| {
            *end <= stable
                && *end < durable
                && (config.min_compaction_lag_ms == 0 || segment.max_timestamp().is_none_or(|t| t <= young))
        })
        .map(|(segment, _)| Arc::clone(segment))
        .collect()
}

fn is_due(segments: &[Arc<Segment>], start: Offset, partition: &Partition, config: &TopicConfig) -> bool {
    let total: u64 = segments.iter().map(|s| s.size_bytes()).sum();
    let dirty: Vec<_> = segments.iter().filter(|s| s.base_offset() >= start).collect();
    let dirty_bytes: u64 = dirty.iter().map(|s| s.size_bytes()).sum();
    let waits_since = dirty.iter().filter_map(|s| s.max_timestamp()).min();
    let too_long = waits_since
        .is_some_and(|t| partition.dir.clock.now_ms().saturating_sub(t) > config.max_compaction_lag_ms);
    total > 0 && (too_long || dirty_bytes as f64 >= config.min_cleanable_dirty_ratio * total as f64)
}

/// Newest offsets of the dirty part, and all aborted transactions; `None` if nothing could be mapped.
fn build_map(
    partition: &Partition,
    segments: &[Arc<Segment>],
    start: Offset,
) -> Result<Option<(KeyMap, Vec<AbortedRange>)>, StorageError> {
    let mut aborted = Vec::new();
    // Markers of transactions that began in these segments may be in later ones.
    for segment in partition.segments().iter() {
        aborted.extend(segment.aborted()?);
    }
    let mut map = KeyMap::new(partition.dir.config.cleaner_map_bytes, start);
    let mut walk = TxnWalk::starting_at(start, aborted.clone());
    let mut full = false;
    for segment in segments {
        let mut batches = BatchWalk::new(segment.log_file(&partition.dir)?, 0, segment.size_bytes());
        while let Some(batch) = next_batch(partition, segment, &mut batches)? {
            if batch.next_offset() <= start {
                continue;
            }
            if !map
                .add(&batch, &mut walk)
                .map_err(|e| partition.damaged(segment, batches.position(), &e.to_string()))?
            {
                full = true;
                break;
            }
        }
        if full {
            break;
        }
    }
    Ok((map.end() > start).then_some((map, aborted)))
}

fn next_batch(
    partition: &Partition,
    segment: &Segment,
    walk: &mut BatchWalk,
) -> Result<Option<RecordBatch>, StorageError> {
    match walk.step()? {
        Step::End => Ok(None),
        Step::Bad(error) => Err(partition.damaged(segment, walk.position(), &error.to_string())),
        Step::Batch(position, batch) => {
            batch
                .check_crc()
                .map_err(|e| partition.damaged(segment, position, &e.to_string()))?;
            Ok(Some(batch))
        }
    }
}

/// Neighbours that fit one segment together.
fn groups(segments: &[Arc<Segment>], config: &TopicConfig) -> Vec<Vec<Arc<Segment>>> {
    let mut groups: Vec<Vec<Arc<Segment>>> = Vec::new();
    let (mut bytes, mut index_bytes) = (0, 0);
    for segment in segments {
        let fits = groups.last().is_some_and(|group| {
            // The end of a segment is not known here without its neighbour; half the range is a safe bound for both.
            segment.base_offset().distance_from(group[0].base_offset()) < i64::from(i32::MAX) / 2
                && bytes + segment.size_bytes() <= config.segment_bytes
                && index_bytes + segment.index_bytes() <= config.segment_index_bytes
        });
        if fits && let Some(group) = groups.last_mut() {
            group.push(Arc::clone(segment));
            bytes += segment.size_bytes();
            index_bytes += segment.index_bytes();
        } else {
            groups.push(vec![Arc::clone(segment)]);
            (bytes, index_bytes) = (segment.size_bytes(), segment.index_bytes());
        }
    }
    groups
}

/// The files of a cleaned segment under construction.
struct Output {
    log: Arc<dyn DiskFile>,
    offset_index: OffsetIndex,
    time_index: TimeIndex,
    txn_index: TxnIndex,
    size_bytes: u64,
    since_index: u64,
    newest: Option<(Timestamp, Offset)>,
}

/// Writes and syncs the `.cleaned` files of a group; returns the bytes kept.
fn write_group(state: &mut PassState, group: &[Arc<Segment>]) -> Result<u64, StorageError> {
    let partition = Arc::clone(&state.partition);
    let dir = &partition.dir;
    let base = group[0].base_offset();
    let [log, index, timeindex, txnindex]: [PathBuf; 4] =
        Segment::paths(&partition.path, base).map(|p| with_suffix(&p, ".cleaned"));
    for path in [&log, &index, &timeindex, &txnindex] {
        dir.files.forget(path);
        if dir.disk.exists(path)? {
            dir.disk.remove_file(path)?;
        }
    }
    let mut out = Output {
        log: dir.disk.open(&log, OpenMode::Truncate)?,
        offset_index: OffsetIndex::new(Arc::clone(&dir.files), index, base),
        time_index: TimeIndex::new(Arc::clone(&dir.files), timeindex, base),
        txn_index: TxnIndex::new(Arc::clone(&dir.files), txnindex),
        size_bytes: 0,
        since_index: 0,
        newest: None,
    };
    let result = fill(state, group, &mut out).and_then(|()| finish(&out));
    match result {
        Ok(()) => {
            for path in [
                out.offset_index.path(),
                out.time_index.path(),
                out.txn_index.path(),
            ] {
                dir.files.forget(path);
            }
            dir.faults.point("K10");
            Ok(out.size_bytes)
        }
        // A failed write is final, a batch that cannot be read is not: the old segments are untouched.
        Err(error @ StorageError::Io { .. }) => {
            let failed = super::disk::DiskError::new(
                super::disk::DiskOp::Write,
                &log,
                std::io::Error::other(error.to_string()),
            );
            dir.fail(&failed);
            Err(error)
        }
        Err(error) => Err(error),
    }
}

fn fill(state: &mut PassState, group: &[Arc<Segment>], out: &mut Output) -> Result<(), StorageError> {
    let partition = Arc::clone(&state.partition);
    for segment in group {
        let mut walk = BatchWalk::new(segment.log_file(&partition.dir)?, 0, segment.size_bytes());
        while let Some(batch) = next_batch(&partition, segment, &mut walk)? {
            let damaged =
                |e: crate::record::BatchError| partition.damaged(segment, walk.position(), &e.to_string());
            let fate = state.pass.fate(&batch).map_err(damaged)?;
            let Some(bytes) = apply_fate(&batch, &fate).map_err(damaged)? else {
                continue;
            };
            let kept = RecordBatch::parse(bytes).map_err(damaged)?;
            append(out, &kept, state.config.index_interval_bytes)?;
        }
    }
    for range in state.pass.take_kept_aborted() {
        let entry = AbortedTxnEntry {
            producer_id: range.producer_id,
            first_offset: range.first_offset,
            last_offset: range.last_offset,
            last_stable_offset: range.last_stable_offset,
        };
        out.txn_index.append(entry).map_err(as_disk_error)?;
    }
    Ok(())
}

fn append(out: &mut Output, batch: &RecordBatch, interval: u64) -> Result<(), StorageError> {
    out.log.write_at(batch.bytes(), out.size_bytes)?;
    if batch.max_timestamp() >= 0
        && out
            .newest
            .is_none_or(|(newest, _)| batch.max_timestamp() > newest)
    {
        out.newest = Some((batch.max_timestamp(), batch.last_offset()));
    }
    if out.since_index > interval {
        if let Ok(position) = u32::try_from(out.size_bytes) {
            out.offset_index
                .append(batch.last_offset(), position)
                .map_err(as_disk_error)?;
        }
        if let Some((timestamp, offset)) = out.newest {
            out.time_index
                .maybe_append(timestamp, offset)
                .map_err(as_disk_error)?;
        }
        out.since_index = 0;
    }
    out.since_index += batch.size_bytes() as u64;
    out.size_bytes += batch.size_bytes() as u64;
    Ok(())
}

fn finish(out: &Output) -> Result<(), StorageError> {
    if let Some((timestamp, offset)) = out.newest {
        out.time_index
            .maybe_append(timestamp, offset)
            .map_err(as_disk_error)?;
    }
    out.log.sync_all()?;
    out.offset_index.sync().map_err(as_disk_error)?;
    out.time_index.sync().map_err(as_disk_error)?;
    out.txn_index.sync().map_err(as_disk_error)?;
    Ok(())
}
