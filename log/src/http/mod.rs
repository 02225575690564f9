//! The HTTP door: `/metrics`, `/healthz`, `/readyz`.
//!
//! Always true: it only looks; `/healthz` says whether the process should be restarted, `/readyz` whether it should get traffic, both as JSON with a reason.
//! There is no authentication, so the default is not to listen at all.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::broker::{Broker, WeakBroker};
use crate::metrics::NodeMetrics;

/// Why the HTTP door cannot open.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct HttpError {
    /// Where it should have listened.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub cause: std::io::Error,
}

/// A running HTTP listener. Dropping it stops it.
#[derive(Debug)]
pub struct HttpServer {
    local: SocketAddr,
    ready: Arc<watch::Sender<bool>>,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct Shared {
    /// None in a process without a node.
    broker: Option<WeakBroker>,
    metrics: NodeMetrics,
    ready: watch::Receiver<bool>,
}

impl HttpServer {
    /// Binds the address and answers for `broker`. Errs if the address cannot be bound.
    pub async fn start(broker: &Broker, metrics: NodeMetrics, listen: SocketAddr) -> Result<Self, HttpError> {
        Self::serve(Some(broker.downgrade()), metrics, listen).await
    }

    /// The same in a process that has no node, a client of a cluster say: healthy as long as it answers.
    pub async fn start_without_node(metrics: NodeMetrics, listen: SocketAddr) -> Result<Self, HttpError> {
        Self::serve(None, metrics, listen).await
    }

    async fn serve(
        broker: Option<WeakBroker>,
        metrics: NodeMetrics,
        listen: SocketAddr,
    ) -> Result<Self, HttpError> {
        let refused = |cause| HttpError {
            address: listen,
            cause,
        };
        let socket = TcpListener::bind(listen).await.map_err(refused)?;
        let local = socket.local_addr().map_err(refused)?;
        let (ready, is_ready) = watch::channel(true);
        let (stop, mut stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            broker,
            metrics,
            ready: is_ready,
        });
        let router = Router::new()
            .route("/metrics", get(metrics_page))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .with_state(shared);
        let until_stopped = async move {
            stopped.wait_for(|stop| *stop).await.map(drop).unwrap_or_default();
        };
        tokio::spawn(async move {
            let served = axum::serve(socket, router)
                .with_graceful_shutdown(until_stopped)
                .await;
            if let Err(error) = served {
                tracing::warn!(%error, "the HTTP listener ended");
            }
        });
        Ok(Self {
            local,
            ready: Arc::new(ready),
            stop,
        })
    }

    /// Where it listens; with the port that was taken if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// `/readyz` answers no from now on: the node is about to stop.
    pub fn drain(&self) {
        self.ready.send_replace(false);
    }

    /// Stops listening; requests under way are answered.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

async fn metrics_page(State(shared): State<Arc<Shared>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], shared.metrics.render()).into_response()
}

/// Healthy: the log can be written.
async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    let failure = shared.broker.as_ref().and_then(|broker| match broker.upgrade() {
        Some(broker) => broker.failure(),
        None => Some("the broker was stopped".to_owned()),
    });
    answer(failure)
}

/// Ready: healthy and not about to stop.
async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    if !*shared.ready.borrow() {
        return answer(Some("the node is stopping".to_owned()));
    }
    healthz(State(shared)).await
}

fn answer(failure: Option<String>) -> Response {
    let status = match failure {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let ok = failure.is_none();
    let body = serde_json::json!({"ok": ok, "reason": failure}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
