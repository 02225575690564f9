//! A segment: one run of batches with its indexes.
//!
//! Always: offsets in it are ≥ `base_offset` and below the next segment's base. Entries of the offset and time index are hints; the log file alone
//! is the truth, and `loader.rs` rebuilds the rest. One writer, the owner loop; readers see only bytes below the published end. Files are opened
//! through the directory's cache on use, so an idle segment holds none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::compaction::AbortedRange;
use super::disk::{DiskError, DiskFile, DiskOp, DiskResult, OpenMode};
use super::index_file::IndexError;
use super::log_dir::LogDir;
use super::offset_index::OffsetIndex;
use super::time_index::TimeIndex;
use super::txn_index::{AbortedTxnEntry, TxnIndex};
use crate::types::{Offset, Timestamp};

/// A batch within the bytes of one write.
#[derive(Clone, Copy, Debug)]
pub(super) struct WrittenBatch {
    pub(super) base_offset: Offset,
    pub(super) last_offset: Offset,
    pub(super) max_timestamp: Timestamp,
    /// Where it starts within the bytes.
    pub(super) start: usize,
    pub(super) size_bytes: usize,
}

/// One segment.
#[derive(Debug)]
pub(super) struct Segment {
    base_offset: Offset,
    log_path: PathBuf,
    offset_index: OffsetIndex,
    time_index: TimeIndex,
    txn_index: TxnIndex,
    numbers: Mutex<Numbers>,
}

/// What changes as a segment grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    pub(super) size_bytes: u64,
    /// Largest timestamp, and the last offset of the batch that has it.
    pub(super) newest: Option<(Timestamp, Offset)>,
    pub(super) first_append: Option<Timestamp>,
    pub(super) bytes_since_index: u64,
    pub(super) index_bytes: u64,
}

/// `00000000000000000042.log` and the like.
pub(super) fn file_name(base: Offset, extension: &str) -> String {
    format!("{:020}.{extension}", base.get())
}

/// An index error as a disk error: a write path treats both alike.
pub(super) fn as_disk_error(error: IndexError) -> DiskError {
    match error {
        IndexError::Disk(error) => error,
        IndexError::Corrupt { ref path, .. } | IndexError::Refused { ref path, .. } => {
            DiskError::new(DiskOp::Write, path, std::io::Error::other(error.to_string()))
        }
    }
}

impl Segment {
    /// The segment with these files, whatever is in them.
    pub(super) fn at(dir: &LogDir, partition_path: &Path, base_offset: Offset, numbers: Numbers) -> Self {
        let path = |extension| partition_path.join(file_name(base_offset, extension));
        let files = || Arc::clone(&dir.files);
        Self {
            base_offset,
            log_path: path("log"),
            offset_index: OffsetIndex::new(files(), path("index"), base_offset),
            time_index: TimeIndex::new(files(), path("timeindex"), base_offset),
            txn_index: TxnIndex::new(files(), path("txnindex")),
            numbers: Mutex::new(numbers),
        }
    }

    /// A new, empty segment. Its name is durable after a sync of the directory.
    pub(super) fn create(dir: &LogDir, partition_path: &Path, base_offset: Offset) -> DiskResult<Self> {
        let segment = Self::at(dir, partition_path, base_offset, Numbers::default());
        for path in [
            segment.log_path.as_path(),
            segment.offset_index.path(),
            segment.time_index.path(),
        ] {
            dir.files.forget(path);
            dir.disk.open(path, OpenMode::Truncate)?;
        }
        Ok(segment)
    }

    pub(super) fn base_offset(&self) -> Offset {
        self.base_offset
    }

    pub(super) fn log_path(&self) -> &Path {
        &self.log_path
    }

    pub(super) fn log_file(&self, dir: &LogDir) -> DiskResult<Arc<dyn DiskFile>> {
        dir.files.get(&self.log_path)
    }

    pub(super) fn numbers(&self) -> Numbers {
        *self.numbers.lock()
    }

    pub(super) fn set_numbers(&self, numbers: Numbers) {
        *self.numbers.lock() = numbers;
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.numbers.lock().size_bytes
    }

    pub(super) fn max_timestamp(&self) -> Option<Timestamp> {
        self.numbers.lock().newest.map(|(timestamp, _)| timestamp)
    }

    pub(super) fn first_append(&self) -> Option<Timestamp> {
        self.numbers.lock().first_append
    }

    pub(super) fn index_bytes(&self) -> u64 {
        self.numbers.lock().index_bytes
    }

    pub(super) fn indexes(&self) -> (&OffsetIndex, &TimeIndex, &TxnIndex) {
        (&self.offset_index, &self.time_index, &self.txn_index)
    }

    /// Writes `bytes` at the end; returns the handle they went through and their position. After an error nothing was counted.
    pub(super) fn write(
        &self,
        dir: &LogDir,
        bytes: &[u8],
        batches: &[WrittenBatch],
        now: Timestamp,
        index_interval_bytes: u64,
    ) -> DiskResult<(Arc<dyn DiskFile>, u64)> {
        let file = self.log_file(dir)?;
        let mut numbers = self.numbers();
        let position = numbers.size_bytes;
        file.write_at(bytes, position)?;
        dir.faults.point("K5");
        for batch in batches {
            self.index(
                &mut numbers,
                batch,
                position + batch.start as u64,
                index_interval_bytes,
            )?;
        }
        numbers.first_append.get_or_insert(now);
        numbers.size_bytes += bytes.len() as u64;
        self.set_numbers(numbers);
        Ok((file, position))
    }

    /// Takes a batch at `position` into `numbers` and, every `interval` bytes, into the indexes.
    pub(super) fn index(
        &self,
        numbers: &mut Numbers,
        batch: &WrittenBatch,
        position: u64,
        interval: u64,
    ) -> DiskResult<()> {
        if numbers
            .newest
            .is_none_or(|(newest, _)| batch.max_timestamp > newest)
            && batch.max_timestamp >= 0
        {
            numbers.newest = Some((batch.max_timestamp, batch.last_offset));
        }
        if numbers.bytes_since_index > interval {
            // A position beyond 31 bits happens only in a segment of one huge batch, which needs no entry.
            if let Ok(position) = u32::try_from(position) {
                self.offset_index
                    .append(batch.last_offset, position)
                    .map_err(as_disk_error)?;
                numbers.index_bytes += 8;
            }
            self.index_newest(numbers)?;
            numbers.bytes_since_index = 0;
        }
        numbers.bytes_since_index += batch.size_bytes as u64;
        Ok(())
    }

    fn index_newest(&self, numbers: &Numbers) -> DiskResult<()> {
        if let Some((timestamp, offset)) = numbers.newest {
            self.time_index
                .maybe_append(timestamp, offset)
                .map_err(as_disk_error)?;
        }
        Ok(())
    }

    /// No more batches will come: the time index gets its last entry and all indexes are written.
    pub(super) fn close(&self) -> DiskResult<()> {
        self.index_newest(&self.numbers())?;
        self.flush_indexes()
    }

    /// Writes index entries that are only in memory, and frees that memory.
    pub(super) fn flush_indexes(&self) -> DiskResult<()> {
        self.offset_index.flush().map_err(as_disk_error)?;
        self.time_index.flush().map_err(as_disk_error)?;
        self.txn_index.flush().map_err(as_disk_error)
    }

    /// Makes the indexes durable. Before a recovery point passes a segment: a lost transaction index would turn aborted records into
    /// committed ones, and nobody looks below the recovery point again.
    pub(super) fn sync_indexes(&self) -> DiskResult<()> {
        self.offset_index.sync().map_err(as_disk_error)?;
        self.time_index.sync().map_err(as_disk_error)?;
        self.txn_index.sync().map_err(as_disk_error)
    }

    /// Empties the indexes for a rebuild.
    pub(super) fn reset_indexes(&self) -> DiskResult<()> {
        self.offset_index.reset().map_err(as_disk_error)?;
        self.time_index.reset().map_err(as_disk_error)?;
        self.txn_index.reset().map_err(as_disk_error)
    }

    /// Where to start reading for `offset`: the position of a batch at or before it.
    pub(super) fn position_of(&self, offset: Offset) -> u64 {
        match self.offset_index.lookup(offset) {
            Ok(found) if u64::from(found.position) < self.size_bytes() => u64::from(found.position),
            Ok(_) => 0,
            Err(error) => {
                tracing::warn!(%error, "offset index is not usable; reading the segment from its start");
                0
            }
        }
    }

    /// An offset before which no record has a timestamp of `timestamp` or more.
    pub(super) fn offset_before(&self, timestamp: Timestamp) -> Offset {
        match self.time_index.lookup(timestamp.saturating_sub(1)) {
            Ok(found) => found.map_or(self.base_offset, |f| f.offset),
            Err(error) => {
                tracing::warn!(%error, "time index is not usable; searching the segment from its start");
                self.base_offset
            }
        }
    }

    /// Lists an aborted transaction whose marker is in this segment.
    pub(super) fn add_aborted(&self, range: AbortedRange) -> DiskResult<()> {
        let entry = AbortedTxnEntry {
            producer_id: range.producer_id,
            first_offset: range.first_offset,
            last_offset: range.last_offset,
            last_stable_offset: range.last_stable_offset,
        };
        self.txn_index.append(entry).map_err(as_disk_error)
    }

    /// All aborted transactions whose marker is in this segment.
    pub(super) fn aborted(&self) -> DiskResult<Vec<AbortedRange>> {
        let entries = self.txn_index.entries().map_err(as_disk_error)?;
        Ok(entries
            .into_iter()
            .map(|e| AbortedRange {
                first_offset: e.first_offset,
                last_offset: e.last_offset,
                producer_id: e.producer_id,
                last_stable_offset: e.last_stable_offset,
            })
            .collect())
    }

    /// Every file of a segment of that base in `partition_path`, whether it exists or not.
    pub(super) fn paths(partition_path: &Path, base_offset: Offset) -> [PathBuf; 4] {
        ["log", "index", "timeindex", "txnindex"]
            .map(|extension| partition_path.join(file_name(base_offset, extension)))
    }

    /// Lets go of cached handles, before its files are renamed or removed.
    pub(super) fn forget_files(&self, dir: &LogDir) {
        for path in [
            self.log_path.as_path(),
            self.offset_index.path(),
            self.time_index.path(),
            self.txn_index.path(),
        ] {
            dir.files.forget(path);
        }
    }
}
