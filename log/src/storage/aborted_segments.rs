//! Which segments of a partition have a transaction index: `aborted-segments-checkpoint`, a witness outside those files themselves.
//!
//! As in Kafka, a segment has a `.txnindex` only if a transaction was aborted in it, so a missing one looks like that of a segment without any, and readers
//! of committed data would be handed aborted records. The witness says that one belongs there; it is then rebuilt from the log at open. Always: a segment is
//! listed before a recovery point passes it; the list may name segments that are gone, which means nothing. A file of ours: Kafka passes over it.

use std::collections::BTreeSet;
use std::path::Path;

use super::checkpoint::{CheckpointError, read_bases, write_bases};
use super::disk::{Disk, DiskResult};
use super::leftovers::{segment_bases, txn_index_bases};
use super::partition::Partition;
use super::segment::{Segment, as_disk_error};
use crate::types::Offset;

/// Name of the file.
pub(super) const ABORTED_SEGMENTS: &str = "aborted-segments-checkpoint";

/// Base offsets of the segments that have a transaction index. A malformed list is none: what it stands for is still there, as a rule.
pub(super) fn read(disk: &dyn Disk, partition_path: &Path) -> DiskResult<BTreeSet<Offset>> {
    match read_bases(disk, &partition_path.join(ABORTED_SEGMENTS)) {
        Ok(bases) => Ok(bases),
        Err(CheckpointError::Disk(error)) => Err(error),
        Err(malformed @ CheckpointError::Malformed { .. }) => {
            tracing::warn!(error = %malformed, "missing transaction indexes of this partition would not be noticed; the list is written again");
            Ok(BTreeSet::new())
        }
    }
}

/// Lists a segment whose indexes were just made durable, if a transaction was aborted in it. Run by the flusher, one at a time.
pub(super) fn note(partition: &Partition, segment: &Segment) -> DiskResult<()> {
    if partition.is_gone() {
        return Ok(());
    }
    match add(partition, segment) {
        // Its topic was deleted meanwhile, and took the directory along.
        Err(error) if partition.is_gone() && error.is_not_found() => Ok(()),
        noted => noted,
    }
}

fn add(partition: &Partition, segment: &Segment) -> DiskResult<()> {
    let (_, _, txn_index) = segment.indexes();
    if txn_index.is_empty().map_err(as_disk_error)? {
        return Ok(());
    }
    let (disk, path) = (&*partition.dir.disk, &partition.path);
    let mut listed = read(disk, path)?;
    if !listed.insert(segment.base_offset()) {
        return Ok(());
    }
    let there = segment_bases(disk, path)?;
    listed.retain(|base| there.binary_search(base).is_ok());
    write_bases(disk, &path.join(ABORTED_SEGMENTS), &listed)
}

/// At open, when what was missing is rebuilt: from here on the list says what is there. A full disk keeps nobody from reading; then the next start writes it.
pub(super) fn settle(disk: &dyn Disk, partition_path: &Path, listed: &BTreeSet<Offset>) -> DiskResult<()> {
    let there: BTreeSet<Offset> = txn_index_bases(disk, partition_path)?.into_iter().collect();
    if there == *listed {
        return Ok(());
    }
    match write_bases(disk, &partition_path.join(ABORTED_SEGMENTS), &there) {
        Err(error) if error.is_out_of_space() => {
            tracing::warn!(%error, "missing transaction indexes of this partition would not be noticed until the list can be written");
            Ok(())
        }
        written => written,
    }
}
