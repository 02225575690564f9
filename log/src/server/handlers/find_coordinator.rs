//! FindCoordinator (key 10), versions 0 to 6.
//!
//! Version 1 asks for transactional ids too, 4 for many keys at once (KIP-699). Share coordinators (key type 2, version 6) are not offered: `INVALID_REQUEST`.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::wire::text;
use crate::broker::{BrokerError, CoordinatorKind, ErrorCode};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let kind = kind(request.key_type);
    if context.version >= 4 {
        let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
        for key in request.coordinator_keys {
            coordinators.push(find(context, &kind, key).await);
        }
        return FindCoordinatorResponse::default().with_coordinators(coordinators);
    }
    let found = find(context, &kind, request.key).await;
    FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(found.error_message)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port)
}

fn kind(key_type: i8) -> Result<CoordinatorKind, BrokerError> {
    match key_type {
        0 => Ok(CoordinatorKind::Group),
        1 => Ok(CoordinatorKind::Transaction),
        _ => {
            let message =
                format!("no coordinator for keys of type {key_type}: expected 0 (group) or 1 (transaction)");
            Err(BrokerError::new(ErrorCode::InvalidRequest, message))
        }
    }
}

async fn find(
    context: &RequestContext,
    kind: &Result<CoordinatorKind, BrokerError>,
    key: StrBytes,
) -> Coordinator {
    let found = match kind {
        Ok(kind) => context.broker().find_coordinator(*kind, &key).await,
        Err(error) => Err(error.clone()),
    };
    let answer = Coordinator::default().with_key(key);
    match found {
        Ok(node_id) => {
            let (host, port) = context.advertised();
            answer
                .with_node_id(node_id.into())
                .with_host(text(host))
                .with_port(port.into())
        }
        Err(error) => answer
            .with_node_id((-1).into())
            .with_port(-1)
            .with_error_code(error.code().code())
            .with_error_message(Some(text(error.message()))),
    }
}
