//! What one batch changes at its side: distinct rows in the order of their store keys, with the sum of their weights.
//!
//! Always true: no row occurs twice, none has weight 0; the rows of one join key stand together and make a group. Rows whose key is NULL, where that
//! matches nothing, are apart: they are shown or not and need no store.

use std::ops::Range;

use millpond_streams::state::KeyBatch;

use super::super::column_batch::ColumnBatch;
use super::side_codec::SideCodec;
use crate::error::{Result, SqlError};

/// What becomes of rows with a NULL in their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NullKeys {
    /// They match each other.
    Match,
    /// They match nothing, and may be shown for that.
    Alone,
    /// They match nothing and are never shown.
    Drop,
}

/// A consolidated batch.
#[derive(Default)]
pub(super) struct Delta {
    /// Join key and row.
    pub(super) keys: KeyBatch,
    /// How long the join key is.
    key_lens: Vec<u32>,
    /// Where the row stands in the batch.
    rows: Vec<u32>,
    weights: Vec<i64>,
    /// Entries of one join key.
    groups: Vec<Range<usize>>,
    /// Rows of the batch that match nothing, with their weights.
    pub(super) loners: Vec<(u32, i64)>,
}

impl Delta {
    /// Consolidates a batch.
    pub(super) fn new(codec: &SideCodec, input: &ColumnBatch, null_keys: NullKeys) -> Result<Delta> {
        let columns = input.batch.columns();
        let [keys, rows] = codec.encode(columns)?;
        let nulls = match null_keys {
            NullKeys::Match => None,
            NullKeys::Alone | NullKeys::Drop => codec.null_keys(columns),
        };
        let count = input.batch.num_rows();
        let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let mut all = KeyBatch::new();
        let mut order: Vec<u32> = Vec::with_capacity(count);
        for row in 0..count {
            all.push_with(|buffer| {
                buffer.extend_from_slice(keys.row(row));
                buffer.extend_from_slice(rows.row(row));
            });
            if null_keys != NullKeys::Drop || !is_null(row) {
                order.push(row as u32);
            }
        }
        let key = |row: u32| all.get(row as usize);
        order.sort_unstable_by(|a, b| key(*a).cmp(key(*b)).then(a.cmp(b)));
        let mut delta = Delta::default();
        for same in order.chunk_by(|a, b| key(*a) == key(*b)) {
            let mut weight: i64 = 0;
            for row in same {
                weight = add(weight, input.weight(*row as usize))?;
            }
            if weight == 0 {
                continue;
            }
            let row = same[0] as usize;
            if is_null(row) {
                delta.loners.push((same[0], weight));
            } else {
                delta.push(key(same[0]), keys.row(row).len(), same[0], weight);
            }
        }
        Ok(delta)
    }

    fn push(&mut self, key: &[u8], key_len: usize, row: u32, weight: i64) {
        let entry = self.keys.len();
        match self.groups.last_mut() {
            Some(group)
                if self.keys.get(group.start)[..self.key_lens[group.start] as usize] == key[..key_len] =>
            {
                group.end = entry + 1;
            }
            _ => self.groups.push(entry..entry + 1),
        }
        self.keys.push(key);
        self.key_lens.push(key_len as u32);
        self.rows.push(row);
        self.weights.push(weight);
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    /// How many join keys there are.
    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The entries of a group.
    pub(super) fn group(&self, group: usize) -> Range<usize> {
        self.groups[group].clone()
    }

    /// The join key of a group.
    pub(super) fn group_key(&self, group: usize) -> &[u8] {
        self.key(self.groups[group].start)
    }

    /// The join key of an entry.
    pub(super) fn key(&self, entry: usize) -> &[u8] {
        &self.keys.get(entry)[..self.key_lens[entry] as usize]
    }

    /// The row of an entry as bytes.
    pub(super) fn row(&self, entry: usize) -> &[u8] {
        &self.keys.get(entry)[self.key_lens[entry] as usize..]
    }

    /// The row of the batch an entry stands for.
    pub(super) fn source(&self, entry: usize) -> u32 {
        self.rows[entry]
    }

    /// How often an entry is added.
    pub(super) fn weight(&self, entry: usize) -> i64 {
        self.weights[entry]
    }

    /// The sum of the weights of a group.
    pub(super) fn group_weight(&self, group: usize) -> Result<i64> {
        self.weights[self.group(group)]
            .iter()
            .try_fold(0, |sum, weight| add(sum, *weight))
    }
}

/// Adds weights.
pub(super) fn add(a: i64, b: i64) -> Result<i64> {
    a.checked_add(b)
        .ok_or_else(|| SqlError::invalid("a row of a join occurs more often than can be counted"))
}
