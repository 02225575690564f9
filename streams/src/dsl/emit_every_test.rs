//! Early results by the interval: what is told together depends on the records alone; the last result of a window is final; also over restarts and removals.

use std::collections::BTreeMap;

use super::windows_harness::{CACHES, Cache, driver, ms, on_disk, read, records, run_each, write};
use super::{
    EmitStrategy, Materialized, SessionWindows, SlidingWindows, StreamsBuilder, TimeWindows, UnlimitedWindows,
};
use crate::testing::{DriverOptions, TopologyTestDriver};
use crate::topology::TopologyError;

fn every(interval: u64) -> EmitStrategy {
    EmitStrategy::every(ms(interval))
}

/// One aggregation of each kind of windows, with a removal when a value is "x".
fn topology(builder: &StreamsBuilder, interval: u64) {
    let grouped = builder.stream::<Option<String>, String>("in").group_by_key();
    let add = |_: &Option<String>, value: &String, so_far: String| {
        (value != "x").then(|| format!("{so_far}+{value}"))
    };
    let tumbling = grouped
        .windowed_by(TimeWindows::of(ms(10)).grace(ms(5)))
        .emit_strategy(every(interval));
    write(
        &tumbling.aggregate("tumbling", || "t".to_owned(), add),
        "tumbling-out",
    );
    let sliding = grouped
        .windowed_by(SlidingWindows::of_time_difference(ms(5)).grace(ms(5)))
        .emit_strategy(every(interval));
    write(
        &sliding.aggregate("sliding", || "s".to_owned(), add),
        "sliding-out",
    );
    let unlimited = grouped
        .windowed_by(UnlimitedWindows::of())
        .emit_strategy(every(interval));
    write(
        &unlimited.aggregate("unlimited", || "u".to_owned(), add),
        "unlimited-out",
    );
    let sessions = grouped
        .windowed_by(SessionWindows::with_inactivity_gap(ms(4)).grace(ms(5)))
        .emit_strategy(every(interval));
    let merge = |_: &Option<String>, a: String, b: String| format!("{a}{b}");
    write(
        &sessions.aggregate("sessions", String::new, add, merge),
        "sessions-out",
    );
}

const TOPICS: [&str; 4] = ["tumbling-out", "sliding-out", "unlimited-out", "sessions-out"];

#[test]
fn what_changed_is_told_once_when_an_interval_ends() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder| topology(builder, 20));
        run_each(&mut driver, "b 1@1, a 2@2, a 3@15, a 4@19");
        for topic in TOPICS {
            assert_eq!(
                read(&mut driver, topic),
                Vec::<String>::new(),
                "{topic} {cache:?}"
            );
        }
        run_each(&mut driver, "a 5@20");
        assert_eq!(
            read(&mut driver, "tumbling-out"),
            ["a[0,10] t+2@2", "b[0,10] t+1@1", "a[10,20] t+3+4@19"],
            "{cache:?}"
        );
        assert_eq!(
            read(&mut driver, "sessions-out"),
            ["b[1,1] +1@1", "a[2,2] +2@2", "a[15,19] +3+4@19"],
            "{cache:?}"
        );
        run_each(&mut driver, "a 6@21, a 7@40");
        assert_eq!(
            read(&mut driver, "tumbling-out"),
            ["a[20,30] t+5+6@21"],
            "{cache:?}"
        );
        assert_eq!(
            read(&mut driver, "sessions-out"),
            ["a[15,19] -@40", "a[15,21] +3+4+5+6@21"],
            "{cache:?}"
        );
    }
}

#[test]
fn removals_are_told_of_what_receivers_know_only() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder| topology(builder, 20));
        run_each(&mut driver, "a 1@1, b 2@2, a 3@20");
        assert_eq!(read(&mut driver, "unlimited-out").len(), 2);
        run_each(&mut driver, "b x@21, c 4@22, c x@23, a 5@40");
        let end = i64::MAX;
        assert_eq!(
            read(&mut driver, "unlimited-out"),
            [format!("a[0,{end}] u+1+3@20"), format!("b[0,{end}] -@40")],
            "{cache:?}"
        );
    }
}

/// Everything that was told on each topic, the input cut at random.
fn told(seed: u64, text: &str) -> BTreeMap<&'static str, Vec<String>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let builder = StreamsBuilder::new();
    topology(&builder, 7);
    let mut options = DriverOptions {
        auto_commit: false,
        ..DriverOptions::default()
    };
    options.config.cache_max_bytes = [0, 1_500, 1 << 20][rng.usize(0..3)];
    options.config.emit_every_update = rng.bool();
    if seed.is_multiple_of(10) {
        on_disk(&mut options);
    }
    let built = builder.build().expect("sound");
    let mut driver = TopologyTestDriver::with_options(&built, options).expect("runs");
    let input = driver.input::<Option<String>, String>("in");
    let mut rest = records(text);
    while !rest.is_empty() {
        let later = rest.split_off(rng.usize(1..=rest.len().min(9)));
        driver.pipe_all(&input, rest).expect("goes through");
        rest = later;
        match rng.u8(0..3) {
            0 => driver.commit().expect("commits"),
            1 => driver.abort().expect("aborts"),
            _ => {}
        }
    }
    driver.commit().expect("commits");
    TOPICS
        .iter()
        .map(|topic| (*topic, read(&mut driver, topic)))
        .collect()
}

#[test]
fn batches_commits_aborts_and_caches_change_nothing_and_the_last_result_is_final() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let record = |n: usize| {
            let time = (n as i64 / 2 + rng.i64(-12..12)).max(0);
            let value = ["1", "2", "3", "4", "5", "x"][rng.usize(0..6)];
            format!("{} {value}@{time}", ["a", "b", "c"][rng.usize(0..3)])
        };
        let mut lines: Vec<String> = (0..120).map(record).collect();
        lines.push("z 0@100000".to_owned());
        let text = lines.join(", ");
        let expected = told(seed * 7, &text);
        for other in 1..4 {
            for (topic, lines) in told(seed * 7 + other, &text) {
                assert_eq!(lines, expected[topic], "{topic}, seed {seed} cut {other}");
            }
        }
        // Receivers end up with what they know when every update is told.
        let mut plain = driver(Cache::Off, |builder| {
            let grouped = builder.stream::<Option<String>, String>("in").group_by_key();
            let add = |_: &Option<String>, value: &String, so_far: String| {
                (value != "x").then(|| format!("{so_far}+{value}"))
            };
            let merge = |_: &Option<String>, a: String, b: String| format!("{a}{b}");
            let sessions = grouped.windowed_by(SessionWindows::with_inactivity_gap(ms(4)).grace(ms(5)));
            write(&sessions.aggregate("sessions", String::new, add, merge), "out");
        });
        let input = plain.input::<Option<String>, String>("in");
        plain.pipe_all(&input, records(&text)).expect("goes through");
        let mut all = last_of(&read(&mut plain, "out"));
        all.remove("z[100000,100000]");
        assert_eq!(last_of(&expected["sessions-out"]), all, "seed {seed}");
    }
}

/// What receivers know at the end.
fn last_of(lines: &[String]) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for line in lines {
        let (window, value) = line.split_once(' ').expect("window value");
        if value.starts_with("-@") {
            known.remove(window);
        } else {
            known.insert(window.to_owned(), value.to_owned());
        }
    }
    known
}

#[test]
fn an_interval_of_nothing_is_refused() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .group_by_key()
        .windowed_by(TimeWindows::of(ms(10)))
        .emit_strategy(every(0))
        .count_with("counts", Materialized::default());
    match builder.build() {
        Err(TopologyError::InvalidOperator { reason, .. }) => {
            assert_eq!(reason, "the interval of early results must be at least 1 ms");
        }
        other => panic!("built: {other:?}"),
    }
}
