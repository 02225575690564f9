//! Cases of Kafka Streams' `KStreamWindowAggregateTest` with emission on close: final results of tumbling and hopping windows, each once, in order, also over restarts.

use super::windows_harness::{CACHES, Cache, driver, ms, read, records, run, run_each, write};
use super::{EmitStrategy, StreamsBuilder, TimeWindows, UnlimitedWindows};
use crate::testing::{DriverOptions, TopologyTestDriver};
use crate::topology::TopologyError;

fn closing(cache: Cache, windows: TimeWindows) -> TopologyTestDriver {
    driver(cache, |builder| topology(builder, windows))
}

fn topology(builder: &StreamsBuilder, windows: TimeWindows) {
    let table = builder
        .stream::<Option<String>, String>("in")
        .group_by_key()
        .windowed_by(windows)
        .emit_strategy(EmitStrategy::on_window_close())
        .aggregate(
            "joined",
            || "0".to_owned(),
            |_, value, so_far| format!("{so_far}+{value}"),
        );
    write(&table, "out");
}

fn hopping() -> TimeWindows {
    TimeWindows::of(ms(10)).advance_by(ms(5)).grace(ms(5))
}

const NOTHING: [&str; 0] = [];

#[test]
fn nothing_is_told_before_time_reaches_the_end_and_grace_of_a_further_window() {
    for cache in CACHES {
        let mut driver = closing(cache, hopping());
        assert_eq!(
            run_each(&mut driver, "A 1@0, B 2@5, C 3@15"),
            ["A[0,10] 0+1@0", "B[0,10] 0+2@5"],
            "{cache:?}"
        );
        assert_eq!(run(&mut driver, "D 4@15"), NOTHING);
        assert_eq!(run(&mut driver, "E 5@19"), NOTHING);
        assert_eq!(run(&mut driver, "E 5@20"), ["B[5,15] 0+2@5"]);
    }
}

#[test]
fn results_come_by_window_then_key_however_the_input_is_cut() {
    let text = "A 1@0, A 1@5, B 2@10, C 3@15, D 4@20";
    let expected = ["A[0,10] 0+1+1@5", "A[5,15] 0+1@5", "B[5,15] 0+2@10"];
    for cache in CACHES {
        assert_eq!(
            run_each(&mut closing(cache, hopping()), text),
            expected,
            "{cache:?}"
        );
        assert_eq!(run(&mut closing(cache, hopping()), text), expected, "{cache:?}");
        assert_eq!(
            run(&mut closing(cache, hopping()), "B 1@0, A 1@0, C 1@30"),
            ["A[0,10] 0+1@0", "B[0,10] 0+1@0"]
        );
    }
}

#[test]
fn a_large_step_of_time_tells_all_windows_it_closes_once() {
    for cache in CACHES {
        let mut driver = closing(cache, TimeWindows::of(ms(10)));
        run_each(&mut driver, "A 1@0, A 2@1");
        assert_eq!(run(&mut driver, "A 3@100000"), ["A[0,10] 0+1+2@1"]);
        assert_eq!(run(&mut driver, "A 4@100010"), ["A[100000,100010] 0+3@100000"]);
    }
}

#[test]
fn late_records_change_no_result_that_was_told() {
    let windows = TimeWindows::of(ms(10)).advance_by(ms(5)).grace(ms(90));
    for cache in CACHES {
        let mut driver = closing(cache, windows);
        let text = "k 100@100, k 0@0, k 1@1, k 2@2, k 3@3, k 4@4, k 5@5, k 6@6";
        assert_eq!(run_each(&mut driver, text), NOTHING, "{cache:?}");
        assert_eq!(driver.counters().late, 7);
        assert_eq!(
            run_each(&mut driver, "k 105@105, k 106@106"),
            ["k[5,15] 0+5+6@6"],
            "{cache:?}"
        );
    }
}

#[test]
fn what_was_told_before_an_abort_that_reads_input_again_is_told_once() {
    let builder = StreamsBuilder::new();
    topology(&builder, hopping());
    let options = DriverOptions {
        auto_commit: false,
        ..DriverOptions::default()
    };
    let built = builder.build().expect("sound");
    let mut driver = TopologyTestDriver::with_options(&built, options).expect("runs");
    let input = driver.input::<Option<String>, String>("in");
    driver
        .pipe_all(&input, records("A 1@0, B 2@5, C 3@15"))
        .expect("goes through");
    driver.commit().expect("commits");
    assert_eq!(read(&mut driver, "out"), ["A[0,10] 0+1@0", "B[0,10] 0+2@5"]);
    driver.pipe_all(&input, records("D 4@25")).expect("goes through");
    driver.abort().expect("aborts");
    driver.commit().expect("commits");
    assert_eq!(read(&mut driver, "out"), ["B[5,15] 0+2@5", "C[10,20] 0+3@15"]);
}

#[test]
fn unlimited_windows_cannot_be_emitted_on_close() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .group_by_key()
        .windowed_by(UnlimitedWindows::of())
        .emit_strategy(EmitStrategy::on_window_close())
        .count("counts");
    match builder.build() {
        Err(TopologyError::InvalidOperator { node, reason }) => {
            assert_eq!(node, "counts");
            assert_eq!(
                reason,
                "unlimited windows never close, so nothing would be emitted on close"
            );
        }
        other => panic!("built: {other:?}"),
    }
}

#[test]
fn unlimited_windows_take_everything_from_their_start_on() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder| {
            let table = builder
                .stream::<Option<String>, String>("in")
                .group_by_key()
                .windowed_by(UnlimitedWindows::of().start_on(ms(10)))
                .count("counts");
            write(&table, "out");
        });
        let found = run_each(&mut driver, "a x@10, a x@9, a x@1000000, b x@20, a x@11");
        let end = i64::MAX;
        assert_eq!(
            found,
            [
                format!("a[10,{end}] 1@10"),
                format!("a[10,{end}] 2@1000000"),
                format!("b[10,{end}] 1@20"),
                format!("a[10,{end}] 3@1000000")
            ],
            "{cache:?}"
        );
        assert_eq!((driver.counters().late, driver.counters().skipped), (0, 0));
    }
}
