//! Error codes of transactions as each version of each request knows them.
//!
//! Kafka gave fenced producers a code of their own and introduced TRANSACTION_ABORTABLE after the first clients were written; an older request is told the
//! code its client acts on rightly. Pure.

use kafka_protocol::messages::ApiKey;

use crate::broker::ErrorCode;
use crate::types::TransactionVersion;

/// The code a Produce request of this version is told.
pub(super) fn of_produce(version: i16, code: ErrorCode) -> ErrorCode {
    let client = TransactionVersion::of_produce(version);
    match code {
        ErrorCode::TransactionAbortable if !client.knows_abortable() => ErrorCode::InvalidTxnState,
        // Older clients do not send a batch again for this one, but for that one they do (KIP-890).
        ErrorCode::ConcurrentTransactions if !client.is_v2() => ErrorCode::NotEnoughReplicas,
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        code => code,
    }
}

/// The code a request to the transaction coordinator is told.
pub(super) fn of_coordinator(api: ApiKey, version: i16, code: ErrorCode) -> ErrorCode {
    let (fenced_from, abortable_from) = match api {
        ApiKey::InitProducerId => (4, 5),
        ApiKey::AddPartitionsToTxn | ApiKey::AddOffsetsToTxn | ApiKey::EndTxn => (2, 4),
        // Kafka tells of a fenced producer as the partition that holds the offsets does.
        ApiKey::TxnOffsetCommit => (i16::MAX, 4),
        _ => (0, 0),
    };
    match code {
        ErrorCode::ProducerFenced if version < fenced_from => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if version < abortable_from => ErrorCode::InvalidTxnState,
        // The coordinator's log cannot be written; the clients look for the coordinator again and come back.
        ErrorCode::KafkaStorageError | ErrorCode::NotLeaderOrFollower => ErrorCode::CoordinatorNotAvailable,
        code => code,
    }
}
