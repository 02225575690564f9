//! How many clients are connected, in all and from each address, and the caps on that.
//!
//! Always true: a [`Permit`] counts from its taking to its drop, whatever becomes of the connection.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::options::ConnectionLimits;

/// The counters.
#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    limit_per_address: usize,
    counts: Mutex<Counts>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    open: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// Why a client is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// `max.connections` is reached.
    InAll,
    /// `max.connections.per.ip` is reached.
    OfAddress,
}

/// The right to one connection.
#[derive(Debug)]
pub(super) struct Permit {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    pub(super) fn new(limits: &ConnectionLimits) -> Self {
        Self {
            limit: limits.connections,
            limit_per_address: limits.connections_per_address,
            counts: Mutex::default(),
            closed: Notify::new(),
        }
    }

    /// Counts one more, unless a cap is reached.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Permit, Full> {
        let mut counts = self.counts.lock();
        if counts.open >= self.limit {
            return Err(Full::InAll);
        }
        let of_address = counts.by_address.entry(address).or_default();
        if *of_address >= self.limit_per_address {
            return Err(Full::OfAddress);
        }
        *of_address += 1;
        counts.open += 1;
        Ok(Permit {
            connections: self.clone(),
            address,
        })
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.counts.lock().open
    }

    /// Resolves when none is.
    pub(super) async fn all_closed(&self) {
        loop {
            let closed = self.closed.notified();
            if self.open() == 0 {
                return;
            }
            closed.await;
        }
    }
}

impl Permit {
    /// Gives the place back; returns how many connections are left.
    pub(super) fn leave(self) -> usize {
        let connections = self.connections.clone();
        drop(self);
        connections.open()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock();
        counts.open -= 1;
        if let Some(of_address) = counts.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                counts.by_address.remove(&self.address);
            }
        }
        self.connections.closed.notify_waiters();
    }
}

#[cfg(test)]
#[path = "connections_test.rs"]
mod connections_test;
