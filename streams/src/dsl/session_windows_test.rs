//! Cases of Kafka Streams' `KStreamSessionWindowAggregateProcessorTest` and `SessionWindowedKStreamImplTest`: which sessions there are, what is told of them and when,
//! with the record cache off, on, and on without room.

use super::windows_harness::{CACHES, Cache, driver, ms, read, run, run_each, write};
use super::{EmitStrategy, Materialized, SessionWindows, StreamsBuilder, Windowed};
use crate::serde::Json;
use crate::testing::TopologyTestDriver;
use crate::topology::TopologyError;

/// Kafka's test has gaps of five minutes; here one unit is what is there a gap.
const GAP: u64 = 300;

fn counting(cache: Cache, windows: SessionWindows, emit: EmitStrategy) -> TopologyTestDriver {
    driver(cache, |builder| {
        let sessions = builder
            .stream::<Option<String>, String>("in")
            .group_by_key()
            .windowed_by(windows)
            .emit_strategy(emit)
            .count_with("sessions", Materialized::default().retention(ms(GAP * 3)));
        write(&sessions, "out");
    })
}

fn sessions() -> SessionWindows {
    SessionWindows::with_inactivity_gap(ms(GAP))
}

fn stored(driver: &mut TopologyTestDriver) -> Vec<String> {
    let entries = driver.span_entries::<String, u64>("sessions").expect("store");
    let line =
        |(Windowed { key, window }, count)| format!("{key}[{},{}] {count}", window.start_ms, window.end_ms);
    entries.into_iter().map(line).collect()
}

#[test]
fn records_within_the_gap_make_one_session() {
    for cache in CACHES {
        let mut driver = counting(cache, sessions(), EmitStrategy::on_window_update());
        run_each(&mut driver, "john a@0, john b@250, john c@550");
        assert_eq!(stored(&mut driver), ["john[0,550] 3"], "{cache:?}");
    }
}

#[test]
fn a_record_between_two_sessions_joins_them() {
    for cache in CACHES {
        let mut driver = counting(cache, sessions(), EmitStrategy::on_window_update());
        let found = run_each(&mut driver, "mel a@0, mel b@301");
        assert_eq!(found, ["mel[0,0] 1@0", "mel[301,301] 1@301"], "{cache:?}");
        assert_eq!(stored(&mut driver), ["mel[0,0] 1", "mel[301,301] 1"], "{cache:?}");
        let found = run(&mut driver, "mel c@150");
        assert_eq!(
            found,
            ["mel[0,0] -@0", "mel[301,301] -@301", "mel[0,301] 3@301"],
            "{cache:?}"
        );
        assert_eq!(stored(&mut driver), ["mel[0,301] 3"], "{cache:?}");
    }
}

#[test]
fn a_record_at_the_time_of_a_session_of_one_updates_it_without_a_removal() {
    for cache in CACHES {
        let mut driver = counting(cache, sessions(), EmitStrategy::on_window_update());
        assert_eq!(
            run_each(&mut driver, "mel a@0, mel b@0"),
            ["mel[0,0] 1@0", "mel[0,0] 2@0"],
            "{cache:?}"
        );
    }
}

#[test]
fn a_record_inside_a_session_removes_and_renews_it_or_updates_it_when_coalesced() {
    let text = "a x@0, a x@100";
    let mut off = counting(Cache::Off, sessions(), EmitStrategy::on_window_update());
    run(&mut off, text);
    assert_eq!(run(&mut off, "a x@50"), ["a[0,100] -@100", "a[0,100] 3@100"]);
    let mut on = counting(Cache::On, sessions(), EmitStrategy::on_window_update());
    run(&mut on, text);
    assert_eq!(run(&mut on, "a x@50"), ["a[0,100] 3@100"]);
}

#[test]
fn without_cache_new_sessions_and_removals_are_told_at_once() {
    let mut driver = counting(Cache::Off, sessions(), EmitStrategy::on_window_update());
    assert_eq!(
        run(&mut driver, "a x@0, b x@0, c x@0"),
        ["a[0,0] 1@0", "b[0,0] 1@0", "c[0,0] 1@0"]
    );
    assert_eq!(run(&mut driver, "a x@5"), ["a[0,0] -@0", "a[0,5] 2@5"]);
}

#[test]
fn one_commit_tells_sessions_in_the_order_of_their_last_update_and_nothing_of_what_came_and_went() {
    let mut driver = counting(Cache::On, sessions(), EmitStrategy::on_window_update());
    let text = "a 1@0, b 1@0, c 1@0, d 1@0, d 2@150, a 2@301, b 2@301, a 3@451, c 3@451";
    assert_eq!(
        run(&mut driver, text),
        [
            "a[0,0] 1@0",
            "b[0,0] 1@0",
            "c[0,0] 1@0",
            "d[0,150] 2@150",
            "b[301,301] 1@301",
            "a[301,451] 2@451",
            "c[451,451] 1@451"
        ]
    );
}

#[test]
fn sessions_further_apart_than_the_gap_stay_apart() {
    for cache in CACHES {
        let mut driver = counting(cache, sessions(), EmitStrategy::on_window_update());
        run(
            &mut driver,
            "mel 1@0, mel 2@301, mel 2@301, mel 3@602, mel 3@602, mel 3@602",
        );
        assert_eq!(
            stored(&mut driver),
            ["mel[0,0] 1", "mel[301,301] 2", "mel[602,602] 3"],
            "{cache:?}"
        );
    }
}

#[test]
fn on_close_each_session_is_told_once_when_it_is_over() {
    for cache in CACHES {
        let mut driver = counting(cache, sessions(), EmitStrategy::on_window_close());
        let text = "a 1@0, b 1@0, c 1@0, d 1@0, d 2@150, a 2@301, b 2@301, a 3@451, c 3@451";
        assert_eq!(
            run_each(&mut driver, text),
            ["a[0,0] 1@0", "b[0,0] 1@0", "c[0,0] 1@0", "d[0,150] 2@150"],
            "{cache:?}"
        );
        // Two close at the same time: by end, then start, then key.
        assert_eq!(
            run(&mut driver, "z x@760"),
            ["b[301,301] 1@301", "a[301,451] 2@451", "c[451,451] 1@451"],
            "{cache:?}"
        );
        assert_eq!(run(&mut driver, "z x@770"), Vec::<String>::new(), "{cache:?}");
    }
}

#[test]
fn on_close_equality_with_the_close_time_is_still_open() {
    let mut driver = counting(Cache::On, sessions(), EmitStrategy::on_window_close());
    assert_eq!(run_each(&mut driver, "a 1@0, b 1@300"), Vec::<String>::new());
    assert_eq!(run(&mut driver, "a 1@0"), Vec::<String>::new());
    assert_eq!(run(&mut driver, "b 1@301"), ["a[0,0] 2@0"]);
}

#[test]
fn late_records_are_dropped_and_counted_by_gap_and_grace() {
    let late = |grace: u64, text: &str| {
        let windows = SessionWindows::with_inactivity_gap(ms(10)).grace(ms(grace));
        let mut driver = counting(Cache::Off, windows, EmitStrategy::on_window_update());
        let found = run(&mut driver, text);
        (found.len(), driver.counters().late)
    };
    // With a gap of 10: at stream time 11 a session that ended at 0 is over; with a grace of 1 it is so at 12.
    assert_eq!(late(0, "dummy x@0, on-time x@0, dummy x@11, late x@0"), (3, 1));
    assert_eq!(
        late(0, "dummy x@0, on-time x@0, dummy x@10, on-time-2 x@0"),
        (5, 0)
    );
    let text = "dummy x@0, on-time x@0, dummy x@11, on-time-2 x@0, dummy x@12, late x@0";
    assert_eq!(late(1, text), (6, 1));
}

#[test]
fn an_old_record_that_meets_a_living_session_is_not_late() {
    for cache in CACHES {
        let windows = SessionWindows::with_inactivity_gap(ms(10));
        let mut driver = counting(cache, windows, EmitStrategy::on_window_update());
        run_each(&mut driver, "a x@0, a x@10, a x@20, a x@30, b x@35");
        assert_eq!(
            run(&mut driver, "a x@5").last().map(String::as_str),
            Some("a[0,30] 5@30")
        );
        // A session of its own at this time would be over long since.
        run(&mut driver, "c x@5");
        assert_eq!(driver.counters().late, 1, "{cache:?}");
    }
}

#[test]
fn null_keys_are_skipped_and_counted() {
    let mut driver = counting(Cache::On, sessions(), EmitStrategy::on_window_update());
    assert_eq!(run(&mut driver, "null x@0"), Vec::<String>::new());
    assert_eq!(driver.counters().skipped, 1);
}

#[test]
fn late_records_come_out_as_a_stream_with_the_session_they_missed() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder: &StreamsBuilder| {
            let counts = builder
                .stream::<Option<String>, String>("in")
                .group_by_key()
                .windowed_by(SessionWindows::with_inactivity_gap(ms(10)))
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
                .count("counts");
            write(&counts, "out");
        });
        assert_eq!(
            run_each(&mut driver, "a x@0, b x@30, a late@2"),
            ["a[0,0] 1@0", "b[30,30] 1@30"],
            "{cache:?}"
        );
        assert_eq!(read(&mut driver, "late"), ["a[2,2] late@2"], "{cache:?}");
        assert_eq!(driver.counters().late, 1);
    }
}

#[test]
fn values_are_reduced_and_aggregated_and_sessions_merged_in_time_order() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder: &StreamsBuilder| {
            let grouped = builder
                .stream::<Option<String>, String>("in")
                .group_by_key()
                .windowed_by(sessions().grace(ms(GAP)));
            let reduced = grouped.reduce("reduced", |so_far, value| format!("{so_far}+{value}"));
            write(&reduced, "reduced-out");
            let folded = grouped.aggregate(
                "folded",
                || Json(vec!["0".to_owned()]),
                |_, value, Json(mut all)| {
                    all.push(value.clone());
                    Json(all)
                },
                |_, Json(a), Json(b)| Json([a, b].concat()),
            );
            write(&folded, "folded-out");
        });
        run_each(&mut driver, "a 1@0, a 2@500, a 3@250");
        let last = |driver: &mut TopologyTestDriver, topic| read(driver, topic).pop().expect("results");
        assert_eq!(
            last(&mut driver, "reduced-out"),
            "a[0,500] 1+2+3@500",
            "{cache:?}"
        );
        // As in Kafka Streams a fold over sessions begins with an initial aggregate, too.
        assert_eq!(
            last(&mut driver, "folded-out"),
            "a[0,500] Json([0, 0, 1, 0, 2, 3])@500",
            "{cache:?}"
        );
    }
}

#[test]
fn returning_none_deletes_the_session() {
    let mut driver = driver(Cache::On, |builder: &StreamsBuilder| {
        let reduced = builder
            .stream::<Option<String>, String>("in")
            .group_by_key()
            .windowed_by(sessions())
            .reduce("sessions", |so_far, value| {
                (value != "x").then(|| format!("{so_far}+{value}"))
            });
        write(&reduced, "out");
    });
    let found = run_each(&mut driver, "a 1@0, a x@10, a 2@20");
    assert_eq!(found, ["a[0,0] 1@0", "a[0,0] -@0", "a[20,20] 2@20"]);
}

#[test]
fn a_refused_record_leaves_its_sessions_as_they_were() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder: &StreamsBuilder| {
            let sums = builder
                .stream::<Option<String>, String>("in")
                .group_by_key()
                .windowed_by(sessions())
                .try_aggregate(
                    "sums",
                    || 0_i64,
                    |_, value, sum| value.parse::<i64>().map(|value| sum + value),
                    |_, a, b| a + b,
                );
            write(&sums, "out");
        });
        run_each(&mut driver, "a 1@0, a 2@400, a many@200");
        assert_eq!(driver.counters().dead_letters, 1);
        let found = driver.span_entries::<String, i64>("sums").expect("store");
        let found: Vec<_> = found.into_iter().map(|(_, sum)| sum).collect();
        assert_eq!(found, [1, 2], "{cache:?}");
    }
}

#[test]
fn sessions_past_their_retention_leave_the_store_by_whole_panes() {
    let windows = SessionWindows::with_inactivity_gap(ms(10));
    let mut driver = driver(Cache::On, |builder: &StreamsBuilder| {
        let sessions = builder
            .stream::<Option<String>, String>("in")
            .group_by_key()
            .windowed_by(windows)
            .count("sessions");
        write(&sessions, "out");
    });
    run_each(&mut driver, "a x@0, a x@50, a x@70");
    // Panes are 64 ms wide and kept for a gap after their end.
    assert_eq!(stored(&mut driver), ["a[0,0] 1", "a[50,50] 1", "a[70,70] 1"]);
    run(&mut driver, "b x@74");
    assert_eq!(stored(&mut driver), ["a[70,70] 1", "b[74,74] 1"]);
}

#[test]
fn impossible_sessions_are_refused_when_the_topology_is_built() {
    let reason = |windows: SessionWindows, stored: Materialized<u64>| {
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>("in")
            .group_by_key()
            .windowed_by(windows)
            .count_with("counts", stored);
        match builder.build() {
            Err(TopologyError::InvalidOperator { reason, .. }) => reason,
            other => panic!("built: {other:?}"),
        }
    };
    assert_eq!(
        reason(
            sessions().grace(ms(5)),
            Materialized::default().retention(ms(304))
        ),
        "the retention of 304 ms is shorter than inactivity gap plus grace, 305 ms"
    );
}
