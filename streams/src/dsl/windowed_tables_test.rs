//! Windowed results as tables: joined with others, which reads their stores, and grouped again, which takes back what it added.

use super::windows_harness::{CACHES, Cache, driver, ms, read, records, run_each, write};
use super::{EmitStrategy, SessionWindows, SlidingWindows, StreamsBuilder, TimeWindows};
use crate::testing::TopologyTestDriver;

/// Records to `topic`, a commit each; what "out" got then.
fn pipe(driver: &mut TopologyTestDriver, topic: &str, text: &str) -> Vec<String> {
    let input = driver.input::<Option<String>, String>(topic);
    for record in records(text) {
        driver.pipe_all(&input, [record]).expect("goes through");
    }
    read(driver, "out")
}

#[test]
fn sliding_windows_are_joined_window_by_window() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder: &StreamsBuilder| {
            let windows = SlidingWindows::of_time_difference(ms(10)).grace(ms(100));
            let table = |topic: &str| {
                let grouped = builder.stream::<Option<String>, String>(topic).group_by_key();
                let add = |_: &Option<String>, value: &String, so_far: String| format!("{so_far}+{value}");
                grouped
                    .windowed_by(windows)
                    .aggregate(&format!("{topic}-windows"), || "0".to_owned(), add)
            };
            let (one, two) = (table("one"), table("two"));
            write(&one.join(&two, |one, two| format!("{one}%{two}")), "out");
        });
        let nothing: [&str; 0] = [];
        assert_eq!(
            pipe(
                &mut driver,
                "one",
                "A 1@10, B 2@11, C 3@12, A 1@15, B 2@16, C 3@19"
            ),
            nothing
        );
        assert_eq!(
            pipe(&mut driver, "two", "A a@10, C c@12"),
            ["A[0,10] 0+1%0+a@10", "C[2,12] 0+3%0+c@12"],
            "{cache:?}"
        );
        assert_eq!(
            pipe(&mut driver, "two", "A a@15, B b@16, C c@17"),
            [
                "A[11,21] 0+1%0+a@15",
                "A[5,15] 0+1+1%0+a+a@15",
                "B[6,16] 0+2+2%0+b@16",
                "C[13,23] 0+3%0+c@19"
            ],
            "{cache:?}"
        );
    }
}

#[test]
fn hopping_windows_are_joined_window_by_window() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder: &StreamsBuilder| {
            let windows = TimeWindows::of(ms(10)).advance_by(ms(5)).grace(ms(100));
            let table = |topic: &str| {
                let grouped = builder.stream::<Option<String>, String>(topic).group_by_key();
                let add = |_: &Option<String>, value: &String, so_far: String| format!("{so_far}+{value}");
                grouped
                    .windowed_by(windows)
                    .aggregate(&format!("{topic}-windows"), || "0".to_owned(), add)
            };
            let (one, two) = (table("one"), table("two"));
            write(&one.join(&two, |one, two| format!("{one}%{two}")), "out");
        });
        pipe(&mut driver, "one", "A 1@0, B 2@1, C 3@2, D 4@3, A 1@9");
        pipe(&mut driver, "one", "A 1@5, B 2@6, D 4@7, B 2@8, C 3@9");
        assert_eq!(
            pipe(&mut driver, "two", "A a@0, B b@1, C c@2, D d@20, A a@20"),
            [
                "A[0,10] 0+1+1+1%0+a@9",
                "B[0,10] 0+2+2+2%0+b@8",
                "C[0,10] 0+3+3%0+c@9"
            ],
            "{cache:?}"
        );
        assert_eq!(
            pipe(&mut driver, "two", "A a@5, B b@6, D d@7, D d@18, A a@21"),
            [
                "A[0,10] 0+1+1+1%0+a+a@9",
                "A[5,15] 0+1+1%0+a@9",
                "B[0,10] 0+2+2+2%0+b+b@8",
                "B[5,15] 0+2+2%0+b@8",
                "D[0,10] 0+4+4%0+d@7",
                "D[5,15] 0+4%0+d@7"
            ],
            "{cache:?}"
        );
    }
}

/// Records per key, by adding up its sessions and taking back those that were merged.
fn totals(cache: Cache, emit: EmitStrategy) -> Vec<String> {
    let mut driver = driver(cache, |builder: &StreamsBuilder| {
        let sessions = builder
            .stream::<Option<String>, String>("in")
            .group_by_key()
            .windowed_by(SessionWindows::with_inactivity_gap(ms(10)).grace(ms(100)))
            .emit_strategy(emit)
            .count("sessions");
        let key_of = |windowed: super::Windowed<Option<String>>| windowed.key.unwrap_or_default();
        let totals = sessions
            .group_by(move |windowed, count| (key_of(windowed.clone()), count))
            .aggregate(
                "totals",
                || 0_i64,
                |_, count, sum| sum + *count as i64,
                |_, count, sum| sum - *count as i64,
            );
        totals
            .updates()
            .map(|key, sum| ((), format!("{key} {sum}")))
            .to("out");
    });
    let text = "a 1@0, b 1@1, a 2@20, a 3@40, a 4@30, a 5@10, a 6@5, b 2@5, a 7@60, b 3@12, a 8@50, z 1@300";
    let found = run_each(&mut driver, text);
    let mut last = std::collections::BTreeMap::new();
    for line in found {
        let (key, sum) = line.split_once(' ').expect("key sum");
        let (sum, _) = sum.split_once('@').expect("sum@time");
        last.insert(key.to_owned(), sum.to_owned());
    }
    last.into_iter()
        .map(|(key, sum)| format!("{key} {sum}"))
        .collect()
}

#[test]
fn grouping_sessions_again_counts_every_record_once() {
    for cache in CACHES {
        assert_eq!(
            totals(cache, EmitStrategy::on_window_update()),
            ["a 8", "b 3", "z 1"],
            "{cache:?}"
        );
        assert_eq!(
            totals(cache, EmitStrategy::every(ms(15))),
            ["a 8", "b 3"],
            "early, {cache:?}"
        );
        assert_eq!(
            totals(cache, EmitStrategy::on_window_close()),
            ["a 8", "b 3"],
            "final, {cache:?}"
        );
    }
}

#[test]
fn grouping_tumbling_windows_again_takes_back_what_they_were() {
    for cache in CACHES {
        for emit in [EmitStrategy::on_window_update(), EmitStrategy::every(ms(7))] {
            let mut driver = driver(cache, |builder: &StreamsBuilder| {
                let counts = builder
                    .stream::<Option<String>, String>("in")
                    .group_by_key()
                    .windowed_by(TimeWindows::of(ms(10)).grace(ms(10)))
                    .emit_strategy(emit)
                    .count("counts");
                let totals = counts.group_by(|_, count| ("all".to_owned(), count)).aggregate(
                    "totals",
                    || 0_i64,
                    |_, count, sum| sum + *count as i64,
                    |_, count, sum| sum - *count as i64,
                );
                totals.updates().map(|_, sum| ((), sum.to_string())).to("out");
            });
            let found = run_each(
                &mut driver,
                "a 1@0, b 1@1, a 2@5, a 3@12, b 2@3, a 4@14, a 5@15, z 1@100",
            );
            let last = found
                .last()
                .and_then(|line| line.split_once('@'))
                .map(|(sum, _)| sum.to_owned());
            let expected = if emit == EmitStrategy::on_window_update() {
                "8"
            } else {
                "7"
            };
            assert_eq!(last.as_deref(), Some(expected), "{cache:?} {emit:?}");
        }
    }
}
