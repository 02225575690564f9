//! A run of batches on its way into a partition, and a walk over it that borrows.
//!
//! Always true: bytes that came off a socket in an allocation of their own stay [`BatchBytes::Own`] until they are written, so that offsets are put
//! into them in place; shared bytes are copied once, when that becomes necessary. The walk checks structure and lengths, not checksums.

use std::ops::Deref;

use bytes::{Bytes, BytesMut};

use super::batch::crc_matches;
use super::built_batch::{BuiltBatch, RecordsSeen};
use super::error::BatchError;
use super::header::{
    AT_ATTRIBUTES, AT_CRC, AT_LENGTH, BATCH_HEADER_SIZE, BATCH_LENGTH_PREFIX_SIZE, BatchHeader, get,
};

/// The bytes of one or more record batches, back to back.
#[derive(Debug)]
pub enum BatchBytes {
    /// Somebody else may hold them too.
    Shared(Bytes),
    /// Nobody else does; they can be changed in place.
    Own(BytesMut),
    /// One batch that this process encoded: its records are known.
    Built(BuiltBatch),
}

impl BatchBytes {
    /// Bytes that can be changed: these, or a copy if they are shared.
    pub fn into_own(self) -> BytesMut {
        match self {
            BatchBytes::Own(own) => own,
            shared => shared
                .into_shared()
                .try_into_mut()
                .unwrap_or_else(|shared| BytesMut::from(&shared[..])),
        }
    }

    /// What is known of the records without looking at them: only of one batch that this process encoded.
    pub fn records_seen(&self) -> Option<RecordsSeen> {
        match self {
            BatchBytes::Built(built) => built.seen(),
            BatchBytes::Own(_) | BatchBytes::Shared(_) => None,
        }
    }

    /// Bytes that can be shared, without a copy.
    pub fn into_shared(self) -> Bytes {
        match self {
            BatchBytes::Own(own) => own.freeze(),
            BatchBytes::Shared(shared) => shared,
            BatchBytes::Built(built) => built.into_bytes(),
        }
    }
}

impl Default for BatchBytes {
    fn default() -> Self {
        BatchBytes::Shared(Bytes::new())
    }
}

impl Clone for BatchBytes {
    /// Copies bytes that are not shared.
    fn clone(&self) -> Self {
        match self {
            BatchBytes::Shared(shared) => BatchBytes::Shared(shared.clone()),
            BatchBytes::Own(own) => BatchBytes::Own(own.clone()),
            BatchBytes::Built(built) => BatchBytes::Built(built.clone()),
        }
    }
}

impl Deref for BatchBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            BatchBytes::Shared(shared) => shared,
            BatchBytes::Own(own) => own,
            BatchBytes::Built(built) => built,
        }
    }
}

impl From<BuiltBatch> for BatchBytes {
    fn from(built: BuiltBatch) -> Self {
        BatchBytes::Built(built)
    }
}

impl From<Bytes> for BatchBytes {
    fn from(shared: Bytes) -> Self {
        BatchBytes::Shared(shared)
    }
}

impl From<BytesMut> for BatchBytes {
    fn from(own: BytesMut) -> Self {
        BatchBytes::Own(own)
    }
}

/// One batch of a run, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct BatchSlice<'a> {
    /// The fields in front of the records.
    pub header: BatchHeader,
    /// The whole batch.
    pub bytes: &'a [u8],
}

impl BatchSlice<'_> {
    /// Computes the checksum and compares it with the stored one.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        crc_matches(&self.header, self.bytes)
    }
}

/// True if the whole batch that `run` begins with is there and its checksum matches, whatever else its header says: then its sender meant it so.
pub fn checksum_holds(run: &[u8]) -> bool {
    if run.len() < BATCH_HEADER_SIZE {
        return false;
    }
    let length = u32::from_be_bytes(get(run, AT_LENGTH)) as usize;
    let Some(batch) = run.get(..length.saturating_add(BATCH_LENGTH_PREFIX_SIZE)) else {
        return false;
    };
    let stored = u32::from_be_bytes(get(run, AT_CRC));
    batch.len() >= BATCH_HEADER_SIZE && crc32c::crc32c(&batch[AT_ATTRIBUTES..]) == stored
}

/// Walks over the batches of `run`. Ends after the last one, or after the first error: what follows it cannot be trusted.
pub fn batches_of(run: &[u8]) -> impl Iterator<Item = Result<BatchSlice<'_>, BatchError>> {
    let mut rest = run;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let parsed = BatchHeader::parse(rest).and_then(|header| {
            let needed = header.size_bytes();
            let available = rest.len();
            let (bytes, after) = rest
                .split_at_checked(needed)
                .ok_or(BatchError::Truncated { needed, available })?;
            rest = after;
            Ok(BatchSlice { header, bytes })
        });
        if parsed.is_err() {
            rest = &[];
        }
        Some(parsed)
    })
}

#[cfg(test)]
#[path = "batch_run_test.rs"]
mod batch_run_test;
