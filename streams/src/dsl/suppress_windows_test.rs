//! Final results of windows: the cases of Kafka Streams' `SuppressScenarioTest` about them, behind repartition topics, and while input is idle.

use std::time::Duration;

use super::table_test_support::{Texts, pipe, read, start};
use super::{
    Consumed, KTable, Materialized, StreamsBuilder, StrictBuffer, Suppressed, TimeWindows, Windowed,
};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};
use crate::topology::TopologyError;

const NOTHING: Vec<String> = Vec::new();

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Counts in windows, suppressed until they close, and raw. `key@start/end count@timestamp`.
fn window_counts(windows: TimeWindows, every_update: bool) -> (TopologyTestDriver, Texts) {
    let builder = StreamsBuilder::new();
    let counts = builder
        .stream::<String, String>("in")
        .group_by_key()
        .windowed_by(windows)
        .count("counts");
    let final_counts = counts.suppress(
        "final",
        Suppressed::until_window_closes(StrictBuffer::unbounded()),
    );
    write_windows(&final_counts, "suppressed");
    write_windows(&counts, "raw");
    let driver = start(&builder, every_update);
    let input = driver.input("in");
    (driver, input)
}

fn write_windows(table: &KTable<Windowed<String>, u64>, topic: &str) {
    let text = |windowed: Windowed<String>, count: Option<u64>| {
        let Windowed { key, window } = windowed;
        let count = count.map(|count| count.to_string());
        (format!("{key}@{}/{}", window.start_ms, window.end_ms), count)
    };
    table.to_stream().map(text).to(topic);
}

#[test]
fn final_results_of_windows_come_once_when_the_grace_is_over() {
    let (mut driver, input) = window_counts(TimeWindows::of(ms(2)).grace(ms(1)), true);
    // The last one is past the grace of its window.
    for timestamp in [0, 1, 2, 1, 0, 5, 0] {
        pipe(&mut driver, &input, "k1", "v1", timestamp);
    }
    let raw = [
        "k1@0/2 1@0",
        "k1@0/2 2@1",
        "k1@2/4 1@2",
        "k1@0/2 3@1",
        "k1@0/2 4@1",
        "k1@4/6 1@5",
    ];
    assert_eq!(read(&mut driver, "raw"), raw);
    assert_eq!(read(&mut driver, "suppressed"), ["k1@0/2 4@1", "k1@2/4 1@2"]);
    assert_eq!(driver.counters().late, 1);
}

#[test]
fn a_large_jump_of_time_closes_all_windows_in_their_order() {
    for every_update in [false, true] {
        let (mut driver, input) = window_counts(TimeWindows::of(ms(2)).grace(ms(2)), every_update);
        for timestamp in [0, 1, 2, 0, 3, 0, 4] {
            pipe(&mut driver, &input, "k1", "v1", timestamp);
        }
        // At 4 the first window closed; this one is too late for it.
        pipe(&mut driver, &input, "k1", "v1", 0);
        pipe(&mut driver, &input, "k1", "v1", 100);
        let expected = ["k1@0/2 4@1", "k1@2/4 2@3", "k1@4/6 1@4"];
        assert_eq!(
            read(&mut driver, "suppressed"),
            expected,
            "every update {every_update}"
        );
    }
}

#[test]
fn final_results_do_not_depend_on_how_the_input_is_cut() {
    let mut rng = fastrand::Rng::with_seed(11);
    let records: Vec<(String, i64)> = (0..400)
        .map(|n| {
            (
                format!("k{}", rng.u8(..5)),
                (n / 2 - i64::from(rng.u8(..6))).max(0),
            )
        })
        .collect();
    let run = |cut: usize, every_update: bool| {
        let (mut driver, _) = window_counts(TimeWindows::of(ms(7)).grace(ms(3)), every_update);
        let input = driver.input::<String, String>("in");
        for chunk in records.chunks(cut) {
            let record =
                |(key, timestamp): &(String, i64)| TestRecord::new(key.clone(), "v".to_owned(), *timestamp);
            driver
                .pipe_all(&input, chunk.iter().map(record))
                .expect("goes through");
        }
        driver
            .pipe(&input, "end".to_owned(), "v".to_owned(), 10_000)
            .expect("goes through");
        let mut found = read(&mut driver, "suppressed");
        found.sort();
        found
    };
    let expected = run(1, true);
    assert!(expected.len() > 50, "there is something to compare");
    for cut in [3, 50, 400] {
        assert_eq!(run(cut, true), expected, "{cut} at a time");
        assert_eq!(run(cut, false), expected, "{cut} at a time, coalesced");
    }
}

#[test]
fn a_window_that_was_deleted_sends_nothing_when_it_closes() {
    let builder = StreamsBuilder::new();
    let windows = TimeWindows::of(ms(100));
    let sums = builder
        .stream::<String, String>("in")
        .group_by_key()
        .windowed_by(windows)
        .aggregate(
            "sums",
            || 0_i64,
            |_, value, sum| {
                let sum = sum + value.parse::<i64>().unwrap_or(0);
                (sum != 0).then_some(sum)
            },
        );
    sums.suppress(
        "final",
        Suppressed::until_window_closes(StrictBuffer::unbounded()),
    )
    .to_stream()
    .map(|windowed, sum| (windowed.key, sum.map(|sum| sum.to_string())))
    .to("suppressed");
    let mut driver = start(&builder, true);
    let input = driver.input("in");
    for (value, timestamp) in [("5", 1), ("-5", 2), ("7", 100), ("1", 300)] {
        pipe(&mut driver, &input, "A", value, timestamp);
    }
    assert_eq!(read(&mut driver, "suppressed"), ["A 7@100"]);
}

#[test]
fn final_results_need_windows_above() {
    let builder = StreamsBuilder::new();
    builder.table::<Windowed<String>, String>("in", "in").suppress(
        "final",
        Suppressed::until_window_closes(StrictBuffer::unbounded()),
    );
    let built = builder.build();
    assert!(
        matches!(&built, Err(TopologyError::InvalidOperator { node, .. }) if node == "final"),
        "{built:?}"
    );
}

#[test]
fn grace_is_found_behind_filters_maps_and_stores() {
    let builder = StreamsBuilder::new();
    let counts = builder
        .stream::<String, String>("in")
        .group_by_key()
        .windowed_by(TimeWindows::of(ms(10)).grace(ms(5)))
        .count("counts");
    let counts = counts
        .filter_with("some", |_, count| *count > 0, Materialized::default())
        .map_values(|count| count * 10)
        .filter(|_, count| *count > 0);
    let last = counts.suppress(
        "final",
        Suppressed::until_window_closes(StrictBuffer::unbounded()),
    );
    write_windows(&last, "suppressed");
    let mut driver = start(&builder, true);
    let input = driver.input("in");
    for timestamp in [1, 11, 2, 15] {
        pipe(&mut driver, &input, "k", "v", timestamp);
    }
    assert_eq!(read(&mut driver, "suppressed"), ["k@0/10 20@2"]);
}

#[test]
fn a_final_result_behind_a_repartition_is_final_although_upstream_tasks_run_apart() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let counts = builder
            .stream::<String, String>("in")
            .group_by(|_, value| value.clone())
            .windowed_by(TimeWindows::of(ms(10)).grace(ms(5)))
            .count("counts");
        let last = counts.suppress(
            "final",
            Suppressed::until_window_closes(StrictBuffer::unbounded()),
        );
        write_windows(&last, "suppressed");
        let mut options = DriverOptions {
            partitions: [("in".to_owned(), 3)].into(),
            ..DriverOptions::default()
        };
        options.config.emit_every_update = every_update;
        let topology = builder.build().expect("a sound topology");
        let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
        let input = driver.input::<String, String>("in");
        let mut rng = fastrand::Rng::with_seed(17);
        let mut clocks = [0, 0, 0];
        let mut accepted = 0;
        for _ in 0..300 {
            // Partitions are far apart in time.
            let partition = usize::from(rng.u8(..3));
            clocks[partition] += i64::from(rng.u8(..4)) * (1 + partition as i64);
            let record = TestRecord::new(String::new(), format!("v{}", rng.u8(..3)), clocks[partition]);
            driver
                .pipe_all(&input, [record.on_partition(partition as i32)])
                .expect("goes through");
            accepted += 1;
        }
        for partition in 0..3 {
            // Enough of them to reach every partition behind.
            let end =
                |n| TestRecord::new(String::new(), format!("end-{n}"), 1_000_000).on_partition(partition);
            driver.pipe_all(&input, (0..16).map(end)).expect("goes through");
        }
        let found = read(&mut driver, "suppressed");
        let windows: std::collections::BTreeSet<&str> =
            found.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(windows.len(), found.len(), "one result per window: {found:?}");
        let count = |line: &String| {
            line.split([' ', '@'])
                .nth(2)
                .and_then(|count| count.parse::<u64>().ok())
        };
        let counted: u64 = found.iter().map(|line| count(line).expect("a count")).sum();
        assert_eq!(counted + driver.counters().late, accepted, "nothing is lost");
    }
}

#[test]
fn results_come_while_input_is_idle_where_that_is_asked_for() {
    for is_final in [false, true] {
        let builder = StreamsBuilder::new();
        let consumed = Consumed::<String, String>::default().idle_advance(ms(500));
        let counts = builder
            .stream_with("in", consumed)
            .group_by_key()
            .windowed_by(TimeWindows::of(ms(1_000)))
            .count("counts");
        let held = match is_final {
            true => Suppressed::until_window_closes(StrictBuffer::unbounded()),
            false => Suppressed::until_time_limit(ms(1_000), StrictBuffer::unbounded()),
        };
        write_windows(&counts.suppress("held", held), "suppressed");
        let mut driver = start(&builder, false);
        let input = driver.input("in");
        for timestamp in [10, 20, 30] {
            pipe(&mut driver, &input, "k", "v", timestamp);
        }
        assert_eq!(read(&mut driver, "suppressed"), NOTHING);
        driver.advance_wall_clock(5_000).expect("time goes on");
        assert_eq!(read(&mut driver, "suppressed"), ["k@0/1000 3@30"]);
    }
}
