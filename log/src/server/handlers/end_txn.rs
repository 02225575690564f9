//! EndTxn (key 26), versions 0 to 5.
//!
//! Version 2 knows PRODUCER_FENCED, 4 TRANSACTION_ABORTABLE; 5 is TV2 (KIP-890): it bumps the epoch and answers the identity to go on with. Unlike
//! Kafka's, the answer comes after the markers: whoever commits and then reads sees what was committed.

use kafka_protocol::messages::{ApiKey, EndTxnRequest, EndTxnResponse};

use super::txn_codes;
use crate::broker::{ErrorCode, ProducerIdentity, TxnResult};
use crate::server::context::RequestContext;
use crate::types::{ProducerEpoch, ProducerId, TransactionVersion, TransactionalId};

pub(in crate::server) async fn handle(context: &RequestContext, request: EndTxnRequest) -> EndTxnResponse {
    let producer = ProducerIdentity {
        producer_id: ProducerId::new(request.producer_id.0),
        producer_epoch: ProducerEpoch::new(request.producer_epoch),
    };
    let result = if request.committed {
        TxnResult::Commit
    } else {
        TxnResult::Abort
    };
    let version = TransactionVersion::of_end_txn(context.version);
    let id = TransactionalId::new(request.transactional_id.as_str());
    let ended = context.broker().end_txn_by(version, &id, producer, result).await;
    let (code, identity) = match ended {
        Ok(identity) => (ErrorCode::None, Some(identity)),
        // The decision may stand: asked again, it is answered by what became of it.
        Err(error) if error.outcome_unknown() => (ErrorCode::ConcurrentTransactions, None),
        Err(error) => (error.code(), None),
    };
    let code = txn_codes::of_coordinator(ApiKey::EndTxn, context.version, code);
    let response = EndTxnResponse::default().with_error_code(code.code());
    match identity.filter(|_| version.is_v2()) {
        Some(identity) => response
            .with_producer_id(identity.producer_id.get().into())
            .with_producer_epoch(identity.producer_epoch.get()),
        None => response.with_producer_id((-1).into()).with_producer_epoch(-1),
    }
}
