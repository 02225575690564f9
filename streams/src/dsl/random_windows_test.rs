//! Random windowed counts against a brute-force count: however input is cut into batches, commits and aborts, and however small the cache, the result is that of the plain definition.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{StreamsBuilder, TimeWindows};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

const SIZE_MS: i64 = 10;

type Counts = BTreeMap<(i64, String), u64>;

struct Case {
    partitions: i32,
    advance_ms: i64,
    grace_ms: i64,
    cache_max_bytes: usize,
    rekeyed: bool,
    records: Vec<(i32, String, i64)>,
}

fn case(seed: u64) -> Case {
    let mut rng = fastrand::Rng::with_seed(seed);
    let rekeyed = rng.bool();
    let count = rng.usize(1..400);
    let record = |n: usize| {
        let timestamp = (n as i64 / 4 + rng.i64(-30..30)).max(0);
        (
            rng.i32(0..3),
            format!("key-{}", "x".repeat(rng.usize(0..30))),
            timestamp,
        )
    };
    let records = (0..count).map(record).collect();
    Case {
        partitions: 3,
        advance_ms: [10, 5, 3][rng.usize(0..3)],
        // Behind a repartition topic lateness depends on all upstream tasks: there, nothing is late.
        grace_ms: if rekeyed { 10_000 } else { rng.i64(0..20) },
        cache_max_bytes: [0, 3_000, 1 << 20][rng.usize(0..3)],
        rekeyed,
        records,
    }
}

/// The definition: per partition in order, a record counts in each of its windows that is still open.
fn brute_force(case: &Case) -> (Counts, u64) {
    let (mut counts, mut late) = (Counts::new(), 0);
    let mut stream_times = BTreeMap::new();
    for (partition, key, timestamp) in &case.records {
        let stream_time = stream_times.entry(*partition).or_insert(i64::MIN);
        *stream_time = (*stream_time).max(*timestamp);
        for start in
            (0..=*timestamp).filter(|start| start % case.advance_ms == 0 && start + SIZE_MS > *timestamp)
        {
            if start + SIZE_MS + case.grace_ms > *stream_time {
                *counts.entry((start, key.clone())).or_default() += 1;
            } else {
                late += 1;
            }
        }
    }
    (counts, late)
}

fn by_driver(case: &Case, seed: u64) -> (Counts, u64) {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0xfeed);
    let builder = StreamsBuilder::new();
    let windows = TimeWindows::of(Duration::from_millis(SIZE_MS as u64))
        .advance_by(Duration::from_millis(case.advance_ms as u64))
        .grace(Duration::from_millis(case.grace_ms as u64));
    let stream = builder.stream::<String, i64>("in");
    let grouped = if case.rekeyed {
        stream.group_by(|key, _| key.clone())
    } else {
        stream.group_by_key()
    };
    let counts = grouped.windowed_by(windows).count("counts");
    counts
        .updates()
        .map(|windowed, n| (format!("{}|{}", windowed.window.start_ms, windowed.key), n))
        .to("out");
    let mut options = DriverOptions {
        auto_commit: false,
        ..DriverOptions::default()
    };
    options.partitions.insert("in".to_owned(), case.partitions);
    options.config.cache_max_bytes = case.cache_max_bytes;
    options.config.emit_every_update = rng.bool();
    let topology = builder.build().expect("a sound topology");
    let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
    let (input, output) = (
        driver.input::<String, i64>("in"),
        driver.output::<String, u64>("out"),
    );
    let mut rest = &case.records[..];
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(rng.usize(1..=rest.len().min(50)));
        rest = after;
        let batch = batch.iter().map(|(partition, key, timestamp)| {
            TestRecord::new(key.clone(), 1, *timestamp).on_partition(*partition)
        });
        driver.pipe_all(&input, batch).expect("records go through");
        match rng.u8(0..4) {
            0 => driver.commit().expect("commits"),
            1 => driver.abort().expect("aborts"),
            _ => {}
        }
    }
    driver.commit().expect("commits");
    let mut last: Counts = Counts::new();
    for (key, count) in driver.read_pairs(&output).expect("output") {
        let (start, key) = key.split_once('|').expect("start|key");
        let known = last
            .entry((start.parse().expect("a number"), key.to_owned()))
            .or_default();
        *known = (*known).max(count);
    }
    (last, driver.counters().late)
}

#[test]
fn random_windowed_counts_equal_the_brute_force_count() {
    for seed in 0..60 {
        let mut case = case(seed);
        // A key must stay in its partition, as a producer would have it, unless the job repartitions it.
        if !case.rekeyed {
            for (partition, key, _) in &mut case.records {
                *partition = key.len() as i32 % 3;
            }
        }
        let (expected, late) = brute_force(&case);
        let (found, found_late) = by_driver(&case, seed);
        assert_eq!(found, expected, "seed {seed}");
        // Aborted input is read again, so late records may be counted more than once, never less.
        assert!(
            found_late >= late,
            "seed {seed}: {found_late} late, expected at least {late}"
        );
    }
}
