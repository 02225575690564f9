//! The four ends of a log, and what a reader may ask for.
//!
//! Always: `log_start_offset ≤ last_stable_offset ≤ high_watermark ≤ log_end_offset`. They are published together, so a reader
//! that takes one snapshot never mixes two moments (KAFKA-9807). See `watermarks.rs` for who moves them.

use bytes::Bytes;

use crate::types::{Offset, ProducerId};

/// A consistent snapshot of a partition's offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffsets {
    /// First offset a client may see.
    pub log_start_offset: Offset,
    /// First offset of the oldest undecided transaction, never above the high watermark.
    pub last_stable_offset: Offset,
    /// First offset consumers may not read yet.
    pub high_watermark: Offset,
    /// Offset the next record will get.
    pub log_end_offset: Offset,
}

impl LogOffsets {
    /// First offset a reader of this isolation may not see.
    pub fn read_limit(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable_offset,
        }
    }
}

/// Which records a reader wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Isolation {
    /// Everything below the high watermark.
    #[default]
    ReadUncommitted,
    /// Only decided transactions: below the last stable offset, with the aborted list to filter by.
    ReadCommitted,
}

/// An aborted transaction that overlaps a read: skip this producer's records from `first_offset` to its next marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AbortedTxn {
    /// First offset of the transaction.
    pub first_offset: Offset,
    /// Who wrote it.
    pub producer_id: ProducerId,
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct ReadResult {
    /// Whole batches in offset order; each element holds one or more. The first may start below the offset asked for.
    pub batches: Vec<Bytes>,
    /// Aborted transactions to filter by, ascending by first offset; empty for `ReadUncommitted`.
    pub aborted: Vec<AbortedTxn>,
    /// The offsets this read was bounded by.
    pub offsets: LogOffsets,
}

impl ReadResult {
    /// Bytes of all batches.
    pub fn size_bytes(&self) -> usize {
        self.batches.iter().map(Bytes::len).sum()
    }
}
