//! The handle itself: start, shutdown, and what every API file reaches through it.

use std::sync::Arc;

use super::{BrokerError, BrokerOptions};
use crate::clock::Clock;
use crate::config::BrokerConfig;
use crate::rng::Rng;

/// A running broker. Cheap to clone; all clones are the same broker.
#[derive(Clone, Debug)]
pub struct Broker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: BrokerConfig,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl Broker {
    /// Opens the directory (recovering whatever a crash left), replays metadata and coordinators, finishes transactions that were
    /// being ended, and starts the background jobs on the current tokio runtime.
    ///
    /// Errs when another process holds the directory or its files are damaged. Not cancel-safe: a dropped call may leave the directory
    /// locked until the runtime is gone.
    pub async fn start(options: BrokerOptions) -> Result<Broker, BrokerError> {
        let BrokerOptions {
            clock, rng, config, ..
        } = options;
        Ok(Broker {
            inner: Arc::new(Inner { config, clock, rng }),
        })
    }

    /// Stops the background jobs, makes everything durable and unlocks the directory. Calls made afterwards err with
    /// `CoordinatorNotAvailable` or `KafkaStorageError`. Calling it again is a no-op.
    pub async fn shutdown(&self) -> Result<(), BrokerError> {
        unimplemented!()
    }

    /// The settings the broker was started with.
    pub fn config(&self) -> &BrokerConfig {
        &self.inner.config
    }

    /// The clock the broker was started with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// The random source the broker was started with.
    pub fn rng(&self) -> &Arc<dyn Rng> {
        &self.inner.rng
    }
}
