//! However input is cut into batches, commits and aborts, operators behind filters judge by the same times: many of them in one task, with and without a
//! repartition topic of one upstream task before them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Consumed, EmitStrategy, Grouped, JoinWindows, KStream, KTable, SessionWindows, SlidingWindows,
    StreamJoined, StreamsBuilder, StrictBuffer, Suppressed, TimeWindows, Windowed,
};
use crate::serde::{Data, DefaultSerde};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

/// Topic and key → what was written there, in order.
type Written = BTreeMap<(String, String), Vec<(String, i64)>>;

const OUTPUTS: [&str; 8] = [
    "tumbling", "late", "hopping", "closed", "sliding", "sessions", "final", "joined",
];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn write<V: Data + DefaultSerde + std::fmt::Display>(table: &KTable<Windowed<String>, V>, topic: &str) {
    table
        .updates()
        .map(|windowed, value| {
            let window = windowed.window;
            (
                format!("{}@{}..{}", windowed.key, window.start_ms, window.end_ms),
                value.to_string(),
            )
        })
        .to(topic);
}

fn operators(all: &KStream<String, i64>) {
    let one_of = |n: i64| all.filter(move |_, value| value % n == 0);
    let tumbling = one_of(2)
        .group_by_key()
        .windowed_by(TimeWindows::of(ms(10)).grace(ms(3)))
        .with_late(|late| {
            late.map(|windowed, value| (windowed.key, format!("{value} {}", windowed.window.start_ms)))
                .to("late");
        })
        .count("tumbling");
    write(&tumbling, "tumbling");
    let held = Suppressed::until_window_closes(StrictBuffer::unbounded());
    write(&tumbling.suppress("final", held), "final");
    let hopping = TimeWindows::of(ms(10)).advance_by(ms(4));
    let hopping = one_of(3).group_by_key().windowed_by(hopping).count("hopping");
    write(&hopping, "hopping");
    let closed = one_of(5)
        .group_by_key()
        .windowed_by(TimeWindows::of(ms(7)).grace(ms(2)))
        .emit_strategy(EmitStrategy::on_window_close())
        .count("closed");
    write(&closed, "closed");
    let sliding = SlidingWindows::of_time_difference(ms(6)).grace(ms(2));
    write(
        &one_of(7).group_by_key().windowed_by(sliding).count("sliding"),
        "sliding",
    );
    let sessions = SessionWindows::with_inactivity_gap(ms(4)).grace(ms(2));
    write(
        &one_of(4).group_by_key().windowed_by(sessions).count("sessions"),
        "sessions",
    );
    let windows = JoinWindows::of_time_difference_and_grace(ms(6), ms(2));
    let pair = |left: Option<&i64>, right: Option<&i64>| format!("{left:?}/{right:?}");
    one_of(2)
        .outer_join(&one_of(3), pair, windows, StreamJoined::named("joined"))
        .to("joined");
}

/// (key, value, timestamp), some of them late.
fn records(rng: &mut fastrand::Rng) -> Vec<(String, i64, i64)> {
    (0..rng.i64(20..200))
        .map(|n| {
            let timestamp = (n / 2 + rng.i64(-25..12)).max(0);
            (format!("key-{}", rng.u8(0..3)), rng.i64(0..100), timestamp)
        })
        .collect()
}

fn driver(rekeyed: Option<i32>, auto_commit: bool) -> TopologyTestDriver {
    let builder = StreamsBuilder::new();
    let input = builder.stream::<String, i64>("in");
    operators(&match rekeyed {
        Some(partitions) => input
            .filter(|_, value| value % 11 != 0)
            .select_key(|key, _| key.clone())
            .repartition_with("by-key", Grouped::default().partitions(partitions)),
        None => input,
    });
    let mut options = DriverOptions {
        auto_commit,
        ..DriverOptions::default()
    };
    options.config.emit_every_update = true;
    TopologyTestDriver::with_options(&builder.build().expect("sound"), options).expect("runs")
}

fn written(driver: &mut TopologyTestDriver) -> Written {
    let mut written = Written::new();
    for topic in OUTPUTS {
        let output = driver.output::<String, String>(topic);
        for record in driver.read(&output).expect("output") {
            let entry = written.entry((topic.to_owned(), record.key)).or_default();
            entry.push((record.value, record.timestamp));
        }
    }
    written
}

fn one_by_one(rekeyed: Option<i32>, records: &[(String, i64, i64)]) -> Written {
    let mut driver = driver(rekeyed, true);
    let input = driver.input("in");
    for (key, value, timestamp) in records {
        driver
            .pipe(&input, key.clone(), *value, *timestamp)
            .expect("goes through");
    }
    written(&mut driver)
}

fn cut_at_random(rekeyed: Option<i32>, records: &[(String, i64, i64)], rng: &mut fastrand::Rng) -> Written {
    let mut driver = driver(rekeyed, false);
    let input = driver.input("in");
    let mut rest = records;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(rng.usize(1..=rest.len().min(40)));
        rest = after;
        let batch = batch
            .iter()
            .map(|(key, value, timestamp)| TestRecord::new(key.clone(), *value, *timestamp));
        driver.pipe_all(&input, batch).expect("goes through");
        match rng.u8(0..6) {
            0 | 1 => driver.commit().expect("commits"),
            2 => driver.abort().expect("aborts"),
            3 => {
                driver.commit().expect("commits");
                // What a restart does: everything is read from the store and from what the commit says.
                driver.abort().expect("aborts");
            }
            _ => {}
        }
    }
    driver.commit().expect("commits");
    written(&mut driver)
}

#[test]
fn cutting_commits_and_aborts_change_nothing() {
    let mut late = 0;
    for seed in 0..16 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let records = records(&mut rng);
        for rekeyed in [None, Some(1), Some(3)] {
            let expected = one_by_one(rekeyed, &records);
            for _ in 0..2 {
                let found = cut_at_random(rekeyed, &records, &mut rng);
                assert_eq!(found, expected, "seed {seed}, rekeyed {rekeyed:?}");
            }
            late += expected.keys().filter(|(topic, _)| topic == "late").count();
            if rekeyed == Some(1) {
                let kept: Vec<_> = records
                    .iter()
                    .filter(|record| record.1 % 11 != 0)
                    .cloned()
                    .collect();
                assert_eq!(
                    one_by_one(None, &kept),
                    expected,
                    "seed {seed}: as without repartition"
                );
            }
        }
    }
    assert!(late > 30, "the cases are about late records: {late}");
}

#[test]
fn windows_behind_a_repartition_close_while_input_is_idle_where_that_is_asked_for() {
    for rekeyed in [false, true] {
        let builder = StreamsBuilder::new();
        let consumed = Consumed::<String, i64>::default().idle_advance(ms(500));
        let input = builder.stream_with("in", consumed);
        let input = if rekeyed {
            input.select_key(|key, _| key.clone()).repartition("by-key")
        } else {
            input
        };
        let even = input.filter(|_, value| value % 2 == 0);
        let closed = even
            .group_by_key()
            .windowed_by(TimeWindows::of(ms(1_000)))
            .emit_strategy(EmitStrategy::on_window_close())
            .count("closed");
        write(&closed, "closed");
        let windows = JoinWindows::of_time_difference_and_grace(ms(100), ms(0));
        let odd = input.filter(|_, value| value % 2 != 0);
        let pair = |left: &i64, right: Option<&i64>| format!("{left} {right:?}");
        even.left_join(&odd, pair, windows, StreamJoined::named("joined"))
            .to("joined");
        let topology = builder.build().expect("sound");
        let mut driver = TopologyTestDriver::new(&topology).expect("runs");
        let input = driver.input::<String, i64>("in");
        for (value, timestamp) in [(2, 10), (4, 20), (5, 2_000)] {
            driver
                .pipe(&input, "k".to_owned(), value, timestamp)
                .expect("goes through");
        }
        let read = |driver: &mut TopologyTestDriver, topic: &str| {
            let output = driver.output::<String, String>(topic);
            driver.read_values(&output).expect("output")
        };
        assert_eq!(
            read(&mut driver, "closed"),
            [""; 0],
            "the odd value did not reach the count"
        );
        driver.advance_wall_clock(600).expect("time goes on");
        driver.advance_wall_clock(600).expect("time goes on");
        assert_eq!(read(&mut driver, "closed"), ["2"], "rekeyed: {rekeyed}");
        driver.pipe(&input, "k".to_owned(), 6, 30).expect("goes through");
        assert_eq!(driver.counters().late, 1, "rekeyed: {rekeyed}");
        assert_eq!(read(&mut driver, "joined"), ["2 None", "4 None", "6 None"]);
    }
}
