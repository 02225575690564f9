//! Opens one partition directory: finishes half-done work, replays the journal, checks what was not known to be durable, rebuilds what is derived.
//!
//! After a clean stop nothing is scanned: the recovery point is the log end and a snapshot of it exists. Otherwise `loader_unclean.rs` walks what was not
//! known to be durable. Indexes of closed segments that are not usable are rebuilt by `index_rebuild.rs`.
//! Always: loading twice gives the same bytes; when it returns, everything it left is durable. Blocking; runs off the reactor.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::aborted_segments;
use super::batch_walk::BatchWalk;
use super::disk::{DiskResult, OpenMode};
use super::epoch_log::EpochLog;
use super::index_rebuild::mend_indexes;
use super::journal_format::JournalPiece;
use super::leftovers::{clean_up, remove_files, segment_bases};
use super::loader_unclean::load_unclean;
use super::log_dir::LogDir;
use super::offset_index::OffsetIndex;
use super::producer_state::ProducerState;
use super::segment::{Numbers, Segment, as_disk_error, file_name};
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

pub(super) fn closed_segments(dir: &LogDir, path: &Path, bases: &[Offset]) -> DiskResult<Vec<Arc<Segment>>> {
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
