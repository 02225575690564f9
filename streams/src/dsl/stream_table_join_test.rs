//! Joins of a stream with a table, with and without a past: Kafka Streams' situations, and random ones against plain lists.

use std::time::Duration;

use super::test_hosts::{ALL_HOSTS, Bench, bench};
use super::{
    Consumed, Joined, KStream, KTable, Materialized, StreamsBuilder, StrictBuffer, Suppressed, TimeWindows,
};
use crate::config::ProcessingConfig;
use crate::processor::Headers;
use crate::testing::{TestRecord, TopologyTestDriver};
use crate::topology::Topology;

pub(super) type Key = Option<i64>;

#[derive(Clone, Copy, Default)]
pub(super) struct Shape {
    pub(super) is_left: bool,
    /// Retention of the past, in ms.
    pub(super) versioned: Option<u64>,
    pub(super) grace: Option<u64>,
    pub(super) rekeyed: bool,
    /// The table is read through a filter without a store.
    pub(super) filtered: bool,
}

fn table(builder: &StreamsBuilder, versioned: Option<u64>) -> KTable<Key, String> {
    let mut materialized = Materialized::default();
    if let Some(retention) = versioned {
        materialized = materialized.versioned(Duration::from_millis(retention));
    }
    builder.table_with("right", "table", Consumed::default(), materialized)
}

pub(super) fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("null")
}

pub(super) fn topology(shape: Shape) -> Topology {
    let builder = StreamsBuilder::new();
    let mut table = table(&builder, shape.versioned);
    if shape.filtered {
        table = table.filter(|_, value| value != "hidden");
    }
    let mut stream: KStream<Key, Option<String>> = builder.stream("left");
    if shape.rekeyed {
        stream = stream.map(|key, value| (key, value));
    }
    let mut joined = Joined::named("j");
    if let Some(grace) = shape.grace {
        joined = joined.grace(Duration::from_millis(grace));
    }
    let out = if shape.is_left {
        let join = |value: &Option<String>, entry: Option<&String>| {
            format!("{}-{}", text(value), entry.map_or("null", String::as_str))
        };
        stream.left_join_table(&table, join, joined)
    } else {
        stream.join_table(&table, |value, entry| format!("{}-{entry}", text(value)), joined)
    };
    out.to("out");
    builder.build().unwrap()
}

/// Pipes `L` (stream) and `R` (table) records, `side key value time`, and compares what comes of each: `value@time`, in front `~:` for a null key.
fn check(shape: Shape, input: &str, expected: &str) {
    let topology = topology(shape);
    for hosts in ALL_HOSTS {
        for emit_every_update in [false, true] {
            let config = ProcessingConfig {
                emit_every_update,
                ..ProcessingConfig::default()
            };
            let Bench { mut driver, _dir } = bench(&topology, hosts, true, config);
            let left = driver.input::<Key, Option<String>>("left");
            let right = driver.input::<Key, Option<String>>("right");
            assert_eq!(input.split('|').count(), expected.split('|').count());
            for (record, expected) in input.split('|').zip(expected.split('|')) {
                let parts: Vec<&str> = record.split_whitespace().collect();
                let key = parts[1].parse().ok();
                let value = Some(parts[2].to_owned()).filter(|value| value != "~");
                let topic = if parts[0] == "L" { &left } else { &right };
                driver.pipe(topic, key, value, parts[3].parse().unwrap()).unwrap();
                let expected: Vec<&str> = expected.split_whitespace().collect();
                assert_eq!(results(&mut driver), expected, "after {record}");
            }
        }
    }
}

pub(super) fn results(driver: &mut TopologyTestDriver) -> Vec<String> {
    let out = driver.output::<Key, String>("out");
    let records = driver.read(&out).unwrap().into_iter();
    let line = |record: TestRecord<Key, String>| {
        let key = if record.key.is_some() { "" } else { "~:" };
        format!("{key}{}@{}", record.value, record.timestamp)
    };
    records.map(line).collect()
}

/// The input of Kafka Streams' join tests with records out of order.
const INPUT: &str = "L 0 ~ 1|R 0 ~ 2|L 0 A 3|R 0 a 4|L 0 B 5|R 0 b 6|L 0 ~ 7|R 0 ~ 8|L 0 C 9|R 0 c 10|R 0 ~ 11|L 0 ~ 12|R 0 ~ 13|R 0 d 7|L 0 D 6|\
    L 0 ~ 2|R 0 ~ 3|R 0 e 14|L 0 E 15|L 0 ~ 10|R 0 ~ 9|L 0 F 4|R 0 f 3";

const PLAIN: Shape = Shape {
    is_left: false,
    versioned: None,
    grace: None,
    rekeyed: false,
    filtered: false,
};
pub(super) const LEFT: Shape = Shape {
    is_left: true,
    ..PLAIN
};
const FIVE_MINUTES: Option<u64> = Some(300_000);

#[test]
fn a_record_meets_the_entry_that_stands_when_it_is_read() {
    check(PLAIN, INPUT, "||||B-a@5||||||||||D-d@6||||E-e@15||||");
    check(
        LEFT,
        INPUT,
        "||A-null@3||B-a@5||||C-null@9||||||D-d@6||||E-e@15|||F-null@4|",
    );
}

#[test]
fn a_record_meets_the_entry_a_versioned_table_had_at_its_time() {
    let versioned = Shape {
        versioned: FIVE_MINUTES,
        ..PLAIN
    };
    let inner = "||||B-a@5||||||||||D-b@6||||E-e@15|||F-a@4|";
    let left = "||A-null@3||B-a@5||||C-null@9||||||D-b@6||||E-e@15|||F-a@4|";
    for filtered in [false, true] {
        check(
            Shape {
                filtered,
                ..versioned
            },
            INPUT,
            inner,
        );
        check(
            Shape {
                filtered,
                is_left: true,
                ..versioned
            },
            INPUT,
            left,
        );
    }
}

#[test]
fn with_grace_a_record_waits_for_the_table() {
    let graceful = Shape {
        versioned: FIVE_MINUTES,
        grace: Some(2),
        ..PLAIN
    };
    check(graceful, INPUT, "||||||||B-a@5||||||D-b@6|||||||F-a@4|");
    let left = "||||A-null@3||||B-a@5||||||D-b@6||||C-null@9|||F-a@4|";
    check(
        Shape {
            is_left: true,
            ..graceful
        },
        INPUT,
        left,
    );
}

/// `count` records of keys from 0 on, with the key behind the prefix; the time is the key or, for the table, `at`.
fn push(side: &str, count: i64, prefix: &str, at: Option<i64>) -> String {
    let record = |key: i64| format!("{side} {key} {prefix}{key} {}", at.unwrap_or(key));
    (0..count).map(record).collect::<Vec<_>>().join("|")
}

/// One slot for each of `count` records without a result.
fn nothing(count: usize) -> String {
    "|".repeat(count - 1)
}

#[test]
fn queued_records_come_out_by_time_when_their_grace_is_over_and_late_ones_at_once() {
    let graceful = Shape {
        versioned: Some(1_000),
        grace: Some(2),
        ..PLAIN
    };
    let (table, stream) = (push("R", 4, "Y", Some(0)), push("L", 4, "X", None));
    let again = push("R", 4, "YY", Some(0));
    // The second X0 and X1 are older than the grace allows; X2 and X3 wait until 7 was read.
    let input = [&table, &stream, &again, &stream, "L 5 test 7"].join("|");
    let expected = [
        &nothing(4),
        "||X0-Y0@0|X1-Y1@1",
        &nothing(4),
        "X0-YY0@0|X1-YY1@1||",
        "X2-YY2@2 X2-YY2@2 X3-YY3@3 X3-YY3@3",
    ];
    check(graceful, &input, &expected.join("|"));
    let late = [&table, &stream, "L 0 X0 0"].join("|");
    check(
        graceful,
        &late,
        &[&nothing(4), "||X0-Y0@0|X1-Y1@1", "X0-Y0@0"].join("|"),
    );
}

#[test]
fn changes_of_the_table_bring_no_results_and_deletions_count() {
    let rounds = [
        (push("L", 2, "X", None), nothing(2)),
        (push("R", 2, "Y", Some(50)), nothing(2)),
        (push("L", 4, "X", None), "X0-Y0@0|X1-Y1@1||".to_owned()),
        (push("R", 4, "YY", Some(3)), nothing(4)),
        (
            push("L", 4, "X", None),
            "X0-YY0@0|X1-YY1@1|X2-YY2@2|X3-YY3@3".to_owned(),
        ),
        ("R 0 ~ 0|R 1 ~ 0".to_owned(), nothing(2)),
        (push("L", 4, "XX", None), "||XX2-YY2@2|XX3-YY3@3".to_owned()),
    ];
    let input: Vec<String> = rounds.iter().map(|(input, _)| input.clone()).collect();
    let expected: Vec<String> = rounds.iter().map(|(_, expected)| expected.clone()).collect();
    for rekeyed in [false, true] {
        check(Shape { rekeyed, ..PLAIN }, &input.join("|"), &expected.join("|"));
    }
}

#[test]
fn in_a_left_join_null_keys_come_out_and_null_values_do_not() {
    for rekeyed in [false, true] {
        let input = "L ~ l 1|L 1 ~ 1|L ~ ~ 1|R 1 r 1|L 1 l 1";
        check(Shape { rekeyed, ..LEFT }, input, "~:l-null@1||||l-r@1");
        check(Shape { rekeyed, ..PLAIN }, input, "||||l-r@1");
    }
    let graceful = Shape {
        versioned: FIVE_MINUTES,
        grace: Some(2),
        ..LEFT
    };
    check(graceful, "L ~ l 1|L 1 ~ 1", "~:l-null@1|");
}

#[test]
fn skipped_records_are_counted() {
    let mut driver = TopologyTestDriver::new(&topology(PLAIN)).unwrap();
    let left = driver.input::<Key, Option<String>>("left");
    driver.pipe(&left, None, Some("l".to_owned()), 0).unwrap();
    driver.pipe(&left, Some(1), None, 0).unwrap();
    assert_eq!(driver.counters().skipped, 2);
}

#[test]
fn queued_records_keep_their_headers() {
    let shape = Shape {
        versioned: FIVE_MINUTES,
        grace: Some(5),
        ..LEFT
    };
    let mut driver = TopologyTestDriver::new(&topology(shape)).unwrap();
    let left = driver.input::<Key, Option<String>>("left");
    let headers = Headers::NONE.with("from", "l");
    let first = TestRecord::new(Some(1), Some("l".to_owned()), 0).with_headers(headers.clone());
    driver.pipe_all(&left, [first]).unwrap();
    driver.pipe(&left, Some(2), Some("m".to_owned()), 5).unwrap();
    let out = driver.output::<Key, String>("out");
    assert_eq!(driver.read(&out).unwrap()[0].headers, headers);
}

fn mistake(build: impl FnOnce(&StreamsBuilder)) -> String {
    let builder = StreamsBuilder::new();
    build(&builder);
    builder.build().unwrap_err().to_string()
}

#[test]
fn what_cannot_work_is_refused() {
    let grace = || Joined::<Key, String>::named("j").grace(Duration::from_millis(10));
    let join = |_: &String, _: &String| String::new();
    let plain = mistake(|builder| {
        builder
            .stream("left")
            .join_table(&table(builder, None), join, grace())
            .to("out");
    });
    assert!(plain.contains("needs a versioned table"), "{plain}");
    let materialised = mistake(|builder| {
        let kept = table(builder, Some(1_000)).filter_with("kept", |_, _| true, Materialized::default());
        builder.stream("left").join_table(&kept, join, grace()).to("out");
    });
    assert!(materialised.contains("needs a versioned table"), "{materialised}");
    let short = mistake(|builder| {
        builder
            .stream("left")
            .join_table(&table(builder, Some(9)), join, grace())
            .to("out");
    });
    assert!(short.contains("longer than what the table knows"), "{short}");
    let windows = mistake(|builder| {
        let versioned = Materialized::default().versioned(Duration::from_secs(1));
        builder
            .stream::<i64, String>("left")
            .group_by_key()
            .windowed_by(TimeWindows::of(Duration::from_secs(1)))
            .count_with("c", versioned);
    });
    assert!(windows.contains("cannot be versioned"), "{windows}");
    let held = mistake(|builder| {
        let limit = Suppressed::until_time_limit(Duration::from_secs(1), StrictBuffer::unbounded());
        table(builder, Some(9))
            .filter(|_, _| true)
            .suppress("held", limit);
    });
    assert!(held.contains("cannot be held back"), "{held}");
    let other = StreamsBuilder::new();
    let apart = mistake(|builder| {
        builder
            .stream("left")
            .join_table(&table(&other, None), join, Joined::named("j"))
            .to("out");
    });
    assert!(apart.contains("different builders"), "{apart}");
}

#[test]
fn a_record_sees_the_change_it_made_itself_and_no_later_one() {
    let builder = StreamsBuilder::new();
    let words = builder.stream::<String, i64>("words");
    let counts = words.group_by_key().count("counts");
    words
        .join_table(
            &counts,
            |value, count| format!("{value} of {count}"),
            Joined::named("j"),
        )
        .to("out");
    let mut driver = TopologyTestDriver::new(&builder.build().unwrap()).unwrap();
    let words = driver.input::<String, i64>("words");
    let batch = [1, 2, 3].map(|value| TestRecord::new("w".to_owned(), value, 0));
    driver.pipe_all(&words, batch).unwrap();
    let out = driver.output::<String, String>("out");
    assert_eq!(driver.read_values(&out).unwrap(), ["1 of 1", "2 of 2", "3 of 3"]);
}

#[test]
fn the_queue_moves_on_while_input_is_idle_where_that_is_asked_for() {
    let builder = StreamsBuilder::new();
    let table = table(&builder, FIVE_MINUTES);
    let consumed = Consumed::<Key, String>::default().idle_advance(Duration::from_millis(100));
    builder
        .stream_with("left", consumed)
        .left_join_table(
            &table,
            |value, entry| format!("{value}-{}", entry.map_or("null", String::as_str)),
            Joined::named("j").grace(Duration::from_millis(50)),
        )
        .to("out");
    let mut driver = TopologyTestDriver::new(&builder.build().unwrap()).unwrap();
    let (left, right) = (
        driver.input::<Key, String>("left"),
        driver.input::<Key, String>("right"),
    );
    driver.pipe(&left, Some(1), "l".to_owned(), 10).unwrap();
    driver.pipe(&right, Some(1), "r".to_owned(), 5).unwrap();
    assert_eq!(results(&mut driver), [""; 0]);
    driver.advance_wall_clock(0).unwrap();
    driver.advance_wall_clock(200).unwrap();
    assert_eq!(results(&mut driver), ["l-r@10"]);
}
