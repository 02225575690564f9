//! Indexes of closed segments that are missing or cannot be what was written: built anew from the log file, at open.
//!
//! Always: the new files are whole and durable under `.tmp` names before an old one is touched, and the offset index is missing from before the first
//! old file goes until after the last new one is in place. So a crash in between leaves a segment that is rebuilt again, never one with half a
//! transaction index, which would turn aborted records into committed ones. A transaction index that is missing alone looks like that of a
//! segment without aborted transactions; `aborted_segments.rs` tells the two apart.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::batch_facts::facts_of;
use super::batch_walk::{BatchWalk, Step};
use super::index_file::{IndexError, IndexResult};
use super::leftovers::remove_files;
use super::loader::{LoadRequest, REBUILD_INTERVAL_BYTES};
use super::log_dir::LogDir;
use super::offset_index::OffsetIndex;
use super::producer_replay::producers_at;
use super::producer_state::{ProducerState, TxnChange};
use super::segment::{Numbers, Segment, as_disk_error};
use super::storage_error::StorageError;
use super::time_index::TimeIndex;
use super::txn_index::{AbortedTxnEntry, TxnIndex};
use super::upkeep::with_suffix;
use crate::types::{Offset, Timestamp};

/// Rebuilds what must be among the closed segments `bases`; those in `with_txn_index` must have a transaction index. Errs with `Damaged` if the log file of such a segment is damaged as well.
pub(super) fn mend_indexes(
    dir: &LogDir,
    request: &LoadRequest,
    bases: &[Offset],
    with_txn_index: &BTreeSet<Offset>,
) -> Result<(), StorageError> {
    for (i, base) in bases.iter().enumerate() {
        if let Some(reason) = what_is_wrong(dir, &request.path, *base, with_txn_index.contains(base))? {
            let log = &Segment::paths(&request.path, *base)[0];
            tracing::warn!(partition = %request.id, segment = %log.display(), reason, "an index of a closed segment is not usable; rebuilding its indexes from the log");
            let producers = producers_at(dir, request, &bases[..=i])?;
            rebuild(dir, request, *base, producers)?;
        }
    }
    Ok(())
}

/// What is wrong with the indexes of a closed segment, with the name of the file.
fn what_is_wrong(
    dir: &LogDir,
    path: &Path,
    base: Offset,
    has_txn_index: bool,
) -> Result<Option<String>, StorageError> {
    let segment = Segment::at(dir, path, base, Numbers::default());
    let (offset_index, time_index, txn_index) = segment.indexes();
    let txn_file = has_txn_index.then_some(txn_index.path());
    for file in [offset_index.path(), time_index.path()]
        .into_iter()
        .chain(txn_file)
    {
        if !dir.disk.exists(file)? {
            return Ok(Some(format!("{} is missing", file.display())));
        }
    }
    let size_bytes = segment.log_file(dir)?.len()?;
    let checks = || -> IndexResult<Option<String>> {
        if let Some(last) = offset_index.last()?
            && u64::from(last.position) >= size_bytes
        {
            let file = offset_index.path().display();
            return Ok(Some(format!("{file} points behind the end of the log")));
        }
        time_index.last()?;
        let aborted = txn_index.entries()?;
        Ok(aborted.iter().find(|a| a.last_offset < base).map(|a| {
            let file = txn_index.path().display();
            format!("{file} lists {a:?} of an earlier segment")
        }))
    };
    match checks() {
        Ok(found) => Ok(found),
        Err(error @ IndexError::Corrupt { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(as_disk_error(error).into()),
    }
}

fn rebuild(
    dir: &LogDir,
    request: &LoadRequest,
    base: Offset,
    mut producers: ProducerState,
) -> Result<(), StorageError> {
    let now = dir.clock.now_ms();
    let [log, index, timeindex, txnindex] = Segment::paths(&request.path, base);
    let built = [&index, &timeindex, &txnindex].map(|file| with_suffix(file, ".tmp"));
    let [new_index, new_timeindex, new_txnindex] = built.clone();
    let files = || Arc::clone(&dir.files);
    let offset_index = OffsetIndex::new(files(), new_index.clone(), base);
    let time_index = TimeIndex::new(files(), new_timeindex.clone(), base);
    let txn_index = TxnIndex::new(files(), new_txnindex.clone());

    let file = dir.files.get(&log)?;
    let size_bytes = file.len()?;
    let mut walk = BatchWalk::new(file, 0, size_bytes);
    let mut newest: Option<(Timestamp, Offset)> = None;
    let (mut since_index, mut next_offset) = (0, base);
    let damaged = |offset: Offset, reason: String| StorageError::Damaged {
        partition: request.id.clone(),
        offset,
        file: log.clone(),
        reason,
    };
    loop {
        let (position, batch) = match walk.step()? {
            Step::End => break,
            Step::Bad(error) => return Err(damaged(next_offset, error.to_string())),
            Step::Batch(position, batch) => (position, batch),
        };
        let facts = batch
            .check_crc()
            .and_then(|()| facts_of(&batch))
            .map_err(|error| damaged(next_offset, error.to_string()))?;
        if facts.max_timestamp >= 0 && newest.is_none_or(|(t, _)| facts.max_timestamp > t) {
            newest = Some((facts.max_timestamp, facts.last_offset));
        }
        if since_index > REBUILD_INTERVAL_BYTES {
            if let Ok(position) = u32::try_from(position) {
                offset_index
                    .append(facts.last_offset, position)
                    .map_err(as_disk_error)?;
            }
            if let Some((timestamp, offset)) = newest {
                time_index
                    .maybe_append(timestamp, offset)
                    .map_err(as_disk_error)?;
            }
            since_index = 0;
        }
        since_index += facts.size_bytes as u64;
        if let TxnChange::Closed(closed) = producers.apply(&facts, now)
            && !closed.committed
        {
            txn_index
                .append(AbortedTxnEntry {
                    producer_id: closed.producer_id,
                    first_offset: closed.first_offset,
                    last_offset: closed.marker_offset,
                    last_stable_offset: closed.last_stable_offset,
                })
                .map_err(as_disk_error)?;
        }
        next_offset = facts.last_offset.next();
    }
    if let Some((timestamp, offset)) = newest {
        time_index
            .maybe_append(timestamp, offset)
            .map_err(as_disk_error)?;
    }
    offset_index.sync().map_err(as_disk_error)?;
    time_index.sync().map_err(as_disk_error)?;
    txn_index.sync().map_err(as_disk_error)?;

    for file in built.iter().chain([&index, &timeindex, &txnindex]) {
        dir.files.forget(file);
    }
    remove_files(&*dir.disk, &request.path, std::slice::from_ref(&index))?;
    dir.faults.point("K22");
    dir.disk.rename(&new_timeindex, &timeindex)?;
    if dir.disk.exists(&new_txnindex)? {
        dir.disk.rename(&new_txnindex, &txnindex)?;
    } else {
        remove_files(&*dir.disk, &request.path, std::slice::from_ref(&txnindex))?;
    }
    dir.disk.sync_dir(&request.path)?;
    dir.faults.point("K22");
    dir.disk.rename(&new_index, &index)?;
    Ok(dir.disk.sync_dir(&request.path)?)
}
