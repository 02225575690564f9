//! Walks the batches of a segment file from a position on, with few and large reads.
//!
//! Always: yields only whole, well-formed batches; what ends the walk early is told apart: the end of the bytes, or something that is no batch.
//! Used by readers, recovery, the cleaner and `verify.rs`, so that they cannot disagree about what a segment holds.

use std::sync::Arc;

use bytes::Bytes;

use super::disk::{DiskFile, DiskResult};
use crate::record::{BATCH_HEADER_SIZE, BatchError, BatchHeader, RecordBatch};

/// Bytes fetched at once, at least.
const CHUNK_BYTES: usize = 256 << 10;
/// The most that is read in one step before it is known what is there.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// A batch that claims to be larger than this is damage: the wire cannot carry it.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// What the walk found at its position.
#[derive(Debug)]
pub(super) enum Step {
    /// A batch and its position.
    Batch(u64, RecordBatch),
    /// The bytes end here.
    End,
    /// The bytes here are no whole batch.
    Bad(BatchError),
}

/// A walk; see the file's head.
#[derive(Debug)]
pub(super) struct BatchWalk {
    file: Arc<dyn DiskFile>,
    position: u64,
    end: u64,
    chunk: Bytes,
    /// A read takes so many bytes, if they are there.
    chunk_bytes: usize,
}

impl BatchWalk {
    /// From `position` (the start of a batch) to `end`.
    pub(super) fn new(file: Arc<dyn DiskFile>, position: u64, end: u64) -> Self {
        Self {
            file,
            position,
            end,
            chunk: Bytes::new(),
            chunk_bytes: CHUNK_BYTES,
        }
    }

    /// The same, reading in larger steps: `bytes` are wanted in all. A batch that is cut by the end of a step is read twice.
    pub(super) fn expecting(self, bytes: usize) -> Self {
        Self {
            chunk_bytes: bytes.clamp(CHUNK_BYTES, CHUNK_BYTES_MAX),
            ..self
        }
    }

    /// Where the next batch is expected.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Makes sure `needed` bytes are in the chunk, or all that are left.
    fn fill(&mut self, needed: usize) -> DiskResult<()> {
        if self.chunk.len() < needed {
            let left = self.end.saturating_sub(self.position);
            let wanted = (needed.max(self.chunk_bytes) as u64).min(left) as usize;
            self.chunk = self.file.read_bytes_at(self.position, wanted)?;
        }
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        self.position += bytes as u64;
        self.chunk = if bytes <= self.chunk.len() {
            self.chunk.slice(bytes..)
        } else {
            Bytes::new()
        };
    }

    /// Header of the next batch; its body is neither read nor checked.
    pub(super) fn peek_header(&mut self) -> DiskResult<Result<Option<BatchHeader>, BatchError>> {
        if self.position >= self.end {
            return Ok(Ok(None));
        }
        self.fill(BATCH_HEADER_SIZE)?;
        let available = self.end - self.position;
        Ok(BatchHeader::parse(&self.chunk).and_then(|header| {
            if header.size_bytes() as u64 > available || header.size_bytes() > BATCH_BYTES_MAX {
                return Err(BatchError::Truncated {
                    needed: header.size_bytes(),
                    available: available as usize,
                });
            }
            Ok(Some(header))
        }))
    }

    /// Passes over the batch whose header was just peeked.
    pub(super) fn skip(&mut self, header: &BatchHeader) {
        self.advance(header.size_bytes());
    }

    /// The next batch.
    pub(super) fn step(&mut self) -> DiskResult<Step> {
        let header = match self.peek_header()? {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(Step::End),
            Err(error) => return Ok(Step::Bad(error)),
        };
        let size = header.size_bytes();
        self.fill(size)?;
        if self.chunk.len() < size {
            return Ok(Step::Bad(BatchError::Truncated {
                needed: size,
                available: self.chunk.len(),
            }));
        }
        let position = self.position;
        let bytes = self.chunk.slice(..size);
        self.advance(size);
        Ok(match RecordBatch::parse(bytes) {
            Ok(batch) => Step::Batch(position, batch),
            Err(error) => Step::Bad(error),
        })
    }
}
