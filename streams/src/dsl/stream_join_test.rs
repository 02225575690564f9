//! Joins of two streams: Kafka Streams' situations, and what only we promise (any cutting of the input, aborts).

use std::time::Duration;

use super::test_hosts::{ALL_HOSTS, Bench, Hosts, bench};
use super::{Consumed, JoinWindows, KStream, StreamJoined, StreamsBuilder};
use crate::config::ProcessingConfig;
use crate::processor::Headers;
use crate::testing::{TestRecord, TopologyTestDriver};
use crate::topology::Topology;

fn plus(left: Option<&String>, right: Option<&String>) -> String {
    let text = |value: Option<&String>| value.map_or("null", String::as_str).to_owned();
    format!("{}+{}", text(left), text(right))
}

/// A join of the streams of the topics `left` and `right`.
fn joined(
    kind: &str,
    left: &KStream<i64, String>,
    right: &KStream<i64, String>,
    windows: JoinWindows,
) -> KStream<i64, String> {
    let named = StreamJoined::named("j");
    match kind {
        "inner" => left.join(right, |l, r| plus(Some(l), Some(r)), windows, named),
        "left" => left.left_join(right, |l, r| plus(Some(l), r), windows, named),
        _ => left.outer_join(right, plus, windows, named),
    }
}

pub(super) fn topology(kind: &str, windows: JoinWindows) -> Topology {
    let builder = StreamsBuilder::new();
    joined(kind, &builder.stream("left"), &builder.stream("right"), windows).to("out");
    builder.build().unwrap()
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms as u64)
}

pub(super) fn windows(before: i64, after: i64, grace: i64) -> JoinWindows {
    JoinWindows::of_time_difference_and_grace(millis(before), millis(grace)).after(millis(after))
}

/// Runs the cases of `stream_join_cases.txt`.
fn run_cases(kind: &str, hosts: Hosts) {
    let text = include_str!("stream_join_cases.txt");
    let mut ran = 0;
    for case in text.split("\n# ").skip(1) {
        let mut lines = case.lines();
        let name = lines.next().unwrap();
        let head: Vec<&str> = lines.next().unwrap().split(' ').collect();
        if head[1] != kind {
            continue;
        }
        ran += 1;
        let number = |place: usize| head[place].parse::<i64>().unwrap();
        let topology = topology(kind, windows(number(2), number(3), number(4)));
        let Bench { mut driver, _dir } = bench(&topology, hosts, true, ProcessingConfig::default());
        let (left, right) = (
            driver.input::<i64, String>("left"),
            driver.input::<i64, String>("right"),
        );
        let out = driver.output::<i64, String>("out");
        let mut lines = lines.filter(|line| !line.is_empty()).enumerate().peekable();
        while let Some((place, line)) = lines.next() {
            let parts: Vec<&str> = line.split(' ').collect();
            if parts[0] == "?" {
                let mut expected = Vec::new();
                while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with("  ")) {
                    expected.push(line.trim().to_owned());
                }
                let found: Vec<String> = driver
                    .read(&out)
                    .unwrap()
                    .iter()
                    .map(|record| format!("{} {} {}", record.key, record.value, record.timestamp))
                    .collect();
                assert_eq!(found, expected, "{kind} join, {name:?}, line {place}");
                continue;
            }
            let topic = if parts[0] == "L" { &left } else { &right };
            let (key, timestamp) = (parts[1].parse().unwrap(), parts[3].parse().unwrap());
            driver.pipe(topic, key, parts[2].to_owned(), timestamp).unwrap();
        }
    }
    assert!(ran >= 4, "only {ran} cases of {kind} joins");
}

#[test]
fn inner_joins_do_what_kafka_streams_does() {
    ALL_HOSTS.into_iter().for_each(|hosts| run_cases("inner", hosts));
}

#[test]
fn left_joins_do_what_kafka_streams_does() {
    ALL_HOSTS.into_iter().for_each(|hosts| run_cases("left", hosts));
}

#[test]
fn outer_joins_do_what_kafka_streams_does() {
    ALL_HOSTS.into_iter().for_each(|hosts| run_cases("outer", hosts));
}

type Nullable = KStream<Option<i64>, Option<String>>;

fn dash(left: &Option<String>, right: &Option<String>) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    format!("{}-{}", text(left), text(right))
}

fn around() -> JoinWindows {
    JoinWindows::of_time_difference_and_grace(Duration::from_secs(10), Duration::from_secs(24 * 3600))
}

const NULL: &Option<String> = &None;

/// The input of Kafka Streams' join tests: side, key (`~` = null), value, time.
const INPUT: &str = "L 0 ~ 1|R 0 ~ 2|L 0 A 3|R 0 a 4|L 0 B 5|R 0 b 6|L 0 ~ 7|R 0 ~ 8|L 0 C 9|R 0 c 10|R 0 ~ 11|L 0 ~ 12|R 0 ~ 13|R 0 d 14|L 0 D 15|L ~ E 16|R ~ e 17";
const LEFT_INPUT: &str = "L 0 ~ 1|L 0 A 2|L 0 B 3|L 0 ~ 4|L 0 C 5|L 0 ~ 6|L 0 D 7";

/// Pipes `input` and compares, record by record, with `expected`: `value@time`, in front `~:` for a null key.
fn check(topology: &Topology, input: &str, expected: &str) {
    for hosts in ALL_HOSTS {
        for emit_every_update in [false, true] {
            let config = ProcessingConfig {
                emit_every_update,
                ..ProcessingConfig::default()
            };
            let Bench { mut driver, _dir } = bench(topology, hosts, true, config);
            let left = driver.input::<Option<i64>, Option<String>>("left");
            let right = driver.input::<Option<i64>, Option<String>>("right");
            let out = driver.output::<Option<i64>, String>("out");
            for (record, expected) in input.split('|').zip(expected.split('|')) {
                let parts: Vec<&str> = record.split(' ').collect();
                let key = parts[1].parse().ok();
                let value = Some(parts[2].to_owned()).filter(|value| value != "~");
                let topic = if parts[0] == "L" { &left } else { &right };
                driver.pipe(topic, key, value, parts[3].parse().unwrap()).unwrap();
                let found: Vec<String> = driver
                    .read(&out)
                    .unwrap()
                    .into_iter()
                    .map(
                        |TestRecord {
                             key,
                             value,
                             timestamp,
                             ..
                         }| {
                            let key = if key.is_some() { "" } else { "~:" };
                            format!("{key}{value}@{timestamp}")
                        },
                    )
                    .collect();
                assert_eq!(
                    found,
                    expected.split_whitespace().collect::<Vec<_>>(),
                    "after {record}"
                );
            }
        }
    }
}

const INNER: &str = "|||A-a@4|B-a@5|A-b@6 B-b@6|||C-a@9 C-b@9|A-c@10 B-c@10 C-c@10||||A-d@14 B-d@14 C-d@14|D-a@15 D-b@15 D-c@15 D-d@15||";
const LEFT: &str = "|||A-a@4|B-a@5|A-b@6 B-b@6|||C-a@9 C-b@9|A-c@10 B-c@10 C-c@10||||A-d@14 B-d@14 C-d@14|D-a@15 D-b@15 D-c@15 D-d@15|~:E-null@16|";
const OUTER: &str = "|||A-a@4|B-a@5|A-b@6 B-b@6|||C-a@9 C-b@9|A-c@10 B-c@10 C-c@10||||A-d@14 B-d@14 C-d@14|D-a@15 D-b@15 D-c@15 D-d@15|~:E-null@16|~:null-e@17";

fn nullable_join(kind: &str, left: &Nullable, right: &Nullable) -> KStream<Option<i64>, String> {
    let named = StreamJoined::named("j");
    match kind {
        "inner" => left.join(right, dash, around(), named),
        "left" => left.left_join(right, |l, r| dash(l, r.unwrap_or(NULL)), around(), named),
        _ => left.outer_join(
            right,
            |l, r| dash(l.unwrap_or(NULL), r.unwrap_or(NULL)),
            around(),
            named,
        ),
    }
}

fn nullable_topology(kind: &str, rekey: bool) -> Topology {
    let builder = StreamsBuilder::new();
    let (mut left, mut right): (Nullable, Nullable) = (builder.stream("left"), builder.stream("right"));
    if rekey {
        left = left.map(|key, value| (key, value));
        right = right
            .flat_map(|key, value| [(key, value)])
            .select_key(|key, _| *key);
    }
    nullable_join(kind, &left, &right).to("out");
    builder.build().unwrap()
}

#[test]
fn null_values_are_skipped_and_null_keys_meet_nobody() {
    check(&nullable_topology("inner", false), INPUT, INNER);
    check(&nullable_topology("left", false), INPUT, LEFT);
    check(&nullable_topology("outer", false), INPUT, OUTER);
}

#[test]
fn rekeyed_sides_are_joined_behind_repartition_topics() {
    check(&nullable_topology("inner", true), INPUT, INNER);
    check(&nullable_topology("left", true), INPUT, LEFT);
    check(&nullable_topology("outer", true), INPUT, OUTER);
}

#[test]
fn a_stream_joined_with_itself_meets_itself() {
    let expected =
        "|A-A@2|B-A@3 A-B@3 B-B@3||C-A@5 C-B@5 A-C@5 B-C@5 C-C@5||D-A@7 D-B@7 D-C@7 A-D@7 B-D@7 C-D@7 D-D@7";
    for rekey in [false, true] {
        let builder = StreamsBuilder::new();
        let mut stream: Nullable = builder.stream("left");
        if rekey {
            stream = stream.map(|key, value| (key, value));
        }
        builder.stream::<(), String>("right");
        nullable_join("inner", &stream, &stream).to("out");
        check(&builder.build().unwrap(), LEFT_INPUT, expected);
    }
}

#[test]
fn a_joined_stream_can_be_joined_again_with_one_of_its_sides() {
    let expected = "|||A-a-a@4|B-a-a@5|A-b-a@6 B-b-a@6 A-a-b@6 B-a-b@6 A-b-b@6 B-b-b@6|||C-a-a@9 C-a-b@9 C-b-a@9 C-b-b@9|\
        A-c-a@10 A-c-b@10 B-c-a@10 B-c-b@10 C-c-a@10 C-c-b@10 A-a-c@10 B-a-c@10 A-b-c@10 B-b-c@10 C-a-c@10 C-b-c@10 A-c-c@10 B-c-c@10 C-c-c@10||||\
        A-d-a@14 A-d-b@14 A-d-c@14 B-d-a@14 B-d-b@14 B-d-c@14 C-d-a@14 C-d-b@14 C-d-c@14 A-a-d@14 B-a-d@14 A-b-d@14 B-b-d@14 C-a-d@14 C-b-d@14 A-c-d@14 B-c-d@14 C-c-d@14 A-d-d@14 B-d-d@14 C-d-d@14|\
        D-a-a@15 D-a-b@15 D-a-c@15 D-a-d@15 D-b-a@15 D-b-b@15 D-b-c@15 D-b-d@15 D-c-a@15 D-c-b@15 D-c-c@15 D-c-d@15 D-d-a@15 D-d-b@15 D-d-c@15 D-d-d@15||";
    let builder = StreamsBuilder::new();
    let (left, right): (Nullable, Nullable) = (builder.stream("left"), builder.stream("right"));
    let first = nullable_join("inner", &left, &right);
    first
        .join(
            &right,
            |l, r| format!("{l}-{}", r.as_deref().unwrap_or("null")),
            around(),
            StreamJoined::named("second"),
        )
        .to("out");
    check(&builder.build().unwrap(), INPUT, expected);
}

#[test]
fn null_keys_pass_a_repartition_on_the_side_that_is_outer_and_only_there() {
    for (kind, expected) in [
        ("inner", vec![]),
        ("left", vec!["lv-null"]),
        ("outer", vec!["null-rv", "lv-null"]),
    ] {
        let mut driver = TopologyTestDriver::new(&nullable_topology(kind, true)).unwrap();
        let left = driver.input::<Option<i64>, Option<String>>("left");
        let right = driver.input::<Option<i64>, Option<String>>("right");
        driver.pipe(&right, None, Some("rv".to_owned()), 1).unwrap();
        driver.pipe(&left, None, Some("lv".to_owned()), 1).unwrap();
        let out = driver.output::<Option<i64>, String>("out");
        let expected: Vec<(Option<i64>, String)> =
            expected.into_iter().map(|v| (None, v.to_owned())).collect();
        assert_eq!(driver.read_pairs(&out).unwrap(), expected, "{kind}");
    }
}

#[test]
fn skipped_records_are_counted() {
    let mut driver = TopologyTestDriver::new(&nullable_topology("left", false)).unwrap();
    let left = driver.input::<Option<i64>, Option<String>>("left");
    let right = driver.input::<Option<i64>, Option<String>>("right");
    driver.pipe(&left, Some(1), None, 0).unwrap();
    driver.pipe(&right, None, Some("r".to_owned()), 0).unwrap();
    driver.pipe(&right, None, None, 0).unwrap();
    driver.pipe(&left, None, Some("l".to_owned()), 0).unwrap();
    assert_eq!(
        driver.counters().skipped,
        3,
        "the last one is no skip: it comes out alone"
    );
}

#[test]
fn results_carry_the_headers_of_the_record_that_brought_them() {
    let mut driver = TopologyTestDriver::new(&topology("left", windows(10, 10, 0))).unwrap();
    let (left, right) = (
        driver.input::<i64, String>("left"),
        driver.input::<i64, String>("right"),
    );
    let record = |key: i64, value: &str, time: i64| {
        TestRecord::new(key, value.to_owned(), time)
            .with_headers(Headers::NONE.with("from", value.to_owned()))
    };
    driver
        .pipe_all(&left, [record(1, "l1", 0), record(2, "l2", 0)])
        .unwrap();
    driver
        .pipe_all(&right, [record(2, "r2", 1), record(3, "r3", 20)])
        .unwrap();
    let out = driver.output::<i64, String>("out");
    let found: Vec<(String, Option<Vec<u8>>)> = driver
        .read(&out)
        .unwrap()
        .into_iter()
        .map(|record| (record.value, record.headers.get("from").map(<[u8]>::to_vec)))
        .collect();
    let from = |name: &str| Some(name.as_bytes().to_vec());
    assert_eq!(
        found,
        [
            ("l2+r2".to_owned(), from("r2")),
            ("l1+null".to_owned(), from("r3"))
        ]
    );
}

#[test]
fn stores_and_topics_are_named_after_the_join() {
    let stores = |kind: &str| {
        let topology = topology(kind, windows(10, 10, 0));
        let subs = topology.sub_topologies();
        assert_eq!(subs.len(), 1);
        subs[0]
            .stores()
            .iter()
            .map(|store| store.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(stores("inner"), ["j-other-join-store", "j-this-join-store"]);
    assert_eq!(
        stores("left"),
        [
            "j-left-shared-join-store",
            "j-outer-other-join-store",
            "j-this-join-store"
        ]
    );
    assert_eq!(
        stores("outer"),
        [
            "j-outer-other-join-store",
            "j-outer-shared-join-store",
            "j-outer-this-join-store"
        ]
    );
    let repartitions = nullable_topology("inner", true);
    let names: Vec<&String> = repartitions.repartitions().keys().collect();
    assert_eq!(names, ["j-left", "j-right"]);
}

#[test]
fn an_empty_window_and_streams_of_two_builders_are_refused() {
    let negative = JoinWindows::of_time_difference_with_no_grace(millis(5)).after_signed(-6);
    let builder = StreamsBuilder::new();
    joined(
        "inner",
        &builder.stream("left"),
        &builder.stream("right"),
        negative,
    )
    .to("out");
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("must not be negative"), "{error}");

    let (builder, other) = (StreamsBuilder::new(), StreamsBuilder::new());
    joined(
        "inner",
        &builder.stream("left"),
        &other.stream("right"),
        windows(1, 1, 0),
    )
    .to("out");
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("different builders"), "{error}");
}

#[test]
fn a_window_may_lie_wholly_on_one_side() {
    // The right record is between 5 and 10 ms older than the left one.
    let windows = JoinWindows::of_time_difference_with_no_grace(millis(10)).after_signed(-5);
    let mut driver = TopologyTestDriver::new(&topology("inner", windows)).unwrap();
    let (left, right) = (
        driver.input::<i64, String>("left"),
        driver.input::<i64, String>("right"),
    );
    for time in [91, 95, 96] {
        driver.pipe(&right, 1, time.to_string(), time).unwrap();
    }
    driver.pipe(&left, 1, "l".to_owned(), 100).unwrap();
    let out = driver.output::<i64, String>("out");
    // A record is kept for the size of the window, 5 ms, so 91 was gone when 96 was read. Kafka Streams does the same.
    assert_eq!(driver.read_values(&out).unwrap(), ["l+95"]);
}

/// Both streams of the join are branches of one topic: what `L` or `R` in front of the value says.
pub(super) fn branches(kind: &str, windows: JoinWindows) -> Topology {
    let builder = StreamsBuilder::new();
    let all: KStream<i64, String> = builder.stream("all");
    let left = all.filter(|_, value| value.starts_with('L'));
    let right = all.filter(|_, value| value.starts_with('R'));
    joined(kind, &left, &right, windows).to("out");
    builder.build().unwrap()
}

#[test]
fn branches_of_one_stream_are_joined_record_by_record_whatever_the_batch() {
    let mut driver = TopologyTestDriver::new(&branches("left", windows(10, 10, 0))).unwrap();
    let all = driver.input::<i64, String>("all");
    let records = [(1, "L1", 0), (1, "R1", 1), (2, "L2", 100)];
    driver
        .pipe_all(
            &all,
            records.map(|(key, value, time)| TestRecord::new(key, value.to_owned(), time)),
        )
        .unwrap();
    // Were the left branch joined first, L2 would close the window of L1 before R1 came.
    let out = driver.output::<i64, String>("out");
    assert_eq!(driver.read_values(&out).unwrap(), ["L1+R1"]);
}

#[test]
fn expired_records_leave_the_stores() {
    let Bench { mut driver, _dir } = bench(
        &topology("outer", windows(10, 10, 5)),
        Hosts::Memory,
        true,
        ProcessingConfig::default(),
    );
    let (left, right) = (
        driver.input::<i64, String>("left"),
        driver.input::<i64, String>("right"),
    );
    for time in 0..200 {
        driver.pipe(&left, time % 7, "l".to_owned(), time).unwrap();
        driver.pipe(&right, time % 5, "r".to_owned(), time).unwrap();
    }
    for store in ["j-outer-this-join-store", "j-outer-other-join-store"] {
        let kept = driver.store_len(store).unwrap();
        assert!(
            (25..100).contains(&kept),
            "{store} holds {kept} entries for a retention of 25 ms"
        );
    }
}

#[test]
fn windows_close_while_input_is_idle_where_that_is_asked_for() {
    let builder = StreamsBuilder::new();
    let read = |topic: &str| {
        let consumed = Consumed::<i64, String>::default().idle_advance(millis(100));
        builder.stream_with(topic, consumed)
    };
    joined("outer", &read("left"), &read("right"), windows(10, 10, 0)).to("out");
    let mut driver = TopologyTestDriver::new(&builder.build().unwrap()).unwrap();
    let (left, right) = (
        driver.input::<i64, String>("left"),
        driver.input::<i64, String>("right"),
    );
    driver.pipe(&left, 1, "l1".to_owned(), 0).unwrap();
    driver.pipe(&right, 2, "r2".to_owned(), 5).unwrap();
    // The first look sees that nothing comes, the next that time went on by as much as the wall clock.
    driver.advance_wall_clock(0).unwrap();
    driver.advance_wall_clock(200).unwrap();
    let out = driver.output::<i64, String>("out");
    assert_eq!(driver.read_values(&out).unwrap(), ["l1+null", "null+r2"]);
    // Given out once, also when records come again.
    driver.pipe(&left, 3, "l3".to_owned(), 1_000).unwrap();
    assert_eq!(driver.read_values(&out).unwrap(), [""; 0]);
}
