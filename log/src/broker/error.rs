//! What a broker call can answer instead of success.
//!
//! One public error for the crate's embedded users: a Kafka code, a sentence, and `kind()`, which says what the caller must do.
//! Always true: an error of kind `Retriable` was surely not done, or is safe to repeat because the request is idempotent;
//! `outcome_unknown()` marks the few that may have happened.

use std::fmt;
use std::sync::Arc;

use super::error_code::ErrorCode;

/// What the caller must do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Try again, perhaps after a pause.
    Retriable,
    /// Stop: the log directory failed, or a promise is broken. Repeating does not help.
    Fatal,
    /// The request is wrong; change it.
    Usage,
    /// Another producer with the same transactional id took over, or the coordinator ended the transaction: give up this producer.
    Fenced,
}

/// A record that is to blame for a refused batch (KIP-467).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Its place in the batch, from 0.
    pub index: i32,
    /// What is wrong with it.
    pub reason: String,
}

/// An error of a [`Broker`](super::Broker) call.
///
/// ```
/// use millpond_log::broker::{BrokerError, ErrorCode, ErrorKind};
///
/// let error = BrokerError::new(ErrorCode::ProducerFenced, "producer 7 has epoch 3, current is 4");
/// assert_eq!(error.kind(), ErrorKind::Fenced);
/// assert_eq!(error.code().code(), 90);
/// ```
#[derive(Clone)]
pub struct BrokerError {
    code: ErrorCode,
    message: String,
    outcome_unknown: bool,
    kind: Option<ErrorKind>,
    bad_records: Arc<[BadRecord]>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl BrokerError {
    /// An error with a code and one sentence: lower case, no full stop.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            outcome_unknown: false,
            kind: None,
            bad_records: Arc::default(),
            source: None,
        }
    }

    /// Keeps the cause, for `Error::source`.
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Marks that what was asked may have happened.
    pub fn maybe_done(mut self) -> Self {
        self.outcome_unknown = true;
        self
    }

    /// Says what the caller must do where the code alone would say something else.
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Names the records of a refused batch that are to blame (KIP-467).
    pub(crate) fn with_bad_records(mut self, bad_records: Vec<BadRecord>) -> Self {
        self.bad_records = bad_records.into();
        self
    }

    /// The records that are to blame for a refused batch, in order, or the first of them if they are very many; empty if the whole batch is to blame.
    pub fn bad_records(&self) -> &[BadRecord] {
        &self.bad_records
    }

    /// Kafka's code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The sentence, without the code.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// True when the request may have taken effect although an error came back. Resolve it (for a transaction: fence with
    /// `init_producer_id` and read the committed offsets), never guess.
    pub fn outcome_unknown(&self) -> bool {
        self.outcome_unknown
    }

    /// What the caller must do.
    pub fn kind(&self) -> ErrorKind {
        if let Some(kind) = self.kind {
            return kind;
        }
        match self.code {
            ErrorCode::NotLeaderOrFollower
            | ErrorCode::RequestTimedOut
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::ConcurrentTransactions
            | ErrorCode::UnstableOffsetCommit
            | ErrorCode::ThrottlingQuotaExceeded
            | ErrorCode::UnknownLeaderEpoch => ErrorKind::Retriable,
            ErrorCode::InvalidProducerEpoch
            | ErrorCode::ProducerFenced
            | ErrorCode::InvalidProducerIdMapping
            | ErrorCode::TransactionCoordinatorFenced
            | ErrorCode::FencedLeaderEpoch => ErrorKind::Fenced,
            ErrorCode::UnknownServerError
            | ErrorCode::CorruptMessage
            | ErrorCode::KafkaStorageError
            | ErrorCode::OutOfOrderSequenceNumber
            | ErrorCode::UnknownProducerId => ErrorKind::Fatal,
            _ => ErrorKind::Usage,
        }
    }

    /// True when [`kind`](Self::kind) is [`ErrorKind::Retriable`].
    pub fn is_retriable(&self) -> bool {
        self.kind() == ErrorKind::Retriable
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "BrokerError({}: {}{})",
            self.code,
            self.message,
            if self.outcome_unknown {
                "; outcome unknown"
            } else {
                ""
            }
        )
    }
}

impl std::error::Error for BrokerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}
