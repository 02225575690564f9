//! Co-partitioned topics get one count, or an error that says what to do.

use std::sync::Arc;

use super::super::{
    NodeId, Plan, RepartitionOptions, SourceOptions, StoreSpec, TopologyBuilder, TopologyError,
};
use crate::processor::{Batch, ProcessContext, ProcessError, Processor, ProcessorSupplier};

struct Idle;

impl Processor for Idle {
    fn process(&mut self, _: Batch, _: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        Ok(())
    }
}

fn idle() -> ProcessorSupplier {
    Arc::new(|| Box::new(Idle))
}

fn source(builder: &mut TopologyBuilder, topic: &str) -> NodeId {
    builder.add_source(&format!("source-{topic}"), &[topic], SourceOptions::default())
}

fn repartition(builder: &mut TopologyBuilder, name: &str, parent: NodeId, partitions: Option<i32>) -> NodeId {
    let options = RepartitionOptions {
        partitions,
        ..RepartitionOptions::default()
    };
    builder.add_repartition(name, options, &[parent])
}

/// Joins two nodes as a join does: a node on each side, one store each.
fn join(builder: &mut TopologyBuilder, left: NodeId, right: NodeId) {
    builder.copartition(&[left, right]);
    builder.add_store(StoreSpec::key_value("left-rows"));
    builder.add_store(StoreSpec::key_value("right-rows"));
    let stores = ["left-rows", "right-rows"];
    let left = builder.add_processor("left-join", idle(), &[left], &stores);
    let right = builder.add_processor("right-join", idle(), &[right], &stores);
    builder.add_processor("joined", idle(), &[left, right], &[]);
}

/// Topics are named by their partition counts: `p4` has four.
fn plan(builder: &TopologyBuilder) -> Result<Plan, TopologyError> {
    let count = |topic: &millpond_log::types::TopicName| topic.as_str().strip_prefix('p')?.parse().ok();
    Plan::new(&builder.build().expect("a sound topology"), "app", &count)
}

fn partitions(plan: &Plan, repartition: &str) -> i32 {
    let name = format!("app-{repartition}-repartition");
    let found = plan
        .internal_topics
        .iter()
        .find(|topic| topic.name.as_str() == name);
    found.expect("the topic is planned").partitions
}

#[test]
fn topics_that_are_joined_must_have_the_same_count() {
    let mut builder = TopologyBuilder::new();
    let (left, right) = (source(&mut builder, "p4"), source(&mut builder, "p3"));
    join(&mut builder, left, right);
    let error = plan(&builder).expect_err("not co-partitioned").to_string();
    assert_eq!(
        error,
        "topics that are joined or grouped together must have the same partition count, but have p3: 3, p4: 4; \
         create them with the same count, or send one of the streams through `repartition(name)` before"
    );
}

#[test]
fn a_repartition_topic_takes_the_count_of_the_topic_it_is_joined_with() {
    let mut builder = TopologyBuilder::new();
    let (left, right) = (source(&mut builder, "p4"), source(&mut builder, "p7"));
    let mapped = builder.add_processor("mapped", idle(), &[right], &[]);
    let right = repartition(&mut builder, "by-key", mapped, None);
    let filtered = builder.add_processor("filtered", idle(), &[left], &[]);
    join(&mut builder, filtered, right);
    let plan = plan(&builder).expect("a plan");
    assert_eq!(partitions(&plan, "by-key"), 4);
    assert_eq!(plan.task_counts, [4, 7]);
    assert_eq!(plan.upstream_tasks("by-key"), 7);
}

#[test]
fn repartition_topics_among_themselves_take_the_largest_count() {
    let mut builder = TopologyBuilder::new();
    let (left, right) = (source(&mut builder, "p2"), source(&mut builder, "p6"));
    let left = repartition(&mut builder, "left", left, None);
    let right = repartition(&mut builder, "right", right, None);
    join(&mut builder, left, right);
    let plan = plan(&builder).expect("a plan");
    assert_eq!((partitions(&plan, "left"), partitions(&plan, "right")), (6, 6));
}

#[test]
fn a_number_asked_for_binds_the_others() {
    let build = |left_asked, right_asked| {
        let mut builder = TopologyBuilder::new();
        let (left, right) = (source(&mut builder, "p2"), source(&mut builder, "p6"));
        let left = repartition(&mut builder, "left", left, left_asked);
        let right = repartition(&mut builder, "right", right, right_asked);
        join(&mut builder, left, right);
        plan(&builder)
    };
    let asked = build(Some(3), None).expect("a plan");
    assert_eq!((partitions(&asked, "left"), partitions(&asked, "right")), (3, 3));
    let error = build(Some(3), Some(5)).expect_err("two numbers").to_string();
    assert_eq!(
        error,
        "repartition topics that are joined or grouped together must have the same partition count, but were asked to have \
         left-repartition: 3, right-repartition: 5; ask for one number, or for none"
    );
}

#[test]
fn a_number_asked_for_must_be_that_of_the_topic_it_is_joined_with() {
    let mut builder = TopologyBuilder::new();
    let (left, right) = (source(&mut builder, "p4"), source(&mut builder, "p6"));
    let right = repartition(&mut builder, "by-key", right, Some(5));
    join(&mut builder, left, right);
    let error = plan(&builder).expect_err("5 is not 4").to_string();
    assert_eq!(
        error,
        "repartition topics must have the partition count of what they are joined or grouped with, p4: 4, but were asked to have \
         by-key-repartition: 5; ask for 4 partitions, or for no number"
    );
}

#[test]
fn groups_that_share_a_topic_are_one() {
    let mut builder = TopologyBuilder::new();
    let sources = ["p4", "p2", "p9"].map(|topic| source(&mut builder, topic));
    let first = repartition(&mut builder, "first", sources[1], None);
    let second = repartition(&mut builder, "second", sources[2], None);
    builder.copartition(&[first, second]);
    builder.copartition(&[sources[0], first]);
    let plan = plan(&builder).expect("a plan");
    assert_eq!((partitions(&plan, "first"), partitions(&plan, "second")), (4, 4));
}

#[test]
fn a_stream_joined_with_itself_repartitioned_has_the_count_of_its_topic() {
    let mut builder = TopologyBuilder::new();
    let left = source(&mut builder, "p5");
    let mapped = builder.add_processor("mapped", idle(), &[left], &[]);
    let right = repartition(&mut builder, "by-key", mapped, None);
    join(&mut builder, left, right);
    let plan = plan(&builder).expect("a plan");
    assert_eq!((partitions(&plan, "by-key"), plan.task_counts), (5, vec![5]));
}

/// Two topics of one sub-topology that need each other's counts: what is known decides, as in Kafka Streams.
#[test]
fn a_circle_of_repartition_topics_is_settled_by_what_is_known() {
    let mut builder = TopologyBuilder::new();
    let left = source(&mut builder, "p5");
    let first = repartition(&mut builder, "first", left, None);
    let second = repartition(&mut builder, "second", first, None);
    // One sub-topology reads both and the source of the first.
    builder.add_processor("all", idle(), &[left, first, second], &[]);
    let plan = plan(&builder).expect("a plan");
    assert_eq!((partitions(&plan, "first"), partitions(&plan, "second")), (5, 5));
    assert_eq!(plan.task_counts, [5]);
}
