//! How much memory a task's state may use and how far its host may lag.

use std::time::Duration;

/// Budgets of one task's state. A task takes only what its keys need.
///
/// **Per task, all of them**: a task is one sub-topology of one application × one partition, and nothing here looks at the other tasks of the process.
/// With `n` tasks that fill their tables, a process holds up to `n × memory_bytes_max` of table memory, and up to `n × flush_bytes` of changelog is
/// replayed after a crash. Choose `memory_bytes_max` as what the process may use for state, divided by the number of its tasks.
///
/// What is not per task: uncommitted writes are bounded per worker
/// ([`StreamsConfig::uncommitted_bytes_max`](crate::runtime::StreamsConfig::uncommitted_bytes_max)), and the block cache and write buffers of all RocksDBs
/// per process, whatever the number of tasks and applications ([`RocksBudget`](super::rocksdb::RocksBudget)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateLimits {
    /// Bytes the in-memory tables may hold after a commit; above it committed entries are written to the host and
    /// forgotten. Uncommitted writes are never forgotten: the runtime bounds them by committing
    /// ([`StateMetrics::overlay_bytes`](super::StateMetrics)). 256 MiB: 1.7 million short keys.
    pub memory_bytes_max: usize,
    /// Bytes of committed changes that are not in the host yet before they are written to it; each change of a key
    /// counts. Bounds the size of one write to the host. 64 MiB.
    pub apply_bytes: usize,
    /// Age of the oldest such change before they are written. 10 s.
    pub apply_interval: Duration,
    /// **The lag**: bytes of changelog that a start replays at most, after a crash at the worst moment. Each change of a
    /// key counts, with what the changelog adds to it. A flush begins at half of it, beside the work; a commit that would
    /// go beyond waits for a flush. Only a transaction that is larger by itself is replayed whole. 128 MiB.
    pub flush_bytes: usize,
    /// Age of the oldest unflushed write before the host is flushed to disk. 60 s.
    pub flush_interval: Duration,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 256 << 20,
            apply_bytes: 64 << 20,
            apply_interval: Duration::from_secs(10),
            flush_bytes: 128 << 20,
            flush_interval: Duration::from_secs(60),
        }
    }
}
