//! Opens a partition that was not stopped cleanly: what was not known to be durable is walked batch by batch, and its indexes are rebuilt.
//!
//! Every segment from the one that holds the recovery point on is scanned; `recovery.rs` decides what the findings mean. Always: nothing below the
//! recovery point is cut; when it returns, what is left is durable.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::batch_facts::facts_of;
use super::batch_walk::{BatchWalk, Step};
use super::compaction::AbortedRange;
use super::disk::{Disk, DiskResult};
use super::epoch_log::EpochLog;
use super::index_rebuild::mend_indexes;
use super::leftovers::{remove_files, snapshot_offsets};
use super::loader::{LoadRequest, Loaded, REBUILD_INTERVAL_BYTES, closed_segments, open_closed};
use super::log_dir::LogDir;
use super::producer_replay::producers_at;
use super::producer_state::{ProducerState, TxnChange};
use super::recovery::{RecoveryVerdict, ScannedSegment, decide};
use super::segment::{Numbers, Segment, WrittenBatch, file_name};
use super::segment_set::SegmentSet;
use super::snapshots;
use super::storage_error::StorageError;
use crate::types::Offset;

/// Loads it; `with_txn_index` are the segments that must have a transaction index.
pub(super) fn load_unclean(
    dir: &LogDir,
    request: &LoadRequest,
    bases: &[Offset],
    with_txn_index: &BTreeSet<Offset>,
) -> Result<Loaded, StorageError> {
    let path = &request.path;
    let now = dir.clock.now_ms();
    let first_scanned = first_scanned(&*dir.disk, path, bases, request.recovery_point);
    mend_indexes(dir, request, &bases[..first_scanned], with_txn_index)?;
    let mut producers = producers_at(dir, request, &bases[..=first_scanned])?;
    let stored_epochs = EpochLog::load(&*dir.disk, path)?;
    let rebuild_epochs = stored_epochs.is_none();
    let mut epochs = stored_epochs.unwrap_or_else(|| EpochLog::empty(path));
    if rebuild_epochs {
        tracing::warn!(partition = %request.id, "leader epoch checkpoint is damaged; taking the epochs from the log");
        for base in &bases[..first_scanned] {
            let segment = open_closed(dir, path, *base)?;
            let mut walk = BatchWalk::new(segment.log_file(dir)?, 0, segment.size_bytes());
            while let Ok(Some(header)) = walk.peek_header()? {
                epochs.on_append(dir, header.leader_epoch(), header.base_offset())?;
                walk.skip(&header);
            }
        }
    }

    let mut scans = Vec::new();
    let mut scanned = Vec::new();
    for (base, next_base) in bases[first_scanned..]
        .iter()
        .zip(bases[first_scanned + 1..].iter().map(Some).chain([None]))
    {
        let segment = Segment::at(dir, path, *base, Numbers::default());
        let scan = scan(dir, &segment, &mut producers, &mut epochs, rebuild_epochs, now)?;
        dir.faults.point("K22");
        // What lies beyond a gap must not be folded into the producers: it goes.
        let torn = scan.bad.is_some() || next_base.is_some_and(|next| *next != scan.next_offset);
        scans.push(scan);
        scanned.push(segment);
        if torn {
            // What follows is judged by its name alone.
            scans.extend(bases.iter().filter(|b| **b > *base).map(|b| ScannedSegment {
                base_offset: *b,
                valid_bytes: 0,
                file_bytes: 0,
                next_offset: *b,
                bad: None,
            }));
            break;
        }
    }
    let (log_end, damage) = match decide(request.recovery_point, &scans) {
        RecoveryVerdict::Sound { log_end } => (log_end, None),
        RecoveryVerdict::CutTail {
            segment,
            keep_bytes,
            remove,
            log_end,
            reason,
        } => {
            tracing::warn!(partition = %request.id, segment = %segment, %log_end, reason, "cut a torn tail above the recovery point");
            cut(dir, path, segment, keep_bytes, &remove)?;
            (log_end, None)
        }
        RecoveryVerdict::Damaged {
            segment,
            offset,
            reason,
        } => {
            let file = path.join(file_name(segment, "log"));
            tracing::error!(partition = %request.id, %offset, file = %file.display(), reason, "acknowledged records are damaged; nothing was cut, appends are refused");
            (
                offset,
                Some(StorageError::Damaged {
                    partition: request.id.clone(),
                    offset,
                    file,
                    reason,
                }),
            )
        }
    };
    let mut segments = closed_segments(dir, path, &bases[..first_scanned])?;
    segments.extend(scanned.into_iter().map(Arc::new));
    if damage.is_none() {
        forget_snapshots_above(dir, path, log_end)?;
        epochs.on_log_end(dir, log_end)?;
        // Everything left counts as durable from now on, so it must be.
        for segment in &segments[first_scanned..] {
            segment.log_file(dir)?.sync_data()?;
            segment.sync_indexes()?;
        }
        dir.disk.sync_dir(path)?;
    }
    let first_base = bases[0];
    Ok(Loaded {
        segments: SegmentSet::new(segments),
        producers,
        epochs,
        log_start: request
            .log_start
            .unwrap_or(first_base)
            .max(first_base)
            .min(log_end),
        log_end,
        damage,
    })
}

/// Index of the first segment a start after a crash checks: the one that holds the recovery point. A point right at a segment's base may have been
/// stored while the segment before was still active, its indexes not durable; the snapshot at that base is written after those are.
pub(super) fn first_scanned(disk: &dyn Disk, path: &Path, bases: &[Offset], recovery_point: Offset) -> usize {
    let holding = bases.partition_point(|b| *b <= recovery_point).saturating_sub(1);
    let sure = bases.get(holding) != Some(&recovery_point)
        || matches!(snapshots::load(disk, path, recovery_point, 0), Ok(Some(_)));
    if sure { holding } else { holding.saturating_sub(1) }
}

/// Walks a segment, rebuilds its indexes and folds it into the producers.
fn scan(
    dir: &LogDir,
    segment: &Segment,
    producers: &mut ProducerState,
    epochs: &mut EpochLog,
    rebuild_epochs: bool,
    now: i64,
) -> DiskResult<ScannedSegment> {
    segment.reset_indexes()?;
    let file = segment.log_file(dir)?;
    let file_bytes = file.len()?;
    let mut walk = BatchWalk::new(file, 0, file_bytes);
    let mut numbers = Numbers::default();
    let mut next_offset = segment.base_offset();
    let bad = loop {
        let (position, batch) = match walk.step()? {
            Step::End => break None,
            Step::Bad(error) => break Some(error.to_string()),
            Step::Batch(position, batch) => (position, batch),
        };
        if let Err(error) = batch.check_crc() {
            break Some(error.to_string());
        }
        // Offset and epoch lie outside the checksum. A scanned segment was never compacted, so its offsets have no gaps, and every epoch was
        // stored before it was acknowledged; anything else is rot that would otherwise pass for a torn tail after it.
        if batch.base_offset() != next_offset {
            break Some(format!(
                "offset {} where {next_offset} belongs",
                batch.base_offset()
            ));
        }
        if !rebuild_epochs && epochs.cache().epoch_at(next_offset) != Some(batch.leader_epoch()) {
            break Some(format!(
                "leader epoch {} was never assigned",
                batch.leader_epoch()
            ));
        }
        let facts = match facts_of(&batch) {
            Ok(facts) => facts,
            Err(error) => break Some(error.to_string()),
        };
        let written = WrittenBatch {
            base_offset: facts.base_offset,
            last_offset: facts.last_offset,
            max_timestamp: facts.max_timestamp,
            start: 0,
            size_bytes: facts.size_bytes,
        };
        segment.index(&mut numbers, &written, position, REBUILD_INTERVAL_BYTES)?;
        numbers.size_bytes = position + facts.size_bytes as u64;
        if let TxnChange::Closed(closed) = producers.apply(&facts, now)
            && !closed.committed
        {
            segment.add_aborted(AbortedRange {
                first_offset: closed.first_offset,
                last_offset: closed.marker_offset,
                producer_id: closed.producer_id,
                last_stable_offset: closed.last_stable_offset,
            })?;
        }
        if rebuild_epochs {
            epochs.on_append(dir, facts.leader_epoch, facts.base_offset)?;
        }
        next_offset = facts.last_offset.next();
    };
    numbers.first_append = (numbers.size_bytes > 0).then_some(now);
    segment.set_numbers(numbers);
    segment.close()?;
    Ok(ScannedSegment {
        base_offset: segment.base_offset(),
        valid_bytes: numbers.size_bytes,
        file_bytes,
        next_offset,
        bad,
    })
}

fn cut(dir: &LogDir, path: &Path, segment: Offset, keep_bytes: u64, remove: &[Offset]) -> DiskResult<()> {
    // The newest go first: a crash in between leaves a log that is cut again, not one with a hole.
    for base in remove.iter().rev() {
        let files = Segment::paths(path, *base);
        for file in &files {
            dir.files.forget(file);
        }
        remove_files(&*dir.disk, path, &files)?;
    }
    dir.faults.point("K9");
    let log = path.join(file_name(segment, "log"));
    let file = dir.files.get(&log)?;
    file.truncate(keep_bytes)?;
    file.sync_all()
}

fn forget_snapshots_above(dir: &LogDir, path: &Path, log_end: Offset) -> DiskResult<()> {
    let mut above = snapshot_offsets(&*dir.disk, path)?;
    above.retain(|at| *at > log_end);
    for at in above {
        dir.disk.remove_file(&snapshots::path_of(path, at))?;
    }
    Ok(())
}
