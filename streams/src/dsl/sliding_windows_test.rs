//! Cases of Kafka Streams' `KStreamSlidingWindowAggregateTest`: which windows there are, what they hold, and in which order it is told.

use std::collections::BTreeMap;

use super::windows_harness::{CACHES, Cache, driver, ms, read, run, run_each, write};
use super::{EmitStrategy, Materialized, SlidingWindows, StreamsBuilder, Windowed};
use crate::testing::TopologyTestDriver;

/// Strings joined by "+" after a "0".
fn joined(cache: Cache, windows: SlidingWindows, emit: EmitStrategy) -> TopologyTestDriver {
    driver(cache, |builder| {
        let table = builder
            .stream::<Option<String>, String>("in")
            .group_by_key()
            .windowed_by(windows)
            .emit_strategy(emit)
            .aggregate(
                "joined",
                || "0".to_owned(),
                |_, value, so_far| format!("{so_far}+{value}"),
            );
        write(&table, "out");
    })
}

fn windows(difference: u64, grace: u64) -> SlidingWindows {
    SlidingWindows::of_time_difference(ms(difference)).grace(ms(grace))
}

/// Everything that was told of each window, in order, by window: `start: value@time value@time`.
fn by_window(lines: &[String]) -> Vec<String> {
    let mut told = BTreeMap::<i64, Vec<&str>>::new();
    for line in lines {
        let (window, value) = line.split_once(' ').expect("window value");
        let start = window
            .split_once('[')
            .and_then(|(_, bounds)| bounds.split_once(','));
        let start = start.and_then(|(start, _)| start.parse().ok()).expect("a start");
        told.entry(start).or_default().push(value);
    }
    told.into_iter()
        .map(|(start, told)| format!("{start}: {}", told.join(" ")))
        .collect()
}

const SMALL: &str = "A 1@10, A 2@10, A 3@14, A 4@15, A 5@20, A 6@22, A 7@30";

#[test]
fn a_window_begins_where_a_record_enters_and_where_one_leaves() {
    for cache in CACHES {
        let mut driver = joined(cache, windows(10, 5), EmitStrategy::on_window_update());
        assert_eq!(
            by_window(&run_each(&mut driver, SMALL)),
            [
                "0: 0+1@10 0+1+2@10",
                "4: 0+1+2+3@14",
                "5: 0+1+2+3+4@15",
                "10: 0+1+2+3+4+5@20",
                "11: 0+3@14 0+3+4@15 0+3+4+5@20",
                "12: 0+3+4+5+6@22",
                "15: 0+4@15 0+4+5@20 0+4+5+6@22",
                "16: 0+5@20 0+5+6@22",
                "20: 0+5+6+7@30",
                "21: 0+6@22 0+6+7@30",
                "23: 0+7@30"
            ],
            "{cache:?}"
        );
    }
}

#[test]
fn on_close_each_window_is_told_once() {
    for cache in CACHES {
        let mut driver = joined(cache, windows(10, 5), EmitStrategy::on_window_close());
        let found = run_each(&mut driver, SMALL);
        assert_eq!(
            found,
            [
                "A[0,10] 0+1+2@10",
                "A[4,14] 0+1+2+3@14",
                "A[5,15] 0+1+2+3+4@15",
                "A[10,20] 0+1+2+3+4+5@20",
                "A[11,21] 0+3+4+5@20",
                "A[12,22] 0+3+4+5+6@22"
            ],
            "{cache:?}"
        );
        let mut at_once = joined(cache, windows(10, 5), EmitStrategy::on_window_close());
        assert_eq!(run(&mut at_once, SMALL), found, "one commit, {cache:?}");
    }
}

#[test]
fn values_are_reduced() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder: &StreamsBuilder| {
            let table = builder
                .stream::<Option<String>, String>("in")
                .group_by_key()
                .windowed_by(windows(10, 5))
                .reduce("reduced", |so_far, value| format!("{so_far}+{value}"));
            write(&table, "out");
        });
        let found = run_each(&mut driver, "A 1@10, A 2@14, A 3@15, A 4@22, A 5@26, A 6@30");
        assert_eq!(
            by_window(&found),
            [
                "0: 1@10",
                "4: 1+2@14",
                "5: 1+2+3@15",
                "11: 2@14 2+3@15",
                "12: 2+3+4@22",
                "15: 3@15 3+4@22",
                "16: 4@22 4+5@26",
                "20: 4+5+6@30",
                "23: 5@26 5+6@30",
                "27: 6@30"
            ],
            "{cache:?}"
        );
    }
}

#[test]
fn records_earlier_than_the_length_share_the_window_from_zero() {
    let text = "A 1@0, A 2@5, A 3@6, A 4@3, A 5@13, A 6@10, A 7@70";
    for cache in CACHES {
        let mut driver = joined(cache, windows(50, 0), EmitStrategy::on_window_update());
        assert_eq!(
            by_window(&run_each(&mut driver, text)),
            [
                "0: 0+1@0 0+1+2@5 0+1+2+3@6 0+1+2+3+4@6 0+1+2+3+4+5@13 0+1+2+3+4+5+6@13",
                "1: 0+2@5 0+2+3@6 0+2+3+4@6 0+2+3+4+5@13 0+2+3+4+5+6@13",
                "4: 0+2+3@6 0+2+3+5@13 0+2+3+5+6@13",
                "6: 0+3@6 0+3+5@13 0+3+5+6@13",
                "7: 0+5@13 0+5+6@13",
                "11: 0+5@13",
                "20: 0+7@70"
            ],
            "{cache:?}"
        );
        let mut closing = joined(cache, windows(50, 0), EmitStrategy::on_window_close());
        assert_eq!(
            by_window(&run_each(&mut closing, text)),
            [
                "0: 0+1+2+3+4+5+6@13",
                "1: 0+2+3+4+5+6@13",
                "4: 0+2+3+5+6@13",
                "6: 0+3+5+6@13",
                "7: 0+5+6@13",
                "11: 0+5@13"
            ],
            "{cache:?}"
        );
    }
}

#[test]
fn early_records_may_repeat_their_times() {
    let text = "A 1@0, A 2@2, A 3@4, A 4@0, A 5@2, A 6@2, A 7@0, A 8@7";
    for cache in CACHES {
        let mut driver = joined(cache, windows(5, 0), EmitStrategy::on_window_update());
        assert_eq!(
            by_window(&run_each(&mut driver, text)),
            [
                "0: 0+1@0 0+1+2@2 0+1+2+3@4 0+1+2+3+4@4 0+1+2+3+4+5@4 0+1+2+3+4+5+6@4 0+1+2+3+4+5+6+7@4",
                "1: 0+2@2 0+2+3@4 0+2+3+5@4 0+2+3+5+6@4",
                "2: 0+2+3+5+6+8@7",
                "3: 0+3@4 0+3+8@7",
                "5: 0+8@7"
            ],
            "{cache:?}"
        );
    }
}

#[test]
fn updates_are_told_from_the_latest_window_backwards_then_what_is_new() {
    let mut driver = joined(Cache::Off, windows(500, 2000), EmitStrategy::on_window_update());
    let text = "k1 A@500, k2 A@500, k2 A@501, k1 A@502, k1 B@503, k2 B@503, k2 B@504, k1 B@504";
    assert_eq!(
        run(&mut driver, text),
        [
            "k1[0,500] 0+A@500",
            "k2[0,500] 0+A@500",
            "k2[501,1001] 0+A@501",
            "k2[1,501] 0+A+A@501",
            "k1[501,1001] 0+A@502",
            "k1[2,502] 0+A+A@502",
            "k1[501,1001] 0+A+B@503",
            "k1[503,1003] 0+B@503",
            "k1[3,503] 0+A+A+B@503",
            "k2[501,1001] 0+A+B@503",
            "k2[502,1002] 0+B@503",
            "k2[3,503] 0+A+A+B@503",
            "k2[502,1002] 0+B+B@504",
            "k2[501,1001] 0+A+B+B@504",
            "k2[504,1004] 0+B@504",
            "k2[4,504] 0+A+A+B+B@504",
            "k1[503,1003] 0+B+B@504",
            "k1[501,1001] 0+A+B+B@504",
            "k1[504,1004] 0+B@504",
            "k1[4,504] 0+A+A+B+B@504"
        ]
    );
}

#[test]
fn records_out_of_order_go_to_all_windows_that_cover_them() {
    for cache in CACHES {
        let mut driver = joined(cache, windows(10, 50), EmitStrategy::on_window_update());
        let found = run_each(&mut driver, "A 1@10, A 2@20, A 3@22, A 4@15");
        assert_eq!(
            by_window(&found),
            [
                "0: 0+1@10",
                "5: 0+1+4@15",
                "10: 0+1+2@20 0+1+2+4@20",
                "11: 0+2@20 0+2+4@20",
                "12: 0+2+3@22 0+2+3+4@22",
                "16: 0+2+3@22",
                "21: 0+3@22"
            ],
            "{cache:?}"
        );
        assert_eq!(driver.counters().late, 0);
    }
}

#[test]
fn windows_past_their_grace_take_nothing_and_are_counted() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder: &StreamsBuilder| {
            let table = builder
                .stream::<Option<String>, String>("in")
                .group_by_key()
                .windowed_by(windows(10, 90))
                .with_late(|late| {
                    let line = |missed: Windowed<Option<String>>, value| {
                        let (key, window) = (missed.key.unwrap_or_default(), missed.window);
                        (
                            (),
                            format!("{key}[{},{}] {value}", window.start_ms, window.end_ms),
                        )
                    };
                    late.map(line).to("late");
                })
                .aggregate_with(
                    "joined",
                    String::new,
                    |_, value, so_far| format!("{so_far}+{value}"),
                    Materialized::default(),
                );
            write(&table, "out");
        });
        let text = "k 100@200, k 0@100, k 1@101, k 2@102, k 3@103, k 4@104, k 5@105, k 6@6";
        run_each(&mut driver, text);
        // Stream time 200 closes what ends before 110: of the records at 100 and later only windows of their own are too old, of that at 6 all.
        let late = read(&mut driver, "late");
        assert_eq!(
            late.first().map(String::as_str),
            Some("k[90,100] 0@100"),
            "{cache:?}"
        );
        assert_eq!(late.last().map(String::as_str), Some("k[6,16] 6@6"), "{cache:?}");
        assert_eq!(driver.counters().late as usize, late.len());
    }
}

#[test]
fn null_keys_are_skipped_and_counted() {
    let mut driver = joined(Cache::On, windows(10, 0), EmitStrategy::on_window_update());
    assert_eq!(run(&mut driver, "null x@0"), Vec::<String>::new());
    assert_eq!(driver.counters().skipped, 1);
}
