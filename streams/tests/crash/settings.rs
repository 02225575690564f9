//! Settings of every run: small budgets, so that kills meet stores at every distance from their changelog; seeds and numbers of kills from the environment.

use std::io::Write;
use std::time::Duration;

use millpond_log::clock::{Clock, SystemClock};
use millpond_streams::config::ProcessingConfig;
use millpond_streams::runtime::StreamsConfig;
use millpond_streams::state::{RocksBudget, StateLimits};
use millpond_streams::topology::Topology;

use crate::job::Plan;
use crate::job::topology::stateful_tasks;

pub(crate) const APPLICATION: &str = "crash";

/// The other job of the soak: the one that is not killed.
pub(crate) const STEADY: &str = "steady-";

/// Long enough for any machine; never waited out when things work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What a task may have to replay: so little that a start after almost every kill has something to do.
const LAG_BYTES: usize = 32 << 10;

/// What the log's tail cache may take. Caches fill up to what they are given, and only a full one leaves nothing but leaks to grow: so they get little.
pub(crate) const TAIL_CACHE_BYTES: usize = 4 << 20;

/// Ten tasks' write buffers, empty (about 9 MB) and full, and blocks; without a limit of its own RocksDB keeps blocks of files it has deleted until there are 192 MiB.
pub(crate) fn rocks_budget() -> RocksBudget {
    RocksBudget::new(14 << 20, 12 << 20)
}

/// What a task's tables may keep in memory beside RocksDB, for the same reason: committed entries are forgotten and read again all the time.
const TABLES_BYTES: usize = 256 << 10;

/// And what each operator's cache of records may.
const OPERATOR_CACHE_BYTES: usize = 64 << 10;

/// A worker commits after so much work at the latest; with what a changelog adds, one transaction stays below the lag.
const UNCOMMITTED_BYTES: usize = 12 << 10;

pub(crate) fn config() -> StreamsConfig {
    StreamsConfig {
        workers: 2,
        commit_interval: Duration::from_millis(20),
        uncommitted_bytes_max: UNCOMMITTED_BYTES,
        batch_bytes: 64 << 10,
        run_bytes: 4 << 10,
        fetch_max_wait: Duration::from_millis(100),
        request_timeout: Duration::from_secs(5),
        delivery_timeout: Duration::from_secs(20),
        start_timeout: Duration::from_secs(20),
        transaction_timeout: Duration::from_secs(30),
        recoveries_max: 10_000,
        purge_interval: Duration::from_millis(500),
        state: StateLimits {
            memory_bytes_max: TABLES_BYTES,
            apply_bytes: LAG_BYTES / 4,
            flush_bytes: LAG_BYTES,
            ..StateLimits::default()
        },
        processing: ProcessingConfig {
            cache_max_bytes: OPERATOR_CACHE_BYTES,
            ..ProcessingConfig::default()
        },
        ..StreamsConfig::default()
    }
}

/// The most a start may replay: the configured lag of each task, not a byte more.
pub(crate) fn replay_limit(topology: &Topology) -> u64 {
    (LAG_BYTES * stateful_tasks(topology)) as u64
}

/// A plan that begins now: changelogs of windows are kept by the time of their records.
pub(crate) fn plan(seed: u64, records: u64) -> Plan {
    Plan {
        seed,
        base_ms: SystemClock::new().now_ms() - 60_000,
        records,
        grace_ms: 4_000,
        job: "",
    }
}

pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

/// Kills of each kind of test.
pub(crate) fn kills(unless_told: u64) -> u64 {
    number("MILLPOND_CRASH_KILLS").unwrap_or(unless_told)
}

#[allow(
    clippy::disallowed_methods,
    reason = "a new seed each run, printed; everything that is drawn follows from it"
)]
pub(crate) fn seed() -> u64 {
    let seed = number("MILLPOND_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    say(&format!("MILLPOND_CRASH_SEED={seed}"));
    seed
}

/// Straight to stderr: the report belongs into the log of `make test`, also when the test passes.
pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr(), "crash: {line}").expect("stderr is open");
}

/// Runs a test that waits for processes and sockets.
pub(crate) fn block_on<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(story)
}
