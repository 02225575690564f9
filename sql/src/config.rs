//! What an engine is opened with.

use std::path::PathBuf;
use std::sync::Arc;

use millpond_log::broker::Broker;
use millpond_streams::runtime::StreamsConfig;
use millpond_streams::state::{RocksHosts, StoreHostFactory};

/// Settings of a [`SqlEngine`](crate::SqlEngine). The clock is the broker's.
#[derive(Clone)]
pub struct SqlOptions {
    /// The log.
    pub broker: Broker,
    /// Jobs keep their state below this directory.
    pub state_dir: PathBuf,
    /// Settings of the jobs.
    pub streams: StreamsConfig,
    /// Where state is kept: RocksDB under the process's one budget; `MemoryHosts` for simulations.
    pub state_hosts: Arc<dyn StoreHostFactory>,
}

impl SqlOptions {
    /// An engine over `broker` with default settings.
    pub fn new(broker: &Broker, state_dir: impl Into<PathBuf>) -> SqlOptions {
        SqlOptions {
            broker: broker.clone(),
            state_dir: state_dir.into(),
            streams: StreamsConfig::default(),
            state_hosts: Arc::new(RocksHosts::process_wide()),
        }
    }
}
