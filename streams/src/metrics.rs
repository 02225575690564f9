//! Counters of the runtime: live ones a worker counts up, and the snapshot a caller gets.
//!
//! Every counter only grows, except the gauges, which say so. Counters of records and their bytes are those of committed
//! transactions: work that was lost and done again counts once. Names for exporters stand in `names.rs`, what is told of single tasks, partitions and
//! stores in `parts.rs`, how it is told in `collector.rs`.

mod collector;
pub mod names;
mod parts;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

pub use collector::StreamsCollector;
pub(crate) use collector::{Observed, observe};
pub use parts::{PartitionMetrics, StoreMetrics, TaskMetrics};

use crate::state::TaskId;

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
    /// Its tasks, as last looked at.
    pub(crate) tasks: Mutex<Vec<TaskMetrics>>,
    /// Records replayed since the task was opened and offsets still to go, by task and store.
    pub(crate) restores: Mutex<BTreeMap<(TaskId, String), (u64, u64)>>,
}

impl WorkerMetrics {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn set(gauge: &AtomicU64, n: u64) {
        gauge.store(n, Ordering::Relaxed);
    }

    /// Its tasks are another worker's now, or nobody's: gauges tell nothing, counters stay.
    pub(crate) fn let_go(&self) {
        let gauges = [
            &self.uncommitted_bytes,
            &self.state_lag_bytes,
            &self.input_lag_records,
            &self.restore_remaining,
            &self.state_memory_bytes,
            &self.state_memory_entries,
        ];
        gauges.into_iter().for_each(|gauge| Self::set(gauge, 0));
        self.tasks.lock().clear();
        self.restores.lock().clear();
    }

    /// How far the replay of a store is.
    pub(crate) fn restored(&self, task: TaskId, store: &str, records: u64, remaining: u64) {
        let mut restores = self.restores.lock();
        restores.insert((task, store.to_owned()), (records, remaining));
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
