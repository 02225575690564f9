//! The processor API: what a node of a task's graph implements, and what it may touch.
//!
//! A processor belongs to one task and is called by one thread at a time. It works on whole batches. Uncommitted effects live only in the task's state
//! overlay, its outputs, and the processor's own caches, which `on_abort` must drop.
//! Order of calls: `init` once; then `process`, `on_time` and `on_wall_clock` any number of times; `on_commit` before each commit; `on_abort` whenever a transaction is lost.

use std::error::Error;
use std::time::Duration;

use millpond_log::record::BatchError;
use millpond_log::types::{Offset, Timestamp, TopicName, TopicPartition};

use super::forward_queue::ForwardQueue;
use super::{
    Batch, OperatorIndex, OperatorTime, OutputCollector, OutputIndex, Outputs, RawBatch, RawRecord,
    SinkRecord, TaskClock, TimeTrack,
};
use crate::config::{ErrorPolicy, ErrorStage, ProcessingConfig};
use crate::state::{PinnedState, StateError, StoreIndex, StoreRef, TaskId, TaskState};

/// Any error of user code.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a processor could not go on. The transaction is aborted; nothing of the batch happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// State could not be read or written.
    #[error("state of the task failed")]
    State(#[from] StateError),
    /// A record batch is not what it claims to be.
    #[error("record batch is damaged")]
    Record(#[from] BatchError),
    /// The closure or codec of a node failed, and its policy is to fail.
    #[error("node {node} failed")]
    Node {
        /// The node's name.
        node: String,
        /// What it said.
        #[source]
        cause: BoxError,
    },
    /// An edge carries another shape of batch than its receiver expects.
    #[error("node {node} expected {expected} but got {actual}")]
    UnexpectedBatch {
        /// The receiver.
        node: String,
        /// What it can take.
        expected: &'static str,
        /// What came.
        actual: &'static str,
    },
    /// A name was used at run time that the topology does not have.
    #[error("node {node} has no {kind} {name:?}; declare it when the node is added")]
    Unknown {
        /// The node.
        node: String,
        /// "store" or "output topic".
        kind: &'static str,
        /// The name.
        name: String,
    },
}

impl ProcessError {
    /// An error of user code in `node`.
    pub fn node(node: &str, cause: impl Into<BoxError>) -> ProcessError {
        ProcessError::Node {
            node: node.to_owned(),
            cause: cause.into(),
        }
    }
}

/// A node of a task's graph.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a processor",
    note = "implement `Processor` (at least `process`), and pass `Arc::new(|| Box::new(MyProcessor::default()) as Box<dyn Processor>)`"
)]
pub trait Processor: Send {
    /// Called once, before anything else: look up stores and outputs here.
    fn init(&mut self, _context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        Ok(())
    }

    /// Takes one batch.
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError>;

    /// Whether [`on_batch_end`](Self::on_batch_end) is wanted; asked once, after `init`.
    fn wants_batch_end(&self) -> bool {
        false
    }

    /// Everything that one source batch, or one step of wall-clock time, sends to this node has arrived. For nodes that hold rows back until all their
    /// parents have spoken, because the batches of two parents stem from the same records and belong between each other. What `on_time` and `on_commit` of
    /// parents forward comes before the node's own call of the same name; no call of this one follows.
    fn on_batch_end(&mut self, _context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        Ok(())
    }

    /// Stream time advanced; called at most once per source batch, after it went through.
    fn on_time(&mut self, _context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        Ok(())
    }

    /// How often [`on_wall_clock`](Self::on_wall_clock) is wanted; asked once, after `init`. `None`, the default, is never.
    fn wall_clock_interval(&self) -> Option<Duration> {
        None
    }

    /// Wall-clock time went on by the interval asked for, with or without input: what Kafka Streams calls a wall-clock punctuator. What it
    /// does belongs to the open transaction; when that is lost, it is called again soon. Intervals that were missed are not made up for.
    fn on_wall_clock(&mut self, _context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        Ok(())
    }

    /// Whether [`on_time`](Self::on_time) is wanted after this source batch although stream time did not go on.
    fn is_time_due(&self) -> bool {
        false
    }

    /// When [`on_wall_clock`](Self::on_wall_clock) is wanted next, in ms of wall-clock time, for nodes that know it better than by an interval: asked whenever
    /// the task looks at its clock. [`Timestamp::MIN`] is "at once", `None`, the default, never.
    fn wall_clock_due(&self) -> Option<Timestamp> {
        None
    }

    /// A commit is coming: forward cached results and write cached state. Last chance before the changelog is taken. Parents are called before children.
    fn on_commit(&mut self, _context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        Ok(())
    }

    /// The transaction was lost: drop everything cached that was not committed.
    fn on_abort(&mut self) {}
}

/// Makes a processor per task.
pub type ProcessorSupplier = std::sync::Arc<dyn Fn() -> Box<dyn Processor> + Send + Sync>;

/// From a topic's name in the topology to its full name, partition count and whether it tells its readers the task's time.
pub(super) type ResolveOutput<'a> = dyn Fn(&str) -> Option<(TopicName, i32, bool)> + 'a;

/// What a processor may look up before it starts.
pub struct InitContext<'a> {
    pub(super) node: &'a str,
    pub(super) task: TaskId,
    pub(super) application_id: &'a str,
    pub(super) stores: &'a [(String, StoreIndex)],
    pub(super) outputs: &'a mut Outputs,
    pub(super) resolve_output: &'a ResolveOutput<'a>,
    pub(super) config: &'a ProcessingConfig,
    pub(super) state: &'a mut TaskState,
    pub(super) children: &'a [&'a str],
    /// Names of the operators that have a time of their own.
    pub(super) operators: &'a mut Vec<String>,
}

impl InitContext<'_> {
    /// Name of the node in the topology.
    pub fn node(&self) -> &str {
        self.node
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.task
    }

    /// The application id.
    pub fn application_id(&self) -> &str {
        self.application_id
    }

    /// Settings of caching, emission and error policy.
    pub fn config(&self) -> &ProcessingConfig {
        self.config
    }

    /// The store of that name; the node must have been connected to it.
    pub fn store_index(&self, name: &str) -> Result<StoreIndex, ProcessError> {
        let found = self.stores.iter().find(|(store, _)| store == name);
        found
            .map(|(_, index)| *index)
            .ok_or_else(|| self.unknown("store", name))
    }

    /// The state of the global tables and the place of this one's store in it.
    pub(crate) fn global_store(&self, name: &str) -> Result<(PinnedState, StoreIndex), ProcessError> {
        let unknown = || self.unknown("global table", name);
        let globals = self.state.globals().ok_or_else(unknown)?;
        let index = globals.index_of(name).map_err(|_| unknown())?;
        Ok((globals.clone(), index))
    }

    /// The store itself, e.g. to see whether it is empty.
    pub fn store(&mut self, index: StoreIndex) -> StoreRef<'_> {
        self.state.store(index)
    }

    /// The output topic of that name as declared in the topology (for a repartition topic its name there, without the application id).
    pub fn output(&mut self, topic: &str) -> Result<OutputIndex, ProcessError> {
        let (name, partitions, repartition) =
            (self.resolve_output)(topic).ok_or_else(|| self.unknown("output topic", topic))?;
        Ok(self.outputs.add_topic(name, partitions, repartition))
    }

    /// Number of partitions of an output topic.
    pub fn output_partitions(&self, output: OutputIndex) -> i32 {
        self.outputs.partition_count(output)
    }

    /// A time of its own for an operator, kept and saved by the task under this name: that of its store.
    pub(crate) fn operator_time(&mut self, name: &str) -> OperatorIndex {
        self.operators.push(name.to_owned());
        OperatorIndex((self.operators.len() - 1) as u32)
    }

    /// Names of the children of this node; the place is what [`ProcessContext::forward_to`] takes.
    pub fn children(&self) -> &[&str] {
        self.children
    }

    fn unknown(&self, kind: &'static str, name: &str) -> ProcessError {
        ProcessError::Unknown {
            node: self.node.to_owned(),
            kind,
            name: name.to_owned(),
        }
    }
}

/// What a processor may touch while it works.
pub struct ProcessContext<'a> {
    pub(super) node: usize,
    pub(super) node_name: &'a str,
    pub(super) in_step: bool,
    pub(super) task: TaskId,
    pub(super) queue: &'a mut ForwardQueue,
    pub(super) state: &'a mut TaskState,
    pub(super) clock: &'a mut TaskClock,
    pub(super) committed_time: Timestamp,
    pub(super) outputs: &'a mut Outputs,
    pub(super) counters: &'a mut TaskCounters,
    pub(super) dead_letters: Option<OutputIndex>,
    /// What this node does, and what happens to records that fail at it.
    pub(super) stage: ErrorStage,
    pub(super) on_error: &'a ErrorPolicy,
    /// The batch that is being worked on came from these records; none in `on_commit`.
    pub(super) origin: Option<&'a RawBatch>,
    pub(super) idle_time: Option<Timestamp>,
    pub(super) now_ms: Timestamp,
    pub(super) time: Timestamp,
    pub(super) track: &'a mut TimeTrack,
    pub(super) record_at_a_time: bool,
    pub(super) commit_requested: &'a mut bool,
}

impl ProcessContext<'_> {
    /// The same context for a shorter time, to be kept beside something else.
    pub(crate) fn reborrow(&mut self) -> ProcessContext<'_> {
        ProcessContext {
            node: self.node,
            node_name: self.node_name,
            in_step: self.in_step,
            task: self.task,
            queue: self.queue,
            state: self.state,
            clock: self.clock,
            committed_time: self.committed_time,
            outputs: self.outputs,
            counters: self.counters,
            dead_letters: self.dead_letters,
            stage: self.stage,
            on_error: self.on_error,
            origin: self.origin,
            idle_time: self.idle_time,
            now_ms: self.now_ms,
            time: self.time,
            track: self.track,
            record_at_a_time: self.record_at_a_time,
            commit_requested: self.commit_requested,
        }
    }

    /// Hands a batch to every child, in their order. Empty batches are not handed on.
    pub fn forward(&mut self, batch: Batch) {
        self.queue.forward(self.node, None, batch);
    }

    /// Hands a batch to the `child`th child (in the order they were added to this node).
    pub fn forward_to(&mut self, child: usize, batch: Batch) {
        self.queue.forward(self.node, Some(child), batch);
    }

    /// False when nothing is connected below this node, so that results need not be made.
    pub fn has_children(&self) -> bool {
        self.queue.has_children(self.node)
    }

    /// A store this node looked up at `init`.
    pub fn store(&mut self, index: StoreIndex) -> StoreRef<'_> {
        self.state.store(index)
    }

    /// Stream time of the task, [`super::NO_TIME`] before it is known.
    pub fn stream_time(&self) -> Timestamp {
        self.time
    }

    /// How stream time went on in the source batch that is being worked on.
    pub fn time_track(&self) -> &TimeTrack {
        self.track
    }

    /// Stream time when the open transaction began: that of the last commit, also after a restart. [`super::NO_TIME`] before the first.
    pub fn committed_time(&self) -> Timestamp {
        self.committed_time
    }

    /// The time of an operator, for a loop over rows.
    pub(crate) fn operator_time(&self, index: OperatorIndex) -> OperatorTime {
        self.clock.operator(index)
    }

    /// Behind that loop: the operator's time went on.
    pub(crate) fn set_operator_time(&mut self, index: OperatorIndex, time: OperatorTime) {
        self.clock.set_operator(index, time);
    }

    /// The time of an operator when the open transaction began: that of the last commit, also after a restart. [`super::NO_TIME`] before the first.
    pub(crate) fn operator_committed(&self, index: OperatorIndex) -> Timestamp {
        self.clock.operator_committed(index)
    }

    /// For decoders of ordinary sources: a record with this time was seen. Returns the stream time after it. No effect in a task whose time comes from upstream tasks.
    pub fn observe_time(&mut self, timestamp: Timestamp) -> Timestamp {
        self.time = self.clock.observe(timestamp);
        self.time
    }

    /// As [`observe_time`](Self::observe_time), for decoders that know which record it was: nodes can then tell what came before and what after an advance.
    pub fn observe_record(&mut self, offset: Offset, timestamp: Timestamp) -> Timestamp {
        let before = self.clock.time();
        let after = self.observe_time(timestamp);
        if after > before {
            self.track.push(offset, after);
        }
        after
    }

    /// True when every record must go through the whole task before the next one does, because nodes of it share a store
    /// ([`SubTopology::is_record_at_a_time`](crate::topology::SubTopology::is_record_at_a_time)). Concerns decoders of sources.
    pub(crate) fn is_record_at_a_time(&self) -> bool {
        self.record_at_a_time
    }

    /// For decoders of tasks that work a record at a time: what is forwarded from here on belongs to this stream time.
    pub(crate) fn forward_time(&mut self, time: Timestamp) {
        self.queue.forward_time(time);
    }

    /// For decoders of tasks that work a record at a time: everything that followed from the last record happened, and nodes may act on the time,
    /// all of them if it `advanced`.
    pub(crate) fn forward_on_time(&mut self, advanced: bool) {
        self.queue.forward_on_time(advanced);
    }

    /// The source partition whose records are being worked on; none when a commit, time or the wall clock is the cause.
    pub fn origin_partition(&self) -> Option<&TopicPartition> {
        self.origin.map(RawBatch::partition)
    }

    /// Largest time of the records of a source partition so far, where a decoder keeps it by [`observe_partition_time`](Self::observe_partition_time).
    pub fn partition_time(&self, partition: &TopicPartition) -> Option<Timestamp> {
        self.clock.partition_time(partition.topic.as_str())
    }

    /// For decoders: the largest time among the records of a source partition. Kept with the task's stream time.
    pub fn observe_partition_time(&mut self, partition: &TopicPartition, time: Timestamp) {
        self.clock.observe_partition(partition.topic.as_str(), time);
    }

    /// How often stream time went on while input was idle ([`Consumed::idle_advance`](crate::dsl::Consumed::idle_advance)), since the application first ran.
    pub fn idle_advances(&self) -> u64 {
        self.clock.idle_advances()
    }

    /// True when the task reads a repartition topic, so that time comes from upstream tasks.
    pub fn follows_upstreams(&self) -> bool {
        self.clock.follows_upstreams()
    }

    /// For decoders: what is below must not see a record before it has done with the one before under the same key
    /// ([`TopologyBuilder::keep_in_step`](crate::topology::TopologyBuilder::keep_in_step)), so no key may occur twice in a batch.
    pub fn keeps_in_step(&self) -> bool {
        self.in_step
    }

    /// Wall-clock time of this call, in ms.
    pub fn now_ms(&self) -> Timestamp {
        self.now_ms
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.task
    }

    /// Name of this node in the topology.
    pub fn node(&self) -> &str {
        self.node_name
    }

    /// Sends a record to a topic, inside the task's transaction. What the topic will not take stops the task: [`produce`](Self::produce) asks the policy first.
    pub fn send(&mut self, record: &SinkRecord<'_>) {
        self.counters.sent += 1;
        self.outputs.send(record);
    }

    /// Asks for a commit as soon as possible, instead of when the commit interval is over: of all that the worker has done by then, not of this task alone. A request made in
    /// `on_commit` is met by the commit that is under way.
    pub fn request_commit(&mut self) {
        *self.commit_requested = true;
    }

    /// Counts records that came after their window's grace.
    pub fn late(&mut self, records: u64) {
        self.counters.late += records;
    }

    /// Counts records left out because an operator cannot use them (null key, null value, bad timestamp).
    pub fn skipped(&mut self, records: u64) {
        self.counters.skipped += records;
    }

    /// The counters of the task.
    pub fn counters(&mut self) -> &mut TaskCounters {
        self.counters
    }

    /// In `on_time`: no record was read, time went on to there by itself, because the input of the task or of one upstream is idle.
    pub(crate) fn idle_time(&self) -> Option<Timestamp> {
        self.idle_time
    }

    /// The source record at `offset` of the batch that is being worked on, for error reports.
    pub fn origin_record(&self, offset: Offset) -> Option<RawRecord> {
        self.origin.and_then(|origin| origin.find(offset))
    }
}

/// What a task counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounters {
    /// Records read from sources (time-only records excluded).
    pub read: u64,
    /// Records sent to topics (dead letters and changelogs excluded).
    pub sent: u64,
    /// Records dropped because their window was closed.
    pub late: u64,
    /// Records left out (null key or value, bad timestamp, policy skip).
    pub skipped: u64,
    /// Records sent to the dead-letter topic.
    pub dead_letters: u64,
}
