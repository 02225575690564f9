//! UnregisterBroker (key 64), version 0: the only broker cannot be taken out of its cluster.

use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::wire::{code_of, note};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: UnregisterBrokerRequest,
) -> UnregisterBrokerResponse {
    let outcome = context.broker().unregister_broker(request.broker_id.0);
    UnregisterBrokerResponse::default()
        .with_error_code(code_of(&outcome))
        .with_error_message(outcome.err().as_ref().and_then(note))
}
