//! Why the transaction coordinator refuses.

use crate::broker::{BrokerError, ErrorCode, TxnResult};
use crate::types::{ProducerEpoch, ProducerId, TopicPartition};

use super::state::TxnState;

/// A refusal. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxnError {
    /// No producer has this transactional id, or it has another producer id.
    #[error("producer id {found} does not belong to the transactional id{}", current_id(.current))]
    UnknownProducer {
        /// The id the caller gave.
        found: ProducerId,
        /// The one in use.
        current: Option<ProducerId>,
    },
    /// The caller's epoch is not the current one: another producer took over, or the transaction timed out.
    #[error(
        "producer {producer_id} is fenced: epoch {found} is not the current epoch {current}; a newer producer took over or the transaction timed out"
    )]
    Fenced {
        /// Who.
        producer_id: ProducerId,
        /// The epoch the caller gave.
        found: ProducerEpoch,
        /// The current one.
        current: ProducerEpoch,
    },
    /// The state does not allow what was asked.
    #[error("cannot {} in state {}", verb(*.asked), .state.name())]
    InvalidState {
        /// What was asked.
        asked: TxnResult,
        /// Where the transaction stands.
        state: TxnState,
    },
    /// The last transaction is decided, but its markers are not all written.
    #[error("transaction of producer {producer_id} is still being ended; try again")]
    Concurrent {
        /// Whose.
        producer_id: ProducerId,
    },
    /// A partition was not added to the open transaction, or none is open.
    #[error("partition {partition} is not in an open transaction of producer {producer_id}")]
    NotInTxn {
        /// Who.
        producer_id: ProducerId,
        /// Where to.
        partition: TopicPartition,
    },
    /// The transaction would touch more partitions than the cap allows.
    #[error("transaction would touch {partitions} partitions, at most {limit} are allowed")]
    TooManyPartitions {
        /// How many it would be.
        partitions: usize,
        /// The cap.
        limit: usize,
    },
}

fn current_id(current: &Option<ProducerId>) -> String {
    current.map(|id| format!(" (it has {id})")).unwrap_or_default()
}

fn verb(result: TxnResult) -> &'static str {
    match result {
        TxnResult::Commit => "commit",
        TxnResult::Abort => "abort",
    }
}

impl From<TxnError> for BrokerError {
    fn from(error: TxnError) -> Self {
        let code = match &error {
            TxnError::UnknownProducer { .. } => ErrorCode::InvalidProducerIdMapping,
            TxnError::Fenced { .. } => ErrorCode::ProducerFenced,
            TxnError::InvalidState { .. } => ErrorCode::InvalidTxnState,
            TxnError::Concurrent { .. } => ErrorCode::ConcurrentTransactions,
            TxnError::NotInTxn { .. } => ErrorCode::TransactionAbortable,
            TxnError::TooManyPartitions { .. } => ErrorCode::PolicyViolation,
        };
        BrokerError::new(code, error.to_string())
    }
}
