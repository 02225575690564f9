//! InitProducerId (key 22), versions 0 to 5.
//!
//! Version 3 names the identity the producer believes to have (KIP-360), 4 knows PRODUCER_FENCED, 5 TRANSACTION_ABORTABLE (KIP-890). Left out: version 6, two-phase
//! commit (KIP-939), which Kafka does not call stable. Where Kafka answers CONCURRENT_TRANSACTIONS after it aborted an open transaction, this broker
//! waits for the markers and answers with the identity.

use std::time::Duration;

use kafka_protocol::messages::{ApiKey, InitProducerIdRequest, InitProducerIdResponse};

use super::txn_codes;
use crate::broker::{BrokerError, ErrorCode, ProducerIdentity};
use crate::server::context::RequestContext;
use crate::types::{ProducerEpoch, ProducerId, TransactionalId};

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    match init(context, request).await {
        Ok(identity) => InitProducerIdResponse::default()
            .with_producer_id(identity.producer_id.get().into())
            .with_producer_epoch(identity.producer_epoch.get()),
        Err(error) => {
            let code = txn_codes::of_coordinator(ApiKey::InitProducerId, context.version, error.code());
            InitProducerIdResponse::default()
                .with_error_code(code.code())
                .with_producer_id((-1).into())
                .with_producer_epoch(-1)
        }
    }
}

async fn init(
    context: &RequestContext,
    request: InitProducerIdRequest,
) -> Result<ProducerIdentity, BrokerError> {
    let (producer_id, producer_epoch) = (request.producer_id.0, request.producer_epoch);
    let expected = match (producer_id >= 0, producer_epoch >= 0) {
        (true, true) => Some((ProducerId::new(producer_id), ProducerEpoch::new(producer_epoch))),
        (false, false) => None,
        _ => {
            let message = format!(
                "producer id {producer_id} and epoch {producer_epoch} must both be given or both be -1"
            );
            return Err(BrokerError::new(ErrorCode::InvalidRequest, message));
        }
    };
    let id = request
        .transactional_id
        .map(|id| TransactionalId::new(id.as_str()));
    // A timeout below zero is out of range, as one of zero is.
    let timeout_ms = u64::try_from(request.transaction_timeout_ms).unwrap_or(0);
    context
        .broker()
        .init_producer_id(id, Duration::from_millis(timeout_ms), expected)
        .await
}
