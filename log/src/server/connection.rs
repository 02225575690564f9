//! One client's life: cut frames, read headers, hand requests to dispatch one after the other, queue the answers.
//!
//! Always true: requests of one connection are begun in order, the next one when the one before has been answered or, for Produce, when its
//! batches have entered their partitions' queues; memory for a long frame is taken out of the shared budget; whole frames a client sent before it
//! went away are still worked on, but nothing is parked for it; a hostile frame ends only its own connection.
//! The seam for authentication is `Session`: what a client may send before it has proved who it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::FutureExt;
use futures::future::{Either, select};
use kafka_protocol::messages::ApiKey;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::connections::Permit;
use super::context::{ConnectionInfo, Request, RequestContext, Shared};
use super::dispatch;
use super::options::ConnectionLimits;
use super::outbox::{self, Backlog, PendingReply};
use crate::metrics::RejectReason;
use crate::protocol::api::{Lookup, lookup};
use crate::protocol::frame::{self, Cut, FrameTooLarge};
use crate::protocol::header::{HeaderError, RequestHeader};
use crate::protocol::legacy;
use crate::protocol::reply::Reply;

/// Read ahead while a request is parked, to notice that the client is gone; more than this is left to TCP.
const READ_AHEAD: usize = 64 * 1024;

/// Why a connection ended, if not by the client's wish.
#[derive(Debug, Error)]
pub(super) enum ConnectionError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Frame(#[from] FrameTooLarge),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("api key {key} version {version} is not served")]
    NotServed { key: i16, version: i16 },
    #[error(transparent)]
    Request(#[from] dispatch::RequestError),
    #[error("no request for {0:?}")]
    Idle(Duration),
}

/// Who the client is, as far as that has been proved. Until there is authentication every client of a plain listener counts as itself.
#[derive(Debug, Default)]
struct Session {
    must_authenticate: bool,
}

impl Session {
    fn request_bytes_max(&self, limits: &ConnectionLimits) -> usize {
        if self.must_authenticate {
            limits.request_bytes_before_authentication
        } else {
            limits.request_bytes
        }
    }
}

/// Serves one client to its end.
pub(super) async fn run(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    permit: Permit,
    stopped: watch::Receiver<bool>,
) {
    let metrics = shared.metrics.clone();
    let ended = serve(stream, peer, shared, stopped).await;
    let rejected = match &ended {
        Err(ConnectionError::Frame(_)) => Some(RejectReason::FrameTooLarge),
        Err(ConnectionError::Header(_) | ConnectionError::Request(_)) => Some(RejectReason::Malformed),
        Err(ConnectionError::NotServed { .. }) => Some(RejectReason::NotServed),
        _ => None,
    };
    if let Some(reason) = rejected {
        metrics.on_rejected(reason);
    }
    match ended {
        Ok(()) => {}
        // What clients do all day is not worth a line: leaving without a word, or staying silent.
        Err(ConnectionError::Io(error)) => tracing::debug!(%peer, %error, "connection lost"),
        Err(error @ ConnectionError::Idle(_)) => tracing::debug!(%peer, %error, "connection closed"),
        Err(error) => tracing::warn!(%peer, %error, "connection closed"),
    }
    metrics.on_connections(permit.leave());
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
) -> Result<(), ConnectionError> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let (socket, out) = stream.into_split();
    let (replies, queue) = mpsc::channel(shared.options.limits.in_flight);
    let backlog = Arc::new(Backlog::default());
    let writer = tokio::spawn(outbox::run(out, queue, backlog.clone(), shared.metrics.clone()));
    let reader = Reader {
        socket,
        buffer: BytesMut::new(),
        connection: Arc::new(ConnectionInfo { peer, local }),
        session: Session::default(),
        shared,
        stopped,
        client_left: false,
    };
    let read = reader.run(replies, &backlog).await;
    // The queue is closed now; what is in it is still written.
    let written = writer.await;
    read?;
    match written {
        Ok(written) => Ok(written?),
        Err(panicked) => Err(std::io::Error::other(panicked).into()),
    }
}

struct Reader {
    socket: OwnedReadHalf,
    buffer: BytesMut,
    connection: Arc<ConnectionInfo>,
    session: Session,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
    /// It closed its side; whole frames it sent before may still be in the buffer.
    client_left: bool,
}

/// A frame as far as it is understood.
enum Parsed {
    /// A request to dispatch.
    Request(Request),
    /// One whose answer needs nobody.
    Answered(Reply),
}

/// A frame with its share of the memory budget.
struct Framed {
    bytes: BytesMut,
    _memory: Option<OwnedSemaphorePermit>,
}

impl Reader {
    async fn run(
        mut self,
        replies: mpsc::Sender<PendingReply>,
        backlog: &Backlog,
    ) -> Result<(), ConnectionError> {
        let outbox_bytes = self.shared.options.limits.outbox_bytes;
        while let Some(frame) = self.next_frame().await? {
            let Framed { bytes, _memory } = frame;
            self.shared.metrics.on_request(bytes.len() + 4);
            let began = self.shared.broker.clock().monotonic();
            let pending = match self.parse(bytes)? {
                Parsed::Request(request) => {
                    let api = request.context.api;
                    let can_park = can_park(api);
                    match self.attended(dispatch::dispatch(request), can_park).await {
                        Some(pending) => self.timed(pending?, api, began),
                        None => continue,
                    }
                }
                Parsed::Answered(reply) => PendingReply::Ready(reply),
            };
            if let PendingReply::Ready(reply) = &pending {
                if reply.is_empty() {
                    continue;
                }
                backlog.grew(reply.len());
            }
            if replies.send(pending).await.is_err() {
                return Ok(());
            }
            // A writer that ended no longer shrinks the backlog.
            let room = std::pin::pin!(backlog.below(outbox_bytes));
            let gone = std::pin::pin!(replies.closed());
            if let Either::Right(_) = select(room, gone).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Measures a request to the moment its answer is there.
    fn timed(&self, pending: PendingReply, api: ApiKey, began: Duration) -> PendingReply {
        let (metrics, clock) = (self.shared.metrics.clone(), self.shared.broker.clock().clone());
        match pending {
            PendingReply::Ready(reply) => {
                metrics.on_answer(api, clock.monotonic().saturating_sub(began));
                PendingReply::Ready(reply)
            }
            PendingReply::Later(later) => {
                let measured = later.inspect(move |_| {
                    metrics.on_answer(api, clock.monotonic().saturating_sub(began));
                });
                PendingReply::Later(measured.boxed())
            }
        }
    }

    fn parse(&self, bytes: BytesMut) -> Result<Parsed, ConnectionError> {
        let mut body = bytes;
        let header = RequestHeader::take(&mut body)?;
        let (key, version) = (header.api_key, header.api_version);
        let api = match lookup(key, version) {
            Lookup::Served(api) => api,
            // KIP-511: the one request that is answered at a version we do not know.
            Lookup::UnsupportedVersion(ApiKey::ApiVersions) => {
                return Ok(Parsed::Answered(dispatch::fallback_versions(
                    header.correlation_id,
                )?));
            }
            Lookup::UnsupportedVersion(_) | Lookup::UnknownKey => {
                return Err(ConnectionError::NotServed { key, version });
            }
        };
        let (version, old_version) = match legacy::stands_for(api, version) {
            Some(newer) => (newer, Some(version)),
            None => (version, None),
        };
        let context = RequestContext {
            shared: self.shared.clone(),
            connection: self.connection.clone(),
            api,
            version,
            old_version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
        };
        Ok(Parsed::Request(Request { context, body }))
    }

    /// The next whole frame; none when the client or the server ends the connection.
    async fn next_frame(&mut self) -> Result<Option<Framed>, ConnectionError> {
        let limits = &self.shared.options.limits;
        let limit = self.session.request_bytes_max(limits);
        let mut memory = None;
        let idle = limits.idle;
        let mut idle_over = None;
        loop {
            match frame::cut(&mut self.buffer, limit)? {
                Cut::Frame(bytes) => {
                    return Ok(Some(Framed {
                        bytes,
                        _memory: memory,
                    }));
                }
                Cut::Large(bytes) => {
                    memory = self.shared.request_memory.take(bytes).await;
                    frame::make_room(&mut self.buffer, bytes);
                    continue;
                }
                Cut::More => {}
            }
            if self.client_left {
                return Ok(None);
            }
            let idle_over = idle_over.get_or_insert_with(|| self.shared.broker.clock().sleep(idle));
            let read = std::pin::pin!(self.socket.read_buf(&mut self.buffer));
            let stop = std::pin::pin!(self.stopped.wait_for(|stop| *stop));
            match select(read, select(stop, idle_over)).await {
                Either::Left((read, _)) => {
                    if read? == 0 {
                        return match self.buffer.is_empty() {
                            true => Ok(None),
                            false => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
                        };
                    }
                }
                Either::Right((Either::Left(_), _)) => return Ok(None),
                Either::Right((Either::Right(_), _)) => return Err(ConnectionError::Idle(idle)),
            }
        }
    }

    /// Runs `work` to its end. If the client goes away or the server stops meanwhile, work that can be parked is given up; all other work
    /// is finished: what a client sent before it left is done, if only its leaving the group.
    async fn attended<T>(&mut self, work: impl Future<Output = T>, can_park: bool) -> Option<T> {
        let mut work = std::pin::pin!(work);
        if !self.client_left {
            let left = std::pin::pin!(client_left(&mut self.socket, &mut self.buffer));
            let stop = std::pin::pin!(self.stopped.wait_for(|stop| *stop));
            match select(work.as_mut(), select(left, stop)).await {
                Either::Left((done, _)) => return Some(done),
                Either::Right((Either::Left(_), _)) => self.client_left = true,
                Either::Right((Either::Right(_), _)) => {}
            }
        }
        if can_park {
            return work.now_or_never();
        }
        Some(work.await)
    }
}

/// Requests that may wait for others to do something.
fn can_park(api: ApiKey) -> bool {
    matches!(api, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup)
}

/// Resolves when the client closes its side. Reads ahead a little; beyond that it cannot tell and waits for ever.
async fn client_left(socket: &mut OwnedReadHalf, buffer: &mut BytesMut) {
    while buffer.len() < READ_AHEAD {
        if buffer.capacity() == buffer.len() {
            buffer.reserve(1024);
        }
        match socket.read_buf(buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    std::future::pending().await
}
