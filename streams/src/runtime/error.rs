//! What can end a worker or refuse a start. Each names the thing it is about; none of them is answered by deleting state.

use std::path::PathBuf;

use millpond_log::types::{Offset, TopicPartition};

use super::commit::StopReason;

/// Errors of the streams runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The topology does not fit the topics there are.
    #[error("{message}")]
    Topology {
        /// What does not fit.
        message: String,
    },
    /// An internal topic exists, but not as this topology needs it.
    #[error(
        "internal topic {topic:?} has {found}, but this topology needs {expected}; was the input repartitioned, or the application id reused?"
    )]
    InternalTopicMismatch {
        /// The topic.
        topic: String,
        /// What it has.
        found: String,
        /// What is needed.
        expected: String,
    },
    /// I5: the state and the committed input positions do not belong together. The task stops, the state is kept as it is.
    #[error("state of task {task}, store {store:?}, does not match the committed input positions: {detail}")]
    StateMismatch {
        /// The task.
        task: String,
        /// The store.
        store: String,
        /// Which offsets disagree.
        detail: String,
    },
    /// The committed offset of an input is outside the topic.
    #[error("committed position {position} of {partition} is outside the topic, which has {start}..{end}")]
    PositionOutOfRange {
        /// The input partition.
        partition: TopicPartition,
        /// The position.
        position: Offset,
        /// First offset of the partition.
        start: Offset,
        /// End of the partition, exclusive.
        end: Offset,
    },
    /// Another instance has the application's state directory.
    #[error(
        "state directory {} is in use by {}; stop it, or give this one its own application id and state directory",
        dir.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    StateDirectoryLocked {
        /// The directory.
        dir: PathBuf,
        /// The process that has it, as far as is known.
        pid: Option<u32>,
    },
    /// The application's state directory cannot be read or created.
    #[error("{message}")]
    StateDirectory {
        /// The failure, with the path.
        message: String,
    },
    /// The metadata beside a committed offset is not readable.
    #[error("{partition}: {message}")]
    OffsetMetadata {
        /// The input partition.
        partition: TopicPartition,
        /// What is wrong.
        message: String,
    },
    /// What a task notes beside its committed offsets may not fit there.
    #[error(
        "task {task} has {stores} logged stores and {upstreams} upstream partitions: its position may take {text_len} characters beside each committed offset, a log takes \
         {text_len_max} (offset.metadata.max.bytes); divide the sub-topology (`repartition` begins another) or the application, or do without some changelogs"
    )]
    PositionTooLarge {
        /// The task.
        task: String,
        /// How many logged stores it has.
        stores: usize,
        /// Partitions of repartition topics whose writers' times it keeps.
        upstreams: usize,
        /// Characters it may come to.
        text_len: usize,
        /// Characters there is room for.
        text_len_max: usize,
    },
    /// The commit protocol ended.
    #[error(transparent)]
    Commit(#[from] StopReason),
    /// A request to the log failed for good.
    #[error("{operation}: {message}")]
    Log {
        /// What was asked, with its subject.
        operation: String,
        /// The answer.
        message: String,
    },
    /// A state store failed.
    #[error("state of task {task}: {message}")]
    State {
        /// The task.
        task: String,
        /// The failure.
        message: String,
    },
    /// An operator failed.
    #[error("task {task}: {message}")]
    Processing {
        /// The task.
        task: String,
        /// The failure.
        message: String,
    },
    /// A thread could not be started.
    #[error("worker thread cannot be started: {message}")]
    Thread {
        /// What the system said.
        message: String,
    },
    /// A worker panicked, in an operator's closure for example. Nothing of its open transaction counts; the next start aborts it.
    #[error("worker {worker} panicked: {message}")]
    Panicked {
        /// The worker.
        worker: usize,
        /// What it said, as far as that is text.
        message: String,
    },
    /// A setting is unusable.
    #[error("{setting}: {message}")]
    Config {
        /// The setting.
        setting: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The application was asked for something it does not have, or has not any more.
    #[error("{message}")]
    Unavailable {
        /// What, and what there is instead.
        message: String,
    },
    /// Waiting ended before what was waited for.
    #[error("{what} did not happen within {waited_ms} ms")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited_ms: u128,
    },
}
