//! What a broker is started with.
//!
//! Disk, clock and randomness are handed in, so that the same code runs on a real machine and in a simulation.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::config::BrokerConfig;
use crate::faults::Faults;
use crate::rng::{Rng, SystemRng};
use crate::storage::disk::Disk;
use crate::storage::disk_fs::FsDisk;

/// Where a broker lives and what it is made of.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// The log directory; created if missing, locked while the broker runs.
    pub data_dir: PathBuf,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Kill points and planted bugs, for tests.
    pub faults: Faults,
    /// Settings.
    pub config: BrokerConfig,
}

impl BrokerOptions {
    /// A broker in `data_dir` on the real disk, clock and random source, with default settings and the kill point of the environment.
    pub fn at(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            disk: FsDisk::shared(),
            clock: SystemClock::shared(),
            rng: SystemRng::shared(),
            faults: Faults::from_env(),
            config: BrokerConfig::default(),
        }
    }

    /// The same with other settings.
    pub fn with_config(mut self, config: BrokerConfig) -> Self {
        self.config = config;
        self
    }
}
