//! Rows of the other side that a batch may match, read a block at a time.
//!
//! Always true: a block holds about as many rows and bytes as is allowed, however many rows a join key has; the blocks of a batch hold every
//! stored row with one of its join keys once, in the order of the keys. A key is read from the cache or by one walk over its prefix, which goes on
//! behind the last row when a block was full before its end.

use std::ops::Range;

use millpond_streams::processor::ProcessContext;
use millpond_streams::state::{KeyBatch, KeyRange};

use super::Limits;
use super::delta::Delta;
use super::key_cache::{PackedRows, StoredRow};
use super::side::Side;
use crate::error::{Result, SqlError};

/// Some stored rows.
#[derive(Default)]
pub(super) struct Block {
    pub(super) rows: KeyBatch,
    pub(super) weights: Vec<i64>,
    /// The matches of each row before this batch.
    pub(super) matches: Vec<i64>,
    /// How this batch changes them.
    pub(super) changes: Vec<i64>,
    /// (group of the batch, its rows in the block)
    pub(super) segments: Vec<(usize, Range<usize>)>,
    bytes: usize,
}

impl Block {
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.weights.clear();
        self.matches.clear();
        self.changes.clear();
        self.segments.clear();
        self.bytes = 0;
    }

    fn push(&mut self, stored: StoredRow<'_>) {
        self.bytes += stored.row.len();
        self.rows.push(stored.row);
        self.weights.push(stored.weight);
        self.matches.push(stored.matches);
        self.changes.push(0);
    }

    fn is_full(&self, limits: &Limits) -> bool {
        self.len() >= limits.block_rows || self.bytes >= limits.block_bytes
    }
}

/// Walks over the join keys of a batch.
#[derive(Default)]
pub(super) struct Reader {
    next_group: usize,
    /// The last store key that was read of the next group, if some rows of it were.
    last: Option<Vec<u8>>,
}

impl Reader {
    /// Fills `block` with what comes next; it stays empty behind the end.
    pub(super) fn fill(
        &mut self,
        delta: &Delta,
        side: &mut Side,
        limits: &Limits,
        block: &mut Block,
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        block.clear();
        let mut store = context.store(side.store()?);
        let failed = |e| SqlError::runtime("reading the rows of a join", e);
        while self.next_group < delta.group_count() && !block.is_full(limits) {
            let group = self.next_group;
            let key = delta.group_key(group);
            let start = block.len();
            let cached = if self.last.is_none() {
                side.cache.get(key)
            } else {
                None
            };
            if let Some(rows) = cached {
                rows.iter().for_each(|row| block.push(row));
                self.next_group += 1;
            } else {
                let mut range = KeyRange::prefix(key);
                let mut packed = self.last.is_none().then(PackedRows::default);
                if let Some(last) = &self.last {
                    range.from.clone_from(last);
                    range.from.push(0);
                }
                let mut scan = store.scan(&range).map_err(failed)?;
                loop {
                    let Some((stored_key, value)) = scan.next_entry().map_err(failed)? else {
                        self.last = None;
                        self.next_group += 1;
                        break;
                    };
                    let (weight, matches) = side.codec.read_value(value)?;
                    let row = StoredRow {
                        row: &stored_key[key.len()..],
                        weight,
                        matches,
                    };
                    block.push(row);
                    if let Some(rows) = &mut packed {
                        rows.push(row);
                    }
                    packed.take_if(|rows| rows.bytes() > side.cache.key_bytes_max());
                    if block.is_full(limits) {
                        self.last = Some(stored_key.to_vec());
                        break;
                    }
                }
                if let Some(rows) = packed.filter(|_| self.last.is_none()) {
                    side.cache.insert(key, rows);
                }
            }
            if block.len() > start {
                block.segments.push((group, start..block.len()));
            }
        }
        Ok(())
    }
}
