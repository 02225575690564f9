//! Writes batches: records are appended to one buffer that becomes the batch.
//!
//! Always true: an uncompressed batch is never copied after its records were appended, and nothing is allocated per
//! record. A buffer is given away by [`BatchBuilder::build`] and never reused: a batch in flight must not change under
//! the sender (CVE-2026-35554 in the Java producer delivered records to another topic that way).

use bytes::Bytes;

use super::built_batch::{BuiltBatch, RecordsSeen};
use super::compression::Compression;
use super::decode::{HeadersRef, RecordRef};
use super::error::BatchError;
use super::header::{
    AT_ATTRIBUTES, AT_BASE_SEQUENCE, AT_BASE_TIMESTAMP, AT_CRC, AT_LAST_OFFSET_DELTA, AT_LEADER_EPOCH,
    AT_LENGTH, AT_MAGIC, AT_MAX_TIMESTAMP, AT_PRODUCER_EPOCH, AT_PRODUCER_ID, AT_RECORD_COUNT,
    BATCH_HEADER_SIZE, BATCH_LENGTH_PREFIX_SIZE, BatchHeader, CONTROL_FLAG, DELETE_HORIZON_FLAG,
    LOG_APPEND_TIME_FLAG, TRANSACTIONAL_FLAG, TimestampType,
};
use super::record::Header;
use super::varint;
use crate::types::{LeaderEpoch, NO_TIMESTAMP, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// What a batch says about itself besides its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// How to pack the records.
    pub compression: Compression,
    /// Offset of the first record; 0 from a producer, the leader assigns the real one.
    pub base_offset: Offset,
    /// Last offset the batch covers, where that is more than its records: compaction keeps it.
    pub last_offset: Option<Offset>,
    /// Term of the leader; the leader stamps the real one.
    pub leader_epoch: LeaderEpoch,
    /// Identity of an idempotent producer and the sequence of the first record.
    pub producer: Option<(ProducerId, ProducerEpoch, Sequence)>,
    /// Part of a transaction.
    pub transactional: bool,
    /// Holds a marker ([`super::ControlRecord`]).
    pub control: bool,
    /// Whose clock the timestamps are from.
    pub timestamp_type: TimestampType,
    /// When the cleaner may remove its tombstones and markers (KIP-534).
    pub delete_horizon_ms: Option<Timestamp>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        BatchOptions {
            compression: Compression::None,
            base_offset: Offset::ZERO,
            last_offset: None,
            leader_epoch: LeaderEpoch::NONE,
            producer: None,
            transactional: false,
            control: false,
            timestamp_type: TimestampType::CreateTime,
            delete_horizon_ms: None,
        }
    }
}

impl BatchOptions {
    /// For a batch that replaces one of which some records were removed: same identity, same offsets covered.
    pub fn rewrite_of(header: &BatchHeader) -> BatchOptions {
        let producer = (
            header.producer_id(),
            header.producer_epoch(),
            header.base_sequence(),
        );
        BatchOptions {
            compression: header.compression(),
            base_offset: header.base_offset(),
            last_offset: Some(header.last_offset()),
            leader_epoch: header.leader_epoch(),
            producer: header.producer_id().is_some().then_some(producer),
            transactional: header.is_transactional(),
            control: header.is_control(),
            timestamp_type: header.timestamp_type(),
            delete_horizon_ms: header.delete_horizon_ms(),
        }
    }
}

/// Builds one batch.
#[derive(Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    /// Room for the header, then the records, not packed.
    buffer: Vec<u8>,
    count: i32,
    last_delta: i32,
    base_timestamp: Option<Timestamp>,
    min_timestamp: Timestamp,
    max_timestamp: Timestamp,
    has_null_key: bool,
}

/// Headers to append: the caller's, or those of a record read before.
#[derive(Clone, Copy)]
enum Headers<'a> {
    Owned(&'a [Header]),
    Encoded(HeadersRef<'a>),
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new(options: BatchOptions) -> BatchBuilder {
        BatchBuilder::with_capacity(options, 0)
    }

    /// An empty batch with room for `records_bytes` bytes of records.
    pub fn with_capacity(options: BatchOptions, records_bytes: usize) -> BatchBuilder {
        let mut buffer = Vec::with_capacity(BATCH_HEADER_SIZE + records_bytes);
        buffer.resize(BATCH_HEADER_SIZE, 0);
        BatchBuilder {
            options,
            buffer,
            count: 0,
            last_delta: -1,
            base_timestamp: options.delete_horizon_ms,
            min_timestamp: Timestamp::MAX,
            max_timestamp: NO_TIMESTAMP,
            has_null_key: false,
        }
    }

    /// Appends a record at the next offset. Errs, changing nothing, if the batch would outgrow the format's 31-bit
    /// lengths; smaller limits are the caller's to keep ([`BatchBuilder::estimated_size_bytes`]).
    #[inline]
    pub fn append(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BatchError> {
        let delta = self
            .last_delta
            .checked_add(1)
            .ok_or(BatchError::TooLarge { size: 0 })?;
        self.push(delta, timestamp, key, value, Headers::Owned(headers))
    }

    /// Appends a copy of a record read before, at its own offset: for the cleaner, which leaves gaps. Errs, changing
    /// nothing, if that offset is not above the last one or not above the base offset's predecessor.
    pub fn append_ref(&mut self, record: &RecordRef<'_>) -> Result<(), BatchError> {
        let delta = record.offset.distance_from(self.options.base_offset);
        if delta <= i64::from(self.last_delta) || delta > i64::from(i32::MAX) {
            let previous = self.options.base_offset.plus(i64::from(self.last_delta)).get();
            return Err(BatchError::OffsetOrder {
                offset: record.offset.get(),
                previous,
            });
        }
        self.push(
            delta as i32,
            record.timestamp,
            record.key,
            record.value,
            Headers::Encoded(record.headers),
        )
    }

    #[inline]
    fn push(
        &mut self,
        offset_delta: i32,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Headers<'_>,
    ) -> Result<(), BatchError> {
        let base_timestamp = self.base_timestamp.unwrap_or(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let size = 1
            + varint::size(timestamp_delta)
            + varint::size(i64::from(offset_delta))
            + nullable_size(key)
            + nullable_size(value)
            + headers.size();
        let grown = self
            .buffer
            .len()
            .saturating_add(varint::size(size as i64))
            .saturating_add(size);
        if grown > i32::MAX as usize {
            return Err(BatchError::TooLarge { size });
        }
        self.buffer.reserve(grown - self.buffer.len());
        let out = &mut self.buffer;
        varint::put(out, size as i64);
        out.push(0);
        varint::put(out, timestamp_delta);
        varint::put(out, i64::from(offset_delta));
        put_nullable(out, key);
        put_nullable(out, value);
        headers.put(out);
        debug_assert_eq!(out.len(), grown);
        self.base_timestamp = Some(base_timestamp);
        self.max_timestamp = if self.count == 0 {
            timestamp
        } else {
            self.max_timestamp.max(timestamp)
        };
        self.min_timestamp = self.min_timestamp.min(timestamp);
        self.has_null_key |= key.is_none();
        self.last_delta = offset_delta;
        self.count += 1;
        Ok(())
    }

    /// Records appended.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// True if nothing was appended.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Size of the batch before packing, header included: never less than an uncompressed batch will take.
    #[inline]
    pub fn estimated_size_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Largest timestamp appended; [`NO_TIMESTAMP`] while empty.
    pub fn max_timestamp(&self) -> Timestamp {
        self.max_timestamp
    }

    /// Sets the identity late: a producer knows its sequence only when it sends.
    pub fn set_producer(&mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: Sequence) {
        self.options.producer = Some((id, epoch, base_sequence));
    }

    /// As [`BatchBuilder::build`]; what was seen of the records stays with the bytes, so that a log in this process need not walk them again.
    pub fn build_known(self) -> BuiltBatch {
        let known = RecordsSeen {
            earliest: self.min_timestamp,
            latest: self.max_timestamp,
            has_null_key: self.has_null_key,
        };
        // Of a batch that replaces another it is not asked.
        let is_plain = !self.options.control && self.options.delete_horizon_ms.is_none();
        BuiltBatch {
            seen: (is_plain && self.count > 0).then_some(known),
            bytes: self.build(),
        }
    }

    /// Packs the records and writes the header. A codec that fails (out of memory) leaves the batch uncompressed, which
    /// every reader takes.
    pub fn build(self) -> Bytes {
        let mut compression = self.options.compression;
        let mut batch = match compression {
            Compression::None => self.buffer,
            codec => {
                let mut packed = Vec::with_capacity(BATCH_HEADER_SIZE + self.buffer.len() / 2);
                packed.resize(BATCH_HEADER_SIZE, 0);
                match codec.compress(&self.buffer[BATCH_HEADER_SIZE..], &mut packed) {
                    // Random data may grow past what the length field can say.
                    Ok(()) if packed.len() <= i32::MAX as usize => packed,
                    Ok(()) => {
                        compression = Compression::None;
                        self.buffer
                    }
                    Err(error) => {
                        tracing::warn!(%error, "batch is stored uncompressed");
                        compression = Compression::None;
                        self.buffer
                    }
                }
            }
        };
        let options = &self.options;
        let mut attributes = i16::from(compression.id());
        for (set, flag) in [
            (
                options.timestamp_type == TimestampType::LogAppendTime,
                LOG_APPEND_TIME_FLAG,
            ),
            (options.transactional, TRANSACTIONAL_FLAG),
            (options.control, CONTROL_FLAG),
            (options.delete_horizon_ms.is_some(), DELETE_HORIZON_FLAG),
        ] {
            if set {
                attributes |= flag;
            }
        }
        let last_covered = options
            .last_offset
            .map_or(0, |last| last.distance_from(options.base_offset));
        let last_offset_delta = last_covered
            .clamp(0, i64::from(i32::MAX))
            .max(i64::from(self.last_delta)) as i32;
        let (producer_id, producer_epoch, base_sequence) =
            options
                .producer
                .unwrap_or((ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE));
        let length = (batch.len() - BATCH_LENGTH_PREFIX_SIZE) as i32;

        let mut put = |at: usize, bytes: &[u8]| batch[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &options.base_offset.get().to_be_bytes());
        put(AT_LENGTH, &length.to_be_bytes());
        put(AT_LEADER_EPOCH, &options.leader_epoch.get().to_be_bytes());
        put(AT_MAGIC, &[2]);
        put(AT_ATTRIBUTES, &attributes.to_be_bytes());
        put(AT_LAST_OFFSET_DELTA, &last_offset_delta.to_be_bytes());
        put(
            AT_BASE_TIMESTAMP,
            &self.base_timestamp.unwrap_or(NO_TIMESTAMP).to_be_bytes(),
        );
        put(AT_MAX_TIMESTAMP, &self.max_timestamp.to_be_bytes());
        put(AT_PRODUCER_ID, &producer_id.get().to_be_bytes());
        put(AT_PRODUCER_EPOCH, &producer_epoch.get().to_be_bytes());
        put(AT_BASE_SEQUENCE, &base_sequence.get().to_be_bytes());
        put(AT_RECORD_COUNT, &self.count.to_be_bytes());
        let crc = crc32c::crc32c(&batch[AT_ATTRIBUTES..]);
        batch[AT_CRC..AT_CRC + 4].copy_from_slice(&crc.to_be_bytes());
        Bytes::from(batch)
    }
}

#[inline]
fn nullable_size(piece: Option<&[u8]>) -> usize {
    piece.map_or(1, |piece| {
        varint::size(piece.len() as i64).saturating_add(piece.len())
    })
}

#[inline]
fn put_nullable(out: &mut Vec<u8>, piece: Option<&[u8]>) {
    match piece {
        None => out.push(1),
        Some(piece) => {
            varint::put(out, piece.len() as i64);
            out.extend_from_slice(piece);
        }
    }
}

impl Headers<'_> {
    #[inline]
    fn count(&self) -> usize {
        match self {
            Headers::Owned(headers) => headers.len(),
            Headers::Encoded(headers) => headers.len(),
        }
    }

    #[inline]
    fn size(&self) -> usize {
        let bytes = match self {
            Headers::Owned(headers) => headers
                .iter()
                .map(|header| nullable_size(Some(&header.key)) + nullable_size(header.value.as_deref()))
                .sum(),
            Headers::Encoded(headers) => headers.encoded().len(),
        };
        varint::size(self.count() as i64) + bytes
    }

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        varint::put(out, self.count() as i64);
        match self {
            Headers::Owned(headers) => {
                for header in *headers {
                    put_nullable(out, Some(&header.key));
                    put_nullable(out, header.value.as_deref());
                }
            }
            Headers::Encoded(headers) => out.extend_from_slice(headers.encoded()),
        }
    }
}
