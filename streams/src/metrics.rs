//! Counters of the runtime: live ones a worker counts up, and the snapshot a caller gets.
//!
//! Every counter only grows, except the gauges, which say so. Counters of records and their bytes are those of committed
//! transactions: work that was lost and done again counts once. Names for exporters stand
//! here once, base unit last; a name once published stays.

mod collector;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use collector::StreamsCollector;
pub(crate) use collector::{Observed, observe};

/// Metric names, for exporters; label of all of them: `application`.
pub mod names {
    /// Records read from input topics.
    pub const RECORDS_IN: &str = "millpond_streams_records_in_total";
    /// Bytes of the batches read from input topics.
    pub const BYTES_IN: &str = "millpond_streams_bytes_in_total";
    /// Records written to output, repartition and changelog topics.
    pub const RECORDS_OUT: &str = "millpond_streams_records_out_total";
    /// Bytes of the batches written.
    pub const BYTES_OUT: &str = "millpond_streams_bytes_out_total";
    /// Records too late for their window.
    pub const LATE: &str = "millpond_streams_late_records_total";
    /// Records sent to the dead-letter topic.
    pub const DEAD_LETTERS: &str = "millpond_streams_dead_letters_total";
    /// Committed transactions.
    pub const COMMITS: &str = "millpond_streams_commits_total";
    /// Recoveries: transactions that were fenced, looked up and applied or dropped.
    pub const RECOVERIES: &str = "millpond_streams_recoveries_total";
    /// Time from freezing a transaction to its confirmed commit, summed.
    pub const COMMIT_LATENCY: &str = "millpond_streams_commit_latency_seconds_total";
    /// Changelog bytes replayed into state when stores were opened.
    pub const RESTORED_BYTES: &str = "millpond_streams_restored_bytes_total";
    /// Changelog records replayed into state when stores were opened.
    pub const RESTORED_RECORDS: &str = "millpond_streams_restored_records_total";
    /// Bytes of work not yet committed.
    pub const UNCOMMITTED_BYTES: &str = "millpond_streams_uncommitted_bytes";
    /// Bytes committed but not yet in the state host.
    pub const STATE_LAG_BYTES: &str = "millpond_streams_state_lag_bytes";
    /// Offsets between the positions of the inputs and their ends.
    pub const INPUT_LAG: &str = "millpond_streams_input_lag_records";
    /// Changelog offsets that are still to be replayed before all tasks run.
    pub const RESTORE_REMAINING: &str = "millpond_streams_restore_remaining_records";
    /// Memory of the in-memory tables of state, cached entries included.
    pub const STATE_MEMORY_BYTES: &str = "millpond_streams_state_memory_bytes";
    /// Entries in these tables.
    pub const STATE_MEMORY_ENTRIES: &str = "millpond_streams_state_memory_entries";
    /// Records left out by policy or because an operator cannot use them.
    pub const SKIPPED: &str = "millpond_streams_skipped_records_total";
    /// Workers that were started again after a failure.
    pub const RESTARTS: &str = "millpond_streams_restarts_total";
    /// The longest commit.
    pub const COMMIT_LATENCY_MAX: &str = "millpond_streams_commit_latency_max_seconds";
    /// Cached blocks and write buffers of all RocksDBs of the process; no label.
    pub const ROCKSDB_MEMORY: &str = "millpond_streams_rocksdb_memory_bytes";
    /// The write buffers among them; no label.
    pub const ROCKSDB_WRITE_BUFFERS: &str = "millpond_streams_rocksdb_write_buffer_bytes";
    /// Workers by what they do; label `state`: starting, restoring, running, stopped, failed.
    pub const WORKERS: &str = "millpond_streams_workers";
}

/// A reading of all counters, summed over the workers of one application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamsMetrics {
    /// Records read from input topics, repartition topics included.
    pub records_in: u64,
    /// Bytes of the batches read.
    pub bytes_in: u64,
    /// Records written, changelogs included.
    pub records_out: u64,
    /// Bytes of the batches written.
    pub bytes_out: u64,
    /// Records too late for their window.
    pub late_records: u64,
    /// Records sent to the dead-letter topic.
    pub dead_letters: u64,
    /// Committed transactions (offset commits when at-least-once).
    pub commits: u64,
    /// Times a worker had to fence and look up what was committed.
    pub recoveries: u64,
    /// Times a stopped worker was started again by the restart policy.
    pub restarts: u64,
    /// Sum over commits of the time from freezing to confirmation.
    pub commit_latency_total: Duration,
    /// The longest of them.
    pub commit_latency_max: Duration,
    /// Changelog records replayed into state.
    pub restored_records: u64,
    /// Changelog bytes replayed into state.
    pub restored_bytes: u64,
    /// Bytes of work not yet committed, now.
    pub uncommitted_bytes: u64,
    /// Bytes committed but not yet in the state host, now.
    pub state_lag_bytes: u64,
    /// Records left out by policy, or because an operator cannot use them.
    pub skipped_records: u64,
    /// Offsets between the positions of the inputs and their ends, as last seen: records and transaction markers. A gauge.
    pub input_lag_records: u64,
    /// Changelog offsets still to be replayed before all tasks run. A gauge.
    pub restore_remaining: u64,
    /// Memory of the in-memory tables of state, cached entries included. A gauge; what RocksDB holds is in [`RocksBudget`](crate::state::RocksBudget).
    pub state_memory_bytes: u64,
    /// Entries in these tables. A gauge.
    pub state_memory_entries: u64,
}

/// The live counters of one worker. Relaxed atomics: each is exact, together they are not a snapshot.
#[derive(Debug, Default)]
pub(crate) struct WorkerMetrics {
    pub(crate) records_in: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) records_out: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) late_records: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) recoveries: AtomicU64,
    pub(crate) restarts: AtomicU64,
    pub(crate) commit_latency_nanos_total: AtomicU64,
    pub(crate) commit_latency_nanos_max: AtomicU64,
    pub(crate) restored_records: AtomicU64,
    pub(crate) restored_bytes: AtomicU64,
    pub(crate) uncommitted_bytes: AtomicU64,
    pub(crate) state_lag_bytes: AtomicU64,
    pub(crate) skipped_records: AtomicU64,
    pub(crate) input_lag_records: AtomicU64,
    pub(crate) restore_remaining: AtomicU64,
    pub(crate) state_memory_bytes: AtomicU64,
    pub(crate) state_memory_entries: AtomicU64,
}

impl WorkerMetrics {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn set(gauge: &AtomicU64, n: u64) {
        gauge.store(n, Ordering::Relaxed);
    }

    pub(crate) fn committed(&self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.commit_latency_nanos_total
            .fetch_add(nanos, Ordering::Relaxed);
        self.commit_latency_nanos_max.fetch_max(nanos, Ordering::Relaxed);
    }

    /// Adds this worker's counters to a reading.
    pub(crate) fn add_to(&self, sum: &mut StreamsMetrics) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        sum.records_in += get(&self.records_in);
        sum.bytes_in += get(&self.bytes_in);
        sum.records_out += get(&self.records_out);
        sum.bytes_out += get(&self.bytes_out);
        sum.late_records += get(&self.late_records);
        sum.dead_letters += get(&self.dead_letters);
        sum.commits += get(&self.commits);
        sum.recoveries += get(&self.recoveries);
        sum.restarts += get(&self.restarts);
        sum.commit_latency_total += Duration::from_nanos(get(&self.commit_latency_nanos_total));
        let max = Duration::from_nanos(get(&self.commit_latency_nanos_max));
        sum.commit_latency_max = sum.commit_latency_max.max(max);
        sum.restored_records += get(&self.restored_records);
        sum.restored_bytes += get(&self.restored_bytes);
        sum.uncommitted_bytes += get(&self.uncommitted_bytes);
        sum.state_lag_bytes += get(&self.state_lag_bytes);
        sum.skipped_records += get(&self.skipped_records);
        sum.input_lag_records += get(&self.input_lag_records);
        sum.restore_remaining += get(&self.restore_remaining);
        sum.state_memory_bytes += get(&self.state_memory_bytes);
        sum.state_memory_entries += get(&self.state_memory_entries);
    }
}
