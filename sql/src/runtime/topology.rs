//! The graph of a view's job.
//!
//! Without GROUP BY: topic → decode and compute → view's topic. With GROUP BY: topic → decode and compute → local aggregation →
//! repartition topic → final aggregation with its store → view's topic.

use std::sync::Arc;
use std::time::Duration;

use millpond_streams::processor::{Processor, ProcessorSupplier};
use millpond_streams::topology::{
    RepartitionOptions, SinkOptions, SourceOptions, StoreSpec, Topology, TopologyBuilder,
};

use super::{GROUPS_STORE, ViewPlan};
use crate::catalog::MaterializedViewDefinition;
use crate::error::{Result, SqlError};
use crate::format::RowDecoder;
use crate::physical::{
    ExchangeSink, FinalAggregate, GroupLayout, GroupResults, LocalAggregate, PreAggregation, TopicSink,
    TopicSource,
};

/// Name of the repartition in every view's topology.
const REPARTITION: &str = "groups";

/// Name of the topic where a view's job writes that time went on while its input was idle.
const IDLE: &str = "idle";

/// The topics of the job that nobody but it has a use for. By their full names: a topic of somebody else may begin like them.
pub fn internal_topics(definition: &MaterializedViewDefinition) -> [String; 4] {
    let application = definition.application_id();
    [
        format!("{application}-{REPARTITION}-repartition"),
        format!("{application}-{GROUPS_STORE}-changelog"),
        format!("{application}-dead-letters"),
        format!("{application}-{IDLE}-time"),
    ]
}

/// Builds the graph.
pub fn view_topology(view: &ViewPlan) -> Result<Topology> {
    let plan = &view.plan;
    let topic = view.definition.topic.clone();
    let mut builder = TopologyBuilder::new();
    let source = builder.add_source(
        &plan.source.name,
        &[plan.source.topic.as_str()],
        SourceOptions::default(),
    );
    if let Some(timeout_ms) = view.definition.idle_timeout_ms {
        let timeout = Duration::from_millis(timeout_ms.unsigned_abs().into());
        builder.idle_advance(source, timeout, Some(IDLE));
    }
    let pre = plan.aggregate.as_ref().map(PreAggregation::new);
    let mut steps = plan.steps.clone();
    steps.extend(pre.iter().map(|pre| pre.step.clone()));
    // Suppliers cannot fail, so what can is tried once here; the tasks then make the same again.
    RowDecoder::new(&plan.source, Some(&plan.projection))?;
    let (table, projection, event_time) = (
        plan.source.clone(),
        plan.projection.clone(),
        plan.event_time.clone(),
    );
    let keep_timestamps = plan.is_append_only();
    let decode = builder.add_processor(
        "rows",
        supplier(move || {
            let decoder = RowDecoder::new(&table, Some(&projection))?;
            Ok(TopicSource::new(
                decoder,
                event_time.clone(),
                steps.clone(),
                keep_timestamps,
            ))
        }),
        &[source],
        &[],
    );
    let results = match (&plan.aggregate, pre) {
        (Some(aggregate), Some(pre)) => {
            GroupLayout::new(aggregate)?.accumulators()?;
            let partitions = view.definition.partitions;
            let (local_plan, final_plan) = (aggregate.clone(), aggregate.clone());
            let local = builder.add_processor(
                "local-aggregate",
                supplier(move || {
                    LocalAggregate::new(
                        GroupLayout::new(&local_plan)?,
                        pre.clone(),
                        partitions.unsigned_abs(),
                    )
                }),
                &[decode],
                &[],
            );
            let exchange = RepartitionOptions {
                partitions: Some(partitions),
                encoder: Some(supplier(|| {
                    Ok(ExchangeSink::new(format!("{REPARTITION}-repartition")))
                })),
                decoder: None,
            };
            let groups = builder.add_repartition(REPARTITION, exchange, &[local]);
            let layout = GroupLayout::new(aggregate)?.state_layout()?;
            builder.add_store(StoreSpec::key_value(GROUPS_STORE).with_schema(layout.to_string()));
            let (steps, mode) = (plan.result_steps.clone(), view.mode);
            builder.add_processor(
                "final-aggregate",
                supplier(move || {
                    let results = GroupResults::new(&final_plan, steps.clone());
                    FinalAggregate::new(
                        GroupLayout::new(&final_plan)?,
                        results,
                        mode,
                        GROUPS_STORE.to_owned(),
                    )
                }),
                &[groups],
                &[GROUPS_STORE],
            )
        }
        _ => decode,
    };
    let sink_topic = topic.clone();
    let encoder = supplier(move || Ok(TopicSink::new(sink_topic.clone())));
    builder.add_sink(
        "results",
        &topic,
        SinkOptions {
            encoder: Some(encoder),
        },
        &[results],
    );
    builder
        .build()
        .map_err(|e| SqlError::runtime(format!("building the job of view {}", view.definition.name), e))
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
