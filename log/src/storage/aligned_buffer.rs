//! A buffer whose address suits the disk: what is written from it can go past the page cache.
//!
//! Always: `filled` starts at a multiple of `DIRECT_ALIGN` and never outgrows the capacity, which is a multiple of it too. It is plain memory, a
//! block larger than asked for, so that no unsafe code is needed. See `DiskFile::write_direct_at` for who cares.

use super::disk::DIRECT_ALIGN;

/// Bytes gathered at an aligned address.
#[derive(Debug, Default)]
pub(super) struct AlignedBuffer {
    memory: Vec<u8>,
    capacity: usize,
    filled: usize,
}

impl AlignedBuffer {
    /// Empties it and makes room for `capacity` bytes, rounded up to whole blocks. Memory it has is kept.
    pub(super) fn reset(&mut self, capacity: usize) {
        self.capacity = capacity.next_multiple_of(DIRECT_ALIGN);
        self.filled = 0;
        if self.memory.len() < self.capacity + DIRECT_ALIGN {
            self.memory = vec![0; self.capacity + DIRECT_ALIGN];
        }
    }

    /// Where the first aligned address is. Code that runs while it is compiled could not know it; then the first byte serves, unaligned.
    fn start(&self) -> usize {
        let start = self.memory.as_ptr().align_offset(DIRECT_ALIGN);
        if start < DIRECT_ALIGN { start } else { 0 }
    }

    /// Takes as much of `bytes` as there is room for; returns how much.
    pub(super) fn fill(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.capacity - self.filled);
        let at = self.start() + self.filled;
        self.memory[at..at + taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        taken
    }

    /// What was filled in since the last `reset` or `clear`.
    pub(super) fn filled(&self) -> &[u8] {
        let start = self.start();
        &self.memory[start..start + self.filled]
    }

    pub(super) fn is_full(&self) -> bool {
        self.filled == self.capacity
    }

    /// Begins again at the start.
    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }
}

#[cfg(test)]
#[path = "aligned_buffer_test.rs"]
mod aligned_buffer_test;
