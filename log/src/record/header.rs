//! The 61 bytes in front of every batch.
//!
//! ```text
//!  0 base offset i64 · 8 length i32 (of what follows it) · 12 leader epoch i32 · 16 magic i8 · 17 crc u32
//! 21 attributes i16 · 23 last offset delta i32 · 27 base timestamp i64 · 35 max timestamp i64
//! 43 producer id i64 · 51 producer epoch i16 · 53 base sequence i32 · 57 record count i32 · 61 records
//! ```
//!
//! Always true of a parsed header: magic 2, `base_offset ≥ 0`, `last_offset ≥ base_offset` without overflow,
//! `0 ≤ record_count ≤ last offset delta + 1`, a codec we know. The checksum covers everything from byte 21 on, so base
//! offset and leader epoch can be rewritten without touching it (see [`super::patch`]).

use super::compression::Compression;
use super::error::BatchError;
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// Bytes before the records.
pub const BATCH_HEADER_SIZE: usize = 61;
/// Bytes before those the length field counts.
pub const BATCH_LENGTH_PREFIX_SIZE: usize = 12;

pub(super) const AT_LENGTH: usize = 8;
pub(super) const AT_LEADER_EPOCH: usize = 12;
pub(super) const AT_MAGIC: usize = 16;
pub(super) const AT_CRC: usize = 17;
pub(super) const AT_ATTRIBUTES: usize = 21;
pub(super) const AT_LAST_OFFSET_DELTA: usize = 23;
pub(super) const AT_BASE_TIMESTAMP: usize = 27;
pub(super) const AT_MAX_TIMESTAMP: usize = 35;
pub(super) const AT_PRODUCER_ID: usize = 43;
pub(super) const AT_PRODUCER_EPOCH: usize = 51;
pub(super) const AT_BASE_SEQUENCE: usize = 53;
pub(super) const AT_RECORD_COUNT: usize = 57;

pub(super) const COMPRESSION_MASK: i16 = 0b111;
pub(super) const LOG_APPEND_TIME_FLAG: i16 = 1 << 3;
pub(super) const TRANSACTIONAL_FLAG: i16 = 1 << 4;
pub(super) const CONTROL_FLAG: i16 = 1 << 5;
pub(super) const DELETE_HORIZON_FLAG: i16 = 1 << 6;

/// Whose clock the timestamps of a batch come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, at append; then every record has the batch's maximal timestamp.
    LogAppendTime,
}

/// The fields in front of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    base_offset: i64,
    size_bytes: u32,
    leader_epoch: i32,
    crc: u32,
    attributes: i16,
    compression: Compression,
    last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    record_count: i32,
}

#[inline]
pub(super) fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`, which may hold less than the whole batch but not less than
    /// [`BATCH_HEADER_SIZE`]. The checksum is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        // Magic first: a batch of an older format is named as such even if it is shorter than our header.
        if bytes.len() > AT_MAGIC && bytes[AT_MAGIC] != 2 {
            return Err(BatchError::UnsupportedMagic(bytes[AT_MAGIC] as i8));
        }
        if bytes.len() < BATCH_HEADER_SIZE {
            return Err(BatchError::Truncated {
                needed: BATCH_HEADER_SIZE,
                available: bytes.len(),
            });
        }
        let invalid = |field, value| Err(BatchError::InvalidHeader { field, value });
        let length = i32::from_be_bytes(get(bytes, AT_LENGTH));
        if (length as i64) < (BATCH_HEADER_SIZE - BATCH_LENGTH_PREFIX_SIZE) as i64 {
            return invalid("batchLength", i64::from(length));
        }
        let attributes = i16::from_be_bytes(get(bytes, AT_ATTRIBUTES));
        let Ok(compression) = Compression::from_id((attributes & COMPRESSION_MASK) as u8) else {
            return invalid("compression codec", i64::from(attributes & COMPRESSION_MASK));
        };
        let header = BatchHeader {
            base_offset: i64::from_be_bytes(get(bytes, 0)),
            size_bytes: length as u32 + BATCH_LENGTH_PREFIX_SIZE as u32,
            leader_epoch: i32::from_be_bytes(get(bytes, AT_LEADER_EPOCH)),
            crc: u32::from_be_bytes(get(bytes, AT_CRC)),
            attributes,
            compression,
            last_offset_delta: i32::from_be_bytes(get(bytes, AT_LAST_OFFSET_DELTA)),
            base_timestamp: i64::from_be_bytes(get(bytes, AT_BASE_TIMESTAMP)),
            max_timestamp: i64::from_be_bytes(get(bytes, AT_MAX_TIMESTAMP)),
            producer_id: i64::from_be_bytes(get(bytes, AT_PRODUCER_ID)),
            producer_epoch: i16::from_be_bytes(get(bytes, AT_PRODUCER_EPOCH)),
            base_sequence: i32::from_be_bytes(get(bytes, AT_BASE_SEQUENCE)),
            record_count: i32::from_be_bytes(get(bytes, AT_RECORD_COUNT)),
        };
        if header.base_offset < 0 {
            return invalid("baseOffset", header.base_offset);
        }
        // `next_offset` must exist too, hence the strict bound.
        let last = header
            .base_offset
            .checked_add(i64::from(header.last_offset_delta));
        if header.last_offset_delta < 0 || last.is_none_or(|last| last == i64::MAX) {
            return invalid("lastOffsetDelta", i64::from(header.last_offset_delta));
        }
        if header.record_count < 0 || i64::from(header.record_count) > i64::from(header.last_offset_delta) + 1
        {
            return invalid("recordCount", i64::from(header.record_count));
        }
        Ok(header)
    }

    /// Offset of the first record the batch was written with; compaction may have removed that record.
    pub fn base_offset(&self) -> Offset {
        Offset::new(self.base_offset)
    }

    /// Offset of the last record the batch was written with (inclusive).
    pub fn last_offset(&self) -> Offset {
        Offset::new(self.base_offset + i64::from(self.last_offset_delta))
    }

    /// The offset right after the batch.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }

    /// `last_offset - base_offset`.
    pub fn last_offset_delta(&self) -> i32 {
        self.last_offset_delta
    }

    /// Term of the leader that appended it.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch::new(self.leader_epoch)
    }

    /// The timestamp the records' deltas count from. Of a compacted batch with a delete horizon, that horizon.
    pub fn base_timestamp(&self) -> Timestamp {
        self.base_timestamp
    }

    /// Largest timestamp in the batch; its append time if that is what the batch carries.
    pub fn max_timestamp(&self) -> Timestamp {
        self.max_timestamp
    }

    /// When the tombstones and markers of this compacted batch may go, in ms, if the cleaner has set it (KIP-534).
    pub fn delete_horizon_ms(&self) -> Option<Timestamp> {
        (self.attributes & DELETE_HORIZON_FLAG != 0).then_some(self.base_timestamp)
    }

    /// Who sent it; [`ProducerId::NONE`] if not idempotent.
    pub fn producer_id(&self) -> ProducerId {
        ProducerId::new(self.producer_id)
    }

    /// Incarnation of the sender.
    pub fn producer_epoch(&self) -> ProducerEpoch {
        ProducerEpoch::new(self.producer_epoch)
    }

    /// Sequence of the first record; [`Sequence::NONE`] if not idempotent (and in control batches).
    pub fn base_sequence(&self) -> Sequence {
        Sequence::new(self.base_sequence)
    }

    /// Sequence of the last record.
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence < 0 {
            return Sequence::NONE;
        }
        self.base_sequence().plus(self.last_offset_delta)
    }

    /// Records in the batch now (compaction lowers it).
    pub fn record_count(&self) -> usize {
        self.record_count as usize
    }

    /// How the records are packed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// True if the batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_FLAG != 0
    }

    /// True if its records are markers for the log itself, not for applications.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_FLAG != 0
    }

    /// Whose clock the timestamps are from.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME_FLAG != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// Size of the whole batch, header included.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes as usize
    }

    /// Checksum as stored.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// The attribute bits as stored.
    pub fn attributes(&self) -> i16 {
        self.attributes
    }
}
