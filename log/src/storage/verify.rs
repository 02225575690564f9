//! Rebuilds everything derived from the `.log` files of a stopped node and compares it with what is stored.
//!
//! A *problem* is a difference no crash can explain: bad bytes below the recovery point, an index entry that points beside a batch, a snapshot that says
//! what the log does not. A *note* is what the next start mends by itself: a torn tail, an index that lags, half-done work, a journal to replay.
//! Nothing is changed. `millpond log verify` prints the report; every crash test ends with it. Next: `verify_partition.rs` looks at one partition.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::read_offsets;
use super::checkpoints::{CLEANER_OFFSETS, LOG_STARTS, Offsets, RECOVERY_POINTS};
use super::disk::{Disk, LockError};
use super::dump::partition_dirs;
use super::journal;
use super::storage_error::StorageError;
use super::verify_partition::{Known, check};
use crate::types::{Offset, TopicPartition};

/// Something worth telling about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// What is the matter.
    pub what: String,
}

/// What was found in one partition.
#[derive(Clone, Debug)]
pub struct PartitionReport {
    /// Which.
    pub partition: TopicPartition,
    /// Segments.
    pub segments: usize,
    /// Batches, all of them decoded.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of the log files.
    pub bytes: u64,
    /// First offset clients may see.
    pub log_start_offset: Offset,
    /// Offset the next record would get.
    pub log_end_offset: Offset,
    /// Differences no crash explains.
    pub problems: Vec<Finding>,
    /// What the next start mends.
    pub notes: Vec<Finding>,
}

/// What was found in a data directory.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// One per partition, in order.
    pub partitions: Vec<PartitionReport>,
    /// Problems of the directory itself.
    pub problems: Vec<Finding>,
    /// Notes about the directory itself.
    pub notes: Vec<Finding>,
}

impl VerifyReport {
    /// True without problems; notes are fine.
    pub fn is_clean(&self) -> bool {
        self.all_problems().next().is_none()
    }

    /// Every problem.
    pub fn all_problems(&self) -> impl Iterator<Item = &Finding> {
        self.problems
            .iter()
            .chain(self.partitions.iter().flat_map(|p| &p.problems))
    }

    /// Every note.
    pub fn all_notes(&self) -> impl Iterator<Item = &Finding> {
        self.notes
            .iter()
            .chain(self.partitions.iter().flat_map(|p| &p.notes))
    }
}

/// Verifies a data directory nobody uses; errs if it is in use or cannot be read. Blocking.
pub fn verify(disk: &Arc<dyn Disk>, data_dir: &Path) -> Result<VerifyReport, StorageError> {
    let _lock = disk.lock(data_dir).map_err(|e| match e {
        LockError::Locked { .. } => StorageError::Locked {
            dir: data_dir.to_path_buf(),
            reason: e.to_string(),
        },
        LockError::Disk(error) => error.into(),
    })?;
    let mut report = VerifyReport::default();
    let mut offsets = |name: &str| {
        let path = data_dir.join(name);
        read_offsets(&**disk, &path).unwrap_or_else(|e| {
            report.problems.push(Finding {
                file: path,
                what: e.to_string(),
            });
            Offsets::new()
        })
    };
    let (points, starts, cleaned) = (
        offsets(RECOVERY_POINTS),
        offsets(LOG_STARTS),
        offsets(CLEANER_OFFSETS),
    );
    let pieces = journal::read_pieces(data_dir, &**disk)?;
    if !pieces.is_empty() {
        let journalled = pieces.len();
        report.notes.push(Finding {
            file: data_dir.to_path_buf(),
            what: format!("the journal holds {journalled} pieces to replay"),
        });
    }
    for (id, path) in partition_dirs(&**disk, data_dir)? {
        let get = |offsets: &Offsets| offsets.get(&id).copied().unwrap_or(Offset::ZERO);
        let journalled = pieces
            .iter()
            .any(|p| p.directory == id.to_string() && p.next_offset > get(&points));
        let known = Known {
            recovery_point: get(&points),
            log_start: get(&starts),
            cleaned_to: get(&cleaned),
            journalled,
        };
        report.partitions.push(check(disk, &id, path, &known)?);
    }
    Ok(report)
}
