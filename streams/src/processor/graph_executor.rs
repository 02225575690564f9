//! Runs one sub-topology for one task: makes its processors, routes batches between them, drives time and commits.
//!
//! Always true: a node sees the batches of one parent in the order they were forwarded; parents come before children in `nodes`, so one pass in that
//! order visits every node after all its inputs. Within one source batch, routing is depth first. Nothing here does I/O: state and outputs are handed in.
//! Used alike by the runtime and by `TopologyTestDriver`.

use std::collections::BTreeMap;

use millpond_log::types::{Timestamp, TopicName};

use super::copy_sink::CopySink;
use super::forward_queue::{ForwardQueue, Forwarded};
use super::wall_clock::WallClockTimers;
use super::{
    Batch, Headers, InitContext, NO_TIME, OutputCollector, OutputIndex, Outputs, ProcessContext,
    ProcessError, Processor, RawBatch, SinkRecord, TaskClock, TaskCounters, TimeMark, TimeTrack, time_header,
};
use crate::config::{ErrorPolicy, ErrorStage, ProcessingConfig};
use crate::state::{StoreIndex, TaskId, TaskState};
use crate::topology::{NodeKind, SubTopology, TopicRef};

/// What a task must know beside its sub-topology.
pub struct TaskGraphOptions<'a> {
    /// The task.
    pub task: TaskId,
    /// Prefix of internal topics.
    pub application_id: &'a str,
    /// Partition count of an output topic by its full name.
    pub partitions: &'a dyn Fn(&TopicName) -> Option<i32>,
    /// Number of tasks that tell their time through a repartition topic, by its name in the topology (`Plan::upstream_tasks`); 0 for one whose records count by
    /// their timestamps.
    pub upstream_tasks: &'a dyn Fn(&str) -> i32,
    /// Caching, emission and error policy.
    pub config: ProcessingConfig,
}

/// The running graph of one task.
pub struct TaskGraph {
    task: TaskId,
    nodes: Vec<GraphNode>,
    /// Topic name (full) → node of the source reading it.
    sources: BTreeMap<TopicName, usize>,
    clock: TaskClock,
    /// Stream time when the open transaction began.
    committed_time: Timestamp,
    counters: TaskCounters,
    queue: ForwardQueue,
    dead_letters: Option<OutputIndex>,
    /// Where it is written that time went on while input was idle.
    time_topic: Option<OutputIndex>,
    /// Stream time last told to each (repartition topic, partition); forgotten on abort, then told again.
    announced: BTreeMap<(usize, usize), Timestamp>,
    writes_repartition: bool,
    wall_clock: WallClockTimers,
    track: TimeTrack,
    record_at_a_time: bool,
    /// Nodes that want to know when a batch is complete, parents before children.
    batch_enders: Vec<usize>,
}

struct GraphNode {
    name: String,
    processor: Option<Box<dyn Processor>>,
    /// Set for sources reading a repartition topic that tells the time of upstream tasks.
    repartition: Option<String>,
    in_step: bool,
    stage: ErrorStage,
    on_error: ErrorPolicy,
}

/// See [`TaskGraph::time_to_tell`].
type TimeToTell<'a> = ((i32, Timestamp), &'a mut BTreeMap<(usize, usize), Timestamp>);

/// Context of one call, without the parts that change from call to call.
struct Call<'a> {
    state: &'a mut TaskState,
    outputs: &'a mut Outputs,
    origin: Option<&'a RawBatch>,
    now_ms: Timestamp,
    time: Timestamp,
}

impl TaskGraph {
    /// Makes the processors and lets them look up stores and outputs.
    ///
    /// `store_names`: the stores of the task in the order of their `StoreIndex`es, which is `SubTopology::stores()`.
    /// # Errors
    /// When a processor's `init` fails.
    pub fn new(
        topology: &SubTopology,
        options: &TaskGraphOptions<'_>,
        state: &mut TaskState,
        outputs: &mut Outputs,
    ) -> Result<TaskGraph, ProcessError> {
        let app = options.application_id;
        let resolve = |topic: &str| {
            let topic = topology.output_topic(topic)?;
            let name = topic.resolve(app);
            let partitions = (options.partitions)(&name).unwrap_or(1);
            let tells_time =
                matches!(topic, TopicRef::Repartition(name) if (options.upstream_tasks)(name) > 0);
            Some((name, partitions, tells_time))
        };
        let mut nodes = Vec::new();
        let mut sources = BTreeMap::new();
        let mut upstreams = Vec::new();
        let mut writes_repartition = false;
        let mut wall_clock = WallClockTimers::default();
        let mut batch_enders = Vec::new();
        for (index, node) in topology.nodes().iter().enumerate() {
            let mut repartition = None;
            let mut processor = match &node.kind {
                NodeKind::Source { topics, decoder } => {
                    for topic in topics {
                        sources.insert(topic.resolve(app), index);
                        if let TopicRef::Repartition(name) = topic {
                            let tasks = (options.upstream_tasks)(name);
                            if tasks > 0 {
                                upstreams.push((name.clone(), tasks));
                                repartition = Some(name.clone());
                            }
                        }
                    }
                    decoder.as_ref().map(|make| make())
                }
                NodeKind::Processor { supplier } => Some(supplier()),
                NodeKind::Sink { topic, encoder, .. } => {
                    writes_repartition |= matches!(topic, TopicRef::Repartition(_));
                    let copy = || Box::new(CopySink::new(topic.name())) as Box<dyn Processor>;
                    Some(encoder.as_ref().map_or_else(copy, |make| make()))
                }
            };
            if let Some(processor) = processor.as_mut() {
                let stores: Vec<(String, StoreIndex)> = node
                    .stores
                    .iter()
                    .filter_map(|name| Some((name.clone(), topology.store_index(name)?)))
                    .collect();
                let children: Vec<&str> = node
                    .children
                    .iter()
                    .map(|child| topology.nodes()[*child].name.as_str())
                    .collect();
                processor.init(&mut InitContext {
                    node: &node.name,
                    task: options.task,
                    application_id: app,
                    stores: &stores,
                    outputs,
                    resolve_output: &resolve,
                    config: &options.config,
                    state,
                    children: &children,
                })?;
                if let Some(interval) = processor.wall_clock_interval() {
                    wall_clock.add(index, interval);
                }
                if processor.wants_batch_end() {
                    batch_enders.push(index);
                }
            }
            let stage = match node.kind {
                NodeKind::Source { .. } => ErrorStage::Deserialization,
                NodeKind::Processor { .. } => ErrorStage::Processing,
                NodeKind::Sink { .. } => ErrorStage::Production,
            };
            let on_error = node.on_error.as_ref().unwrap_or(options.config.policy(stage));
            nodes.push(GraphNode {
                name: node.name.clone(),
                processor,
                repartition,
                in_step: node.in_step,
                stage,
                on_error: on_error.clone(),
            });
        }
        let dead_letters = options.config.dead_letters.then(|| {
            let name = TopicRef::DeadLetters.resolve(app);
            let partitions = (options.partitions)(&name).unwrap_or(1);
            outputs.add_topic(name, partitions, false)
        });
        let time_topic = topology.idle_advance().map(|idle| {
            let name = idle.topic.resolve(app);
            let partitions = (options.partitions)(&name).unwrap_or(1);
            outputs.add_topic(name, partitions, false)
        });
        let children = topology
            .nodes()
            .iter()
            .map(|node| node.children.clone())
            .collect();
        Ok(TaskGraph {
            task: options.task,
            nodes,
            sources,
            clock: TaskClock::new(upstreams),
            committed_time: NO_TIME,
            counters: TaskCounters::default(),
            queue: ForwardQueue::new(children),
            dead_letters,
            time_topic,
            announced: BTreeMap::new(),
            writes_repartition,
            wall_clock,
            track: TimeTrack::default(),
            record_at_a_time: topology.is_record_at_a_time(),
            batch_enders,
        })
    }

    /// Full names of the topics this task reads.
    pub fn source_topics(&self) -> impl Iterator<Item = &TopicName> {
        self.sources.keys()
    }

    /// What was counted so far.
    pub fn counters(&self) -> TaskCounters {
        self.counters
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
        let before = self.clock.time();
        self.track.start(before);
        let raw = match self.nodes[source].repartition.clone() {
            Some(name) => self.mark_times(&name, raw)?,
            None => raw,
        };
        // Here, and not in decoders: every source counts alike, whoever made it and whatever shape its batches have.
        self.counters.read += raw.record_count()? as u64;
        let mut call = Call {
            state,
            outputs,
            origin: Some(&raw),
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

    /// Stream time goes on to `mark.time` without a record. A mark that is `new` is written to the time topic; one that was read there is not.
    /// # Errors
    /// As `process`.
    pub fn advance_idle(
        &mut self,
        mark: &TimeMark,
        new: bool,
        now_ms: Timestamp,
        state: &mut TaskState,
        outputs: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let before = self.clock.time();
        self.track.start(before);
        self.clock.advance_idle(mark.number, mark.time);
        if let Some(topic) = self.time_topic.filter(|_| new) {
            outputs.send(&SinkRecord {
                topic,
                partition: Some(self.task.partition),
                key: None,
                value: Some(&mark.encode()),
                timestamp: now_ms,
                headers: &Headers::NONE,
            });
        }
        let mut call = Call {
            state,
            outputs,
            origin: None,
            now_ms,
            time: self.clock.time(),
        };
        let advanced = call.time > before;
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
            now_ms,
            time: self.clock.time(),
        };
        self.visit_all(&mut call, |processor, context| processor.on_commit(context))?;
        self.mark_outputs(outputs);
        if let Some((mark, announced)) = self.time_to_tell() {
            outputs.add_time_records(mark, mark.1.max(0), |topic, partition| {
                announced.insert((topic, partition), mark.1) != Some(mark.1)
            });
        }
        self.committed_time = self.clock.time();
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
        self.announced.clear();
        self.wall_clock.repeat();
    }

    /// Lets records to repartition topics carry the time.
    fn mark_outputs(&mut self, outputs: &mut Outputs) {
        if let Some((mark, announced)) = self.time_to_tell() {
            outputs.mark_time(mark, |topic, partition| {
                announced.insert((topic, partition), mark.1);
            });
        }
    }

    /// What downstream tasks are told, (this task, its stream time), and what each was told last. `None` when there are none, or nothing is
    /// known yet.
    fn time_to_tell(&mut self) -> Option<TimeToTell<'_>> {
        let time = self.clock.time();
        // A task that is idle and never had a record says so, lest everybody downstream waits for its time.
        let tells = self.writes_repartition && (time != NO_TIME || self.clock.idle_advances() > 0);
        tells.then(|| ((self.task.partition.get(), time), &mut self.announced))
    }

    /// Reads the times upstream tasks told in this batch. A mark at offset o holds for the records after the one that carried it.
    fn mark_times(&mut self, source: &str, raw: RawBatch) -> Result<RawBatch, ProcessError> {
        let mut marks = vec![(raw.from(), self.clock.time())];
        for item in raw.records() {
            let record = item?.record;
            if let Some((upstream, time)) = time_header::of_record(&record) {
                let before = self.clock.time();
                let after = self.clock.observe_upstream(source, upstream, time);
                if after > before {
                    marks.push((record.offset.next(), after));
                    self.track.push(record.offset, after);
                }
            }
        }
        Ok(raw.with_time_marks(marks))
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
    fn tell_time(&mut self, advanced: bool, call: &mut Call<'_>) -> Result<(), ProcessError> {
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
                now_ms: call.now_ms,
                time: call.time,
                track: &mut self.track,
                record_at_a_time: self.record_at_a_time,
            };
            act(processor.as_mut(), &mut context)?;
            call.time = context.time;
        }
        self.drain(call)
    }
}
