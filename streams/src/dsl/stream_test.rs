//! Cases of Kafka Streams' `KStreamImplTest` and the tests of its stateless processors that apply here.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Consumed, Produced, StreamsBuilder, TimestampExtractor};
use crate::config::ErrorPolicy;
use crate::processor::Headers;
use crate::testing::{DriverError, DriverOptions, TestRecord, TopologyTestDriver};
use crate::topology::TopologyError;

fn start(builder: &StreamsBuilder) -> TopologyTestDriver {
    TopologyTestDriver::new(&builder.build().expect("a sound topology")).expect("it runs")
}

fn numbers(driver: &mut TopologyTestDriver, values: &[i64]) {
    let input = driver.input::<String, i64>("in");
    let records = values
        .iter()
        .map(|value| TestRecord::new(format!("k{value}"), *value, *value));
    driver.pipe_all(&input, records).expect("records go through");
}

fn values(driver: &mut TopologyTestDriver, topic: &str) -> Vec<i64> {
    let output = driver.output::<String, i64>(topic);
    driver.read_values(&output).expect("numbers come out")
}

#[test]
fn stateless_operators_keep_order_timestamp_and_headers() {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, i64>("in");
    stream
        .filter(|_, value| value % 2 == 1)
        .filter_not(|key, _| key == "k3")
        .map(|key, value| (format!("{key}!"), value * 10))
        .map_values(|value| value + 1)
        .map_values_with_key(|key, value| value + key.len() as i64)
        .select_key(|key, value| format!("{key}{value}"))
        .to("out");
    let mut driver = start(&builder);
    let input = driver.input::<String, i64>("in");
    let headers = Headers::NONE.with("trace", "42");
    for value in 1..=5 {
        let record = TestRecord::new(format!("k{value}"), value, 100 - value).with_headers(headers.clone());
        driver.pipe_all(&input, [record]).expect("goes through");
    }
    let output = driver.output::<String, i64>("out");
    let found = driver.read(&output).expect("comes out");
    let brief: Vec<_> = found
        .iter()
        .map(|record| (record.key.as_str(), record.value, record.timestamp))
        .collect();
    assert_eq!(brief, [("k1!14", 14, 99), ("k5!54", 54, 95)]);
    assert!(found.iter().all(|record| record.headers == headers));
}

#[test]
fn flat_map_gives_any_number_of_records_in_order() {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, i64>("in");
    stream
        .flat_map(|key, value| (0..value).map(move |n| (key.clone(), n)).collect::<Vec<_>>())
        .to("pairs");
    stream.flat_map_values(|value| [value, -value]).to("values");
    stream
        .try_flat_map(|key, value| {
            if value == 2 {
                Err("two")
            } else {
                Ok(Some((key, value)))
            }
        })
        .to("tried");
    let mut driver = start(&builder);
    numbers(&mut driver, &[0, 2, 3]);
    assert_eq!(values(&mut driver, "pairs"), [0, 1, 0, 1, 2]);
    assert_eq!(values(&mut driver, "values"), [0, 0, 2, -2, 3, -3]);
    assert_eq!(values(&mut driver, "tried"), [0, 3]);
}

#[test]
fn branches_are_tried_in_order_and_unclaimed_records_are_dropped() {
    let builder = StreamsBuilder::new();
    let split = builder.stream::<String, i64>("in").split("by-size");
    split.branch("small", |_, value| *value < 3).to("small");
    split.branch("even", |_, value| value % 2 == 0).to("even");
    let with_default = builder.stream::<String, i64>("in2").split("other");
    with_default.branch("small", |_, value| *value < 3).to("small2");
    with_default.default_branch("rest").to("rest");
    let mut driver = start(&builder);
    numbers(&mut driver, &[1, 2, 3, 4, 5, 6]);
    assert_eq!(values(&mut driver, "small"), [1, 2]);
    assert_eq!(values(&mut driver, "even"), [4, 6]);
    let input = driver.input::<String, i64>("in2");
    driver
        .pipe_all(&input, [1, 7].map(|n| TestRecord::new(String::new(), n, 0)))
        .expect("goes through");
    assert_eq!(values(&mut driver, "small2"), [1]);
    assert_eq!(values(&mut driver, "rest"), [7]);
}

#[test]
fn merge_keeps_the_order_within_each_stream() {
    let builder = StreamsBuilder::new();
    let left = builder.stream::<String, i64>("in");
    let right = builder.stream::<String, i64>("in2").map_values(|value| -value);
    left.merge(&right).to("out");
    let mut driver = start(&builder);
    numbers(&mut driver, &[1, 2]);
    let input = driver.input::<String, i64>("in2");
    driver
        .pipe_all(&input, [7, 8].map(|n| TestRecord::new(String::new(), n, 0)))
        .expect("goes through");
    numbers(&mut driver, &[3]);
    assert_eq!(values(&mut driver, "out"), [1, 2, -7, -8, 3]);
}

#[test]
fn merging_streams_of_different_builders_is_refused() {
    let (one, other) = (StreamsBuilder::new(), StreamsBuilder::new());
    one.stream::<String, i64>("in")
        .merge(&other.stream::<String, i64>("in2"))
        .to("out");
    assert!(matches!(one.build(), Err(TopologyError::InvalidOperator { .. })));
}

#[test]
fn peek_and_for_each_see_every_record_once() {
    let seen: Arc<Mutex<Vec<i64>>> = Arc::default();
    let (peeked, done) = (seen.clone(), seen.clone());
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, i64>("in")
        .peek(move |_, value| peeked.lock().push(*value))
        .for_each(move |_, value| done.lock().push(-value));
    let mut driver = start(&builder);
    numbers(&mut driver, &[1, 2]);
    assert_eq!(*seen.lock(), [1, 2, -1, -2]);
}

#[test]
fn undecodable_records_go_to_the_dead_letters_with_their_origin_and_reason() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("in").to("out");
    let mut driver = start(&builder);
    driver
        .pipe_raw("in", Some(b"k"), Some(b"short"), 5)
        .expect("not fatal");
    driver
        .pipe_raw("in", None, Some(&7_i64.to_be_bytes()), 6)
        .expect("not fatal");
    numbers(&mut driver, &[9]);
    assert_eq!(values(&mut driver, "out"), [9]);
    let dead = driver.dead_letters();
    let header = |index: usize, name: &str| {
        String::from_utf8_lossy(dead[index].headers.get(name).unwrap_or_default()).into_owned()
    };
    assert_eq!(dead.len(), 2);
    assert_eq!(dead[0].value.as_deref(), Some(&b"short"[..]));
    assert_eq!(
        header(0, "__streams.errors.message"),
        "cannot read the record's value: 5 bytes where i64 takes 8"
    );
    assert_eq!(
        (
            header(0, "__streams.errors.topic"),
            header(0, "__streams.errors.offset")
        ),
        ("in".into(), "0".into())
    );
    assert!(header(1, "__streams.errors.message").contains("null, but the type has no null"));
    assert_eq!(driver.counters().dead_letters, 2);
}

#[test]
fn the_error_policy_decides_what_happens_to_refused_records() {
    let topology = |policy: Option<ErrorPolicy>| {
        let builder = StreamsBuilder::new();
        let consumed = Consumed::<String, i64>::default();
        let consumed = if let Some(policy) = policy {
            consumed.on_error(policy)
        } else {
            consumed
        };
        builder.stream_with("in", consumed).to("out");
        builder.build().expect("sound")
    };
    let mut driver = TopologyTestDriver::new(&topology(Some(ErrorPolicy::Skip))).expect("runs");
    driver
        .pipe_raw("in", Some(b"k"), Some(b"short"), 5)
        .expect("not fatal");
    assert_eq!(
        (driver.counters().skipped, driver.counters().dead_letters),
        (1, 0)
    );

    let mut options = DriverOptions::default();
    options.config.on_error = ErrorPolicy::Fail;
    let mut driver = TopologyTestDriver::with_options(&topology(None), options).expect("runs");
    let error = driver
        .pipe_raw("in", Some(b"k"), Some(b"short"), 5)
        .expect_err("fatal");
    assert!(matches!(&error, DriverError::Process(_)), "{error}");
}

#[test]
fn event_time_comes_from_where_the_extractor_says() {
    let builder = StreamsBuilder::new();
    let value = TimestampExtractor::value(|value: &i64| (*value != 13).then_some(*value));
    builder
        .stream_with(
            "field",
            Consumed::<String, i64>::default().timestamps(value.clone()),
        )
        .to("by-field");
    let partition_time = Consumed::<String, i64>::default().timestamps(value.use_partition_time());
    builder
        .stream_with("partition", partition_time)
        .to("by-partition-time");
    let clock = Consumed::<String, i64>::default().timestamps(TimestampExtractor::wall_clock());
    builder.stream_with("clock", clock).to("by-clock");
    let mut driver = start(&builder);
    let mut times = |from: &str, to: &str| {
        let (input, output) = (
            driver.input::<String, i64>(from),
            driver.output::<String, i64>(to),
        );
        for value in [-5, 20, 13] {
            driver
                .pipe(&input, String::new(), value, 1)
                .expect("goes through");
            driver.advance_wall_clock(100).expect("time passes");
        }
        let records = driver.read(&output).expect("comes out");
        records
            .into_iter()
            .map(|record| record.timestamp)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        times("field", "by-field"),
        [20],
        "negative and missing times are skipped"
    );
    assert_eq!(times("partition", "by-partition-time"), [20, 20]);
    assert_eq!(times("clock", "by-clock"), [600, 700, 800]);
}

#[test]
fn a_record_without_a_valid_time_fails_the_task_if_asked_to() {
    let builder = StreamsBuilder::new();
    let strict = TimestampExtractor::record().fail_on_invalid();
    builder
        .stream_with("in", Consumed::<String, i64>::default().timestamps(strict))
        .to("out");
    let mut driver = start(&builder);
    let input = driver.input::<String, i64>("in");
    assert!(matches!(
        driver.pipe(&input, String::new(), 1, -1),
        Err(DriverError::Process(_))
    ));
}

#[test]
fn nulls_flow_where_the_type_has_them() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, Option<i64>>("in")
        .map_values(|value| value.map(|v| v + 1))
        .to("out");
    let mut driver = start(&builder);
    let input = driver.input::<Option<String>, Option<i64>>("in");
    driver.pipe(&input, None, Some(1), 0).expect("goes through");
    driver
        .pipe(&input, Some("k".to_owned()), None, 0)
        .expect("goes through");
    let output = driver.output::<Option<String>, Option<i64>>("out");
    assert_eq!(
        driver.read_pairs(&output).expect("out"),
        [(None, Some(2)), (Some("k".to_owned()), None)]
    );
}

#[test]
fn a_partitioner_chooses_the_partition_and_otherwise_the_key_does() {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, i64>("in");
    let chosen =
        Produced::default().partitioner(|_: &String, value: &i64| (*value < 10).then_some(*value as i32));
    stream.to_with("out", chosen);
    let options = DriverOptions {
        partitions: [("out".to_owned(), 4)].into(),
        ..DriverOptions::default()
    };
    let mut driver =
        TopologyTestDriver::with_options(&builder.build().expect("sound"), options).expect("runs");
    numbers(&mut driver, &[2, 7, 10]);
    let output = driver.output::<String, i64>("out");
    let mut found: Vec<(i64, Option<i32>)> = driver
        .read(&output)
        .expect("out")
        .into_iter()
        .map(|record| (record.value, record.partition))
        .collect();
    found.sort();
    let hashed = driver
        .partition_of("out", &"k10".to_owned())
        .expect("partition")
        .get();
    assert_eq!(
        found,
        [(2, Some(2)), (7, Some(3)), (10, Some(hashed))],
        "7 wraps around 4 partitions"
    );
}
