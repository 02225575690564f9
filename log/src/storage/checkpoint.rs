//! Small text files of offsets: `recovery-point-offset-checkpoint` and its kin, `leader-epoch-checkpoint`, and `aborted-segments-checkpoint`.
//!
//! First line the version (0), second the number of entries, then an entry a line: `topic partition offset`,
//! `epoch start_offset`, or `base_offset`. Always true: a file is replaced as a whole, by way of a synced temporary file and a synced
//! directory, so after a power cut it holds the old entries or the new ones (KAFKA-16541 was one sync left out).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::disk::{Disk, DiskError, DiskExt, DiskResult};
use super::epoch_cache::EpochEntry;
use crate::types::{LeaderEpoch, Offset, PartitionId, TopicName, TopicPartition};

const VERSION: &str = "0";
/// 64 MiB: a million partitions with long names.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why a checkpoint cannot be read or written.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its text is not what was written.
    #[error("checkpoint {path} is malformed in line {line}: {reason}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Reads offsets per partition; none if the file does not exist.
pub fn read_offsets(
    disk: &dyn Disk,
    path: &Path,
) -> Result<BTreeMap<TopicPartition, Offset>, CheckpointError> {
    let mut offsets = BTreeMap::new();
    read_entries(disk, path, |fields| {
        let [topic, partition, offset] = fields[..] else {
            return Err("three fields are expected".to_owned());
        };
        let topic = TopicName::new(topic).map_err(|e| e.to_string())?;
        let partition = PartitionId::new(number(partition)?);
        let offset = Offset::new(number(offset)?);
        match offsets.insert(TopicPartition { topic, partition }, offset) {
            None => Ok(()),
            Some(_) => Err("the partition stands there twice".to_owned()),
        }
    })?;
    Ok(offsets)
}

/// Replaces the offsets per partition, durably.
pub fn write_offsets(
    disk: &dyn Disk,
    path: &Path,
    offsets: &BTreeMap<TopicPartition, Offset>,
) -> Result<(), CheckpointError> {
    let lines = offsets
        .iter()
        .map(|(at, offset)| format!("{} {} {offset}", at.topic, at.partition));
    write_entries(disk, path, lines)
}

/// Reads where each leader epoch began; none if the file does not exist. Order and plausibility are the
/// [`super::epoch_cache::EpochCache`]'s to check.
pub fn read_epochs(disk: &dyn Disk, path: &Path) -> Result<Vec<EpochEntry>, CheckpointError> {
    let mut epochs = Vec::new();
    read_entries(disk, path, |fields| {
        let [epoch, start_offset] = fields[..] else {
            return Err("two fields are expected".to_owned());
        };
        epochs.push(EpochEntry {
            epoch: LeaderEpoch::new(number(epoch)?),
            start_offset: Offset::new(number(start_offset)?),
        });
        Ok(())
    })?;
    Ok(epochs)
}

/// Replaces the leader epochs, durably.
pub fn write_epochs(disk: &dyn Disk, path: &Path, epochs: &[EpochEntry]) -> Result<(), CheckpointError> {
    Ok(disk.replace_file(path, epochs_text(epochs).as_bytes())?)
}

/// Reads base offsets of segments; none if the file does not exist.
pub(super) fn read_bases(disk: &dyn Disk, path: &Path) -> Result<BTreeSet<Offset>, CheckpointError> {
    let mut bases = BTreeSet::new();
    read_entries(disk, path, |fields| {
        let [base] = fields[..] else {
            return Err("one field is expected".to_owned());
        };
        bases.insert(Offset::new(number(base)?));
        Ok(())
    })?;
    Ok(bases)
}

/// Replaces the base offsets, durably.
pub(super) fn write_bases(disk: &dyn Disk, path: &Path, bases: &BTreeSet<Offset>) -> DiskResult<()> {
    disk.replace_file(path, text_of(bases.iter().map(Offset::to_string)).as_bytes())
}

/// What a file of leader epochs holds.
pub(super) fn epochs_text(epochs: &[EpochEntry]) -> String {
    text_of(
        epochs
            .iter()
            .map(|entry| format!("{} {}", entry.epoch, entry.start_offset)),
    )
}

pub(super) fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no number that fits"))
}

pub(super) fn read_entries(
    disk: &dyn Disk,
    path: &Path,
    mut take: impl FnMut(&[&str]) -> Result<(), String>,
) -> Result<(), CheckpointError> {
    let content = match disk.read_file(path, FILE_BYTES_MAX) {
        Ok(content) => content,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let malformed = |line, reason: String| CheckpointError::Malformed {
        path: path.to_owned(),
        line,
        reason,
    };
    let text = std::str::from_utf8(&content).map_err(|e| malformed(1, e.to_string()))?;
    let mut lines = text.lines();
    match lines.next() {
        Some(VERSION) => {}
        other => {
            return Err(malformed(
                1,
                format!("version {VERSION} is expected, {:?} found", other.unwrap_or("")),
            ));
        }
    }
    let expected: usize = match lines.next() {
        Some(count) => number(count).map_err(|reason| malformed(2, reason))?,
        None => return Err(malformed(2, "the number of entries is missing".to_owned())),
    };
    let mut found = 0;
    for line in lines {
        found += 1;
        let fields = line
            .split_ascii_whitespace()
            .collect::<smallvec::SmallVec<[&str; 4]>>();
        take(&fields).map_err(|reason| malformed(found + 2, reason))?;
    }
    if found != expected {
        return Err(malformed(
            found + 2,
            format!("{expected} entries are announced, {found} found"),
        ));
    }
    Ok(())
}

pub(super) fn write_entries(
    disk: &dyn Disk,
    path: &Path,
    lines: impl ExactSizeIterator<Item = String>,
) -> Result<(), CheckpointError> {
    Ok(disk.replace_file(path, text_of(lines).as_bytes())?)
}

fn text_of(lines: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("{VERSION}\n{}\n", lines.len());
    for line in lines {
        // Writing to a string cannot fail.
        writeln!(text, "{line}").ok();
    }
    text
}

#[cfg(test)]
#[path = "checkpoint_test.rs"]
mod checkpoint_test;
