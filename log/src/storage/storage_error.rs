//! What can go wrong in storage, told so that the caller knows whether the write happened.
//!
//! `StorageError::maybe_done` is true only for failures after the bytes may have reached the file. Everything else was refused
//! before anything changed. The broker maps these to Kafka's error codes.

use std::path::PathBuf;
use std::sync::Arc;

use super::disk::DiskError;
use super::record_rules::RefusedRecords;
use crate::record::BatchError;
use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence, TopicPartition};

/// Why storage refused or failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// The partition is not on this node.
    #[error("unknown partition {partition}")]
    UnknownPartition {
        /// The one asked for.
        partition: TopicPartition,
    },
    /// A read outside `log_start_offset ..= high_watermark`.
    #[error("offset {requested} of {partition} is out of range {log_start_offset}..={log_end_offset}")]
    OffsetOutOfRange {
        /// Where.
        partition: TopicPartition,
        /// The offset asked for.
        requested: Offset,
        /// First readable offset.
        log_start_offset: Offset,
        /// One beyond the last offset.
        log_end_offset: Offset,
    },
    /// The bytes handed in are no sound run of batches.
    #[error("invalid batch for {partition}: {source}")]
    InvalidBatch {
        /// Where.
        partition: TopicPartition,
        /// What is wrong with it.
        source: BatchError,
    },
    /// Well-formed, but not something a client may append here.
    #[error("invalid record for {partition}: {reason}")]
    InvalidRecord {
        /// Where.
        partition: TopicPartition,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Records of a batch are malformed, or not what the topic takes.
    #[error("invalid records for {partition}: {refused}")]
    InvalidRecords {
        /// Where.
        partition: TopicPartition,
        /// Which, and why.
        refused: Arc<RefusedRecords>,
    },
    /// The checksum of a batch holds, but its header cannot be or its records cannot be unpacked: it was built so.
    #[error("invalid batch for {partition}: {source}")]
    InvalidContent {
        /// Where.
        partition: TopicPartition,
        /// What is wrong with it.
        source: BatchError,
    },
    /// A batch above `max.message.bytes`.
    #[error("batch of {size_bytes} bytes for {partition} is above the limit of {limit_bytes}")]
    BatchTooLarge {
        /// Where.
        partition: TopicPartition,
        /// Its size.
        size_bytes: usize,
        /// `max.message.bytes`.
        limit_bytes: u32,
    },
    /// A gap in a producer's sequence numbers.
    #[error(
        "out of order sequence from producer {producer_id} on {partition}: expected {expected}, found {found}"
    )]
    OutOfOrderSequence {
        /// Where.
        partition: TopicPartition,
        /// Who.
        producer_id: ProducerId,
        /// The next sequence number that fits.
        expected: Sequence,
        /// The one that came.
        found: Sequence,
    },
    /// A batch already appended, but too long ago to know its offset.
    #[error(
        "duplicate sequence {found} from producer {producer_id} on {partition} is older than the remembered batches"
    )]
    DuplicateSequence {
        /// Where.
        partition: TopicPartition,
        /// Who.
        producer_id: ProducerId,
        /// The sequence that came.
        found: Sequence,
    },
    /// An epoch below the newest one seen: the producer was fenced.
    #[error("producer {producer_id} on {partition} is fenced: epoch {found} is below {current}")]
    ProducerFenced {
        /// Where.
        partition: TopicPartition,
        /// Who.
        producer_id: ProducerId,
        /// Newest epoch seen.
        current: ProducerEpoch,
        /// The one that came.
        found: ProducerEpoch,
    },
    /// A marker from an older term of the transaction coordinator.
    #[error(
        "marker for producer {producer_id} on {partition} is from coordinator epoch {found}, below {current}"
    )]
    CoordinatorFenced {
        /// Where.
        partition: TopicPartition,
        /// Whose transaction.
        producer_id: ProducerId,
        /// Newest term seen.
        current: i32,
        /// The one that came.
        found: i32,
    },
    /// A producer mixed transactional and plain batches inside an open transaction.
    #[error("producer {producer_id} on {partition} sent a non-transactional batch inside its transaction")]
    InvalidTxnState {
        /// Where.
        partition: TopicPartition,
        /// Who.
        producer_id: ProducerId,
    },
    /// The transaction a batch belongs to was ended between the coordinator's answer and the append.
    #[error("transaction of producer {producer_id} on {partition} was ended before this batch came")]
    TxnEnded {
        /// Where.
        partition: TopicPartition,
        /// Who.
        producer_id: ProducerId,
    },
    /// The file system has no room beyond the reserve.
    #[error("data directory {dir} has {free_bytes} bytes free, below the reserve of {reserved_bytes}: writes are refused", dir = dir.display())]
    DiskFull {
        /// The data directory.
        dir: PathBuf,
        /// Bytes free now.
        free_bytes: u64,
        /// `reserved_disk_bytes`; half of it counts for the records of the log itself.
        reserved_bytes: u64,
    },
    /// An earlier write or sync failed; this directory takes no more writes until the node restarts.
    #[error("data directory {dir} stopped writing: {reason}", dir = dir.display())]
    LogDirOffline {
        /// The data directory.
        dir: PathBuf,
        /// The first failure.
        reason: String,
        /// True if this very append may have reached the file.
        maybe_done: bool,
    },
    /// Another process holds the data directory.
    #[error("{reason}")]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// Who holds it.
        reason: String,
    },
    /// A bad batch below the durable mark: reads stop there, nothing is cut.
    #[error("partition {partition} is damaged at offset {offset} ({file}): {reason}", file = file.display())]
    Damaged {
        /// Where.
        partition: TopicPartition,
        /// First offset that cannot be trusted.
        offset: Offset,
        /// The segment file.
        file: PathBuf,
        /// What is wrong there.
        reason: String,
    },
    /// A partition directory already belongs to another topic id.
    #[error("directory of {partition} belongs to topic id {found}, not {expected}")]
    TopicIdMismatch {
        /// Where.
        partition: TopicPartition,
        /// The id asked for.
        expected: uuid::Uuid,
        /// The one in `partition.metadata`.
        found: uuid::Uuid,
    },
    /// Reading or writing a file failed; the text names what and where.
    #[error("{reason}")]
    Io {
        /// The disk's words.
        reason: String,
    },
    /// The store is shutting down.
    #[error("storage is shutting down")]
    ShuttingDown,
}

impl StorageError {
    /// True if the write that got this error may have happened all the same.
    pub fn maybe_done(&self) -> bool {
        matches!(self, Self::LogDirOffline { maybe_done: true, .. })
    }
}

impl From<DiskError> for StorageError {
    fn from(error: DiskError) -> Self {
        Self::Io {
            reason: error.to_string(),
        }
    }
}
