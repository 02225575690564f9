//! What the tests of the worker run on: a log in memory, state hosts that outlive a crash, a clock that only sleeping moves.

use std::collections::BTreeMap;
use std::sync::Arc;

use millpond_log::clock::{Clock, SimClock};
use millpond_log::faults::Faults;
use tokio::task::JoinHandle;

use super::fake_log::FakeLog;
use super::*;
use crate::dsl::StreamsBuilder;
use crate::state::MemoryHosts;
use crate::topology::Topology;

/// Counts the words of "lines" and writes every count to "counts".
pub(super) fn word_count() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("word-counts")
        .updates()
        .map_values(|count| count.to_string())
        .to("counts");
    builder.build().expect("a sound topology")
}

pub(super) struct World {
    pub(super) log: FakeLog,
    pub(super) hosts: MemoryHosts,
    pub(super) clock: Arc<dyn Clock>,
}

pub(super) struct Running {
    pub(super) handle: StreamsHandle,
    pub(super) workers: Vec<JoinHandle<()>>,
}

impl World {
    pub(super) fn new() -> World {
        let clock: Arc<dyn Clock> = Arc::new(SimClock::new(1_000_000));
        let log = FakeLog::new(clock.clone());
        log.add_topic("lines", 2);
        log.add_topic("counts", 1);
        World {
            log,
            hosts: MemoryHosts::new(),
            clock,
        }
    }

    pub(super) async fn start(&self, workers: usize) -> Running {
        self.start_with(StreamsConfig {
            workers,
            ..StreamsConfig::default()
        })
        .await
    }

    pub(super) async fn start_with(&self, config: StreamsConfig) -> Running {
        self.start_topology(word_count(), config).await
    }

    pub(super) async fn start_topology(&self, topology: Topology, config: StreamsConfig) -> Running {
        let launcher = self.launcher(topology).config(config);
        let (workers, handle) = launcher.prepare().await.expect("the application starts");
        let workers = workers
            .into_iter()
            .map(|worker| tokio::spawn(worker.run()))
            .collect();
        Running { handle, workers }
    }

    pub(super) fn launcher(&self, topology: Topology) -> StreamsLauncher {
        Streams::builder(topology)
            .application_id("words")
            .log_client(Arc::new(self.log.clone()))
            .state_dir("/state")
            .state_hosts(Arc::new(self.hosts.clone()))
            .clock(self.clock.clone())
            .faults(Faults::none())
    }

    /// The last count per word that was written, and how many updates there were per word.
    pub(super) fn counts(&self) -> BTreeMap<String, i64> {
        let updates = self.log.committed("counts");
        updates
            .into_iter()
            .map(|(word, count)| (word, count.expect("a count").parse().expect("a number")))
            .collect()
    }
}

impl Running {
    /// Waits until all input is processed and committed.
    pub(super) async fn caught_up(&self) {
        self.handle.wait_until_caught_up().await.expect("it catches up");
    }

    pub(super) async fn crash(self) {
        for worker in self.workers {
            worker.abort();
            assert!(worker.await.expect_err("it was aborted").is_cancelled());
        }
    }
}

pub(super) fn counts<const N: usize>(pairs: [(&str, i64); N]) -> BTreeMap<String, i64> {
    pairs
        .into_iter()
        .map(|(word, count)| (word.to_owned(), count))
        .collect()
}
