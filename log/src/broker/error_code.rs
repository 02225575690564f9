//! Kafka's numeric error codes, as far as this broker can answer them.
//!
//! The numbers are the wire protocol's and never change. `BrokerError` carries one of them, so that the embedded client and
//! a socket client are told the same thing. Where to look next: `error.rs` adds the facts and says what the caller must do.

use std::fmt;

/// A Kafka error code. `code()` is the number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(i16)]
pub enum ErrorCode {
    /// The server met an unexpected error.
    UnknownServerError = -1,
    /// No error.
    None = 0,
    /// The asked offset is outside the log.
    OffsetOutOfRange = 1,
    /// A batch failed its checksum or is malformed.
    CorruptMessage = 2,
    /// The topic or partition does not exist.
    UnknownTopicOrPartition = 3,
    /// This broker does not lead the partition (or no longer serves it).
    NotLeaderOrFollower = 6,
    /// The request timed out; what it asked for may or may not have happened.
    RequestTimedOut = 7,
    /// A batch is larger than `max.message.bytes`.
    MessageTooLarge = 10,
    /// The metadata string of an offset commit is too long.
    OffsetMetadataTooLarge = 12,
    /// The coordinator is still replaying its log.
    CoordinatorLoadInProgress = 14,
    /// The coordinator cannot answer now.
    CoordinatorNotAvailable = 15,
    /// The topic name is not allowed.
    InvalidTopicException = 17,
    /// The batch list is larger than a segment.
    RecordListTooLarge = 18,
    /// The group id is not allowed.
    InvalidGroupId = 24,
    /// A commit is too large.
    InvalidCommitOffsetSize = 28,
    /// A timestamp lies outside the range the topic allows.
    InvalidTimestamp = 32,
    /// The topic exists.
    TopicAlreadyExists = 36,
    /// The number of partitions is not allowed.
    InvalidPartitions = 37,
    /// A setting is unknown or its value is not allowed.
    InvalidConfig = 40,
    /// The request contradicts itself or this broker's rules.
    InvalidRequest = 42,
    /// The message format of the topic cannot hold the request.
    UnsupportedForMessageFormat = 43,
    /// A cap or policy refuses the request.
    PolicyViolation = 44,
    /// A sequence number skipped ahead: an earlier batch is missing.
    OutOfOrderSequenceNumber = 45,
    /// A sequence number was seen before and the batch is not among those remembered.
    DuplicateSequenceNumber = 46,
    /// The producer's epoch is older than the partition's.
    InvalidProducerEpoch = 47,
    /// The transaction is not in a state that allows the request.
    InvalidTxnState = 48,
    /// The producer id does not belong to the transactional id.
    InvalidProducerIdMapping = 49,
    /// The transaction timeout exceeds the broker's limit.
    InvalidTransactionTimeout = 50,
    /// Another request of the same transactional id is being worked on.
    ConcurrentTransactions = 51,
    /// An older coordinator tried to write.
    TransactionCoordinatorFenced = 52,
    /// The log directory failed; it takes no more writes until the process restarts.
    KafkaStorageError = 56,
    /// The producer id is not known to the partition.
    UnknownProducerId = 59,
    /// The asked leader epoch is older than the current one.
    FencedLeaderEpoch = 74,
    /// The asked leader epoch is newer than the current one.
    UnknownLeaderEpoch = 75,
    /// The codec is not supported.
    UnsupportedCompressionType = 76,
    /// A transaction with offsets of this partition is open.
    UnstableOffsetCommit = 88,
    /// A throttle asks the client to wait.
    ThrottlingQuotaExceeded = 89,
    /// A newer producer with the same transactional id took over.
    ProducerFenced = 90,
    /// A record is refused (a compacted topic needs keys, for instance).
    InvalidRecord = 87,
    /// The transactional id is not known.
    TransactionalIdNotFound = 105,
}

impl ErrorCode {
    /// The number on the wire.
    pub fn code(self) -> i16 {
        self as i16
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self, self.code())
    }
}
