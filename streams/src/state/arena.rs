//! One growing buffer for all keys and values of a table.
//!
//! A put allocates nothing: it takes a freed piece of the same size class, or the end of the buffer. Pieces are
//! rounded to eight bytes, so an update of a fixed-width value reuses its own place or its predecessor's.

/// Pieces up to this many bytes are reused; larger ones are garbage until the table is rebuilt.
const REUSED_LEN_MAX: usize = 256;
const GRAIN: usize = 8;
/// Offsets from here on mean something else to the table.
const OFFSET_END: u32 = u32::MAX - 16;

/// Keys and values of one table, addressed by offset.
#[derive(Debug)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    /// Freed pieces by size class; class `n` holds `n * GRAIN` bytes.
    free: [Vec<u32>; REUSED_LEN_MAX / GRAIN + 1],
    garbage_bytes: usize,
}

impl Default for Arena {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            free: [const { Vec::new() }; REUSED_LEN_MAX / GRAIN + 1],
            garbage_bytes: 0,
        }
    }
}

impl Arena {
    pub(super) fn get(&self, offset: u32, len: u32) -> &[u8] {
        &self.bytes[offset as usize..offset as usize + len as usize]
    }

    /// Stores `piece` and says where.
    pub(super) fn add(&mut self, piece: &[u8]) -> u32 {
        let rounded = round_up(piece.len());
        if let Some(offset) = self.free.get_mut(rounded / GRAIN).and_then(Vec::pop) {
            self.write(offset, piece);
            return offset;
        }
        // Growing by a quarter instead of doubling keeps a large table inside its budget.
        if self.bytes.capacity() - self.bytes.len() < rounded {
            self.bytes
                .reserve_exact(rounded.max(self.bytes.len() / 4).max(512));
        }
        let offset = u32::try_from(self.bytes.len())
            .ok()
            .filter(|offset| *offset < OFFSET_END);
        let offset = offset.expect("a table stays below 4 GiB between two commits");
        self.bytes.extend_from_slice(piece);
        self.bytes.resize(offset as usize + rounded, 0);
        offset
    }

    /// Puts `piece` where a piece of `old_len` bytes stands, if it fits there exactly (same size class).
    pub(super) fn try_overwrite(&mut self, offset: u32, old_len: u32, piece: &[u8]) -> bool {
        let fits = round_up(old_len as usize) == round_up(piece.len());
        if fits {
            self.write(offset, piece);
        }
        fits
    }

    pub(super) fn free(&mut self, offset: u32, len: u32) {
        let rounded = round_up(len as usize);
        match self.free.get_mut(rounded / GRAIN) {
            Some(_) if rounded == 0 => {}
            Some(pieces) => pieces.push(offset),
            None => self.garbage_bytes += rounded,
        }
    }

    /// Bytes in use and freed.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes nothing can reuse any more.
    pub(super) fn garbage_bytes(&self) -> usize {
        self.garbage_bytes
    }

    fn write(&mut self, offset: u32, piece: &[u8]) {
        self.bytes[offset as usize..offset as usize + piece.len()].copy_from_slice(piece);
    }
}

const fn round_up(len: usize) -> usize {
    len.next_multiple_of(GRAIN)
}

#[cfg(test)]
#[path = "arena_test.rs"]
mod arena_test;
