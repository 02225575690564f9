//! Half-done work that a crash left in a partition directory, finished or undone before anything is read.
//!
//! Compaction writes `.cleaned` files, renames them to `.swap` (from here on it is decided), renames the old segments to `.deleted`, then `.swap` to the
//! final names. So `.cleaned`, `.tmp` and `.deleted` go, and a swap is completed: the old segments within its range go first.
//! Doing this twice is the same as doing it once.

use std::path::{Path, PathBuf};

use super::batch_walk::{BatchWalk, Step};
use super::disk::{Disk, DiskResult, OpenMode};
use super::segment::Segment;
use crate::faults::Faults;
use crate::types::Offset;

const DROPPED: [&str; 3] = [".cleaned", ".tmp", ".deleted"];
/// Suffix of files that wait to take their place.
pub(super) const SWAP: &str = ".swap";

/// Finishes or undoes what is half done; true if anything changed.
pub(super) fn clean_up(disk: &dyn Disk, faults: &Faults, partition_path: &Path) -> DiskResult<bool> {
    let mut changed = false;
    let mut swaps = Vec::new();
    for entry in disk.list(partition_path)? {
        let path = partition_path.join(&entry.name);
        if DROPPED.iter().any(|suffix| entry.name.ends_with(suffix)) {
            disk.remove_file(&path)?;
            changed = true;
        } else if let Some(name) = entry.name.strip_suffix(SWAP) {
            swaps.push((name.to_owned(), path));
        }
    }
    if swaps.is_empty() {
        if changed {
            disk.sync_dir(partition_path)?;
        }
        return Ok(changed);
    }
    for (name, path) in swaps.iter().filter(|(name, _)| name.ends_with(".log")) {
        let Some(base) = base_offset(name) else { continue };
        let end = end_of(disk, path, base)?;
        for old in segment_bases(disk, partition_path)? {
            // A swap that lost all its batches still replaces the segment of its own name.
            if old == base || (old > base && old < end) {
                for file in Segment::paths(partition_path, old) {
                    remove_if_there(disk, &file)?;
                }
            }
        }
    }
    faults.point("K22");
    for (name, path) in &swaps {
        disk.rename(path, &partition_path.join(name))?;
    }
    disk.sync_dir(partition_path)?;
    Ok(true)
}

fn end_of(disk: &dyn Disk, log: &Path, base: Offset) -> DiskResult<Offset> {
    let file = disk.open(log, OpenMode::Read)?;
    let length = file.len()?;
    let mut walk = BatchWalk::new(file, 0, length);
    let mut end = base;
    while let Step::Batch(_, batch) = walk.step()? {
        end = batch.next_offset();
    }
    Ok(end)
}

fn remove_if_there(disk: &dyn Disk, path: &Path) -> DiskResult<()> {
    match disk.remove_file(path) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// The offset a file name begins with.
pub(super) fn base_offset(name: &str) -> Option<Offset> {
    let digits = name.get(..20)?;
    (name.as_bytes().get(20) == Some(&b'.'))
        .then(|| digits.parse().ok().map(Offset::new))
        .flatten()
}

/// Base offsets of the segments in a directory, ascending.
pub(super) fn segment_bases(disk: &dyn Disk, partition_path: &Path) -> DiskResult<Vec<Offset>> {
    bases_with(disk, partition_path, ".log")
}

/// Offsets of the producer snapshots in a directory, ascending.
pub(super) fn snapshot_offsets(disk: &dyn Disk, partition_path: &Path) -> DiskResult<Vec<Offset>> {
    bases_with(disk, partition_path, ".snapshot")
}

/// Base offsets of the segments with a transaction index, ascending.
pub(super) fn txn_index_bases(disk: &dyn Disk, partition_path: &Path) -> DiskResult<Vec<Offset>> {
    bases_with(disk, partition_path, ".txnindex")
}

fn bases_with(disk: &dyn Disk, partition_path: &Path, extension: &str) -> DiskResult<Vec<Offset>> {
    let names = disk.list(partition_path)?;
    let mut bases: Vec<_> = names
        .iter()
        .filter(|e| e.name.len() == 20 + extension.len() && e.name.ends_with(extension))
        .filter_map(|e| base_offset(&e.name))
        .collect();
    bases.sort_unstable();
    Ok(bases)
}

/// Removes files that may be missing, then syncs their directory.
pub(super) fn remove_files(disk: &dyn Disk, partition_path: &Path, files: &[PathBuf]) -> DiskResult<()> {
    for file in files {
        remove_if_there(disk, file)?;
    }
    disk.sync_dir(partition_path)
}
