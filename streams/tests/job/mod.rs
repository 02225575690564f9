//! A job of many stateful operators, the input it is given, and what it must have made of it: shared by the simulation (`tests/sim`) and by the crash tests
//! and the soak of real processes (`tests/crash`).
//!
//! Always true: what a record of the input is follows from the seed, its topic, its partition and its offset alone, so whoever feeds goes on where the log ends; what
//! the job must give follows from the input that *is in the log*, whoever wrote it. `recompute.rs` knows nothing of the library: lists and maps only.
//!
//! Begin with `topology.rs` (the job), then `recompute.rs` (the same without streams) and `check.rs` (both beside each other).

pub(crate) mod check;
pub(crate) mod feeder;
pub(crate) mod generate;
#[path = "../it/remote/log_io.rs"]
#[allow(
    dead_code,
    reason = "shared with the integration tests; not all of it is used here"
)]
pub(crate) mod log_io;
pub(crate) mod recompute;
pub(crate) mod timers;
pub(crate) mod topology;

use std::time::Duration;

/// Partitions of every input topic.
pub(crate) const PARTITIONS: i32 = 2;

/// Input topics. The first three belong together (their keys are users), and so do the others.
pub(crate) const INPUTS: [&str; 6] = ["clicks", "views", "profiles", "customers", "accounts", "orders"];

/// Each record of an input partition is so much later than the one before, give or take [`JITTER_MS`].
pub(crate) const STEP_MS: i64 = 10;

/// How far records may be behind their place, in ms; views never are. A click out of order that has met no view by the time stream time passed its window is told
/// without one at once, as in Kafka Streams, whatever comes later: less than [`JOIN_MS`] and views in order make that independent of which topic is read first.
pub(crate) const JITTER_MS: i64 = 60;

/// Size of the windows.
pub(crate) const WINDOW_MS: i64 = 500;

/// How far apart a click and its view may be.
pub(crate) const JOIN_MS: i64 = 80;

/// Silence that ends a session.
pub(crate) const GAP_MS: i64 = 100;

/// Everything that makes a run of the job this run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Time of the first records, in ms since 1970.
    pub(crate) base_ms: i64,
    /// Records of each input partition; the one after them is from so long after that every window closes (and versioned tables still know the time before).
    pub(crate) records: u64,
    /// Grace of windows, joins and timers: more than records are ever late, whatever stops and is started again.
    pub(crate) grace_ms: i64,
    /// Stands before the names of the outputs and of the application: two jobs may work on one input.
    pub(crate) job: &'static str,
}

impl Plan {
    /// The topic this job writes an output to.
    pub(crate) fn output(&self, name: &str) -> String {
        format!("{}{name}", self.job)
    }

    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms.unsigned_abs())
    }
}

/// A topic's name.
pub(crate) fn topic(name: &str) -> millpond_log::types::TopicName {
    millpond_log::types::TopicName::new(name).expect("a valid name")
}

/// Creates what is missing of the topics; a request whose answer is lost may have been carried out. They keep what they get.
pub(crate) async fn create_topics(log: &dyn millpond_streams::runtime::LogClient, plan: &Plan) {
    for (name, partitions) in topology::topics(plan) {
        let mut error = None;
        for _ in 0..5 {
            let found = log_io::repeated(|| log.describe_topics(vec![topic(&name)])).await;
            if !found.expect("topics are described").is_empty() {
                error = None;
                break;
            }
            let new =
                millpond_log::broker::NewTopic::new(topic(&name), partitions).config("retention.ms", "-1");
            error = log.create_topics(vec![new]).await.err();
        }
        assert!(error.is_none(), "{name} is not created: {error:?}");
    }
}
