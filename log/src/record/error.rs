//! What can be wrong with the bytes of a batch.

use thiserror::Error;

/// Why bytes are not a sound record batch, or cannot become one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// Fewer bytes than the batch says it has: a torn write, or a fetch cut short.
    #[error("record batch needs {needed} bytes, {available} are there")]
    Truncated {
        /// Bytes the batch needs.
        needed: usize,
        /// Bytes given.
        available: usize,
    },
    /// More bytes than the one batch that was promised.
    #[error("{extra} bytes follow the record batch")]
    TrailingBytes {
        /// Bytes past its end.
        extra: usize,
    },
    /// Not magic 2. Formats 0 and 1 left Kafka in 4.0.
    #[error("record batch has magic {0}, only 2 is supported")]
    UnsupportedMagic(i8),
    /// A field of the batch header holds a value no writer produces.
    #[error("record batch has an impossible {field}: {value}")]
    InvalidHeader {
        /// Kafka's name of the field.
        field: &'static str,
        /// The value found.
        value: i64,
    },
    /// The checksum does not match: the bytes changed since the producer wrote them.
    #[error(
        "record batch at offset {base_offset} has checksum {stored:#010x}, its bytes give {computed:#010x}"
    )]
    Crc {
        /// Base offset the batch claims.
        base_offset: i64,
        /// Checksum in the header.
        stored: u32,
        /// Checksum of the bytes.
        computed: u32,
    },
    /// A record inside the batch is malformed.
    #[error("record {index} of the batch is malformed: {reason}")]
    InvalidRecord {
        /// Its number within the batch, from 0.
        index: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The compressed payload cannot be read.
    #[error("{codec} payload of the record batch is corrupt: {reason}")]
    Decompress {
        /// Kafka's name of the codec.
        codec: &'static str,
        /// What the codec said.
        reason: String,
    },
    /// The compressed payload unpacks to more than we accept.
    #[error("{codec} payload of the record batch unpacks to more than {limit} bytes")]
    TooLargeUnpacked {
        /// Kafka's name of the codec.
        codec: &'static str,
        /// The cap, in bytes.
        limit: usize,
    },
    /// The payload could not be compressed.
    #[error("{codec} could not compress the record batch: {reason}")]
    Compress {
        /// Kafka's name of the codec.
        codec: &'static str,
        /// What the codec said.
        reason: String,
    },
    /// A batch under construction would leave the 31-bit lengths of the format.
    #[error("record of {size} bytes does not fit a record batch")]
    TooLarge {
        /// Size of the record, in bytes.
        size: usize,
    },
    /// A batch is built from records that do not ascend.
    #[error("record at offset {offset} cannot follow offset {previous}")]
    OffsetOrder {
        /// Offset of the record.
        offset: i64,
        /// Offset of the record before it, or one below the base offset.
        previous: i64,
    },
    /// The record is not a transaction marker this version knows.
    #[error("control record is malformed: {0}")]
    InvalidControlRecord(&'static str),
}
