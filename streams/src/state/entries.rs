//! The entries of a table by number, in pieces that stay where they are.
//!
//! One long vector would be copied whenever it doubles (its alignment keeps the allocator from moving pages instead), and each copy touches new memory: with a
//! million keys that was a tenth of the time of a windowed count. Always true: every piece but the last is full, and only a first piece ever grows.

use std::ops::{Index, IndexMut};

use super::hot_table::Entry;

/// Entries of a piece: one MiB.
const PIECE: usize = 1 << 13;

/// A growing run of entries.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pieces: Vec<Vec<Entry>>,
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        match self.pieces.split_last() {
            Some((last, full)) => full.len() * PIECE + last.len(),
            None => 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        match self.pieces.last_mut() {
            Some(last) if last.len() < PIECE => last.push(entry),
            _ => {
                // Most tables are small, so the first piece begins small too.
                let room = if self.pieces.is_empty() { 1 } else { PIECE };
                let mut piece = Vec::with_capacity(room);
                piece.push(entry);
                self.pieces.push(piece);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.pieces.iter().flatten()
    }
}

impl Index<usize> for Entries {
    type Output = Entry;

    #[inline]
    fn index(&self, number: usize) -> &Entry {
        &self.pieces[number / PIECE][number % PIECE]
    }
}

impl IndexMut<usize> for Entries {
    #[inline]
    fn index_mut(&mut self, number: usize) -> &mut Entry {
        &mut self.pieces[number / PIECE][number % PIECE]
    }
}

#[cfg(test)]
#[path = "entries_test.rs"]
mod entries_test;
