//! How a driver runs a topology: partitions, settings, when it commits, and where state lies.
//!
//! Always true: the default runs anything with one partition per topic in memory. Read by `topology_test_driver.rs`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use millpond_log::types::Timestamp;

use crate::config::ProcessingConfig;
use crate::state::{MemoryHosts, StateLimits, StoreHostFactory};

/// How a driver runs a topology.
#[derive(Clone, Debug)]
pub struct DriverOptions {
    /// Partition counts of topics; others have one partition.
    pub partitions: BTreeMap<String, i32>,
    /// Settings of topics by Kafka's names, for what they refuse (`max.message.bytes`, `cleanup.policy`, `message.timestamp.*`); other topics take everything.
    pub topic_configs: BTreeMap<String, BTreeMap<String, String>>,
    /// Caching, emission and error policy.
    pub config: ProcessingConfig,
    /// Whether every call commits by itself (default: yes). If not, only [`commit`](super::TopologyTestDriver::commit) does, and a processor that asks for it
    /// ([`ProcessorContext::commit`](crate::dsl::ProcessorContext::commit)).
    pub auto_commit: bool,
    /// Wall-clock time at the start, in ms (default: 0).
    pub wall_clock_ms: Timestamp,
    /// What holds committed state (default: memory).
    pub hosts: Arc<dyn StoreHostFactory>,
    /// Directory of that state (default: `driver`, which hosts in memory do not create).
    pub state_dir: PathBuf,
    /// How much committed state waits in memory for the host, and for how long by the wall clock. With `memory_bytes_max` 0 every read after a commit goes to the
    /// host.
    pub limits: StateLimits,
}

impl Default for DriverOptions {
    fn default() -> Self {
        DriverOptions {
            partitions: BTreeMap::new(),
            topic_configs: BTreeMap::new(),
            config: ProcessingConfig::default(),
            auto_commit: true,
            wall_clock_ms: 0,
            hosts: Arc::new(MemoryHosts::new()),
            state_dir: PathBuf::from("driver"),
            limits: StateLimits::default(),
        }
    }
}
