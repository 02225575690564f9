//! Every kind of failure under every policy, and the looks of a dead letter.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::{ErrorDecision, ErrorPolicy, ErrorStage};
use crate::dsl::{Consumed, Produced, StreamsBuilder};
use crate::processor::Headers;
use crate::testing::{DriverError, DriverOptions, TestRecord, TopologyTestDriver};

/// Reads numbers as text, halves even ones, refuses odd ones, and writes them to "out", which takes batches of 200 bytes at most.
fn halves(sink: Produced<String, String>) -> StreamsBuilder {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .try_map_values(|text| {
            let number: u32 = text.trim().parse().map_err(|error| format!("{error}"))?;
            match number % 2 {
                0 => Ok((number / 2).to_string().repeat(text.len())),
                _ => Err(format!("{number} is odd")),
            }
        })
        .to_with("out", sink);
    builder
}

fn options() -> DriverOptions {
    let limits = BTreeMap::from([("max.message.bytes".to_owned(), "200".to_owned())]);
    DriverOptions {
        topic_configs: BTreeMap::from([("out".to_owned(), limits)]),
        ..DriverOptions::default()
    }
}

fn run(builder: &StreamsBuilder, options: DriverOptions) -> TopologyTestDriver {
    TopologyTestDriver::with_options(&builder.build().expect("sound"), options).expect("runs")
}

fn pipe(driver: &mut TopologyTestDriver, text: &str) -> Result<(), DriverError> {
    let input = driver.input::<String, String>("in");
    driver.pipe(&input, "key".to_owned(), text.to_owned(), 7)
}

/// A number whose result is above the limit of "out".
fn large() -> String {
    format!("2{}", " ".repeat(300))
}

fn header(headers: &Headers, name: &str) -> String {
    let value = headers.get(&format!("__streams.errors.{name}"));
    String::from_utf8(value.unwrap_or_default().to_vec()).expect("text")
}

#[test]
fn a_dead_letter_is_the_record_as_it_was_read_with_its_headers_and_the_reason() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .map_values(|text| text.to_uppercase())
        .try_map_values(|text| text.parse::<i64>())
        .to("out");
    let mut driver = run(&builder, DriverOptions::default());
    let input = driver.input::<String, String>("in");
    let mut record = TestRecord::new("key".to_owned(), "seven".to_owned(), 42);
    record.headers = Headers::NONE.with("trace", "abc");
    driver.pipe_all(&input, [record]).expect("not fatal");
    let dead = driver.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].key.as_deref(), Some(&b"key"[..]));
    assert_eq!(
        dead[0].value.as_deref(),
        Some(&b"seven"[..]),
        "as read, not as mapped"
    );
    assert_eq!(dead[0].timestamp, 42);
    let names: Vec<String> = dead[0]
        .headers
        .iter()
        .map(|header| String::from_utf8_lossy(&header.key).replace("__streams.errors.", ""))
        .collect();
    assert_eq!(
        names,
        [
            "trace",
            "exception",
            "message",
            "stacktrace",
            "topic",
            "partition",
            "offset",
            "node",
            "task"
        ]
    );
    let found = |name| header(&dead[0].headers, name);
    assert_eq!(dead[0].headers.get("trace"), Some(&b"abc"[..]));
    assert_eq!(found("exception"), "ProcessingError");
    assert_eq!(found("message"), "invalid digit found in string");
    assert_eq!(
        (found("topic"), found("partition"), found("offset")),
        ("in".into(), "0".into(), "0".into())
    );
    assert_eq!(
        (found("node"), found("task")),
        ("KSTREAM-MAPVALUES-0000000002".into(), "0_0".into())
    );
}

#[test]
fn a_record_above_the_limit_of_its_topic_is_a_dead_letter_and_the_others_go_on() {
    let mut driver = run(&halves(Produced::default()), options());
    pipe(&mut driver, &large()).expect("not fatal");
    pipe(&mut driver, "8").expect("not fatal");
    let out = driver.output::<String, String>("out");
    assert_eq!(driver.read_values(&out).expect("readable"), ["4"]);
    let dead = driver.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!(
        dead[0].value.as_deref(),
        Some(large().as_bytes()),
        "what was read, not what was to be written"
    );
    assert_eq!(header(&dead[0].headers, "exception"), "ProductionError");
    let message = header(&dead[0].headers, "message");
    assert!(
        message.starts_with("topic out does not take a record of 37"),
        "{message}"
    );
}

#[test]
fn records_a_topic_refuses_for_their_key_or_time_are_dead_letters() {
    let builder = StreamsBuilder::new();
    builder.stream::<Option<String>, String>("in").to("out");
    let configs = [
        ("cleanup.policy", "compact"),
        ("message.timestamp.after.max.ms", "100"),
    ];
    let configs = configs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let options = DriverOptions {
        topic_configs: BTreeMap::from([("out".to_owned(), BTreeMap::from(configs))]),
        wall_clock_ms: 1_000,
        ..DriverOptions::default()
    };
    let mut driver = run(&builder, options);
    let input = driver.input::<Option<String>, String>("in");
    driver
        .pipe(&input, None, "no key".to_owned(), 1_000)
        .expect("not fatal");
    driver
        .pipe(&input, Some("k".to_owned()), "too early".to_owned(), 1_101)
        .expect("not fatal");
    driver
        .pipe(&input, Some("k".to_owned()), "taken".to_owned(), 1_100)
        .expect("not fatal");
    let out = driver.output::<String, String>("out");
    assert_eq!(driver.read_values(&out).expect("readable"), ["taken"]);
    let dead: Vec<_> = driver
        .dead_letters()
        .into_iter()
        .map(|letter| letter.value)
        .collect();
    assert_eq!(dead, [Some("no key".into()), Some("too early".into())]);
}

#[test]
fn the_policy_of_the_node_goes_before_that_of_the_stage_and_that_before_the_applications() {
    let outcome = |node: Option<ErrorPolicy>, stage: Option<ErrorPolicy>, application: ErrorPolicy| {
        let sink = match node {
            Some(policy) => Produced::default().on_error(policy),
            None => Produced::default(),
        };
        let mut options = options();
        options.config.on_production_error = stage;
        options.config.on_error = application;
        let mut driver = run(&halves(sink), options);
        match pipe(&mut driver, &large()) {
            Ok(()) => (driver.counters().skipped, driver.counters().dead_letters),
            Err(DriverError::Process(_)) => (99, 99),
            Err(other) => panic!("{other}"),
        }
    };
    use ErrorPolicy::{DeadLetter, Fail, Skip};
    let (skipped, dead, failed) = ((1, 0), (0, 1), (99, 99));
    assert_eq!(outcome(None, None, Skip), skipped);
    assert_eq!(outcome(None, None, Fail), failed);
    assert_eq!(outcome(None, Some(DeadLetter), Fail), dead);
    assert_eq!(outcome(Some(Skip), Some(Fail), DeadLetter), skipped);
    assert_eq!(outcome(Some(Fail), Some(Skip), DeadLetter), failed);
}

#[test]
fn every_stage_has_a_policy_of_its_own() {
    let mut options = options();
    options.config.on_error = ErrorPolicy::Fail;
    options.config.on_processing_error = Some(ErrorPolicy::Skip);
    options.config.on_deserialization_error = Some(ErrorPolicy::DeadLetter);
    let mut driver = run(&halves(Produced::default()), options);
    pipe(&mut driver, "7").expect("skipped");
    driver
        .pipe_raw("in", Some(b"k"), Some(&[0xff]), 0)
        .expect("a dead letter");
    assert_eq!(
        (driver.counters().skipped, driver.counters().dead_letters),
        (1, 1)
    );
    assert_eq!(
        header(&driver.dead_letters()[0].headers, "exception"),
        "DeserializationError"
    );
    let error = pipe(&mut driver, &large()).expect_err("production errors are fatal here");
    assert!(matches!(&error, DriverError::Process(_)), "{error}");
}

#[test]
fn a_closure_decides_by_record_and_cause() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    let policy = ErrorPolicy::decide(move |failed| {
        let (partition, offset) = failed.record.origin.clone().expect("it was read");
        let output = failed.output_topic.map(ToString::to_string);
        tell.lock().push((
            failed.stage,
            failed.node.to_owned(),
            format!("{partition}@{offset}"),
            output,
            failed.cause.to_string(),
        ));
        match failed.stage {
            ErrorStage::Deserialization => ErrorDecision::DeadLetter,
            ErrorStage::Processing => ErrorDecision::Skip,
            ErrorStage::Production => ErrorDecision::Fail,
        }
    });
    let mut options = options();
    options.config.on_error = policy;
    let mut driver = run(&halves(Produced::default()), options);
    driver
        .pipe_raw("in", Some(b"k"), Some(&[0xff]), 0)
        .expect("a dead letter");
    pipe(&mut driver, "7").expect("skipped");
    let error = pipe(&mut driver, &large()).expect_err("fatal");
    assert!(matches!(&error, DriverError::Process(_)), "{error}");
    assert_eq!(
        (driver.counters().skipped, driver.counters().dead_letters),
        (1, 1)
    );
    let told = told.lock();
    assert_eq!(told.len(), 3);
    assert_eq!(
        (told[0].0, told[0].1.as_str(), told[0].2.as_str()),
        (ErrorStage::Deserialization, "KSTREAM-SOURCE-0000000000", "in-0@0")
    );
    assert_eq!(
        (told[1].0, told[1].4.as_str()),
        (ErrorStage::Processing, "7 is odd")
    );
    assert_eq!(
        (told[2].0, told[2].3.as_deref()),
        (ErrorStage::Production, Some("out"))
    );
}

#[test]
fn a_source_may_have_its_own_policy() {
    let builder = StreamsBuilder::new();
    let consumed = Consumed::<String, i64>::default().on_error(ErrorPolicy::Skip);
    builder.stream_with("in", consumed).to("out");
    let other = builder.stream::<String, i64>("other").on_error(ErrorPolicy::Skip);
    other.to("out-of-other");
    let mut options = DriverOptions::default();
    options.config.on_error = ErrorPolicy::Fail;
    let mut driver = run(&builder, options);
    driver
        .pipe_raw("in", None, Some(b"no number"), 0)
        .expect("skipped");
    driver
        .pipe_raw("other", None, Some(b"no number"), 0)
        .expect("skipped");
    assert_eq!(driver.counters().skipped, 2);
}

#[test]
fn without_dead_letters_refused_records_are_only_counted() {
    let mut options = options();
    options.config.dead_letters = false;
    let mut driver = run(&halves(Produced::default()), options);
    pipe(&mut driver, "7").expect("not fatal");
    assert_eq!(
        (driver.counters().dead_letters, driver.dead_letters().len()),
        (1, 0)
    );
}
