//! Storage's, metadata's and settings' errors → Kafka's codes. The only place that does.
//!
//! Always true: "maybe done" is kept, so that nobody repeats a write that may stand in the log.

use super::{BadRecord, BrokerError, ErrorCode, ErrorKind};
use crate::codec::CodecError;
use crate::config::ConfigError;
use crate::metadata::ApplyError;
use crate::record::BatchError;
use crate::storage::{RefusedRecord, RefusedRecords, StorageError};

impl From<StorageError> for BrokerError {
    fn from(error: StorageError) -> Self {
        use StorageError as E;
        let code = match &error {
            E::UnknownPartition { .. } => ErrorCode::UnknownTopicOrPartition,
            E::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            E::InvalidBatch { .. } => ErrorCode::CorruptMessage,
            E::InvalidRecord { .. } => ErrorCode::InvalidRecord,
            E::InvalidRecords { refused, .. } if refused.is_about_time() => ErrorCode::InvalidTimestamp,
            // The checksum holds, so these are the bytes the client meant: to call them corrupt would have it send them again.
            E::InvalidRecords { .. } | E::InvalidContent { .. } => ErrorCode::InvalidRecord,
            E::BatchTooLarge { .. } => ErrorCode::MessageTooLarge,
            E::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            E::DuplicateSequence { .. } => ErrorCode::DuplicateSequenceNumber,
            E::ProducerFenced { .. } => ErrorCode::InvalidProducerEpoch,
            E::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
            E::InvalidTxnState { .. } | E::TxnEnded { .. } => ErrorCode::InvalidTxnState,
            E::DiskFull { .. }
            | E::LogDirOffline { .. }
            | E::Locked { .. }
            | E::Damaged { .. }
            | E::TopicIdMismatch { .. }
            | E::Io { .. } => ErrorCode::KafkaStorageError,
            E::ShuttingDown => ErrorCode::NotLeaderOrFollower,
            #[allow(unreachable_patterns, reason = "storage may gain errors")]
            _ => ErrorCode::UnknownServerError,
        };
        let mapped = BrokerError::new(code, error.to_string());
        let mapped = match &error {
            E::InvalidRecords { refused, .. } => mapped.with_bad_records(bad_records(refused)),
            // Space may come back; nothing was written.
            E::DiskFull { .. } => mapped.with_kind(ErrorKind::Retriable),
            // A stopped broker does not come back in this process.
            E::ShuttingDown => mapped.with_kind(ErrorKind::Fatal),
            E::Locked { .. } => mapped.with_kind(ErrorKind::Usage),
            _ => mapped,
        };
        let mapped = if error.maybe_done() {
            mapped.maybe_done()
        } else {
            mapped
        };
        mapped.with_source(error)
    }
}

impl From<ConfigError> for BrokerError {
    fn from(error: ConfigError) -> Self {
        BrokerError::new(ErrorCode::InvalidConfig, error.to_string())
    }
}

impl From<ApplyError> for BrokerError {
    fn from(error: ApplyError) -> Self {
        BrokerError::new(ErrorCode::UnknownServerError, error.to_string()).with_source(error)
    }
}

impl From<CodecError> for BrokerError {
    fn from(error: CodecError) -> Self {
        BrokerError::new(ErrorCode::CorruptMessage, error.to_string()).with_source(error)
    }
}

impl From<BatchError> for BrokerError {
    fn from(error: BatchError) -> Self {
        BrokerError::new(ErrorCode::CorruptMessage, error.to_string()).with_source(error)
    }
}

fn bad_records(refused: &RefusedRecords) -> Vec<BadRecord> {
    let bad = |record: &RefusedRecord| BadRecord {
        index: i32::try_from(record.index).unwrap_or(i32::MAX),
        reason: record.reason.to_string(),
    };
    refused.told.iter().map(bad).collect()
}
