//! GetTelemetrySubscriptions (key 71, KIP-714), version 0: the empty subscription.

use kafka_protocol::messages::{GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse};

use super::wire::text;
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: GetTelemetrySubscriptionsRequest,
) -> GetTelemetrySubscriptionsResponse {
    let subscription = context
        .broker()
        .telemetry_subscription(request.client_instance_id);
    GetTelemetrySubscriptionsResponse::default()
        .with_client_instance_id(subscription.client_instance_id)
        .with_subscription_id(subscription.subscription_id)
        .with_accepted_compression_types(subscription.accepted_compression_types)
        .with_push_interval_ms(subscription.push_interval_ms)
        .with_telemetry_max_bytes(subscription.telemetry_max_bytes)
        .with_delta_temporality(true)
        .with_requested_metrics(subscription.requested_metrics.into_iter().map(text).collect())
}
