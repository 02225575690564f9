//! Rows of a Top-N on their way out, one after the other in one buffer.

use super::top_n::TopNChange;

/// Rows that come and go.
#[derive(Default)]
pub(super) struct Pending {
    rows: Vec<u8>,
    ends: Vec<usize>,
    /// Of each row.
    pub(super) numbers: Vec<u64>,
    /// Of each row.
    pub(super) weights: Vec<i64>,
}

impl Pending {
    pub(super) fn push(&mut self, row: &[u8], change: TopNChange) {
        self.rows.extend_from_slice(row);
        self.ends.push(self.rows.len());
        self.numbers.push(change.number);
        self.weights.push(change.weight);
    }

    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    pub(super) fn row(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.rows[start..self.ends[index]]
    }
}
