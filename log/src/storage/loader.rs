//! Opens one partition directory: finishes half-done work, replays the journal, checks what was not known to be durable, rebuilds what is derived.
//!
//! After a clean stop nothing is scanned: the recovery point is the log end and a snapshot of it exists. Otherwise every segment from the one that
//! holds the recovery point on is walked batch by batch, its indexes are rebuilt, and `recovery.rs` decides what the findings mean.
//! Indexes of closed segments that are not usable are rebuilt by `index_rebuild.rs`.
//! Always: loading twice gives the same bytes; when it returns, everything it left is durable. Blocking; runs off the reactor.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::aborted_segments;
use super::batch_facts::{facts_of, facts_of_header};
use super::batch_walk::{BatchWalk, Step};
use super::compaction::AbortedRange;
use super::disk::{Disk, DiskResult, OpenMode};
use super::epoch_log::EpochLog;
use super::index_rebuild::mend_indexes;
use super::journal_format::JournalPiece;
use super::leftovers::{clean_up, remove_files, segment_bases, snapshot_offsets};
use super::log_dir::LogDir;
use super::offset_index::OffsetIndex;
use super::producer_state::{ProducerState, TxnChange};
use super::recovery::{RecoveryVerdict, ScannedSegment, decide};
use super::segment::{Numbers, Segment, WrittenBatch, as_disk_error, file_name};
use super::segment_set::SegmentSet;
use super::snapshots;
use super::storage_error::StorageError;
use super::time_index::TimeIndex;
use super::txn_index::TxnIndex;
use crate::types::{Offset, TopicId, TopicPartition};

/// Index interval of rebuilt indexes; the topic's own setting is not known yet.
pub(super) const REBUILD_INTERVAL_BYTES: u64 = 4096;

/// What is known of a partition before its directory is read.
#[derive(Clone, Debug)]
pub(super) struct LoadRequest {
    pub(super) id: TopicPartition,
    pub(super) topic_id: TopicId,
    pub(super) path: PathBuf,
    pub(super) recovery_point: Offset,
    pub(super) log_start: Option<Offset>,
    pub(super) journal: Vec<JournalPiece>,
}

/// A partition as it was found.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) segments: SegmentSet,
    pub(super) producers: ProducerState,
    pub(super) epochs: EpochLog,
    pub(super) log_start: Offset,
    pub(super) log_end: Offset,
    pub(super) damage: Option<StorageError>,
}

/// Loads a partition.
pub(super) fn load(dir: &LogDir, request: &LoadRequest) -> Result<Loaded, StorageError> {
    let path = &request.path;
    clean_up(&*dir.disk, &dir.faults, path)?;
    let keep_from = drop_segments_below_start(dir, request)?;
    replay_journal(dir, request, keep_from)?;
    dir.faults.point("K22");
    let mut bases = segment_bases(&*dir.disk, path)?;
    if bases.is_empty() {
        let base = request
            .log_start
            .unwrap_or(Offset::ZERO)
            .max(request.recovery_point);
        Segment::create(dir, path, base)?;
        dir.disk.sync_dir(path)?;
        bases.push(base);
    }
    let with_txn_index = aborted_segments::read(&*dir.disk, path)?;
    let loaded = match load_clean(dir, request, &bases, &with_txn_index)? {
        Some(loaded) => loaded,
        None => load_unclean(dir, request, &bases, &with_txn_index)?,
    };
    if loaded.damage.is_none() {
        aborted_segments::settle(&*dir.disk, path, &with_txn_index)?;
    }
    Ok(loaded)
}

/// Removes segments wholly below the log start: the removal by an earlier run may not have been durable, nor their bytes, and a torn tail in one of
/// them must not cost the segments after it. Returns the base of the first segment that stays.
fn drop_segments_below_start(dir: &LogDir, request: &LoadRequest) -> DiskResult<Offset> {
    let Some(start) = request.log_start else {
        return Ok(Offset::ZERO);
    };
    let stored = segment_bases(&*dir.disk, &request.path)?;
    // A segment whose name was not durable yet is in the journal from its first byte on.
    let journalled = request
        .journal
        .iter()
        .filter(|p| p.position == 0)
        .map(|p| p.segment_base);
    let mut candidates: Vec<Offset> = stored
        .iter()
        .copied()
        .chain(journalled)
        .filter(|base| *base <= start)
        .collect();
    candidates.sort_unstable();
    let mut keep_from = Offset::ZERO;
    for base in candidates.into_iter().rev() {
        // Retention deletes only up to a snapshot; without one here the older segments still hold what producers did.
        if snapshots::load(&*dir.disk, &request.path, base, 0)?.is_some() {
            keep_from = base;
            break;
        }
    }
    for base in stored.into_iter().filter(|base| *base < keep_from) {
        remove_files(&*dir.disk, &request.path, &Segment::paths(&request.path, base))?;
    }
    Ok(keep_from)
}

/// Brings the segments to what the journal says was durable.
fn replay_journal(dir: &LogDir, request: &LoadRequest, keep_from: Offset) -> DiskResult<()> {
    let mut replayed = 0;
    for piece in &request.journal {
        // Below the recovery point the segment itself is durable, and may since have been compacted or deleted.
        if piece.next_offset <= request.recovery_point || piece.segment_base < keep_from {
            continue;
        }
        let log = request.path.join(file_name(piece.segment_base, "log"));
        let mode = if piece.position == 0 {
            OpenMode::Create
        } else {
            OpenMode::Write
        };
        let file = match dir.disk.open(&log, mode) {
            Err(error) if error.is_not_found() => continue,
            opened => opened?,
        };
        file.write_at(&piece.data, piece.position)?;
        replayed += 1;
    }
    if replayed > 0 {
        tracing::info!(partition = %request.id, pieces = replayed, "replayed the journal");
    }
    Ok(())
}

/// The quick way, if the last stop was clean; `None` if it was not.
fn load_clean(
    dir: &LogDir,
    request: &LoadRequest,
    bases: &[Offset],
    with_txn_index: &BTreeSet<Offset>,
) -> Result<Option<Loaded>, StorageError> {
    let end = request.recovery_point;
    let active_base = bases[bases.len() - 1];
    if active_base > end || !request.journal.is_empty() {
        return Ok(None);
    }
    let producers = match snapshots::load(&*dir.disk, &request.path, end, dir.clock.now_ms())? {
        Some(producers) => producers,
        // Nothing was ever written, or the walk below finds it.
        None if end == Offset::ZERO => ProducerState::default(),
        None => return Ok(None),
    };
    let Some(epochs) = EpochLog::load(&*dir.disk, &request.path)? else {
        return Ok(None);
    };
    let active = Segment::at(dir, &request.path, active_base, Numbers::default());
    let file = active.log_file(dir)?;
    let size_bytes = file.len()?;
    let (offset_index, time_index, txn_index) = active.indexes();
    let txn_index_lost = with_txn_index.contains(&active_base) && !dir.disk.exists(txn_index.path())?;
    if txn_index_lost || !indexes_fit(offset_index, time_index, txn_index, active_base, end) {
        return Ok(None);
    }
    let (Ok(entries), Ok(last), Ok(newest)) = (offset_index.len(), offset_index.last(), time_index.last())
    else {
        return Ok(None);
    };
    let indexed = last.map_or(0, |l| u64::from(l.position));
    let mut walk = BatchWalk::new(file, indexed, size_bytes);
    let mut found_end = active_base;
    while let Ok(Some(header)) = walk.peek_header()? {
        found_end = header.next_offset();
        walk.skip(&header);
    }
    if walk.position() != size_bytes || found_end != end {
        return Ok(None);
    }
    active.set_numbers(Numbers {
        size_bytes,
        newest: newest.map(|n| (n.timestamp, n.offset)),
        first_append: (size_bytes > 0).then(|| dir.clock.now_ms()),
        bytes_since_index: size_bytes - indexed,
        index_bytes: entries * 8,
    });
    let closed = &bases[..bases.len() - 1];
    mend_indexes(dir, request, closed, with_txn_index)?;
    let mut segments = closed_segments(dir, &request.path, closed)?;
    segments.push(Arc::new(active));
    Ok(Some(Loaded {
        log_start: request.log_start.unwrap_or(bases[0]).max(bases[0]).min(end),
        segments: SegmentSet::new(segments),
        producers,
        epochs,
        log_end: end,
        damage: None,
    }))
}

/// False if an index of the active segment says something that a log ending at `end` does not: a power cut may take what was appended since the
/// last clean stop and leave entries about it, or zeros in their place. A left-over aborted transaction would hide what comes to stand there.
pub(super) fn indexes_fit(
    offset_index: &OffsetIndex,
    time_index: &TimeIndex,
    txn_index: &TxnIndex,
    base: Offset,
    end: Offset,
) -> bool {
    let (Ok(offsets), Ok(times), Ok(aborted)) =
        (offset_index.entries(), time_index.entries(), txn_index.entries())
    else {
        return false;
    };
    // Entries ascend, or they could not be read; so zeros can only be the first entry. Taking a true one for zeros costs a short scan.
    let is_zeros = matches!(&offsets[..], [only] if only.offset == base && only.position == 0)
        || matches!(&times[..], [only] if only.offset == base && only.timestamp == 0);
    let is_beyond = offsets.last().is_some_and(|last| last.offset >= end)
        || times.last().is_some_and(|last| last.offset >= end)
        || aborted.iter().any(|aborted| aborted.last_offset >= end);
    !is_zeros && !is_beyond
}

fn closed_segments(dir: &LogDir, path: &Path, bases: &[Offset]) -> DiskResult<Vec<Arc<Segment>>> {
    bases
        .iter()
        .map(|base| open_closed(dir, path, *base).map(Arc::new))
        .collect()
}

/// A closed segment below the recovery point: its indexes were durable before the point passed it, or have been mended.
pub(super) fn open_closed(dir: &LogDir, path: &Path, base: Offset) -> DiskResult<Segment> {
    let segment = Segment::at(dir, path, base, Numbers::default());
    let size_bytes = segment.log_file(dir)?.len()?;
    let (offset_index, time_index, _) = segment.indexes();
    let index_bytes = offset_index.len().map_err(as_disk_error)? * 8;
    let newest = time_index
        .last()
        .map_err(as_disk_error)?
        .map(|n| (n.timestamp, n.offset));
    segment.set_numbers(Numbers {
        size_bytes,
        newest,
        first_append: None,
        bytes_since_index: 0,
        index_bytes,
    });
    Ok(segment)
}

fn load_unclean(
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

/// Producers as of the last of `bases`: the newest usable snapshot, and the log since.
pub(super) fn producers_at(
    dir: &LogDir,
    request: &LoadRequest,
    bases: &[Offset],
) -> Result<ProducerState, StorageError> {
    let target = bases[bases.len() - 1];
    let now = dir.clock.now_ms();
    let mut snapshots = snapshot_offsets(&*dir.disk, &request.path)?;
    snapshots.retain(|at| *at <= target);
    let mut start = bases[0];
    let mut producers = ProducerState::default();
    for at in snapshots.into_iter().rev() {
        if let Some(state) = snapshots::load(&*dir.disk, &request.path, at, now)? {
            (start, producers) = (at, state);
            break;
        }
    }
    for base in bases.iter().filter(|b| **b < target) {
        let segment = Segment::at(dir, &request.path, *base, Numbers::default());
        let file = segment.log_file(dir)?;
        let length = file.len()?;
        fold(
            BatchWalk::new(file, 0, length),
            start,
            target,
            &mut producers,
            now,
        )?;
    }
    Ok(producers)
}

/// Applies the batches in `from .. to` of one segment.
pub(super) fn fold(
    mut walk: BatchWalk,
    from: Offset,
    to: Offset,
    producers: &mut ProducerState,
    now: i64,
) -> DiskResult<()> {
    while let Ok(Some(header)) = walk.peek_header()? {
        if header.base_offset() >= to {
            break;
        }
        if header.last_offset() < from || !header.producer_id().is_some() {
            walk.skip(&header);
        } else if !header.is_control() {
            producers.apply(&facts_of_header(&header), now);
            walk.skip(&header);
        } else {
            let Step::Batch(_, batch) = walk.step()? else {
                break;
            };
            if let Ok(facts) = facts_of(&batch) {
                producers.apply(&facts, now);
            }
        }
    }
    Ok(())
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
