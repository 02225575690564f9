//! One batch as bytes, and a run of bytes as batches.
//!
//! Always true: a [`RecordBatch`] holds exactly the bytes its length field says, with a sound header; the checksum is
//! only known to match after [`RecordBatch::check_crc`], and the records only while they are iterated.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use super::compression::DecodeLimits;
use super::decode::DecodedBatch;
use super::error::BatchError;
use super::header::{AT_ATTRIBUTES, BATCH_HEADER_SIZE, BatchHeader};

/// Exactly one v2 batch over shared bytes. Cloning shares them. Header fields by [`Deref`] to [`BatchHeader`].
#[derive(Clone, PartialEq, Eq)]
pub struct RecordBatch {
    header: BatchHeader,
    bytes: Bytes,
}

impl RecordBatch {
    /// Takes bytes that are one whole batch. Checks structure and lengths, not the checksum.
    pub fn parse(bytes: Bytes) -> Result<RecordBatch, BatchError> {
        let header = BatchHeader::parse(&bytes)?;
        let size = header.size_bytes();
        if bytes.len() < size {
            return Err(BatchError::Truncated {
                needed: size,
                available: bytes.len(),
            });
        }
        if bytes.len() > size {
            return Err(BatchError::TrailingBytes {
                extra: bytes.len() - size,
            });
        }
        Ok(RecordBatch { header, bytes })
    }

    /// Computes the checksum and compares it with the stored one.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        crc_matches(&self.header, &self.bytes)
    }

    /// The fields in front of the records.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch as it stands on the wire and on disk.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Gives the bytes back.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The records as stored, still compressed if they are.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(BATCH_HEADER_SIZE..)
    }

    /// Unpacks the records once, or borrows them when they are not compressed. Default caps.
    pub fn decode(&self) -> Result<DecodedBatch, BatchError> {
        self.decode_within(DecodeLimits::default())
    }

    /// As [`RecordBatch::decode`], with the caller's caps.
    pub fn decode_within(&self, limits: DecodeLimits) -> Result<DecodedBatch, BatchError> {
        let records = self.header.compression().decompress(self.payload(), limits)?;
        DecodedBatch::new(self.header, records)
    }
}

/// Computes the checksum of a whole batch and compares it with the stored one.
pub(super) fn crc_matches(header: &BatchHeader, batch: &[u8]) -> Result<(), BatchError> {
    let computed = crc32c::crc32c(&batch[AT_ATTRIBUTES..]);
    if computed == header.crc() {
        return Ok(());
    }
    Err(BatchError::Crc {
        base_offset: header.base_offset().get(),
        stored: header.crc(),
        computed,
    })
}

impl Deref for RecordBatch {
    type Target = BatchHeader;

    fn deref(&self) -> &BatchHeader {
        &self.header
    }
}

impl fmt::Debug for RecordBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecordBatch").field(&self.header).finish()
    }
}

/// Cuts a run of whole batches. Ends after the last one, or after the first error: what follows it cannot be trusted.
#[derive(Clone, Debug)]
pub struct BatchIter {
    rest: Bytes,
}

impl BatchIter {
    /// Over `run`, which starts with a batch.
    pub fn new(run: Bytes) -> BatchIter {
        BatchIter { rest: run }
    }

    /// Bytes not yet handed out.
    pub fn remaining(&self) -> &Bytes {
        &self.rest
    }
}

impl Iterator for BatchIter {
    type Item = Result<RecordBatch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parsed = BatchHeader::parse(&self.rest).and_then(|header| {
            let size = header.size_bytes();
            if self.rest.len() < size {
                return Err(BatchError::Truncated {
                    needed: size,
                    available: self.rest.len(),
                });
            }
            Ok(RecordBatch {
                header,
                bytes: self.rest.split_to(size),
            })
        });
        if parsed.is_err() {
            self.rest = Bytes::new();
        }
        Some(parsed)
    }
}

impl std::iter::FusedIterator for BatchIter {}
