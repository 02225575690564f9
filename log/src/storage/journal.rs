//! The journal of one log directory: two files written in turns, each from its start again once its segments are synced.
//!
//! Always: what a frame says is durable once `sync` of its file returned; a file is written again only after the segments of all its frames are
//! durable themselves (`release`). Recovery replays both files, oldest generation first, and removes them only after the segments are synced.
//! Reusing the files keeps their blocks allocated, so that a sync writes data only; and frames pass by the page cache, which has the same bytes
//! in the segments already. See `journal_format.rs` for the bytes, `flusher.rs` for the use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::aligned_buffer::AlignedBuffer;
use super::disk::{Disk, DiskExt, DiskFile, DiskResult, OpenMode};
use super::journal_format::{FRAME_OVERHEAD_MAX, JournalPiece, decode_file, encode_frame};

/// Names of the two files in the log directory.
const NAMES: [&str; 2] = ["journal-a", "journal-b"];

/// Most bytes handed to the disk at once. Large enough to keep it busy, small enough to be kept while frames come.
const CHUNK_BYTES: usize = 4 << 20;

/// The journal, open for writing.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    files: [Option<Arc<dyn DiskFile>>; 2],
    free: [bool; 2],
    current: usize,
    generation: u64,
    number: u64,
    position: u64,
    limit_bytes: u64,
    /// Where frames are put together; freed when no more come.
    chunk: Arc<Mutex<AlignedBuffer>>,
}

/// One frame, ready to be written on a thread that may block.
#[derive(Debug)]
pub(super) struct PreparedFrame {
    file: Arc<dyn DiskFile>,
    buffers: Vec<bytes::Bytes>,
    position: u64,
    chunk: Arc<Mutex<AlignedBuffer>>,
}

impl PreparedFrame {
    /// Writes the frame and, unless `skip_sync` (a planted bug), makes it durable.
    pub(super) fn write(&self, skip_sync: bool) -> DiskResult<()> {
        let mut chunk = self.chunk.lock();
        chunk.reset(self.size_bytes().min(CHUNK_BYTES));
        let mut position = self.position;
        for buffer in &self.buffers {
            let mut rest = &buffer[..];
            while !rest.is_empty() {
                rest = &rest[chunk.fill(rest)..];
                if chunk.is_full() {
                    self.file.write_direct_at(chunk.filled(), position)?;
                    position += chunk.filled().len() as u64;
                    chunk.clear();
                }
            }
        }
        if !chunk.filled().is_empty() {
            self.file.write_direct_at(chunk.filled(), position)?;
        }
        if skip_sync { Ok(()) } else { self.file.sync_data() }
    }

    fn size_bytes(&self) -> usize {
        self.buffers.iter().map(bytes::Bytes::len).sum()
    }
}

impl Journal {
    /// An empty journal; recovery has removed what an earlier run left.
    pub(super) fn new(dir: &Path, disk: Arc<dyn Disk>, limit_bytes: u64) -> Self {
        Self {
            dir: dir.to_path_buf(),
            disk,
            files: [None, None],
            free: [false, true],
            current: 0,
            generation: 1,
            number: 0,
            position: 0,
            limit_bytes,
            chunk: Arc::default(),
        }
    }

    /// Bytes of pieces the next frame can hold.
    pub(super) fn room(&self) -> u64 {
        self.limit_bytes
            .saturating_sub(self.position + FRAME_OVERHEAD_MAX as u64)
    }

    /// True if the current file holds frames.
    pub(super) fn has_frames(&self) -> bool {
        self.number > 0
    }

    /// True if the current file is filled so far that the other one should take over.
    pub(super) fn is_filling(&self) -> bool {
        self.position > self.limit_bytes / 2
    }

    /// Encodes the next frame.
    pub(super) fn prepare(&mut self, pieces: &[JournalPiece]) -> DiskResult<PreparedFrame> {
        let file = match &self.files[self.current] {
            Some(file) => Arc::clone(file),
            None => {
                let file = self
                    .disk
                    .open(&self.dir.join(NAMES[self.current]), OpenMode::Truncate)?;
                // The name must be as durable as what is acknowledged on the strength of it.
                self.disk.sync_dir(&self.dir)?;
                self.files[self.current] = Some(Arc::clone(&file));
                file
            }
        };
        let frame = PreparedFrame {
            file,
            buffers: encode_frame(self.generation, self.number, pieces),
            position: self.position,
            chunk: Arc::clone(&self.chunk),
        };
        self.position += frame.size_bytes() as u64;
        self.number += 1;
        Ok(frame)
    }

    /// Goes on in the other file, if it is free; returns the number of the file left behind, to be given to `release`.
    pub(super) fn switch(&mut self) -> Option<usize> {
        let old = self.current;
        let other = 1 - old;
        if !self.free[other] {
            return None;
        }
        self.free[other] = false;
        self.current = other;
        self.generation += 1;
        self.number = 0;
        self.position = 0;
        Some(old)
    }

    /// The segments of everything in `file` are durable: it may be written again.
    pub(super) fn release(&mut self, file: usize) {
        debug_assert_ne!(file, self.current);
        self.free[file] = true;
        if !self.has_frames() {
            *self.chunk.lock() = AlignedBuffer::default();
        }
    }
}

/// Everything the journal files of `dir` hold, in the order it was made durable.
pub(super) fn read_pieces(dir: &Path, disk: &dyn Disk) -> DiskResult<Vec<JournalPiece>> {
    let mut runs = Vec::new();
    for name in NAMES {
        let path = dir.join(name);
        if disk.exists(&path)? {
            runs.push(decode_file(&disk.read_file(&path, u64::MAX)?));
        }
    }
    runs.sort_by_key(|run| run.generation);
    Ok(runs.into_iter().flat_map(|run| run.pieces).collect())
}

/// Removes the journal files, durably. The segments of all their frames are synced.
pub(super) fn remove_files(dir: &Path, disk: &dyn Disk) -> DiskResult<()> {
    let mut removed = false;
    for name in NAMES {
        let path = dir.join(name);
        if disk.exists(&path)? {
            disk.remove_file(&path)?;
            removed = true;
        }
    }
    // Without this a power cut could bring old frames back beside a new generation 1.
    if removed { disk.sync_dir(dir) } else { Ok(()) }
}
