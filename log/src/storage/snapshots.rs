//! Producer snapshots of a partition directory: written, found, loaded.
//!
//! Always: `o.snapshot` says what the log below `o` says. A damaged or missing one is no loss: an older one and the log give the same state.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use smallvec::SmallVec;

use super::disk::{Disk, DiskExt, DiskResult, OpenMode};
use super::flush_queue::Chore;
use super::partition::Partition;
use super::producer_snapshot::{ProducerSnapshotEntry, decode, encode};
use super::producer_state::{ProducerEntry, ProducerState, RememberedBatch};
use super::segment::file_name;
use crate::faults::Faults;
use crate::types::{Offset, Sequence, Timestamp};

/// Largest snapshot believed: a million producers.
const SNAPSHOT_BYTES_MAX: u64 = 64 << 20;

/// The work of writing a snapshot of the state as it is now, named by `at`.
pub(super) fn write_snapshot(partition: &Arc<Partition>, producers: &ProducerState, at: Offset) -> Chore {
    let bytes = encode_state(producers);
    let partition = Arc::clone(partition);
    Box::new(move || {
        if partition.is_gone() {
            return Ok(());
        }
        store(
            &*partition.dir.disk,
            &partition.dir.faults,
            &partition.path,
            at,
            &bytes,
        )
    })
}

fn store(
    disk: &dyn Disk,
    faults: &Faults,
    partition_path: &Path,
    at: Offset,
    bytes: &[u8],
) -> DiskResult<()> {
    let path = path_of(partition_path, at);
    let temporary = partition_path.join(file_name(at, "snapshot.tmp"));
    let file = disk.open(&temporary, OpenMode::Truncate)?;
    file.write_at(bytes, 0)?;
    file.sync_all()?;
    faults.point("K6");
    disk.rename(&temporary, &path)?;
    faults.point("K7");
    disk.sync_dir(partition_path)
}

/// Path of a snapshot.
pub(super) fn path_of(partition_path: &Path, at: Offset) -> PathBuf {
    partition_path.join(file_name(at, "snapshot"))
}

/// The state as bytes.
pub(super) fn encode_state(producers: &ProducerState) -> Vec<u8> {
    let entries: Vec<_> = producers
        .entries()
        .map(|(producer_id, e)| {
            let last = e.last_batch();
            ProducerSnapshotEntry {
                producer_id,
                producer_epoch: e.producer_epoch,
                last_sequence: last.map_or(Sequence::NONE, |b| b.last_sequence),
                last_offset: last.map_or(Offset::new(-1), |b| b.last_offset),
                offset_delta: last.map_or(0, |b| b.offset_delta),
                timestamp: e.last_timestamp,
                coordinator_epoch: e.coordinator_epoch,
                current_txn_first_offset: e.open_txn,
            }
        })
        .collect();
    encode(&entries)
}

/// The state a snapshot holds; `None` if the file is missing or damaged.
pub(super) fn load(
    disk: &dyn Disk,
    partition_path: &Path,
    at: Offset,
    now: Timestamp,
) -> DiskResult<Option<ProducerState>> {
    let path = path_of(partition_path, at);
    let bytes = match disk.read_file(&path, SNAPSHOT_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    match decode(&bytes) {
        Ok(entries) => Ok(Some(ProducerState::from_entries(
            entries.into_iter().map(|e| to_entry(&e, now)),
        ))),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "producer snapshot is not usable; replaying the log instead");
            Ok(None)
        }
    }
}

fn to_entry(e: &ProducerSnapshotEntry, now: Timestamp) -> (crate::types::ProducerId, ProducerEntry) {
    let mut batches = SmallVec::new();
    if e.last_offset >= Offset::ZERO {
        batches.push(RememberedBatch {
            last_sequence: e.last_sequence,
            last_offset: e.last_offset,
            offset_delta: e.offset_delta,
        });
    }
    let entry = ProducerEntry {
        producer_epoch: e.producer_epoch,
        batches,
        coordinator_epoch: e.coordinator_epoch,
        last_timestamp: e.timestamp,
        open_txn: e.current_txn_first_offset,
        last_marker: None,
        last_seen: now,
    };
    (e.producer_id, entry)
}
