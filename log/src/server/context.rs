//! What handlers reach: the broker, the request's header, and where the client is.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use kafka_protocol::messages::ApiKey;
use parking_lot::Mutex;

use super::fetch_session::FetchSessions;
use super::options::ServerOptions;
use super::request_memory::RequestMemory;
use crate::broker::Broker;
use crate::metrics::ServerMetrics;

/// What all connections of a listener share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) broker: Broker,
    pub(super) options: ServerOptions,
    pub(super) request_memory: RequestMemory,
    pub(super) fetch_sessions: Mutex<FetchSessions>,
    pub(super) metrics: ServerMetrics,
}

impl Shared {
    pub(super) fn new(broker: Broker, options: ServerOptions) -> Self {
        let request_memory = RequestMemory::new(options.limits.request_memory_bytes);
        let limits = &options.limits;
        let fetch_sessions = Mutex::new(FetchSessions::new(
            limits.fetch_sessions,
            limits.fetch_session_idle,
        ));
        Self {
            broker,
            options,
            request_memory,
            fetch_sessions,
            metrics: ServerMetrics::default(),
        }
    }
}

/// What is known of a client as long as it is connected.
#[derive(Debug)]
pub(super) struct ConnectionInfo {
    /// Where it is.
    pub(super) peer: SocketAddr,
    /// The address it came in on.
    pub(super) local: SocketAddr,
}

/// One request, decoded as far as its header.
#[derive(Clone, Debug)]
pub(super) struct RequestContext {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Arc<ConnectionInfo>,
    pub(super) api: ApiKey,
    /// Version of the request, and of its answer; of an old request, the one it is worked on as.
    pub(super) version: i16,
    /// The version an old request really has (`protocol/legacy.rs`).
    pub(super) old_version: Option<i16>,
    pub(super) correlation_id: i32,
    pub(super) client_id: Option<String>,
}

impl RequestContext {
    /// The broker behind the socket.
    pub(super) fn broker(&self) -> &Broker {
        &self.shared.broker
    }

    /// How the client calls itself; empty if it does not.
    pub(super) fn client_id(&self) -> &str {
        self.client_id.as_deref().unwrap_or_default()
    }

    /// Where the client is, as Kafka writes it in group descriptions.
    pub(super) fn client_host(&self) -> String {
        format!("/{}", self.connection.peer.ip().to_canonical())
    }

    /// Host and port clients of this connection are told to reach this node at.
    pub(super) fn advertised(&self) -> (String, u16) {
        match &self.shared.options.advertised {
            Some(advertised) => advertised.clone(),
            None => (
                self.connection.local.ip().to_canonical().to_string(),
                self.connection.local.port(),
            ),
        }
    }
}

/// A request as the connection hands it to dispatch: the context and what follows the header.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) context: RequestContext,
    pub(super) body: BytesMut,
}
