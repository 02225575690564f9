//! Shapes of topologies: what is cut where, how it prints, what is refused.

use std::sync::Arc;
use std::time::Duration;

use super::{Plan, SinkOptions, SourceOptions, StoreSpec, TopologyBuilder, TopologyError};
use crate::dsl::{StreamsBuilder, TimeWindows};
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

/// The word count of Kafka Streams' documentation prints like this, but for the names that are the user's here.
#[test]
fn word_count_describes_itself_as_in_kafka_streams() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("streams-plaintext-input")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("counts-store")
        .to_stream()
        .to("streams-wordcount-output");
    let expected = "\
Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [streams-plaintext-input])
      --> KSTREAM-FLATMAPVALUES-0000000001
    Processor: KSTREAM-FLATMAPVALUES-0000000001 (stores: [])
      --> KSTREAM-KEY-SELECT-0000000002
      <-- KSTREAM-SOURCE-0000000000
    Processor: KSTREAM-KEY-SELECT-0000000002 (stores: [])
      --> counts-store-repartition-sink
      <-- KSTREAM-FLATMAPVALUES-0000000001
    Sink: counts-store-repartition-sink (topic: counts-store-repartition)
      <-- KSTREAM-KEY-SELECT-0000000002

  Sub-topology: 1
    Source: counts-store-repartition-source (topics: [counts-store-repartition])
      --> counts-store
    Processor: counts-store (stores: [counts-store])
      --> KTABLE-TOSTREAM-0000000003
      <-- counts-store-repartition-source
    Processor: KTABLE-TOSTREAM-0000000003 (stores: [])
      --> KSTREAM-SINK-0000000004
      <-- counts-store
    Sink: KSTREAM-SINK-0000000004 (topic: streams-wordcount-output)
      <-- KTABLE-TOSTREAM-0000000003

";
    assert_eq!(builder.build().expect("sound").describe(), expected);
}

#[test]
fn split_and_merge_describe_all_their_edges() {
    let builder = StreamsBuilder::new();
    let split = builder.stream::<String, i64>("in").split("by-sign");
    let negative = split.branch("negative", |_, value| *value < 0);
    split.default_branch("rest").merge(&negative).for_each(|_, _| {});
    let expected = "\
Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [in])
      --> by-sign
    Processor: by-sign (stores: [])
      --> by-sign-negative, by-sign-rest
      <-- KSTREAM-SOURCE-0000000000
    Processor: by-sign-negative (stores: [])
      --> KSTREAM-MERGE-0000000001
      <-- by-sign
    Processor: by-sign-rest (stores: [])
      --> KSTREAM-MERGE-0000000001
      <-- by-sign
    Processor: KSTREAM-MERGE-0000000001 (stores: [])
      --> KSTREAM-FOREACH-0000000002
      <-- by-sign-negative, by-sign-rest
    Processor: KSTREAM-FOREACH-0000000002 (stores: [])
      --> none
      <-- KSTREAM-MERGE-0000000001

";
    assert_eq!(builder.build().expect("sound").describe(), expected);
}

#[test]
fn a_filter_more_renames_no_store_and_no_internal_topic() {
    let internal = |filtered: bool| {
        let builder = StreamsBuilder::new();
        let mut stream = builder.stream::<String, String>("in");
        if filtered {
            stream = stream.filter(|_, value| !value.is_empty());
        }
        let windows = TimeWindows::of(Duration::from_secs(1));
        stream
            .group_by(|_, value| value.clone())
            .windowed_by(windows)
            .count("per-second");
        let plan = Plan::new(&builder.build().expect("sound"), "app", &|_| Some(4)).expect("plan");
        plan.internal_topics
            .into_iter()
            .map(|topic| (topic.name.to_string(), topic.configs))
            .collect::<Vec<_>>()
    };
    assert_eq!(internal(false), internal(true));
    let names: Vec<String> = internal(false).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "app-per-second-repartition",
            "app-per-second-changelog",
            "app-dead-letters"
        ]
    );
    let (_, changelog) = &internal(false)[1];
    assert_eq!(changelog["cleanup.policy"], "compact,delete");
    assert_eq!(changelog["retention.ms"], (1_000 + 86_400_000).to_string());
    let (_, dead_letters) = &internal(false)[2];
    assert_eq!(
        dead_letters["max.message.bytes"],
        i32::MAX.to_string(),
        "a record as large as its topic allows fits with its reason"
    );
    assert_eq!(dead_letters["retention.ms"], "-1", "old records are not lost");
}

#[test]
fn sources_that_share_a_store_are_one_sub_topology_and_others_are_not() {
    let mut builder = TopologyBuilder::new();
    let sources = ["a", "b", "c"].map(|topic| builder.add_source(topic, &[topic], SourceOptions::default()));
    builder.add_store(StoreSpec::key_value("shared"));
    builder.add_processor("left", idle(), &[sources[0]], &["shared"]);
    builder.add_processor("right", idle(), &[sources[2]], &["shared"]);
    builder.add_sink("copy", "out", SinkOptions::default(), &[sources[1]]);
    let topology = builder.build().expect("sound");
    let names: Vec<Vec<&str>> = topology
        .sub_topologies()
        .iter()
        .map(|sub| sub.nodes().iter().map(|node| node.name.as_str()).collect())
        .collect();
    assert_eq!(names, [vec!["a", "c", "left", "right"], vec!["b", "copy"]]);
    let plan = Plan::new(&topology, "app", &|topic| {
        Some(if topic.as_str() == "b" { 7 } else { 2 })
    })
    .expect("plan");
    assert_eq!(plan.task_counts, [2, 7]);
    let error = Plan::new(&topology, "app", &|topic| {
        Some(if topic.as_str() == "a" { 3 } else { 2 })
    });
    assert_eq!(
        error.expect_err("not co-partitioned").to_string(),
        "store \"shared\" is fed by topics with different partition counts (a: 3, c: 2); \
         give them the same count or repartition() one of them"
    );
}

#[test]
fn repartition_topics_take_the_task_count_of_their_writers_through_several_hops() {
    let builder = StreamsBuilder::new();
    let first = builder.stream::<String, String>("in").repartition("one");
    first
        .select_key(|_, value| value.clone())
        .repartition("two")
        .to("out");
    let plan = Plan::new(&builder.build().expect("sound"), "app", &|_| Some(6)).expect("plan");
    assert_eq!(plan.task_counts, [6, 6, 6]);
    assert_eq!((plan.upstream_tasks("one"), plan.upstream_tasks("two")), (6, 6));
    assert_eq!(plan.tasks().count(), 18);
}

#[test]
fn mistakes_are_named() {
    let error = |build: &dyn Fn(&StreamsBuilder)| {
        let builder = StreamsBuilder::new();
        build(&builder);
        builder.build().expect_err("a mistake").to_string()
    };
    let counted_twice = error(&|builder| {
        let grouped = builder.stream::<String, String>("in").group_by_key();
        grouped.count("same");
        grouped.count("same");
    });
    assert_eq!(
        counted_twice,
        "store \"same\" exists twice; names identify state and topics, so each must be used once"
    );
    let read_twice = error(&|builder| {
        builder.stream::<String, String>("in").to("a");
        builder.stream::<String, String>("in").to("b");
    });
    assert!(
        read_twice.contains("\"in\" is read by both \"KSTREAM-SOURCE-0000000000\""),
        "{read_twice}"
    );
    let bad_name = error(&|builder| {
        builder
            .stream::<String, String>("in")
            .group_by_key()
            .count("two words");
    });
    assert!(
        bad_name.starts_with("store name \"two words\" is not allowed"),
        "{bad_name}"
    );
    let bad_topic = error(&|builder| builder.stream::<String, String>("in").to("a/b"));
    assert!(
        bad_topic.starts_with("topic name \"a/b\" is not allowed"),
        "{bad_topic}"
    );
    assert_eq!(error(&|_| {}), "the topology reads no topic");
}

#[test]
fn unknown_and_unused_stores_are_refused() {
    let mut builder = TopologyBuilder::new();
    let source = builder.add_source("source", &["in"], SourceOptions::default());
    builder.add_store(StoreSpec::key_value("known"));
    assert_eq!(
        builder.build().expect_err("unused"),
        TopologyError::UnusedStore {
            store: "known".to_owned()
        }
    );
    builder.add_processor("user", idle(), &[source], &["unknown"]);
    let error = builder.build().expect_err("unknown").to_string();
    assert_eq!(
        error,
        "node \"user\" uses store \"unknown\", which was never added; known stores: [\"known\"]"
    );
}

#[test]
fn a_missing_source_topic_is_named() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("missing").to("out");
    let error = Plan::new(&builder.build().expect("sound"), "app", &|_| None).expect_err("no such topic");
    assert_eq!(
        error.to_string(),
        "source topic \"missing\" of sub-topology 0 does not exist"
    );
}
