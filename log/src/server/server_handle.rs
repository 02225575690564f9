//! The handle of a running server: start, address, graceful shutdown.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::{Either, select};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::connections::Connections;
use super::context::Shared;
use super::listener;
use super::options::ServerOptions;
use crate::broker::Broker;
use crate::metrics::NodeMetrics;

/// Why a server cannot start.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct ServerError {
    /// Where it should have listened.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub cause: std::io::Error,
}

/// A running Kafka listener. Dropping it stops accepting and cuts connections; [`shutdown`](Self::shutdown) lets them finish first.
#[derive(Debug)]
pub struct Server {
    local: SocketAddr,
    stop: watch::Sender<bool>,
    connections: Arc<Connections>,
    shared: Arc<Shared>,
}

impl Server {
    /// Binds the address and serves `broker` on the current tokio runtime.
    ///
    /// Errs if the address cannot be bound. Cancel-safe: a dropped call has bound nothing, and nothing runs.
    pub async fn start(broker: Broker, options: ServerOptions) -> Result<Server, ServerError> {
        let address = options.listen;
        let refused = |cause| ServerError { address, cause };
        let socket = TcpListener::bind(address).await.map_err(refused)?;
        let local = socket.local_addr().map_err(refused)?;
        let listening = format!("PLAINTEXT://{local}");
        let advertised = match &options.advertised {
            Some((host, port)) => format!("PLAINTEXT://{host}:{port}"),
            None => listening.clone(),
        };
        broker.on_listening(listening, advertised);
        let connections = Arc::new(Connections::new(&options.limits));
        let shared = Arc::new(Shared::new(broker, options));
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(listener::run(
            socket,
            shared.clone(),
            connections.clone(),
            stopped,
        ));
        Ok(Server {
            local,
            stop,
            connections,
            shared,
        })
    }

    /// What this listener counts, together with what its broker does.
    pub fn metrics(&self) -> NodeMetrics {
        NodeMetrics::new(&self.shared.broker, Some(&self.shared.metrics))
    }

    /// Where it listens; with the port that was taken if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.connections.open()
    }

    /// Stops accepting, lets every connection finish what it is working on and write its answers (parked fetches and joins are given up), and
    /// returns when all are closed or `ConnectionLimits::drain` is over. The broker is not shut down. Calling it again is a no-op.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let drain = self.shared.broker.clock().sleep(self.shared.options.limits.drain);
        let closed = std::pin::pin!(self.connections.all_closed());
        if let Either::Right(_) = select(closed, drain).await {
            tracing::warn!(
                connections = self.connections.open(),
                "connections cut at shutdown"
            );
        }
    }
}
