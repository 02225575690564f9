//! The connections of a client: a request takes an idle one or makes one, and it comes back once its answer is read.
//!
//! Always true: a connection has one request under way, so a fetch that is parked at the broker holds nobody up (Kafka works on one request of a
//! connection at a time). A request whose caller went away is read to its end; a connection that failed takes the idle ones to the same
//! broker with it, since what broke one has most likely broken all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::address::Address;
use super::connection::{Connection, within};
use super::frame;
use super::options::RemoteOptions;
use super::versions::Versions;
use crate::runtime::log_client::LogError;
use crate::runtime::thread::IoThread;
use kafka_protocol::protocol::Request;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Pool {
    io: IoThread,
    idle: Mutex<BTreeMap<Address, Vec<Connection>>>,
    options: RemoteOptions,
}

impl Pool {
    pub(super) fn new(io: IoThread, options: RemoteOptions) -> Arc<Pool> {
        Arc::new(Pool {
            io,
            idle: Mutex::default(),
            options,
        })
    }

    pub(super) fn options(&self) -> &RemoteOptions {
        &self.options
    }

    /// What the broker at this address speaks.
    pub(super) async fn versions(&self, address: &Address) -> Result<Arc<Versions>, LogError> {
        let connection = self.take(address).await?;
        let versions = connection.versions().clone();
        self.give_back(connection);
        Ok(versions)
    }

    /// Sends a request, in the highest version within `wanted` that both sides know, and reads its answer. `longer`: how much longer than usual
    /// the broker may take.
    ///
    /// Errs with `Retriable` when nothing was sent, `Refused` when nothing can be sent, and `Unknown` when no readable answer came. Dropping
    /// the future drops the answer, not the request.
    pub(super) async fn ask<R: Request>(
        self: &Arc<Self>,
        address: &Address,
        wanted: (i16, i16),
        longer: Duration,
        request: impl FnOnce(i16) -> R,
    ) -> Result<R::Response, LogError> {
        let mut connection = self.take(address).await?;
        let version = match connection.versions().choose::<R>(wanted) {
            Ok(version) => version,
            Err(why) => {
                self.give_back(connection);
                return Err(LogError::Refused(format!("{address} {why}")));
            }
        };
        let correlation_id = connection.take_correlation();
        let frame = frame::encode(&request(version), version, correlation_id, connection.client_id());
        let frame = match frame {
            Ok(frame) => frame,
            Err(why) => {
                self.give_back(connection);
                return Err(LogError::Refused(format!("request for {address}: {why}")));
            }
        };
        let answer = self.exchange(connection, frame, longer).await?;
        frame::decode::<R>(answer, version, correlation_id)
            .map_err(|why| LogError::Unknown(format!("answer of {address} cannot be read: {why}")))
    }

    /// An idle connection, or a new one.
    async fn take(&self, address: &Address) -> Result<Connection, LogError> {
        while let Some(connection) = self.pop(address) {
            if !connection.is_stale() {
                return Ok(connection);
            }
        }
        let opening = self
            .io
            .handle()
            .spawn(Connection::open(address.clone(), self.options.clone()));
        match opening.await {
            Ok(opened) => opened.map_err(LogError::Retriable),
            Err(ended) => Err(LogError::Retriable(format!(
                "cannot connect to {address}: {ended}"
            ))),
        }
    }

    fn pop(&self, address: &Address) -> Option<Connection> {
        self.idle.lock().get_mut(address)?.pop()
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        idle.entry(connection.address().clone())
            .or_default()
            .push(connection);
    }

    async fn exchange(
        self: &Arc<Self>,
        mut connection: Connection,
        frame: BytesMut,
        longer: Duration,
    ) -> Result<Bytes, LogError> {
        let (tell, told) = oneshot::channel();
        let pool = Arc::downgrade(self);
        let clock = self.options.clock.clone();
        let limit = self.options.request_timeout + longer;
        let address = connection.address().clone();
        self.io.handle().spawn(async move {
            let answered = within(&*clock, limit, connection.exchange(frame)).await;
            let answered = answered.unwrap_or_else(|| {
                Err(format!(
                    "{} did not answer within {limit:?}",
                    connection.address()
                ))
            });
            if let Some(pool) = pool.upgrade() {
                match &answered {
                    Ok(_) => pool.give_back(connection),
                    Err(_) => pool.forget(connection.address()),
                }
            }
            // Whoever asked may have gone.
            tell.send(answered).ok();
        });
        match told.await {
            Ok(answered) => answered.map_err(LogError::Unknown),
            Err(_) => Err(LogError::Unknown(format!("{address}: the client ended"))),
        }
    }

    fn forget(&self, address: &Address) {
        self.idle.lock().remove(address);
    }
}
