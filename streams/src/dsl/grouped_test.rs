//! Cases of Kafka Streams' `KGroupedStreamImplTest`, `KStreamReduceTest` and `KTableFilterTest` that apply here.

use super::{Grouped, Materialized, StreamsBuilder};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

fn start(builder: &StreamsBuilder, options: DriverOptions) -> TopologyTestDriver {
    TopologyTestDriver::with_options(&builder.build().expect("a sound topology"), options).expect("it runs")
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn count_leaves_null_keys_and_values_out() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, Option<String>>("in")
        .group_by_key()
        .count("counts")
        .to_stream()
        .to("out");
    let mut driver = start(&builder, DriverOptions::default());
    let input = driver.input::<Option<String>, Option<String>>("in");
    for (key, value) in [
        (Some("a"), Some("1")),
        (None, Some("2")),
        (Some("a"), None),
        (Some("a"), Some("3")),
    ] {
        driver
            .pipe(&input, key.map(text), value.map(text), 0)
            .expect("goes through");
    }
    let output = driver.output::<String, u64>("out");
    assert_eq!(
        driver.read_pairs(&output).expect("out"),
        [(text("a"), 1), (text("a"), 2)]
    );
    assert_eq!(driver.counters().skipped, 2);
}

#[test]
fn aggregating_units_is_refused_because_they_are_null() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, ()>("in").group_by_key().count("counts");
    let refused = builder.build().expect_err("nothing would be counted").to_string();
    assert!(
        refused.contains("counts") && refused.contains("map_values(|()| 1_u8)"),
        "{refused}"
    );
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("in", "table");
    table.group_by(|_, value| (value, ())).count("counts");
    let refused = builder.build().expect_err("nothing would be counted").to_string();
    assert!(refused.contains("values of type () are null"), "{refused}");
}

#[test]
fn reduce_starts_with_the_first_value_and_none_deletes() {
    let builder = StreamsBuilder::new();
    let sums = builder.stream::<String, i64>("in").group_by_key();
    sums.reduce("sums", |sum, value| (sum + value != 0).then_some(sum + value))
        .to_stream()
        .to("out");
    let mut driver = start(&builder, DriverOptions::default());
    let input = driver.input::<String, i64>("in");
    for (value, timestamp) in [(5, 10), (2, 7), (-7, 3), (1, 1)] {
        driver
            .pipe(&input, text("k"), value, timestamp)
            .expect("goes through");
    }
    let output = driver.output::<String, Option<i64>>("out");
    let found: Vec<_> = driver
        .read(&output)
        .expect("out")
        .into_iter()
        .map(|record| (record.value, record.timestamp))
        .collect();
    assert_eq!(found, [(Some(5), 10), (Some(7), 10), (None, 10), (Some(1), 1)]);
    assert_eq!(
        driver.value::<String, i64>("sums", &text("k")).expect("store"),
        Some(1)
    );
}

#[test]
fn a_refused_record_leaves_the_aggregate_as_it_was() {
    let builder = StreamsBuilder::new();
    let sums = builder.stream::<String, i64>("in").group_by_key().try_aggregate(
        "sums",
        || 0_i64,
        |_, value, sum| {
            if *value < 0 {
                Err("negative")
            } else {
                Ok(sum + value)
            }
        },
    );
    sums.to_stream().to("out");
    let mut driver = start(&builder, DriverOptions::default());
    let input = driver.input::<String, i64>("in");
    driver.pipe(&input, text("new"), -1, 0).expect("goes through");
    for value in [3, -1, 4] {
        driver.pipe(&input, text("k"), value, 0).expect("goes through");
    }
    let output = driver.output::<String, i64>("out");
    assert_eq!(
        driver.read_pairs(&output).expect("out"),
        [(text("k"), 3), (text("k"), 7)]
    );
    assert_eq!(driver.dead_letters().len(), 2);
}

#[test]
fn a_changed_key_goes_through_a_repartition_topic_named_after_the_aggregate() {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, String>("in");
    stream
        .group_by(|_, value| value.clone())
        .count("by-value")
        .to_stream()
        .to("out");
    stream.group_by_key().count("by-key");
    let options = DriverOptions {
        partitions: [(text("in"), 3)].into(),
        ..DriverOptions::default()
    };
    let mut driver = start(&builder, options);
    let input = driver.input::<String, String>("in");
    let records = (0..30).map(|n| TestRecord::new(format!("k{n}"), format!("v{}", n % 3), n));
    driver.pipe_all(&input, records).expect("goes through");
    let counts = driver.entries::<String, u64>("by-value").expect("store");
    assert_eq!(counts, [(text("v0"), 10), (text("v1"), 10), (text("v2"), 10)]);
    assert_eq!(driver.entries::<String, u64>("by-key").expect("store").len(), 30);
    let topics: Vec<String> = driver
        .plan()
        .internal_topics
        .iter()
        .map(|t| format!("{} {}", t.name, t.partitions))
        .collect();
    assert_eq!(
        topics,
        [
            "test-by-value-repartition 3",
            "test-by-key-changelog 3",
            "test-by-value-changelog 3",
            "test-dead-letters 1"
        ]
    );
}

#[test]
fn null_keys_do_not_travel_through_a_grouping() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, i64>("in")
        .group_by(|_, value| (*value > 0).then_some(*value))
        .count("counts");
    let mut driver = start(&builder, DriverOptions::default());
    let input = driver.input::<String, i64>("in");
    for value in [1, -1, 1] {
        driver.pipe(&input, text("k"), value, 0).expect("goes through");
    }
    assert_eq!(driver.counters().skipped, 1);
    assert_eq!(driver.entries::<i64, u64>("counts").expect("store"), [(1, 2)]);
}

#[test]
fn a_repartition_topic_can_have_its_own_partition_count() {
    let builder = StreamsBuilder::new();
    let grouped = Grouped::<String, i64>::default().partitions(5);
    builder
        .stream::<String, i64>("in")
        .group_by_with(|key, _| key.clone(), grouped)
        .count("counts");
    let driver = start(&builder, DriverOptions::default());
    assert_eq!(driver.plan().task_counts, [1, 5]);
}

#[test]
fn updates_are_coalesced_per_commit_unless_every_one_is_asked_for() {
    let outputs = |stored: Materialized<u64>| {
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, i64>("in")
            .group_by_key()
            .count_with("counts", stored)
            .to_stream()
            .to("out");
        let mut driver = start(&builder, DriverOptions::default());
        let input = driver.input::<String, i64>("in");
        let records = ["a", "b", "a", "a"].map(|key| TestRecord::new(text(key), 1, 0));
        driver.pipe_all(&input, records).expect("goes through");
        let output = driver.output::<String, u64>("out");
        driver.read_pairs(&output).expect("out")
    };
    assert_eq!(outputs(Materialized::default()), [(text("a"), 3), (text("b"), 1)]);
    assert_eq!(
        outputs(Materialized::default().emit_every_update(true)),
        [(text("a"), 1), (text("b"), 1), (text("a"), 2), (text("a"), 3)]
    );
}

#[test]
fn an_abort_takes_aggregates_outputs_and_input_back() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, i64>("in")
        .group_by_key()
        .count("counts")
        .to_stream()
        .to("out");
    let mut driver = start(
        &builder,
        DriverOptions {
            auto_commit: false,
            ..DriverOptions::default()
        },
    );
    let (input, output) = (
        driver.input::<String, i64>("in"),
        driver.output::<String, u64>("out"),
    );
    driver.pipe(&input, text("a"), 1, 10).expect("goes through");
    driver.commit().expect("commits");
    driver.pipe(&input, text("a"), 1, 20).expect("goes through");
    driver.pipe(&input, text("a"), 1, 30).expect("goes through");
    assert_eq!(
        driver.read_values(&output).expect("out"),
        [1],
        "nothing is visible before its commit"
    );
    driver.abort().expect("aborts");
    assert_eq!(
        driver.value::<String, u64>("counts", &text("a")).expect("store"),
        Some(1)
    );
    driver.commit().expect("reads the input again and commits");
    assert_eq!(driver.read_values(&output).expect("out"), [3]);
    assert_eq!(
        driver.value::<String, u64>("counts", &text("a")).expect("store"),
        Some(3)
    );
}

#[test]
fn a_filtered_table_sends_tombstones_for_what_it_drops() {
    let builder = StreamsBuilder::new();
    let counts = builder
        .stream::<String, i64>("in")
        .group_by_key()
        .reduce("latest", |_, value| *value);
    counts
        .filter(|_, value| value % 2 == 0)
        .map_values(|value| value * 10)
        .to_stream()
        .to("even");
    counts.filter_not(|_, value| value % 2 == 0).updates().to("odd");
    let mut driver = start(&builder, DriverOptions::default());
    let input = driver.input::<String, i64>("in");
    for value in [2, 3, 4] {
        driver.pipe(&input, text("k"), value, 0).expect("goes through");
    }
    let even = driver.output::<String, Option<i64>>("even");
    assert_eq!(
        driver.read_values(&even).expect("out"),
        [Some(20), None, Some(40)]
    );
    let odd = driver.output::<String, i64>("odd");
    assert_eq!(driver.read_values(&odd).expect("out"), [3]);
}

#[test]
fn a_table_keeps_the_latest_value_and_forgets_deleted_keys() {
    let builder = StreamsBuilder::new();
    builder.table::<String, i64>("in", "latest").to_stream().to("out");
    let mut driver = start(&builder, DriverOptions::default());
    let input = driver.input::<String, Option<i64>>("in");
    for (key, value) in [("a", Some(1)), ("b", Some(2)), ("a", Some(3)), ("b", None)] {
        driver.pipe(&input, text(key), value, 0).expect("goes through");
    }
    assert_eq!(
        driver.entries::<String, i64>("latest").expect("store"),
        [(text("a"), 3)]
    );
    let output = driver.output::<String, Option<i64>>("out");
    assert_eq!(
        driver.read_values(&output).expect("out"),
        [Some(1), Some(2), Some(3), None]
    );
}
