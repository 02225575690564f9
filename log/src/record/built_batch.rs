//! A batch that this process encoded, with what its encoder saw of the records.
//!
//! Always true: only [`BatchBuilder::build_known`](super::BatchBuilder::build_known) makes one, from the very records it encoded, and its bytes cannot be changed; so what
//! comes off a socket or a disk is never one, whatever it says of itself. Who asks: `storage/record_rules.rs`, which walks the records of every other batch.

use std::ops::Deref;

use bytes::Bytes;

use crate::types::Timestamp;

/// One batch, as its builder left it. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct BuiltBatch {
    pub(super) seen: Option<RecordsSeen>,
    pub(super) bytes: Bytes,
}

/// What the builder saw of the records, at least one: they are whole, and numbered in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordsSeen {
    /// Earliest of the timestamps, `NO_TIMESTAMP` counted like any other.
    pub earliest: Timestamp,
    /// Latest of the timestamps.
    pub latest: Timestamp,
    /// Some record has no key.
    pub has_null_key: bool,
}

impl BuiltBatch {
    /// What is known of the records without looking; none for markers and for batches of the cleaner.
    pub fn seen(&self) -> Option<RecordsSeen> {
        self.seen
    }

    /// The batch alone: what was known of it is forgotten.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl Deref for BuiltBatch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}
