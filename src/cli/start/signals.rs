//! TERM and Ctrl-C.

use anyhow::Context;
use futures::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;

/// The signals that stop a node; installed before it starts, so that none is missed.
pub(super) struct Signals {
    terminate: Mutex<Signal>,
    interrupt: Mutex<Signal>,
}

impl Signals {
    pub(super) fn install() -> anyhow::Result<Self> {
        let install = |kind| signal(kind).context("cannot watch for signals");
        Ok(Self {
            terminate: Mutex::new(install(SignalKind::terminate())?),
            interrupt: Mutex::new(install(SignalKind::interrupt())?),
        })
    }

    /// Resolves at the next of them.
    pub(super) async fn first(&self) {
        let (mut terminate, mut interrupt) = (self.terminate.lock().await, self.interrupt.lock().await);
        let (terminate, interrupt) = (terminate.recv().boxed(), interrupt.recv().boxed());
        futures::future::select(terminate, interrupt).await;
    }
}
