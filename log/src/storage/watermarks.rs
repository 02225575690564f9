//! The published ends of one partition, moved together. Pure.
//!
//! Always: `log_start ≤ last_stable ≤ high_watermark ≤ log_end` and `durable ≤ log_end`; none of them ever goes back.
//! A closed transaction holds the last stable offset down until its marker is below the high watermark: before that a crash could
//! still lose the decision, and readers would have seen an undecided transaction as decided.

use std::collections::{BTreeMap, BTreeSet};

use super::log_offsets::LogOffsets;
use super::settings::Durability;
use crate::types::Offset;

/// Ends of one partition.
#[derive(Clone, Debug)]
pub struct Watermarks {
    log_start: Offset,
    durable: Offset,
    log_end: Offset,
    durability: Durability,
    /// The high watermark when the durability was last raised: it never goes back.
    floor: Offset,
    open: BTreeSet<Offset>,
    /// First offset of a closed transaction → offset of its marker, until the marker is below the high watermark.
    closing: BTreeMap<Offset, Offset>,
    lso_off_by_one: bool,
}

impl Watermarks {
    /// Ends after recovery, when everything that is left is durable.
    pub fn recovered(
        log_start: Offset,
        log_end: Offset,
        open: impl IntoIterator<Item = Offset>,
        durability: Durability,
    ) -> Self {
        assert!(
            log_start <= log_end,
            "log start {log_start} above log end {log_end}"
        );
        Self {
            log_start,
            durable: log_end,
            log_end,
            durability,
            floor: log_end,
            open: open.into_iter().collect(),
            closing: BTreeMap::new(),
            lso_off_by_one: false,
        }
    }

    /// Plants the bug of a last stable offset that is one too high.
    pub fn plant_off_by_one(&mut self, planted: bool) {
        self.lso_off_by_one = planted;
    }

    /// A consistent snapshot.
    pub fn offsets(&self) -> LogOffsets {
        let high_watermark = self.high_watermark();
        let mut last_stable_offset = high_watermark;
        if let Some(first) = self.open.first() {
            last_stable_offset = last_stable_offset.min(*first);
        }
        if let Some(first) = self.closing.keys().next() {
            last_stable_offset = last_stable_offset.min(*first);
        }
        if self.lso_off_by_one {
            last_stable_offset = last_stable_offset.next().min(high_watermark);
        }
        // Records may be deleted (retention, DeleteRecords) from under an open transaction: the start pushes the stable end.
        last_stable_offset = last_stable_offset.max(self.log_start);
        LogOffsets {
            log_start_offset: self.log_start,
            last_stable_offset,
            high_watermark,
            log_end_offset: self.log_end,
        }
    }

    fn high_watermark(&self) -> Offset {
        match self.durability {
            Durability::Fsync => self.durable.max(self.floor),
            Durability::PageCache => self.log_end,
        }
    }

    /// Everything below this is on the medium.
    pub fn durable_end(&self) -> Offset {
        self.durable
    }

    /// How this partition acknowledges.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// A transaction opened.
    pub fn on_txn_opened(&mut self, first: Offset) {
        self.open.insert(first);
    }

    /// A transaction was closed by a marker at `marker`.
    pub fn on_txn_closed(&mut self, first: Offset, marker: Offset) {
        self.open.remove(&first);
        self.closing.insert(first, marker);
    }

    /// Bytes up to `end` were written.
    pub fn on_written(&mut self, end: Offset) {
        assert!(
            end >= self.log_end,
            "log end would go back from {} to {end}",
            self.log_end
        );
        self.log_end = end;
        self.settle();
    }

    /// Bytes up to `end` are durable.
    pub fn on_durable(&mut self, end: Offset) {
        assert!(
            end <= self.log_end,
            "durable end {end} above log end {}",
            self.log_end
        );
        self.durable = self.durable.max(end);
        self.settle();
    }

    /// The log now starts at `start`.
    pub fn on_log_start(&mut self, start: Offset) {
        self.log_start = self.log_start.max(start.min(self.log_end));
    }

    /// The topic's durability changed. What was published under the old one stays published.
    pub fn set_durability(&mut self, durability: Durability) {
        self.floor = self.high_watermark();
        self.durability = durability;
        self.settle();
    }

    fn settle(&mut self) {
        let high_watermark = self.high_watermark();
        self.closing.retain(|_, marker| *marker >= high_watermark);
    }
}
