//! GetTelemetrySubscriptions (API key 71) and PushTelemetry (72), KIP-714: clients are asked for no metrics.
//!
//! The subscription is empty and the same for all clients, so nothing is remembered of them. A client that pushes all the same (at its end, say) is
//! thanked and its metrics are dropped.

use uuid::Uuid;

use super::{Broker, BrokerError, ErrorCode};

/// Id of the empty subscription.
const SUBSCRIPTION_ID: i32 = 1;
/// How often clients ask again.
const PUSH_INTERVAL_MS: i32 = 300_000;
/// Largest push accepted, as it comes.
const MAX_BYTES: i32 = 1 << 20;
/// zstd, lz4, gzip, snappy, in the order they are preferred.
const CODECS: [i8; 4] = [4, 3, 1, 2];

/// Which metrics a client is to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetrySubscription {
    /// How the client calls itself from now on.
    pub client_instance_id: Uuid,
    /// What pushes must name.
    pub subscription_id: i32,
    /// Codecs it may use, preferred ones first, by Kafka's numbers.
    pub accepted_compression_types: Vec<i8>,
    /// How often it pushes, or asks again.
    pub push_interval_ms: i32,
    /// Largest push.
    pub telemetry_max_bytes: i32,
    /// Prefixes of the metrics: none.
    pub requested_metrics: Vec<String>,
}

impl Broker {
    /// The subscription of a client; one that has no instance id yet gets one.
    pub fn telemetry_subscription(&self, client_instance_id: Uuid) -> TelemetrySubscription {
        let client_instance_id = if client_instance_id.is_nil() {
            self.rng().uuid()
        } else {
            client_instance_id
        };
        TelemetrySubscription {
            client_instance_id,
            subscription_id: SUBSCRIPTION_ID,
            accepted_compression_types: CODECS.to_vec(),
            push_interval_ms: PUSH_INTERVAL_MS,
            telemetry_max_bytes: MAX_BYTES,
            requested_metrics: Vec::new(),
        }
    }

    /// Takes a push and drops it. Errs with `InvalidRequest` (no instance id), `UnknownSubscriptionId`, `UnsupportedCompressionType`,
    /// `TelemetryTooLarge`.
    pub fn push_telemetry(
        &self,
        client_instance_id: Uuid,
        subscription_id: i32,
        compression_type: i8,
        metrics_bytes: usize,
    ) -> Result<(), BrokerError> {
        let refused = |code, message: &str| Err(BrokerError::new(code, message));
        if client_instance_id.is_nil() {
            return refused(
                ErrorCode::InvalidRequest,
                "push has no client instance id; ask for a subscription first",
            );
        }
        if subscription_id != SUBSCRIPTION_ID {
            return refused(
                ErrorCode::UnknownSubscriptionId,
                "unknown telemetry subscription; ask for it again",
            );
        }
        if compression_type != 0 && !CODECS.contains(&compression_type) {
            return refused(
                ErrorCode::UnsupportedCompressionType,
                "codec of the telemetry is not known; use one the subscription names",
            );
        }
        if metrics_bytes > MAX_BYTES as usize {
            return refused(
                ErrorCode::TelemetryTooLarge,
                "telemetry is larger than the subscription allows; send less at once",
            );
        }
        Ok(())
    }
}
