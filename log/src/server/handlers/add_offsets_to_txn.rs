//! AddOffsetsToTxn (key 25), versions 0 to 4.
//!
//! Version 2 knows PRODUCER_FENCED, 4 TRANSACTION_ABORTABLE (KIP-890). Clients that speak TV2 do not send it.

use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, ApiKey};

use super::txn_codes;
use crate::broker::ErrorCode;
use crate::server::context::RequestContext;
use crate::types::{GroupId, ProducerEpoch, ProducerId, TransactionalId};

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let added = context
        .broker()
        .add_offsets_to_txn(
            &TransactionalId::new(request.transactional_id.as_str()),
            ProducerId::new(request.producer_id.0),
            ProducerEpoch::new(request.producer_epoch),
            &GroupId::new(request.group_id.as_str()),
        )
        .await;
    let code = added.err().map_or(ErrorCode::None, |error| error.code());
    let code = txn_codes::of_coordinator(ApiKey::AddOffsetsToTxn, context.version, code);
    AddOffsetsToTxnResponse::default().with_error_code(code.code())
}
