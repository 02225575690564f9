//! Every metric by its name: kind, labels, meaning, and what Kafka Streams calls it.
//!
//! Always true: base unit last, `_total` behind counters; a name once published stays. [`ALL`] is what a scrape tells and what docs/streams-operations.md lists; tests hold both to
//! it. Values are found in `collector.rs`.

/// What kind a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process, or the worker it counts for, starts again.
    Counter,
    /// A reading of now.
    Gauge,
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
    /// What Kafka Streams, or its clients, call the nearest thing; empty where there is none.
    pub kafka: &'static str,
}

/// Of an application.
const APPLICATION: &[&str] = &["application"];
/// Of a task.
const TASK: &[&str] = &["application", "task"];
/// Of a store in a task.
const STORE: &[&str] = &["application", "task", "store"];
/// Of an input partition of a task.
const PARTITION: &[&str] = &["application", "task", "topic", "partition"];
/// Of the process.
const PROCESS: &[&str] = &[];

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    kafka: &'static str,
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        labels,
        help,
        kafka,
    }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    kafka: &'static str,
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        labels,
        help,
        kafka,
    }
}

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
/// Records left out by policy or because an operator cannot use them.
pub const SKIPPED: &str = "millpond_streams_skipped_records_total";
/// Records sent to the dead-letter topic.
pub const DEAD_LETTERS: &str = "millpond_streams_dead_letters_total";
/// Committed transactions.
pub const COMMITS: &str = "millpond_streams_commits_total";
/// Time from freezing a transaction to its confirmed commit, summed.
pub const COMMIT_LATENCY: &str = "millpond_streams_commit_latency_seconds_total";
/// The longest commit.
pub const COMMIT_LATENCY_MAX: &str = "millpond_streams_commit_latency_max_seconds";
/// Recoveries: transactions that were fenced, looked up and applied or dropped.
pub const RECOVERIES: &str = "millpond_streams_recoveries_total";
/// Workers that were started again after a failure.
pub const RESTARTS: &str = "millpond_streams_restarts_total";
/// Workers by what they do; label `state`: starting, restoring, running, stopped, failed.
pub const WORKERS: &str = "millpond_streams_workers";
/// 1 for the state the application is in, 0 for the others; label `state`.
pub const CLIENT_STATE: &str = "millpond_streams_client_state";
/// Bytes of work not yet committed.
pub const UNCOMMITTED_BYTES: &str = "millpond_streams_uncommitted_bytes";
/// Offsets between the positions of the inputs and their ends, summed over all.
pub const INPUT_LAG: &str = "millpond_streams_input_lag_records";
/// Offsets between the position of one input partition and its end.
pub const PARTITION_LAG: &str = "millpond_streams_partition_lag_records";
/// Where one input partition is read next.
pub const PARTITION_POSITION: &str = "millpond_streams_partition_position";
/// Bytes of one input partition that are fetched and not yet processed.
pub const PARTITION_BUFFERED: &str = "millpond_streams_partition_buffered_bytes";
/// Records a task has processed.
pub const TASK_PROCESSED: &str = "millpond_streams_task_processed_records_total";
/// Records a task has dropped: late, left out, dead letters.
pub const TASK_DROPPED: &str = "millpond_streams_task_dropped_records_total";
/// Commits a task took part in.
pub const TASK_COMMITS: &str = "millpond_streams_task_commits_total";
/// Stream time of a task.
pub const TASK_STREAM_TIME: &str = "millpond_streams_task_stream_time_seconds";
/// Changelog records replayed into state when stores were opened.
pub const RESTORED_RECORDS: &str = "millpond_streams_restored_records_total";
/// Changelog bytes replayed into state when stores were opened.
pub const RESTORED_BYTES: &str = "millpond_streams_restored_bytes_total";
/// Changelog offsets that are still to be replayed before all tasks run.
pub const RESTORE_REMAINING: &str = "millpond_streams_restore_remaining_records";
/// Changelog records replayed into one store.
pub const STORE_RESTORED: &str = "millpond_streams_store_restored_records";
/// Changelog offsets that are still to be replayed into one store.
pub const STORE_RESTORE_REMAINING: &str = "millpond_streams_store_restore_remaining_records";
/// Keys of a store, estimated.
pub const STORE_KEYS: &str = "millpond_streams_store_estimated_keys";
/// Bytes of a store's files.
pub const STORE_FILES: &str = "millpond_streams_store_file_bytes";
/// Bytes of a store's write buffers.
pub const STORE_BUFFERS: &str = "millpond_streams_store_write_buffer_bytes";
/// Bytes committed but not yet in the state host.
pub const STATE_LAG_BYTES: &str = "millpond_streams_state_lag_bytes";
/// Memory of the in-memory tables of state, cached entries included.
pub const STATE_MEMORY_BYTES: &str = "millpond_streams_state_memory_bytes";
/// Entries in these tables.
pub const STATE_MEMORY_ENTRIES: &str = "millpond_streams_state_memory_entries";
/// Cached blocks, index and filter blocks and write buffers of all RocksDBs of the process; no label.
pub const ROCKSDB_MEMORY: &str = "millpond_streams_rocksdb_memory_bytes";
/// What they may be at most; no label.
pub const ROCKSDB_MEMORY_LIMIT: &str = "millpond_streams_rocksdb_memory_limit_bytes";
/// The write buffers among them; no label.
pub const ROCKSDB_WRITE_BUFFERS: &str = "millpond_streams_rocksdb_write_buffer_bytes";

/// All of them, in the order they are told.
pub const ALL: [Metric; 37] = [
    counter(
        RECORDS_IN,
        APPLICATION,
        "process-total",
        "Records read, repartition topics included",
    ),
    counter(
        BYTES_IN,
        APPLICATION,
        "bytes-consumed-total",
        "Bytes of the batches read",
    ),
    counter(
        RECORDS_OUT,
        APPLICATION,
        "records-produced-total",
        "Records written, changelogs included",
    ),
    counter(
        BYTES_OUT,
        APPLICATION,
        "bytes-produced-total",
        "Bytes of the batches written",
    ),
    counter(
        LATE,
        APPLICATION,
        "dropped-records-total",
        "Records too late for their window",
    ),
    counter(
        SKIPPED,
        APPLICATION,
        "dropped-records-total",
        "Records left out by policy, or because an operator cannot use them",
    ),
    counter(
        DEAD_LETTERS,
        APPLICATION,
        "dropped-records-total",
        "Records sent to the dead-letter topic",
    ),
    counter(COMMITS, APPLICATION, "commit-total", "Committed transactions"),
    counter(
        COMMIT_LATENCY,
        APPLICATION,
        "commit-latency-avg",
        "Time from freezing a transaction to its commit, summed",
    ),
    gauge(
        COMMIT_LATENCY_MAX,
        APPLICATION,
        "commit-latency-max",
        "Longest commit",
    ),
    counter(
        RECOVERIES,
        APPLICATION,
        "",
        "Transactions that were fenced and looked up",
    ),
    counter(RESTARTS, APPLICATION, "", "Workers started again after a failure"),
    gauge(
        WORKERS,
        &["application", "state"],
        "alive-stream-threads, failed-stream-threads",
        "Workers by what they do",
    ),
    gauge(
        CLIENT_STATE,
        &["application", "state"],
        "client-state",
        "1 for the state the application is in, 0 for the others",
    ),
    gauge(
        UNCOMMITTED_BYTES,
        APPLICATION,
        "cache-size-bytes-total",
        "Bytes of work not yet committed",
    ),
    gauge(
        INPUT_LAG,
        APPLICATION,
        "records-lag",
        "Offsets between positions and ends of the inputs, summed",
    ),
    gauge(
        PARTITION_LAG,
        PARTITION,
        "records-lag",
        "Offsets between the position of an input partition and its end",
    ),
    gauge(
        PARTITION_POSITION,
        PARTITION,
        "",
        "Where an input partition is read next",
    ),
    gauge(
        PARTITION_BUFFERED,
        PARTITION,
        "input-buffer-bytes-total",
        "Bytes of an input partition that are fetched and not yet processed",
    ),
    counter(
        TASK_PROCESSED,
        TASK,
        "process-total",
        "Records a task has processed",
    ),
    counter(
        TASK_DROPPED,
        TASK,
        "dropped-records-total",
        "Records a task has dropped: late, left out, dead letters",
    ),
    counter(TASK_COMMITS, TASK, "commit-total", "Commits a task took part in"),
    gauge(
        TASK_STREAM_TIME,
        TASK,
        "",
        "Stream time of a task, in seconds since 1970",
    ),
    counter(
        RESTORED_RECORDS,
        APPLICATION,
        "restore-total",
        "Changelog records replayed",
    ),
    counter(RESTORED_BYTES, APPLICATION, "", "Changelog bytes replayed"),
    gauge(
        RESTORE_REMAINING,
        APPLICATION,
        "restore-remaining-records-total",
        "Changelog offsets still to be replayed before all tasks run",
    ),
    gauge(
        STORE_RESTORED,
        STORE,
        "restore-total",
        "Changelog records replayed into a store when it was last opened",
    ),
    gauge(
        STORE_RESTORE_REMAINING,
        STORE,
        "restore-remaining-records-total",
        "Changelog offsets still to be replayed into a store",
    ),
    gauge(
        STORE_KEYS,
        STORE,
        "estimate-num-keys, num-keys",
        "Keys of a store, estimated",
    ),
    gauge(
        STORE_FILES,
        STORE,
        "total-sst-files-size",
        "Bytes of a store's files",
    ),
    gauge(
        STORE_BUFFERS,
        STORE,
        "size-all-mem-tables",
        "Bytes of a store's write buffers",
    ),
    gauge(
        STATE_LAG_BYTES,
        APPLICATION,
        "",
        "Bytes committed and not yet in RocksDB",
    ),
    gauge(
        STATE_MEMORY_BYTES,
        APPLICATION,
        "",
        "Memory of the in-memory tables of state",
    ),
    gauge(
        STATE_MEMORY_ENTRIES,
        APPLICATION,
        "",
        "Entries of the in-memory tables of state",
    ),
    gauge(
        ROCKSDB_MEMORY,
        PROCESS,
        "block-cache-usage",
        "Cached blocks, index and filter blocks and write buffers of all RocksDBs",
    ),
    gauge(
        ROCKSDB_MEMORY_LIMIT,
        PROCESS,
        "block-cache-capacity",
        "What these may be at most",
    ),
    gauge(
        ROCKSDB_WRITE_BUFFERS,
        PROCESS,
        "size-all-mem-tables",
        "Write buffers of all RocksDBs",
    ),
];
