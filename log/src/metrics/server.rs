//! What the Kafka listener counts: connections, requests, what it turned away.

use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Label: the API, by Kafka's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabel {
    api: ApiName,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ApiName(ApiKey);

impl EncodeLabelValue for ApiName {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        format!("{:?}", self.0).encode(encoder)
    }
}

/// Why a request or a connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum RejectReason {
    /// A connection above `max.connections` or `max.connections.per.ip`.
    TooManyConnections,
    /// A frame above `socket.request.max.bytes`.
    FrameTooLarge,
    /// A request that cannot be understood.
    Malformed,
    /// An API or version that is not served.
    NotServed,
}

/// Label: why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: RejectReason,
}

/// Counters of one listener. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct ServerMetrics {
    connections: Gauge,
    fetch_sessions: Gauge,
    requests: Family<ApiLabel, Counter>,
    seconds: Family<ApiLabel, Histogram, fn() -> Histogram>,
    received: Counter,
    sent: Counter,
    rejected: Family<ReasonLabel, Counter>,
}

impl Default for ServerMetrics {
    fn default() -> Self {
        Self {
            connections: Gauge::default(),
            fetch_sessions: Gauge::default(),
            requests: Family::default(),
            seconds: Family::new_with_constructor(super::seconds),
            received: Counter::default(),
            sent: Counter::default(),
            rejected: Family::default(),
        }
    }
}

impl ServerMetrics {
    /// So many clients are connected now.
    pub(crate) fn on_connections(&self, open: usize) {
        self.connections.set(open as i64);
    }

    /// So many fetch sessions are kept now.
    pub(crate) fn on_fetch_sessions(&self, kept: usize) {
        self.fetch_sessions.set(kept as i64);
    }

    /// A whole request came.
    pub(crate) fn on_request(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }

    /// Its answer is ready; it took so long, parking included.
    pub(crate) fn on_answer(&self, api: ApiKey, took: Duration) {
        let label = ApiLabel { api: ApiName(api) };
        self.requests.get_or_create(&label).inc();
        self.seconds.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// An answer was written.
    pub(crate) fn on_sent(&self, bytes: usize) {
        self.sent.inc_by(bytes as u64);
    }

    /// A request or a connection was turned away.
    pub(crate) fn on_rejected(&self, reason: RejectReason) {
        self.rejected.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let kafka = registry.sub_registry_with_prefix("kafka");
        kafka.register("connections", "Clients connected now", self.connections.clone());
        kafka.register(
            "fetch_sessions",
            "Fetch sessions kept now (KIP-227)",
            self.fetch_sessions.clone(),
        );
        kafka.register("requests", "Requests answered, by API", self.requests.clone());
        kafka.register_with_unit(
            "request_duration",
            "Time from a whole request to its answer, waiting included, by API",
            Unit::Seconds,
            self.seconds.clone(),
        );
        kafka.register_with_unit(
            "received",
            "Requests received",
            Unit::Bytes,
            self.received.clone(),
        );
        kafka.register_with_unit("sent", "Answers written", Unit::Bytes, self.sent.clone());
        kafka.register(
            "rejected",
            "Connections and requests turned away, by reason",
            self.rejected.clone(),
        );
    }
}
