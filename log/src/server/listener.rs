//! Accepting: one task per listener, one more per connection. Knows no API.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::connection;
use super::connections::{Connections, Full};
use super::context::Shared;
use crate::metrics::RejectReason;

/// Pause after a failed accept (most often: no file handles left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `stopped` says so or its sender is gone.
pub(super) async fn run(
    socket: TcpListener,
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let accepted = {
            let accept = std::pin::pin!(socket.accept());
            let stop = std::pin::pin!(stopped.wait_for(|stop| *stop));
            match select(stop, accept).await {
                Either::Left(_) => return,
                Either::Right((accepted, _)) => accepted,
            }
        };
        match accepted {
            Ok((stream, peer)) => match connections.admit(peer.ip()) {
                Ok(permit) => {
                    shared.metrics.on_connections(connections.open());
                    tokio::spawn(connection::run(
                        stream,
                        peer,
                        shared.clone(),
                        permit,
                        stopped.clone(),
                    ));
                }
                Err(full) => {
                    let limit = match full {
                        Full::InAll => "max.connections",
                        Full::OfAddress => "max.connections.per.ip",
                    };
                    shared.metrics.on_rejected(RejectReason::TooManyConnections);
                    tracing::warn!(%peer, limit, "connection refused: the limit is reached");
                }
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                shared.broker.clock().sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
