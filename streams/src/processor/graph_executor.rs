//! Runs one sub-topology for one task: routes batches between its processors, drives time and commits.
//!
//! Always true: a node sees the batches of one parent in the order they were forwarded; parents come before children in `nodes`, so one pass in that
//! order visits every node after all its inputs. Within one source batch, routing is depth first. Nothing here does I/O: state and outputs are handed in.
//! Used alike by the runtime and by `TopologyTestDriver`. `graph_setup.rs` makes the graph, `graph_time.rs` has what it hears and tells of time.

use std::collections::BTreeMap;

use millpond_log::types::{Timestamp, TopicName};

use super::forward_queue::{ForwardQueue, Forwarded};
use super::wall_clock::WallClockTimers;
use super::{
    Batch, OutputIndex, Outputs, ProcessContext, ProcessError, Processor, RawBatch, TaskClock, TaskCounters,
    TimeTrack,
};
use crate::config::{ErrorPolicy, ErrorStage};
use crate::state::{TaskId, TaskState};

/// The running graph of one task.
pub struct TaskGraph {
    pub(super) task: TaskId,
    pub(super) nodes: Vec<GraphNode>,
    /// Topic name (full) → node of the source reading it.
    pub(super) sources: BTreeMap<TopicName, usize>,
    pub(super) clock: TaskClock,
    /// Stream time when the open transaction began.
    pub(super) committed_time: Timestamp,
    pub(super) counters: TaskCounters,
    pub(super) queue: ForwardQueue,
    pub(super) dead_letters: Option<OutputIndex>,
    /// Where it is written that time went on while input was idle.
    pub(super) time_topic: Option<OutputIndex>,
    /// Stream time last told to each (repartition topic, partition); forgotten on abort, then told again.
    pub(super) announced: BTreeMap<(usize, usize), Timestamp>,
    pub(super) writes_repartition: bool,
    pub(super) wall_clock: WallClockTimers,
    pub(super) track: TimeTrack,
    pub(super) record_at_a_time: bool,
    /// Nodes that want to know when a batch is complete, parents before children.
    pub(super) batch_enders: Vec<usize>,
    /// A node asked for a commit since the last one.
    pub(super) commit_requested: bool,
}

pub(super) struct GraphNode {
    pub(super) name: String,
    pub(super) processor: Option<Box<dyn Processor>>,
    /// Set for sources reading a repartition topic that tells the time of upstream tasks.
    pub(super) repartition: Option<String>,
    pub(super) in_step: bool,
    pub(super) stage: ErrorStage,
    pub(super) on_error: ErrorPolicy,
}

/// Context of one call, without the parts that change from call to call.
pub(super) struct Call<'a> {
    pub(super) state: &'a mut TaskState,
    pub(super) outputs: &'a mut Outputs,
    pub(super) origin: Option<&'a RawBatch>,
    /// Set when time goes on to there because input is idle.
    pub(super) idle_time: Option<Timestamp>,
    pub(super) now_ms: Timestamp,
    pub(super) time: Timestamp,
}

impl TaskGraph {
    /// Full names of the topics this task reads.
    pub fn source_topics(&self) -> impl Iterator<Item = &TopicName> {
        self.sources.keys()
    }

    /// What was counted so far.
    pub fn counters(&self) -> TaskCounters {
        self.counters
    }

    /// Whether a node asked for a commit since the last call; a commit and an abort answer what was asked before.
    pub fn take_commit_request(&mut self) -> bool {
        std::mem::take(&mut self.commit_requested)
    }

    /// Stream time and what it is made of; save `clock().encode()` with every commit.
    pub fn clock(&self) -> &TaskClock {
        &self.clock
    }

    /// Takes over the saved clock state of the last commit (empty text: none yet).
    /// # Errors
    /// When the text is damaged.
    pub fn restore_clock(&mut self, saved: &str) -> Result<(), super::ClockStateError> {
        self.clock.restore(saved)?;
        self.committed_time = self.clock.time();
        Ok(())
    }

    /// Runs one batch of a source topic through the graph.
    ///
    /// `now_ms` is wall-clock time, the same for the whole call. On error the transaction must be aborted: parts of the batch may be in `state` and `outputs`.
    /// # Errors
    /// When a node fails and its policy is to fail, or state or records are damaged.
    pub fn process(
        &mut self,
        raw: RawBatch,
        now_ms: Timestamp,
        state: &mut TaskState,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let Some(&source) = self.sources.get(&raw.partition().topic) else {
            return Err(ProcessError::Unknown {
                node: self.task.to_string(),
                kind: "source topic",
                name: raw.partition().topic.to_string(),
            });
        };
        let Some(name) = self.nodes[source].repartition.clone() else {
            self.track.start(self.clock.time());
            return self.run_batch(source, raw, self.clock.time(), now_ms, state, outputs);
        };
        let mut rest = Some(raw);
        while let Some(raw) = rest.take() {
            let before = self.clock.time();
            self.track.start(before);
            let marked = self.mark_times(&name, raw)?;
            self.run_batch(source, marked.raw, before, now_ms, state, outputs)?;
            if let Some(time) = marked.idle_time {
                self.track.start(self.clock.time());
                self.clock.advance_operators(time);
                self.tell_idle(time, now_ms, state, outputs)?;
            }
            rest = marked.rest;
        }
        Ok(())
    }

    /// Runs records of a source through the graph. `before`: stream time before them.
    fn run_batch(
        &mut self,
        source: usize,
        raw: RawBatch,
        before: Timestamp,
        now_ms: Timestamp,
        state: &mut TaskState,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        // Here, and not in decoders: every source counts alike, whoever made it and whatever shape its batches have.
        self.counters.read += raw.record_count()? as u64;
        let mut call = Call {
            state,
            outputs,
            origin: Some(&raw),
            idle_time: None,
            now_ms,
            time: self.clock.time(),
        };
        self.run_node(source, Batch::Raw(raw.clone()), &mut call)?;
        call.time = self.clock.time();
        let advanced = call.time > before;
        self.end_batch(&mut call)?;
        self.tell_time(advanced, &mut call)?;
        self.mark_outputs(outputs);
        Ok(())
    }

    /// When `advance_wall_clock` has something to do next, in ms of wall-clock time; `None` when no node asked for it.
    pub fn wall_clock_due(&self) -> Option<Timestamp> {
        let nodes = self.nodes.iter().filter_map(|node| node.processor.as_ref());
        nodes
            .filter_map(|processor| processor.wall_clock_due())
            .chain(self.wall_clock.due())
            .min()
    }

    /// Tells the nodes whose interval is over that wall-clock time went on (`on_wall_clock`). `false` when there was none.
    /// # Errors
    /// As `process`.
    pub fn advance_wall_clock(
        &mut self,
        now_ms: Timestamp,
        state: &mut TaskState,
        outputs: &mut Outputs,
    ) -> Result<bool, ProcessError> {
        let mut nodes = self.wall_clock.look(now_ms);
        for (index, node) in self.nodes.iter().enumerate() {
            let due = node.processor.as_ref().and_then(|node| node.wall_clock_due());
            if due.is_some_and(|due| due <= now_ms) && !nodes.contains(&index) {
                nodes.push(index);
            }
        }
        nodes.sort_unstable();
        self.track.start(self.clock.time());
        let mut call = Call {
            state,
            outputs,
            origin: None,
            idle_time: None,
            now_ms,
            time: self.clock.time(),
        };
        for node in &nodes {
            self.visit(*node, &mut call, |processor, context| {
                processor.on_wall_clock(context)
            })?;
        }
        if !nodes.is_empty() {
            self.end_batch(&mut call)?;
        }
        self.mark_outputs(outputs);
        Ok(!nodes.is_empty())
    }

    /// Lets every node flush, parents first; afterwards all effects are in `state` and `outputs`. Adds time-only records where downstream was not told the time yet.
    /// # Errors
    /// As `process`.
    pub fn prepare_commit(
        &mut self,
        now_ms: Timestamp,
        state: &mut TaskState,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        self.track.start(self.clock.time());
        let mut call = Call {
            state,
            outputs,
            origin: None,
            idle_time: None,
            now_ms,
            time: self.clock.time(),
        };
        self.visit_all(&mut call, |processor, context| processor.on_commit(context))?;
        self.commit_requested = false;
        self.mark_outputs(outputs);
        if let Some((mark, announced)) = self.time_to_tell() {
            outputs.add_time_records(mark, false, |topic, partition| {
                announced.insert((topic, partition), mark.1) != Some(mark.1)
            });
        }
        self.committed_time = self.clock.time();
        self.clock.commit_operators();
        Ok(())
    }

    /// The transaction was lost: nodes drop their caches. The caller puts state and clock back (`restore_clock`) and clears the outputs.
    pub fn abort(&mut self) {
        for node in &mut self.nodes {
            if let Some(processor) = node.processor.as_mut() {
                processor.on_abort();
            }
        }
        self.queue.clear();
        self.commit_requested = false;
        self.announced.clear();
        self.wall_clock.repeat();
    }

    fn run_node(&mut self, node: usize, batch: Batch, call: &mut Call<'_>) -> Result<(), ProcessError> {
        if self.nodes[node].processor.is_none() {
            // A source without a decoder: its children take raw batches.
            self.queue.forward(node, None, batch);
            return self.drain(call);
        }
        self.visit(node, call, |processor, context| processor.process(batch, context))
    }

    /// Runs what the last node forwarded, depth first.
    fn drain(&mut self, call: &mut Call<'_>) -> Result<(), ProcessError> {
        if self.queue.is_empty() {
            return Ok(());
        }
        for next in self.queue.take() {
            match next {
                Forwarded::Batch(child, batch) => self.run_node(child, batch, call)?,
                Forwarded::Time(time) => call.time = time,
                Forwarded::OnTime { advanced } => self.tell_time(advanced, call)?,
            }
        }
        Ok(())
    }

    /// Lets every node act on the time when it `advanced`, otherwise only those that want to.
    pub(super) fn tell_time(&mut self, advanced: bool, call: &mut Call<'_>) -> Result<(), ProcessError> {
        for node in 0..self.nodes.len() {
            let processor = self.nodes[node].processor.as_ref();
            if advanced || processor.is_some_and(|processor| processor.is_time_due()) {
                self.visit(node, call, |processor, context| processor.on_time(context))?;
            }
        }
        Ok(())
    }

    /// Tells the nodes that want to know it that a batch is complete.
    fn end_batch(&mut self, call: &mut Call<'_>) -> Result<(), ProcessError> {
        for place in 0..self.batch_enders.len() {
            let node = self.batch_enders[place];
            self.visit(node, call, |processor, context| processor.on_batch_end(context))?;
        }
        Ok(())
    }

    /// Every node, parents first.
    fn visit_all(
        &mut self,
        call: &mut Call<'_>,
        act: impl Fn(&mut dyn Processor, &mut ProcessContext<'_>) -> Result<(), ProcessError>,
    ) -> Result<(), ProcessError> {
        (0..self.nodes.len()).try_for_each(|node| self.visit(node, call, &act))
    }

    fn visit(
        &mut self,
        node: usize,
        call: &mut Call<'_>,
        act: impl FnOnce(&mut dyn Processor, &mut ProcessContext<'_>) -> Result<(), ProcessError>,
    ) -> Result<(), ProcessError> {
        let GraphNode {
            name,
            processor,
            in_step,
            stage,
            on_error,
            ..
        } = &mut self.nodes[node];
        if let Some(processor) = processor.as_mut() {
            let mut context = ProcessContext {
                node,
                node_name: name,
                in_step: *in_step,
                task: self.task,
                queue: &mut self.queue,
                state: &mut *call.state,
                clock: &mut self.clock,
                committed_time: self.committed_time,
                outputs: &mut *call.outputs,
                counters: &mut self.counters,
                dead_letters: self.dead_letters,
                stage: *stage,
                on_error,
                origin: call.origin,
                idle_time: call.idle_time,
                now_ms: call.now_ms,
                time: call.time,
                track: &mut self.track,
                record_at_a_time: self.record_at_a_time,
                commit_requested: &mut self.commit_requested,
            };
            act(processor.as_mut(), &mut context)?;
            call.time = context.time;
        }
        self.drain(call)
    }
}
