//! Sinks that choose topics and partitions: cases of Kafka Streams' `ProcessorTopologyTest` (dynamic topics, multicast) and `SinkNodeTest`.

use super::{Grouped, Produced, StreamsBuilder};
use crate::processor::Headers;
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

fn driver(builder: &StreamsBuilder, partitions: &[(&str, i32)]) -> TopologyTestDriver {
    let options = DriverOptions {
        partitions: partitions
            .iter()
            .map(|(topic, count)| ((*topic).to_owned(), *count))
            .collect(),
        ..DriverOptions::default()
    };
    TopologyTestDriver::with_options(&builder.build().expect("sound"), options).expect("it runs")
}

/// Partition and value of what was written to "out".
fn written(driver: &mut TopologyTestDriver) -> Vec<(i32, i64)> {
    let output = driver.output::<String, i64>("out");
    let mut found: Vec<(i32, i64)> = driver
        .read(&output)
        .expect("readable")
        .into_iter()
        .map(|record| (record.partition.unwrap_or(-1), record.value))
        .collect();
    found.sort_unstable();
    found
}

fn feed(driver: &mut TopologyTestDriver, values: impl IntoIterator<Item = i64>) {
    let input = driver.input::<String, i64>("in");
    for value in values {
        driver
            .pipe(&input, "key".to_owned(), value, value)
            .expect("goes through");
    }
}

#[test]
fn an_extractor_chooses_by_key_value_time_headers_and_origin() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("in").to_extracted(
        &["by-header", "by-time", "by-origin"],
        |key, _, context| -> String {
            assert_eq!(key, "key");
            match (context.headers.get("to"), context.source) {
                (Some(topic), _) => String::from_utf8_lossy(topic).into_owned(),
                (None, _) if context.timestamp > 100 => "by-time".to_owned(),
                (None, Some(source)) if source.topic.as_str() == "in" && source.offset.get() == 2 => {
                    "by-origin".to_owned()
                }
                _ => "nowhere".to_owned(),
            }
        },
    );
    let mut driver = driver(&builder, &[]);
    let input = driver.input::<String, i64>("in");
    let sent = |value, time| TestRecord::new("key".to_owned(), value, time);
    let named = sent(1, 0).with_headers(Headers::NONE.with("to", "by-header"));
    driver
        .pipe_all(&input, [named, sent(2, 101), sent(3, 0), sent(4, 0)])
        .expect("goes through");
    for (topic, value) in [("by-header", 1), ("by-time", 2), ("by-origin", 3)] {
        let output = driver.output::<String, i64>(topic);
        assert_eq!(driver.read_values(&output).expect("readable"), [value], "{topic}");
    }
    let dead = driver.dead_letters();
    let reason = dead[0].headers.get("__streams.errors.message").expect("a reason");
    assert!(String::from_utf8_lossy(reason).contains("\"nowhere\" was not declared"));
    assert!(
        builder
            .build()
            .expect("sound")
            .describe()
            .contains("(one of topics: [by-header, by-time, by-origin])")
    );
}

#[test]
fn a_partitioner_names_the_partition_or_leaves_it_to_the_key() {
    let builder = StreamsBuilder::new();
    let produced =
        Produced::default().partitioner(|_: &String, value: &i64| (*value < 5).then_some(*value as i32));
    builder.stream::<String, i64>("in").to_with("out", produced);
    let mut driver = driver(&builder, &[("out", 3)]);
    let by_key = driver
        .partition_of("out", &"key".to_owned())
        .expect("a key")
        .get();
    feed(&mut driver, [0, 1, 2, 4, 7]);
    let mut expected = vec![(0, 0), (1, 1), (2, 2), (1, 4), (by_key, 7)];
    expected.sort_unstable();
    assert_eq!(written(&mut driver), expected);
}

#[test]
fn a_partitioner_may_send_a_record_to_several_partitions_or_to_none() {
    let builder = StreamsBuilder::new();
    let produced = Produced::default().partitions_by(|_: &String, value: &i64, count| match value {
        0 => Some(Vec::new()),
        1 => Some((0..count).collect()),
        2 => Some(vec![2, 0]),
        3 => Some(vec![3]),
        _ => None,
    });
    builder.stream::<String, i64>("in").to_with("out", produced);
    let mut driver = driver(&builder, &[("out", 3)]);
    let by_key = driver
        .partition_of("out", &"key".to_owned())
        .expect("a key")
        .get();
    feed(&mut driver, 0..5);
    let mut expected = vec![(0, 1), (1, 1), (2, 1), (0, 2), (2, 2), (by_key, 4)];
    expected.sort_unstable();
    assert_eq!(written(&mut driver), expected);
    assert_eq!(driver.dead_letters().len(), 1, "there is no partition 3");
}

#[test]
fn a_repartition_topic_has_the_partitions_asked_for_and_takes_a_partitioner() {
    let builder = StreamsBuilder::new();
    let grouped = Grouped::default()
        .partitions(4)
        .partitioner(|_: &String, value: &i64| Some(*value as i32));
    builder
        .stream::<String, i64>("in")
        .repartition_with("spread", grouped)
        .to_with("out", Produced::default().partitioner(|_: &String, _: &i64| None));
    let mut driver = driver(&builder, &[]);
    assert_eq!(driver.plan().task_counts, [1, 4]);
    feed(&mut driver, 0..6);
    // Among the records are some that only tell the time, with neither key nor value.
    let spread = driver.output::<Option<String>, Option<i64>>("test-spread-repartition");
    let mut found: Vec<(i32, i64)> = driver
        .read(&spread)
        .expect("readable")
        .into_iter()
        .filter_map(|record| Some((record.partition?, record.value?)))
        .collect();
    found.sort_unstable();
    assert_eq!(found, [(0, 0), (0, 4), (1, 1), (1, 5), (2, 2), (3, 3)]);
}

#[test]
fn a_sink_that_chooses_among_no_topics_is_refused() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, i64>("in")
        .to_extracted(&[], |_, _, _| "out");
    assert!(builder.build().is_err());
}
