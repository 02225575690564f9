//! Where the state of a test lives: memory, or RocksDB with nothing left in memory after a commit. Tests of stateful operators run on both.

use std::sync::Arc;

use crate::config::ProcessingConfig;
use crate::state::{RocksBudget, RocksHosts, StateLimits};
use crate::testing::{DriverOptions, TopologyTestDriver};
use crate::topology::Topology;

/// A kind of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    Memory,
    Rocks,
}

pub(super) const ALL_HOSTS: [Hosts; 2] = [Hosts::Memory, Hosts::Rocks];

/// A driver and the directory its state lies in.
pub(super) struct Bench {
    pub(super) driver: TopologyTestDriver,
    /// Removed when the bench is dropped.
    pub(super) _dir: Option<tempfile::TempDir>,
}

/// A driver over this place that commits after every call, or only when told to.
pub(super) fn bench(topology: &Topology, hosts: Hosts, auto_commit: bool, config: ProcessingConfig) -> Bench {
    let mut options = DriverOptions {
        auto_commit,
        config,
        ..DriverOptions::default()
    };
    let mut dir = None;
    if hosts == Hosts::Rocks {
        let made = tempfile::tempdir().expect("a temporary directory");
        options.state_dir = made.path().to_owned();
        options.hosts = Arc::new(RocksHosts::new(RocksBudget::new(1 << 20, 1 << 20)));
        options.limits = StateLimits {
            memory_bytes_max: 0,
            ..StateLimits::default()
        };
        dir = Some(made);
    }
    let driver = TopologyTestDriver::with_options(topology, options).expect("the topology runs");
    Bench { driver, _dir: dir }
}
