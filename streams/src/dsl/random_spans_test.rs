//! Random sessions and sliding windows against the plain definition: however input is cut into batches, commits and aborts, whatever the cache and the emission.

use std::collections::BTreeMap;
use std::time::Duration;

use super::windows_harness::on_disk;
use super::{EmitStrategy, KTable, SessionWindows, SlidingWindows, StreamsBuilder, Windowed};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

/// key, start, end → what is in it: how many records, and the sum of their values.
type Spans = BTreeMap<(String, i64, i64), (u64, i64)>;

struct Case {
    length_ms: i64,
    grace_ms: i64,
    /// key, value, time; one partition.
    records: Vec<(String, i64, i64)>,
    on_close: bool,
}

fn case(seed: u64, spread_ms: i64) -> Case {
    let mut rng = fastrand::Rng::with_seed(seed);
    let count = rng.usize(1..300);
    let pace = rng.usize(1..6);
    let record = |n: usize| {
        let time = (n as i64 * 3 / pace as i64 + rng.i64(-spread_ms..=spread_ms)).max(0);
        let key = ["a", "b", "c", "a-key-that-is-longer-than-a-slot"][rng.usize(0..4)];
        (key.to_owned(), rng.i64(1..1_000_000), time)
    };
    let records = (0..count).map(record).collect();
    Case {
        length_ms: rng.i64(1..12),
        grace_ms: rng.i64(0..20),
        records,
        on_close: rng.bool(),
    }
}

fn duration(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

/// Writes `key|start|end` → `count|sum`, removals as null.
fn write(table: &KTable<Windowed<String>, String>) {
    let flat = |windowed: Windowed<String>, value: Option<String>| {
        let window = windowed.window;
        (
            format!("{}|{}|{}", windowed.key, window.start_ms, window.end_ms),
            value,
        )
    };
    table.to_stream().map(flat).to("out");
}

fn add(value: i64, so_far: &str) -> String {
    let (count, sum) = so_far.split_once('|').expect("count|sum");
    let (count, sum): (u64, i64) = (count.parse().expect("count"), sum.parse().expect("sum"));
    format!("{}|{}", count + 1, sum + value)
}

fn merge(a: &str, b: &str) -> String {
    let ((count, sum), (more, other)) = (a.split_once('|').expect("a"), b.split_once('|').expect("b"));
    let count = count.parse::<u64>().expect("count") + more.parse::<u64>().expect("count");
    let sum = sum.parse::<i64>().expect("sum") + other.parse::<i64>().expect("sum");
    format!("{count}|{sum}")
}

/// Runs the case in random pieces; what was told, in order, and how many records were late.
fn by_driver(seed: u64, case: &Case, builder: &StreamsBuilder) -> (Vec<(String, Option<String>)>, u64) {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0xfeed);
    let mut options = DriverOptions {
        auto_commit: false,
        ..DriverOptions::default()
    };
    options.config.cache_max_bytes = [0, 2_000, 1 << 20][rng.usize(0..3)];
    options.config.emit_every_update = rng.bool();
    if seed.is_multiple_of(10) {
        on_disk(&mut options);
    }
    let topology = builder.build().expect("a sound topology");
    let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
    let input = driver.input::<String, i64>("in");
    let mut rest = &case.records[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rng.usize(1..=rest.len().min(40)));
        let records = now
            .iter()
            .map(|(key, value, time)| TestRecord::new(key.clone(), *value, *time));
        driver.pipe_all(&input, records).expect("goes through");
        rest = later;
        match rng.u8(0..4) {
            0 => driver.commit().expect("commits"),
            1 => driver.abort().expect("aborts"),
            _ => {}
        }
    }
    driver.commit().expect("commits");
    let output = driver.output::<String, Option<String>>("out");
    let told = driver.read_pairs(&output).expect("results");
    // Aborted input is read again, so late records may be counted more than once.
    (told, driver.counters().late)
}

/// What receivers know at the end.
fn replay(told: &[(String, Option<String>)]) -> Spans {
    let mut spans = Spans::new();
    for (key, value) in told {
        let mut parts = key.rsplitn(3, '|');
        let (end, start, key) = (parts.next(), parts.next(), parts.next());
        let bound = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok()).expect("a bound");
        let id = (key.expect("a key").to_owned(), bound(start), bound(end));
        match value {
            None => {
                spans.remove(&id);
            }
            Some(value) => {
                let (count, sum) = value.split_once('|').expect("count|sum");
                let value = (count.parse().expect("count"), sum.parse().expect("sum"));
                spans.insert(id, value);
            }
        }
    }
    spans
}

/// Final results in the order they must be told.
fn final_results(spans: &Spans, closed_before: i64) -> Vec<(String, Option<String>)> {
    let mut closed: Vec<_> = spans
        .iter()
        .filter(|((_, _, end), _)| *end < closed_before)
        .collect();
    closed.sort_by_key(|((key, start, end), _)| (*end, *start, key.clone()));
    let line = |((key, start, end), (count, sum)): (&(String, i64, i64), &(u64, i64))| {
        (format!("{key}|{start}|{end}"), Some(format!("{count}|{sum}")))
    };
    closed.into_iter().map(line).collect()
}

/// The definition of sessions, record by record.
fn sessions(case: &Case) -> (Spans, u64, i64) {
    let (mut spans, mut late, mut stream_time) = (Spans::new(), 0, i64::MIN);
    for (key, value, time) in &case.records {
        stream_time = stream_time.max(*time);
        let over = stream_time - case.length_ms - case.grace_ms;
        let earliest_end = (time - case.length_ms).max(over);
        let met: Vec<_> = spans
            .keys()
            .filter(|(other, start, end)| {
                other == key && *end >= earliest_end && *start <= time + case.length_ms
            })
            .cloned()
            .collect();
        let start = met.iter().map(|(_, start, _)| *start).fold(*time, i64::min);
        let end = met.iter().map(|(_, _, end)| *end).fold(*time, i64::max);
        if end < over {
            late += 1;
            continue;
        }
        let mut all = (1, *value);
        for id in met {
            let (count, sum) = spans.remove(&id).expect("just found");
            all = (all.0 + count, all.1 + sum);
        }
        spans.insert((key.clone(), start, end), all);
    }
    (spans, late, stream_time)
}

#[test]
fn sessions_are_those_of_the_definition() {
    for seed in 0..100 {
        let case = case(seed, 15);
        let builder = StreamsBuilder::new();
        let windows =
            SessionWindows::with_inactivity_gap(duration(case.length_ms)).grace(duration(case.grace_ms));
        let emit = if case.on_close {
            EmitStrategy::on_window_close()
        } else {
            EmitStrategy::on_window_update()
        };
        let table = builder
            .stream::<String, i64>("in")
            .group_by_key()
            .windowed_by(windows)
            .emit_strategy(emit)
            .aggregate(
                "sessions",
                || "0|0".to_owned(),
                |_, value, so_far| add(*value, &so_far),
                |_, a, b| merge(&a, &b),
            );
        write(&table);
        let (expected, late, stream_time) = sessions(&case);
        let (told, counted) = by_driver(seed, &case, &builder);
        if case.on_close {
            let closed_before = stream_time - case.length_ms - case.grace_ms;
            assert_eq!(told, final_results(&expected, closed_before), "seed {seed}");
        } else {
            assert_eq!(replay(&told), expected, "seed {seed}");
        }
        assert!(counted >= late, "seed {seed}: {counted} late of {late}");
    }
}

/// The definition of sliding windows over all records of a key.
fn sliding(case: &Case) -> Spans {
    let mut spans = Spans::new();
    for (key, _, time) in &case.records {
        let left = (time - case.length_ms).max(0);
        for start in [left, time + 1] {
            let end = start + case.length_ms;
            let inside = case
                .records
                .iter()
                .filter(|(other, _, time)| other == key && (start..=end).contains(time));
            let all = inside.fold((0, 0), |(count, sum), (_, value, _)| (count + 1, sum + value));
            if all.0 > 0 {
                spans.insert((key.clone(), start, end), all);
            }
        }
    }
    spans
}

#[test]
fn sliding_windows_are_those_of_the_definition() {
    for seed in 0..100 {
        let mut case = case(seed, 25);
        // Nothing is late; at the end everything is closed but what the last record makes.
        let grace_ms = 10_000;
        if case.on_close {
            case.records.push(("z".to_owned(), 1, 1_000_000));
        }
        let builder = StreamsBuilder::new();
        let windows = SlidingWindows::of_time_difference(duration(case.length_ms)).grace(duration(grace_ms));
        let emit = if case.on_close {
            EmitStrategy::on_window_close()
        } else {
            EmitStrategy::on_window_update()
        };
        let table = builder
            .stream::<String, i64>("in")
            .group_by_key()
            .windowed_by(windows)
            .emit_strategy(emit)
            .aggregate(
                "windows",
                || "0|0".to_owned(),
                |_, value, so_far| add(*value, &so_far),
            );
        write(&table);
        let expected = sliding(&case);
        let (told, late) = by_driver(seed, &case, &builder);
        if case.on_close {
            assert_eq!(
                told,
                final_results(&expected, 1_000_000 - grace_ms),
                "seed {seed}"
            );
        } else {
            assert_eq!(replay(&told), expected, "seed {seed}");
        }
        assert_eq!(late, 0, "seed {seed}");
    }
}
