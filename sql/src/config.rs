//! What an engine is opened with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::broker::Broker;
use millpond_streams::runtime::{RestoreListener, StreamsConfig};
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
    /// Is told how far the restoring of the views' state is.
    pub on_restore: Option<RestoreListener>,
}

impl SqlOptions {
    /// An engine over `broker` with default settings.
    pub fn new(broker: &Broker, state_dir: impl Into<PathBuf>) -> SqlOptions {
        // A view that cannot be started is failed and says why; the engine does not keep everybody waiting for a log that may come back.
        let streams = StreamsConfig {
            start_timeout: Duration::from_secs(5),
            ..StreamsConfig::default()
        };
        SqlOptions {
            broker: broker.clone(),
            state_dir: state_dir.into(),
            streams,
            state_hosts: Arc::new(RocksHosts::process_wide()),
            on_restore: None,
        }
    }
}
