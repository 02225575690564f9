//! Where the server listens, what it tells clients to connect to, and every limit on what they may take.

use std::net::SocketAddr;
use std::time::Duration;

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// `advertised.listeners`: host and port clients are told to use. None: the address each client came in on, which is right wherever
    /// no address translation lies between.
    pub advertised: Option<(String, u16)>,
    /// What connections may take.
    pub limits: ConnectionLimits,
}

impl ServerOptions {
    /// A listener with the default limits.
    pub fn on(listen: SocketAddr) -> Self {
        Self {
            listen,
            advertised: None,
            limits: ConnectionLimits::default(),
        }
    }
}

/// Caps on connections. Kafka's names where Kafka has them; unlike there, every default is finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `max.connections`: in all. Default 10,000.
    pub connections: usize,
    /// `max.connections.per.ip`: from one address. Default 5,000.
    pub connections_per_address: usize,
    /// `socket.request.max.bytes`: longest request. Default 100 MiB.
    pub request_bytes: usize,
    /// Longest request before a client has authenticated. Default 512 KiB.
    pub request_bytes_before_authentication: usize,
    /// `queued.max.request.bytes`: all requests above 64 KiB that are being read or worked on, together. Default 256 MiB.
    pub request_memory_bytes: usize,
    /// Most requests of one connection that wait for their answer to be written. Default 64.
    pub in_flight: usize,
    /// Answers of one connection that wait to be written, in bytes, before its next request is begun. Default 1 MiB.
    pub outbox_bytes: usize,
    /// `connections.max.idle.ms`: a connection without a request for so long is closed. Default 10 minutes.
    pub idle: Duration,
    /// `max.incremental.fetch.session.cache.slots`: fetch sessions in all. Default 1,000.
    pub fetch_sessions: usize,
    /// A fetch session unused for so long gives its place to a new one. Default 2 minutes, as Kafka's.
    pub fetch_session_idle: Duration,
    /// How long a shutdown waits for answers to be written. Default 5 seconds.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 5_000,
            request_bytes: 100 << 20,
            request_bytes_before_authentication: 512 << 10,
            request_memory_bytes: 256 << 20,
            in_flight: 64,
            outbox_bytes: 1 << 20,
            idle: Duration::from_secs(600),
            fetch_sessions: 1_000,
            fetch_session_idle: Duration::from_secs(120),
            drain: Duration::from_secs(5),
        }
    }
}
