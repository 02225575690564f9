//! Makes the running graph of a task: its processors, who reads which topic, and the topics that only the executor writes.
//!
//! Always true: nodes come in the order of the sub-topology, and `init` is called in that order, once. A node's policy for errors is its own, else the one
//! of its stage. Running the graph is `graph_executor.rs`.

use std::collections::BTreeMap;

use millpond_log::types::TopicName;

use super::copy_sink::CopySink;
use super::forward_queue::ForwardQueue;
use super::graph_executor::{GraphNode, TaskGraph};
use super::wall_clock::WallClockTimers;
use super::{
    InitContext, NO_TIME, OPERATOR_TIMES_MAX, Outputs, ProcessError, Processor, TaskClock, TaskCounters,
    TimeTrack,
};
use crate::config::{ErrorStage, ProcessingConfig};
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

impl TaskGraph {
    /// Makes the processors and lets them look up stores and outputs.
    ///
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
        let mut operators = Vec::new();
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
                    operators: &mut operators,
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
        if operators.len() > OPERATOR_TIMES_MAX {
            tracing::warn!(
                task = %options.task,
                operators = operators.len(),
                "the task has more than {OPERATOR_TIMES_MAX} operators with a time of their own; the others go by the task's stream time"
            );
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
            clock: TaskClock::new(upstreams).with_operators(&operators),
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
            commit_requested: false,
        })
    }
}
