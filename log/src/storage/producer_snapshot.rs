//! `.snapshot`: the producers of a partition as of an offset, in Kafka's format.
//!
//! ```text
//! version i16 (1) · crc u32 (CRC-32C of all that follows) · count i32 · entries of 46 bytes:
//! producer id i64 · epoch i16 · last sequence i32 · last offset i64 · offset delta i32 · timestamp i64
//! coordinator epoch i32 · first offset of the open transaction i64
//! ```
//!
//! Always true: a snapshot named by offset *o* says what the log below *o* says, nothing more (KAFKA-6683); it can be
//! rebuilt from the log, so a damaged one is discarded. Absent values are -1. Only the last batch of a producer is in it:
//! the format has no room for the other four, they come back by replaying the log's tail.

use thiserror::Error;

use super::index_file::field;
use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

const VERSION: i16 = 1;
const HEADER_SIZE: usize = 10;
const AT_CRC: usize = 2;
const AT_COUNT: usize = 6;
const ENTRY_SIZE: usize = 46;

/// What a snapshot says of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSnapshotEntry {
    /// Whose state it is.
    pub producer_id: ProducerId,
    /// Its incarnation.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the last record; [`Sequence::NONE`] if only a marker was seen.
    pub last_sequence: Sequence,
    /// Offset of the last record; -1 if only a marker was seen.
    pub last_offset: Offset,
    /// Records of the last batch less one.
    pub offset_delta: i32,
    /// Largest timestamp of the last batch.
    pub timestamp: Timestamp,
    /// Term of the coordinator that wrote the last marker; -1 before any.
    pub coordinator_epoch: i32,
    /// Where the open transaction began.
    pub current_txn_first_offset: Option<Offset>,
}

/// Why bytes are not a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Shorter or longer than its count says.
    #[error("producer snapshot has {available} bytes, its content needs {needed}")]
    Length {
        /// Bytes its count asks for.
        needed: u64,
        /// Bytes given.
        available: usize,
    },
    /// Another version.
    #[error("producer snapshot has version {0}, only {VERSION} is supported")]
    Version(i16),
    /// Damaged.
    #[error("producer snapshot has checksum {stored:#010x}, its bytes give {computed:#010x}")]
    Crc {
        /// Checksum in the file.
        stored: u32,
        /// Checksum of the bytes.
        computed: u32,
    },
}

/// The bytes of a snapshot with these producers, in the given order.
pub fn encode(entries: &[ProducerSnapshotEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_SIZE + entries.len() * ENTRY_SIZE);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for entry in entries {
        out.extend_from_slice(&entry.producer_id.get().to_be_bytes());
        out.extend_from_slice(&entry.producer_epoch.get().to_be_bytes());
        out.extend_from_slice(&entry.last_sequence.get().to_be_bytes());
        out.extend_from_slice(&entry.last_offset.get().to_be_bytes());
        out.extend_from_slice(&entry.offset_delta.to_be_bytes());
        out.extend_from_slice(&entry.timestamp.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(
            &entry
                .current_txn_first_offset
                .map_or(-1, Offset::get)
                .to_be_bytes(),
        );
    }
    let crc = crc32c::crc32c(&out[AT_COUNT..]);
    out[AT_CRC..AT_COUNT].copy_from_slice(&crc.to_be_bytes());
    out
}

/// Reads a snapshot. Allocates in proportion to `bytes`, whatever its count claims.
pub fn decode(bytes: &[u8]) -> Result<Vec<ProducerSnapshotEntry>, SnapshotError> {
    if bytes.len() < HEADER_SIZE {
        return Err(SnapshotError::Length {
            needed: HEADER_SIZE as u64,
            available: bytes.len(),
        });
    }
    let version = i16::from_be_bytes(field(bytes, 0));
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let stored = u32::from_be_bytes(field(bytes, AT_CRC));
    let computed = crc32c::crc32c(&bytes[AT_COUNT..]);
    if stored != computed {
        return Err(SnapshotError::Crc { stored, computed });
    }
    // A negative count becomes a huge one, which no length matches.
    let count = u64::from(u32::from_be_bytes(field(bytes, AT_COUNT)));
    let needed = HEADER_SIZE as u64 + count * ENTRY_SIZE as u64;
    if needed != bytes.len() as u64 {
        return Err(SnapshotError::Length {
            needed,
            available: bytes.len(),
        });
    }
    let entries = bytes[HEADER_SIZE..].as_chunks::<ENTRY_SIZE>().0;
    Ok(entries.iter().map(decode_entry).collect())
}

fn decode_entry(entry: &[u8; ENTRY_SIZE]) -> ProducerSnapshotEntry {
    let txn_first_offset = i64::from_be_bytes(field(entry, 38));
    ProducerSnapshotEntry {
        producer_id: ProducerId::new(i64::from_be_bytes(field(entry, 0))),
        producer_epoch: ProducerEpoch::new(i16::from_be_bytes(field(entry, 8))),
        last_sequence: Sequence::new(i32::from_be_bytes(field(entry, 10))),
        last_offset: Offset::new(i64::from_be_bytes(field(entry, 14))),
        offset_delta: i32::from_be_bytes(field(entry, 22)),
        timestamp: i64::from_be_bytes(field(entry, 26)),
        coordinator_epoch: i32::from_be_bytes(field(entry, 34)),
        current_txn_first_offset: (txn_first_offset >= 0).then(|| Offset::new(txn_first_offset)),
    }
}

#[cfg(test)]
#[path = "producer_snapshot_test.rs"]
mod producer_snapshot_test;
