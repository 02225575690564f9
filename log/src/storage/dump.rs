//! Our files laid open, for `millpond log dump`: which partitions a directory has, their segments, and the batches in those.
//!
//! Reads only, takes no lock, believes no index. What it yields before an error is sound.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch_walk::{BatchWalk, Step};
use super::disk::{Disk, OpenMode};
use super::leftovers::segment_bases;
use super::segment::file_name;
use super::storage_error::StorageError;
use crate::record::RecordBatch;
use crate::types::{Offset, TopicPartition};

/// The partitions below a data directory and their directories, in order of their names.
pub fn partition_dirs(
    disk: &dyn Disk,
    data_dir: &Path,
) -> Result<Vec<(TopicPartition, PathBuf)>, StorageError> {
    let entries = disk.list(data_dir)?;
    let dirs = entries.into_iter().filter(|e| e.is_dir);
    Ok(dirs
        .filter_map(|e| TopicPartition::from_dir_name(&e.name).map(|id| (id, data_dir.join(e.name))))
        .collect())
}

/// The log files of a partition directory and their base offsets, ascending.
pub fn segment_files(disk: &dyn Disk, partition_dir: &Path) -> Result<Vec<(Offset, PathBuf)>, StorageError> {
    let bases = segment_bases(disk, partition_dir)?;
    Ok(bases
        .into_iter()
        .map(|base| (base, partition_dir.join(file_name(base, "log"))))
        .collect())
}

/// A batch and where it stands in its log file.
#[derive(Clone, Debug)]
pub struct PositionedBatch {
    /// Byte position.
    pub position: u64,
    /// The batch; its checksum was not looked at.
    pub batch: RecordBatch,
}

/// The batches of one log file, in order. Ends after the first error.
#[derive(Debug)]
pub struct SegmentBatches {
    path: PathBuf,
    walk: Option<BatchWalk>,
}

impl SegmentBatches {
    /// Of the log file at `path`.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<SegmentBatches, StorageError> {
        let file = disk.open(path, OpenMode::Read)?;
        let length = file.len()?;
        Ok(SegmentBatches {
            path: path.to_path_buf(),
            walk: Some(BatchWalk::new(Arc::clone(&file), 0, length)),
        })
    }
}

impl Iterator for SegmentBatches {
    type Item = Result<PositionedBatch, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let walk = self.walk.as_mut()?;
        let error = match walk.step() {
            Ok(Step::Batch(position, batch)) => return Some(Ok(PositionedBatch { position, batch })),
            Ok(Step::End) => {
                self.walk = None;
                return None;
            }
            Ok(Step::Bad(error)) => StorageError::Io {
                reason: format!(
                    "{} holds no whole batch at byte {}: {error}",
                    self.path.display(),
                    walk.position()
                ),
            },
            Err(error) => error.into(),
        };
        self.walk = None;
        Some(Err(error))
    }
}

impl std::iter::FusedIterator for SegmentBatches {}
