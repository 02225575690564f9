//! Figures about a task's state, taken when asked for.

/// How much a task's state holds where, and what it has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateMetrics {
    /// Keys and values written by the open transaction.
    pub overlay_bytes: usize,
    /// Keys and values of the transaction being committed.
    pub frozen_bytes: usize,
    /// Changelog bytes of all committed changes that the host does not have yet. A key counts once per commit.
    pub applied_lag_bytes: usize,
    /// Changelog bytes of all committed changes that a flush has not made durable yet: what a replay would read after a
    /// crash now.
    pub durable_lag_bytes: usize,
    /// All memory of the in-memory tables, cached entries included.
    pub memory_bytes: usize,
    /// Entries in the in-memory tables.
    pub memory_entries: usize,
    /// Keys and values replayed from changelogs.
    pub restored_bytes: u64,
    /// Records replayed from changelogs.
    pub restored_records: u64,
    /// Bytes written to the host, in batches.
    pub applied_bytes: u64,
    /// Batches written to the host.
    pub applied_batches: u64,
    /// Flushes of the host.
    pub flushes: u64,
    /// Keys that had to be read from the host.
    pub host_reads: u64,
    /// Times cached entries were dropped to stay inside the budget.
    pub evictions: u64,
}

/// How large one store of one task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// Roughly how many keys it has; may count overwritten ones twice.
    pub entries: u64,
    /// Bytes of its files; `None` for a store in memory.
    pub disk_bytes: Option<u64>,
    /// Bytes of its write buffers in RocksDB; `None` for a store in memory.
    pub buffer_bytes: Option<u64>,
}
