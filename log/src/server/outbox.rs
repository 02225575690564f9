//! The answers of one connection on their way out: a task that writes them in request order.
//!
//! Always true: answers leave in the order their requests came; what is ready is written together; the sender is told how many bytes wait, and
//! begins no new request above the cap, so a client that does not read stops itself and nobody else.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, Bytes};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{Notify, mpsc};

use crate::metrics::ServerMetrics;
use crate::protocol::reply::Reply;

/// Most pieces handed to the system in one write (IOV_MAX is 1024 on Linux).
const PIECES: usize = 64;

/// An answer, now or later.
pub(super) enum PendingReply {
    /// Here it is; an empty one is not sent.
    Ready(Reply),
    /// It comes when what was asked is durable. None: it failed and the connection ends (a produce without acks).
    Later(BoxFuture<'static, Option<Reply>>),
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: AtomicUsize,
    shrunk: Notify,
}

impl Backlog {
    /// Waits until no more than `limit` bytes wait.
    pub(super) async fn below(&self, limit: usize) {
        loop {
            let shrunk = self.shrunk.notified();
            if self.bytes.load(Ordering::Acquire) <= limit {
                return;
            }
            shrunk.await;
        }
    }

    /// Counts an answer that was made.
    pub(super) fn grew(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    fn shrank(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.shrunk.notify_waiters();
    }
}

/// Writes answers until the queue ends, an answer never comes, or the client is gone.
pub(super) async fn run(
    mut socket: OwnedWriteHalf,
    mut queue: mpsc::Receiver<PendingReply>,
    backlog: Arc<Backlog>,
    metrics: ServerMetrics,
) -> std::io::Result<()> {
    let mut pieces = VecDeque::new();
    let mut held = None;
    loop {
        let next = match held.take() {
            Some(pending) => Some(pending),
            None => queue.recv().await,
        };
        let Some(pending) = next else { break };
        let mut counted = 0;
        let Some(reply) = finished(pending, &backlog).await else {
            break;
        };
        counted += reply.len();
        pieces.extend(reply.into_chunks().filter(|piece| !piece.is_empty()));
        // Whatever else is ready goes out with it.
        while pieces.len() < PIECES {
            match queue.try_recv() {
                Ok(PendingReply::Ready(reply)) => {
                    counted += reply.len();
                    pieces.extend(reply.into_chunks().filter(|piece| !piece.is_empty()));
                }
                Ok(PendingReply::Later(mut later)) => match later.as_mut().now_or_never() {
                    Some(Some(reply)) => {
                        backlog.grew(reply.len());
                        counted += reply.len();
                        pieces.extend(reply.into_chunks().filter(|piece| !piece.is_empty()));
                    }
                    Some(None) => {
                        write_all(&mut socket, &mut pieces).await?;
                        return socket.shutdown().await;
                    }
                    None => {
                        held = Some(PendingReply::Later(later));
                        break;
                    }
                },
                Err(_) => break,
            }
        }
        write_all(&mut socket, &mut pieces).await?;
        metrics.on_sent(counted);
        backlog.shrank(counted);
    }
    socket.shutdown().await
}

async fn finished(pending: PendingReply, backlog: &Backlog) -> Option<Reply> {
    match pending {
        PendingReply::Ready(reply) => Some(reply),
        PendingReply::Later(later) => {
            let reply = later.await?;
            backlog.grew(reply.len());
            Some(reply)
        }
    }
}

async fn write_all(socket: &mut OwnedWriteHalf, pieces: &mut VecDeque<Bytes>) -> std::io::Result<()> {
    while !pieces.is_empty() {
        let written = {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let mut used = 0;
            for (slice, piece) in slices.iter_mut().zip(pieces.iter()) {
                *slice = IoSlice::new(piece);
                used += 1;
            }
            socket.write_vectored(&slices[..used]).await?
        };
        if written == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        advance(pieces, written);
    }
    Ok(())
}

fn advance(pieces: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(first) = pieces.front_mut() {
        if written < first.len() {
            first.advance(written);
            return;
        }
        written -= first.len();
        pieces.pop_front();
    }
}
