//! Cases of Kafka Streams' `KStreamWindowAggregateTest` and `TimeWindowedKStreamImplTest` that apply here, with its record cache off (`emit_every_update`) and on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{KTable, Materialized, StreamsBuilder, TimeWindows, Windowed};
use crate::serde::{DefaultSerde, Json};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};
use crate::topology::TopologyError;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

type Driver = TopologyTestDriver;

/// Strings joined by "+", as Kafka's test does.
fn joined(windows: TimeWindows, every_update: bool) -> Driver {
    let builder = StreamsBuilder::new();
    let stored = Materialized::with(String::default_serde()).emit_every_update(every_update);
    let table = builder
        .stream::<Option<String>, String>("in")
        .group_by_key()
        .windowed_by(windows)
        .aggregate_with(
            "joined",
            || "0".to_owned(),
            |_, value, so_far| format!("{so_far}+{value}"),
            stored,
        );
    write_windows(&table);
    TopologyTestDriver::new(&builder.build().expect("a sound topology")).expect("it runs")
}

/// Writes results as `key@start: value`, so that the text shows everything.
fn write_windows<V: crate::serde::Data + std::fmt::Debug>(table: &KTable<Windowed<Option<String>>, V>) {
    let text = |windowed: Windowed<Option<String>>, value: Option<V>| {
        let value = value.map_or("none".to_owned(), |value| format!("{value:?}").replace('"', ""));
        (
            (),
            format!(
                "{}@{} {value}",
                windowed.key.unwrap_or_default(),
                windowed.window.start_ms
            ),
        )
    };
    table.to_stream().map(text).to("out");
}

fn run(driver: &mut Driver, records: &[(&str, &str, i64)]) -> Vec<String> {
    let input = driver.input::<Option<String>, String>("in");
    let records = records.iter().map(|(key, value, timestamp)| {
        let key = (!key.is_empty()).then(|| (*key).to_owned());
        TestRecord::new(key, (*value).to_owned(), *timestamp)
    });
    driver.pipe_all(&input, records).expect("records go through");
    read(driver)
}

fn read(driver: &mut Driver) -> Vec<String> {
    let output = driver.output::<(), String>("out");
    let records = driver.read(&output).expect("output is text");
    records
        .into_iter()
        .map(|record| format!("{} {}", record.value, record.timestamp))
        .collect()
}

const BASIC: [(&str, &str, i64); 18] = [
    ("A", "1", 0),
    ("B", "2", 1),
    ("C", "3", 2),
    ("D", "4", 3),
    ("A", "1", 4),
    ("A", "1", 5),
    ("B", "2", 6),
    ("D", "4", 7),
    ("B", "2", 8),
    ("C", "3", 9),
    ("A", "1", 10),
    ("B", "2", 11),
    ("D", "4", 12),
    ("B", "2", 13),
    ("C", "3", 14),
    ("B", "1", 3),
    ("B", "2", 2),
    ("B", "3", 9),
];

fn hopping() -> TimeWindows {
    TimeWindows::of(ms(10)).advance_by(ms(5)).grace(ms(100))
}

#[test]
fn hopping_windows_take_records_out_of_order_and_emit_every_update() {
    let found = run(&mut joined(hopping(), true), &BASIC);
    let expected = "A@0 0+1 0|B@0 0+2 1|C@0 0+3 2|D@0 0+4 3|A@0 0+1+1 4|A@0 0+1+1+1 5|A@5 0+1 5|B@0 0+2+2 6|B@5 0+2 6|\
        D@0 0+4+4 7|D@5 0+4 7|B@0 0+2+2+2 8|B@5 0+2+2 8|C@0 0+3+3 9|C@5 0+3 9|A@5 0+1+1 10|A@10 0+1 10|\
        B@5 0+2+2+2 11|B@10 0+2 11|D@5 0+4+4 12|D@10 0+4 12|B@5 0+2+2+2+2 13|B@10 0+2+2 13|C@5 0+3+3 14|C@10 0+3 14|\
        B@0 0+2+2+2+1 8|B@0 0+2+2+2+1+2 8|B@0 0+2+2+2+1+2+3 9|B@5 0+2+2+2+2+3 13";
    assert_eq!(found.join("|"), expected);
}

#[test]
fn one_commit_emits_the_last_update_of_each_key_and_window_by_window() {
    let found = run(&mut joined(hopping(), false), &BASIC);
    let expected = "A@0 0+1+1+1 5|B@0 0+2+2+2+1+2+3 9|C@0 0+3+3 9|D@0 0+4+4 7|A@5 0+1+1 10|B@5 0+2+2+2+2+3 13|\
        D@5 0+4+4 12|C@5 0+3+3 14|A@10 0+1 10|B@10 0+2+2 13|D@10 0+4 12|C@10 0+3 14";
    assert_eq!(found.join("|"), expected);
}

#[test]
fn a_commit_after_every_record_gives_the_same_as_emitting_every_update_in_tumbling_windows() {
    let windows = TimeWindows::of(ms(10)).grace(ms(100));
    let every = run(&mut joined(windows, true), &BASIC);
    let mut committing = joined(windows, false);
    let found: Vec<String> = BASIC
        .iter()
        .flat_map(|record| run(&mut committing, &[*record]))
        .collect();
    assert_eq!(found, every);
}

#[test]
fn windows_past_their_grace_are_skipped_and_counted_while_later_ones_still_count() {
    let windows = TimeWindows::of(ms(10)).advance_by(ms(5)).grace(ms(90));
    let mut driver = joined(windows, true);
    let late: Vec<(&str, String, i64)> = (0..=6).map(|time| ("k", time.to_string(), time)).collect();
    let mut records = vec![("k", "100", 100)];
    records.extend(
        late.iter()
            .map(|(key, value, time)| (*key, value.as_str(), *time)),
    );
    let found = run(&mut driver, &records);
    assert_eq!(
        found,
        ["k@95 0+100 100", "k@100 0+100 100", "k@5 0+5 5", "k@5 0+5+6 6"]
    );
    assert_eq!(driver.counters().late, 7);
}

#[test]
fn grace_ends_exactly_when_stream_time_reaches_window_end_plus_grace() {
    let windows = TimeWindows::of(ms(10)).grace(ms(90));
    let mut driver = joined(windows, true);
    assert_eq!(
        run(&mut driver, &[("k", "a", 99), ("k", "b", 9)]),
        ["k@90 0+a 99", "k@0 0+b 9"]
    );
    assert_eq!(
        run(&mut driver, &[("k", "c", 100), ("k", "d", 9)]),
        ["k@100 0+c 100"]
    );
    assert_eq!(driver.counters().late, 1);
}

#[test]
fn records_that_were_filtered_out_make_nothing_late() {
    for batch_size in [1, 2, 3] {
        let builder = StreamsBuilder::new();
        let windows = TimeWindows::of(ms(10));
        let kept = builder
            .stream::<Option<String>, String>("in")
            .filter(|_, value| value != "no");
        write_windows(&kept.group_by_key().windowed_by(windows).count("counts"));
        let mut driver = TopologyTestDriver::new(&builder.build().expect("sound")).expect("runs");
        for records in [("k", "yes", 1), ("k", "no", 10), ("k", "yes", 2)].chunks(batch_size) {
            run(&mut driver, records);
        }
        assert_eq!(driver.counters().late, 0, "cut into batches of {batch_size}");
    }
}

#[test]
fn null_keys_are_skipped_and_counted() {
    let mut driver = joined(hopping(), true);
    assert_eq!(run(&mut driver, &[("", "1", 0)]), Vec::<String>::new());
    assert_eq!(driver.counters().skipped, 1);
}

#[test]
fn late_records_are_shown_to_the_hook_with_their_window() {
    let seen = Arc::new(AtomicU64::new(0));
    let builder = StreamsBuilder::new();
    let hook = seen.clone();
    let windows = builder
        .stream::<Option<String>, String>("in")
        .group_by_key()
        .windowed_by(TimeWindows::of(ms(10)))
        .on_late(move |late| {
            assert_eq!(
                (late.window.start_ms, late.window.end_ms, late.stream_time),
                (0, 10, 50)
            );
            assert_eq!((late.value.as_str(), late.timestamp), ("late", 3));
            hook.fetch_add(1, Ordering::Relaxed);
        });
    write_windows(&windows.count("counts"));
    let mut driver = TopologyTestDriver::new(&builder.build().expect("sound")).expect("runs");
    run(&mut driver, &[("k", "early", 50), ("k", "late", 3)]);
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[test]
fn returning_none_deletes_the_window_and_the_next_record_starts_anew() {
    let builder = StreamsBuilder::new();
    let reduced = builder
        .stream::<Option<String>, String>("in")
        .group_by_key()
        .windowed_by(TimeWindows::of(ms(10)))
        .reduce("reduced", |so_far, value| {
            (value != "x").then(|| format!("{so_far}+{value}"))
        });
    write_windows(&reduced);
    let mut driver = TopologyTestDriver::new(&builder.build().expect("sound")).expect("runs");
    assert_eq!(run(&mut driver, &[("k", "a", 0)]), ["k@0 a 0"]);
    assert_eq!(run(&mut driver, &[("k", "b", 2)]), ["k@0 a+b 2"]);
    assert_eq!(run(&mut driver, &[("k", "x", 1)]), ["k@0 none 2"]);
    let stored = driver
        .windowed_value::<String, String>("reduced", &"k".to_owned(), 0)
        .expect("store");
    assert_eq!(stored, None);
    assert_eq!(run(&mut driver, &[("k", "c", 1)]), ["k@0 c 1"]);
}

#[test]
fn windows_past_their_retention_leave_the_store() {
    let builder = StreamsBuilder::new();
    let stored = Materialized::default().retention(ms(30));
    let windows = builder.stream::<Option<String>, String>("in").group_by_key();
    write_windows(
        &windows
            .windowed_by(TimeWindows::of(ms(10)))
            .count_with("counts", stored),
    );
    let mut driver = TopologyTestDriver::new(&builder.build().expect("sound")).expect("runs");
    run(&mut driver, &[("k", "a", 5), ("k", "b", 15), ("k", "c", 39)]);
    let starts = |driver: &mut Driver| -> Vec<i64> {
        let entries = driver
            .windowed_entries::<String, u64>("counts", 10)
            .expect("store");
        entries
            .into_iter()
            .map(|(windowed, _)| windowed.window.start_ms)
            .collect()
    };
    assert_eq!(starts(&mut driver), [0, 10, 30]);
    run(&mut driver, &[("k", "d", 45)]);
    assert_eq!(
        starts(&mut driver),
        [10, 30, 40],
        "retention keeps windows that start at 15 or later, by whole hops"
    );
}

#[test]
fn aggregates_of_any_type_survive_the_store_between_commits() {
    let builder = StreamsBuilder::new();
    let windows = builder
        .stream::<Option<String>, i64>("in")
        .group_by_key()
        .windowed_by(TimeWindows::of(ms(10)));
    let stats = windows.aggregate(
        "stats",
        || Json((0_u64, 0_i64)),
        |_, value, Json((count, sum))| Json((count + 1, sum + value)),
    );
    write_windows(&stats);
    let mut options = DriverOptions::default();
    // No cache at all: every aggregate is written and read back for every batch.
    options.config.cache_max_bytes = 0;
    let mut driver =
        TopologyTestDriver::with_options(&builder.build().expect("sound"), options).expect("runs");
    let input = driver.input::<Option<String>, i64>("in");
    for value in [3, 4, 5] {
        driver
            .pipe(&input, Some("k".to_owned()), value, value)
            .expect("goes through");
    }
    assert_eq!(
        read(&mut driver),
        ["k@0 Json((1, 3)) 3", "k@0 Json((2, 7)) 4", "k@0 Json((3, 12)) 5"]
    );
}

#[test]
fn impossible_windows_are_refused_when_the_topology_is_built() {
    let reason = |windows: TimeWindows, stored: Materialized<u64>| {
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>("in")
            .group_by_key()
            .windowed_by(windows)
            .count_with("counts", stored);
        match builder.build() {
            Err(TopologyError::InvalidOperator { node, reason }) => {
                assert_eq!(node, "counts");
                reason
            }
            other => panic!("built: {other:?}"),
        }
    };
    let plain = Materialized::default;
    assert_eq!(
        reason(TimeWindows::of(ms(0)), plain()),
        "the window size must be at least 1 ms"
    );
    assert_eq!(
        reason(TimeWindows::of(ms(10)).advance_by(ms(11)), plain()),
        "the advance of 11 ms must be at least 1 ms and at most the size, 10 ms"
    );
    assert_eq!(
        reason(TimeWindows::of(ms(10)).grace(ms(5)), plain().retention(ms(14))),
        "the retention of 14 ms is shorter than window size plus grace, 15 ms"
    );
}
