//! What is told of single tasks, input partitions and stores.
//!
//! Readings of a moment, a tenth of a second old at most; together they are not a snapshot.

use millpond_log::types::{Offset, Timestamp, TopicPartition};

use crate::state::TaskId;

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskMetrics {
    /// The task.
    pub task: TaskId,
    /// Number of the worker that runs it.
    pub worker: usize,
    /// Records it processed and committed since it was opened.
    pub processed_records: u64,
    /// Those of them it dropped: too late, left out, dead letters.
    pub dropped_records: u64,
    /// Commits it took part in since it was opened.
    pub commits: u64,
    /// Its stream time in ms; `None` before it is known.
    pub stream_time: Option<Timestamp>,
    /// Its inputs.
    pub partitions: Vec<PartitionMetrics>,
}

/// An input partition of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionMetrics {
    /// The partition.
    pub partition: TopicPartition,
    /// Where it is read next.
    pub position: Offset,
    /// Offsets between that and its end when it was last asked: records and transaction markers.
    pub lag: u64,
    /// Bytes that are fetched and not yet processed.
    pub buffered_bytes: u64,
}

/// A store of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreMetrics {
    /// The task.
    pub task: TaskId,
    /// The store.
    pub store: String,
    /// Keys, estimated; `None` while the task is opened.
    pub estimated_keys: Option<u64>,
    /// Bytes of its files; `None` while the task is opened, and for a store in memory.
    pub file_bytes: Option<u64>,
    /// Bytes of its write buffers; `None` while the task is opened, and for a store in memory.
    pub write_buffer_bytes: Option<u64>,
    /// Changelog records replayed when it was last opened.
    pub restored_records: u64,
    /// Changelog offsets still to be replayed.
    pub restore_remaining: u64,
}
