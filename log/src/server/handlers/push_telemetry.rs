//! PushTelemetry (key 72, KIP-714), version 0: what a client pushes is taken and dropped.

use kafka_protocol::messages::{PushTelemetryRequest, PushTelemetryResponse};

use super::wire::code_of;
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: PushTelemetryRequest,
) -> PushTelemetryResponse {
    let outcome = context.broker().push_telemetry(
        request.client_instance_id,
        request.subscription_id,
        request.compression_type,
        request.metrics.len(),
    );
    PushTelemetryResponse::default().with_error_code(code_of(&outcome))
}
