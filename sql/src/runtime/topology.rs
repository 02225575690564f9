//! The graph of a view's job: the nodes of its plan, then what keeps and writes the result.
//!
//! Rows that are only added: nodes → view's topic. Groups over a stream: nodes → local aggregation → repartition topic → final aggregation with its
//! store → view's topic. Rows that change: nodes → result rows with their store → view's topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millpond_streams::processor::{Processor, ProcessorSupplier};
use millpond_streams::topology::{
    NodeId, RepartitionOptions, SinkOptions, SourceOptions, StoreSpec, Topology, TopologyBuilder,
};

use super::{GROUPS_STORE, ViewPlan, stores};
use crate::catalog::MaterializedViewDefinition;
use crate::error::{Result, SqlError};
use crate::format::RowDecoder;
use crate::logical::{GroupsResult, Operator, PlanNode, ResultPlan, RowsResult, SourcePlan, UpsertsPlan};
use crate::physical::{
    ExchangeSink, FinalAggregate, GroupChanges, GroupLayout, GroupResults, Join, LocalAggregate, Over,
    PreAggregation, ResultRows, RowLayout, RowSteps, ShuffleReader, ShuffleWriter, TopicSink, TopicSource,
    UpsertSource, group_changes_stores,
};

/// Name of the repartition in front of groups over a stream.
const REPARTITION: &str = "groups";

/// Name of the topic where a view's job writes that time went on while its input was idle.
const IDLE: &str = "idle";

/// The topics of the job that nobody but it has a use for. By their full names: a topic of somebody else may begin like them.
pub fn internal_topics(definition: &MaterializedViewDefinition) -> Vec<String> {
    let application = definition.application_id();
    let mut topics = vec![
        format!("{application}-{REPARTITION}-repartition"),
        format!("{application}-{GROUPS_STORE}-changelog"),
        format!("{application}-dead-letters"),
        format!("{application}-{IDLE}-time"),
    ];
    let shuffles = definition.shuffles.iter();
    topics.extend(shuffles.map(|name| format!("{application}-{name}-repartition")));
    let stores = definition.stores.iter();
    topics.extend(stores.map(|store| format!("{application}-{}-changelog", store.name)));
    topics
}

/// Builds the graph.
pub fn view_topology(view: &ViewPlan) -> Result<Topology> {
    let mut graph = Graph {
        view,
        builder: TopologyBuilder::new(),
        topics: BTreeMap::new(),
        made: Vec::new(),
    };
    let plan = &view.plan;
    for store in stores::of(plan)? {
        graph
            .builder
            .add_store(StoreSpec::key_value(&store.name).with_schema(&store.layout));
    }
    for (index, node) in plan.nodes.iter().enumerate() {
        let made = graph.node(index, node)?;
        graph.made.push(made);
    }
    let root = graph.made[plan.root].clone();
    let results = match &plan.result {
        ResultPlan::Appends { .. } => root,
        ResultPlan::Groups(groups) => vec![graph.groups(groups, &root)?],
        ResultPlan::Rows(rows) => vec![graph.rows(rows, &root)?],
    };
    let topic = view.definition.topic.clone();
    let sink_topic = topic.clone();
    let encoder = supplier(move || Ok(TopicSink::new(sink_topic.clone())));
    let options = SinkOptions {
        encoder: Some(encoder),
    };
    graph.builder.add_sink("results", &topic, options, &results);
    graph
        .builder
        .build()
        .map_err(|e| SqlError::runtime(format!("building the job of view {}", view.definition.name), e))
}

/// A topology while it grows.
struct Graph<'a> {
    view: &'a ViewPlan,
    builder: TopologyBuilder,
    /// The source of each topic: one that is read twice is fetched once.
    topics: BTreeMap<String, NodeId>,
    /// For each node of the plan the operators that give its rows.
    made: Vec<Vec<NodeId>>,
}

impl Graph<'_> {
    fn node(&mut self, index: usize, node: &PlanNode) -> Result<Vec<NodeId>> {
        let inputs: Vec<NodeId> = node
            .inputs
            .iter()
            .flat_map(|input| self.made[*input].clone())
            .collect();
        let name = |kind: &str| format!("{kind}-{index}");
        Ok(match &node.operator {
            Operator::Source(source) => vec![self.source(index, source)?],
            Operator::Upserts(upserts) => vec![self.upserts(&name("last-rows"), upserts)?],
            Operator::Union => inputs,
            Operator::Steps(steps) => {
                let steps = steps.clone();
                let make = supplier(move || Ok(RowSteps::new(steps.clone())));
                vec![self.builder.add_processor(&name("compute"), make, &inputs, &[])]
            }
            Operator::Shuffle {
                name: repartition,
                keys,
                port,
            } => {
                let (schema, keys, port) = (node.schema.clone(), keys.clone(), *port);
                let partitions = self.view.definition.partitions;
                ShuffleWriter::new(&schema, keys.clone(), partitions.unsigned_abs())?;
                let reader_schema = schema.clone();
                let writer =
                    supplier(move || ShuffleWriter::new(&schema, keys.clone(), partitions.unsigned_abs()));
                let writer = self.builder.add_processor(&name("spread"), writer, &inputs, &[]);
                let source = self.exchange(repartition, writer);
                let reader = supplier(move || Ok(ShuffleReader::new(reader_schema.clone(), port)));
                vec![
                    self.builder
                        .add_processor(&name("collect"), reader, &[source], &[]),
                ]
            }
            Operator::Join(join) => {
                Join::new(join.clone())?;
                let plan = join.clone();
                let make = supplier(move || Join::new(plan.clone()));
                let [left, right] = &join.stores;
                vec![
                    self.builder
                        .add_processor(&name("join"), make, &inputs, &[left, right]),
                ]
            }
            Operator::Over(over) => {
                Over::new(over.clone())?;
                let plan = over.clone();
                let make = supplier(move || Over::new(plan.clone()));
                vec![
                    self.builder
                        .add_processor(&name("over"), make, &inputs, &[&over.store]),
                ]
            }
            Operator::Groups(groups) => {
                GroupChanges::new(groups.clone())?;
                let plan = groups.clone();
                let make = supplier(move || GroupChanges::new(plan.clone()));
                let stores = group_changes_stores(groups)?;
                vec![
                    self.builder
                        .add_processor(&name("aggregate"), make, &inputs, &stores),
                ]
            }
        })
    }

    fn upserts(&mut self, name: &str, upserts: &UpsertsPlan) -> Result<NodeId> {
        let input = self.topic(&upserts.source);
        let UpsertsPlan { source, store } = upserts.clone();
        // Tried once here: suppliers cannot fail.
        RowDecoder::new(&source.table, Some(&source.projection))?;
        let made_store = store.clone();
        let make = supplier(move || {
            let decoder = RowDecoder::new(&source.table, Some(&source.projection))?;
            Ok(UpsertSource::new(decoder, made_store.clone()))
        });
        Ok(self.builder.add_processor(name, make, &[input], &[&store]))
    }

    /// The source of a plan's topic.
    fn topic(&mut self, source: &SourcePlan) -> NodeId {
        let topic = &source.table.topic;
        match self.topics.get(topic) {
            Some(input) => *input,
            None => {
                let input =
                    self.builder
                        .add_source(&source.table.name, &[topic.as_str()], SourceOptions::default());
                if let Some(timeout_ms) = self.view.definition.idle_timeout_ms {
                    let timeout = Duration::from_millis(timeout_ms.unsigned_abs().into());
                    self.builder.idle_advance(input, timeout, Some(IDLE));
                }
                self.topics.insert(topic.clone(), input);
                input
            }
        }
    }

    fn source(&mut self, index: usize, source: &SourcePlan) -> Result<NodeId> {
        let input = self.topic(source);
        let mut source = source.clone();
        if let ResultPlan::Groups(groups) = &self.view.plan.result {
            source.steps.push(PreAggregation::new(&groups.aggregate).step);
        }
        // Suppliers cannot fail, so what can is tried once here; the tasks then make the same again.
        RowDecoder::new(&source.table, Some(&source.projection))?;
        let keep_timestamps = self.view.plan.is_append_only() && self.view.plan.keeps_nothing();
        let name = if index == 0 {
            "rows".to_owned()
        } else {
            format!("rows-{index}")
        };
        let make = supplier(move || {
            let decoder = RowDecoder::new(&source.table, Some(&source.projection))?;
            Ok(TopicSource::new(
                decoder,
                source.event_time.clone(),
                source.steps.clone(),
                keep_timestamps,
            ))
        });
        Ok(self.builder.add_processor(&name, make, &[input], &[]))
    }

    /// A repartition topic of Arrow batches.
    fn exchange(&mut self, name: &str, input: NodeId) -> NodeId {
        let output = format!("{name}-repartition");
        let exchange = RepartitionOptions {
            partitions: Some(self.view.definition.partitions),
            encoder: Some(supplier(move || Ok(ExchangeSink::new(output.clone())))),
            decoder: None,
        };
        self.builder.add_repartition(name, exchange, &[input])
    }

    fn groups(&mut self, groups: &GroupsResult, root: &[NodeId]) -> Result<NodeId> {
        let pre = PreAggregation::new(&groups.aggregate);
        GroupLayout::new(&groups.aggregate)?.accumulators()?;
        let partitions = self.view.definition.partitions.unsigned_abs();
        let plan = groups.aggregate.clone();
        let local = supplier(move || LocalAggregate::new(GroupLayout::new(&plan)?, pre.clone(), partitions));
        let local = self.builder.add_processor("local-aggregate", local, root, &[]);
        let groups_source = self.exchange(REPARTITION, local);
        let (plan, steps, mode) = (groups.aggregate.clone(), groups.steps.clone(), self.view.mode);
        let make = supplier(move || {
            let results = GroupResults::new(&plan, steps.clone());
            FinalAggregate::new(GroupLayout::new(&plan)?, results, mode, GROUPS_STORE.to_owned())
        });
        Ok(self
            .builder
            .add_processor("final-aggregate", make, &[groups_source], &[GROUPS_STORE]))
    }

    fn rows(&mut self, rows: &RowsResult, root: &[NodeId]) -> Result<NodeId> {
        RowLayout::new(rows)?;
        let (plan, store) = (rows.clone(), rows.store.clone());
        let make = supplier(move || Ok(ResultRows::new(RowLayout::new(&plan)?, plan.store.clone())));
        Ok(self.builder.add_processor("result-rows", make, root, &[&store]))
    }
}

/// A supplier from a constructor that was seen to work.
fn supplier<P: Processor + 'static>(
    make: impl Fn() -> Result<P> + Send + Sync + 'static,
) -> ProcessorSupplier {
    Arc::new(move || match make() {
        Ok(processor) => Box::new(processor),
        Err(e) => Box::new(Unmakeable(e.message)),
    })
}

/// Stands in for an operator that could not be made, and fails its task with the reason.
struct Unmakeable(String);

impl Processor for Unmakeable {
    fn init(
        &mut self,
        context: &mut millpond_streams::processor::InitContext<'_>,
    ) -> std::result::Result<(), millpond_streams::processor::ProcessError> {
        Err(self.failure(context.node()))
    }

    fn process(
        &mut self,
        _batch: millpond_streams::processor::Batch,
        context: &mut millpond_streams::processor::ProcessContext<'_>,
    ) -> std::result::Result<(), millpond_streams::processor::ProcessError> {
        Err(self.failure(context.node()))
    }
}

impl Unmakeable {
    fn failure(&self, node: &str) -> millpond_streams::processor::ProcessError {
        millpond_streams::processor::ProcessError::node(node, SqlError::invalid(self.0.clone()))
    }
}
