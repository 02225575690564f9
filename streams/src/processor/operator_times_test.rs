//! The times of operators: what moves and limits them, and that they come back from what was saved.

use super::operator_time::{OPERATOR_TIMES_MAX, OperatorIndex};
use super::{NO_TIME, TaskClock};

fn clock(operators: &[&str]) -> TaskClock {
    let names: Vec<String> = operators.iter().map(ToString::to_string).collect();
    TaskClock::new([]).with_operators(&names)
}

fn behind_repartition(operators: &[&str]) -> TaskClock {
    let names: Vec<String> = operators.iter().map(ToString::to_string).collect();
    TaskClock::new([("r".to_owned(), 2)]).with_operators(&names)
}

fn observe(clock: &mut TaskClock, operator: u32, timestamp: i64) -> i64 {
    let index = OperatorIndex(operator);
    let mut time = clock.operator(index);
    let now = time.observe(timestamp, clock.time());
    clock.set_operator(index, time);
    now
}

fn now(clock: &TaskClock, operator: u32) -> i64 {
    clock.operator(OperatorIndex(operator)).at(clock.time())
}

#[test]
fn an_operator_goes_by_the_records_that_reach_it() {
    let mut clock = clock(&["a", "b"]);
    clock.observe(100);
    assert_eq!(observe(&mut clock, 0, 5), 5);
    assert_eq!(observe(&mut clock, 0, 3), 5);
    assert_eq!(
        observe(&mut clock, 0, 200),
        200,
        "ahead of the task, as in Kafka Streams"
    );
    assert_eq!(now(&clock, 1), NO_TIME);
}

#[test]
fn behind_a_repartition_topic_it_is_not_ahead_of_the_slowest_upstream_task() {
    let mut clock = behind_repartition(&["a"]);
    assert_eq!(observe(&mut clock, 0, 50), NO_TIME, "not all were heard");
    clock.observe_upstream("r", 0, 80);
    clock.observe_upstream("r", 1, 20);
    assert_eq!(now(&clock, 0), 20);
    clock.observe_upstream("r", 1, 70);
    assert_eq!(now(&clock, 0), 50, "nor of its own records");
}

#[test]
fn times_come_back_as_they_were_saved() {
    let mut random = fastrand::Rng::with_seed(7);
    let times = [NO_TIME, -1, 0, 7, 1_700_000_000_000, i64::MAX];
    for _ in 0..500 {
        let names: Vec<String> = (0..random.usize(1..6))
            .map(|name| format!("store-{name}"))
            .collect();
        let new = || TaskClock::new([]).with_operators(&names);
        let mut saved = new();
        saved.observe(times[random.usize(..times.len())]);
        for operator in 0..names.len() as u32 {
            observe(&mut saved, operator, times[random.usize(..times.len())]);
        }
        saved.commit_operators();
        let mut restored = new();
        restored.restore(&saved.encode()).expect("sound");
        assert_eq!(restored, saved, "{}", saved.encode());
    }
}

#[test]
fn what_is_saved_is_short_and_the_same_in_every_version() {
    let mut clock = clock(&["counts", "sums", "never"]);
    clock.observe(1_700_000_000_000);
    observe(&mut clock, 0, 1_700_000_000_000);
    observe(&mut clock, 1, 1_699_999_940_000);
    assert_eq!(clock.encode(), "v1;1700000000000;%=chhjgi,8herfk1aao,1hvcxw!");
}

#[test]
fn a_text_from_before_operators_had_times_means_the_tasks_time() {
    let mut clock = clock(&["a"]);
    clock.restore("v1;100").expect("sound");
    assert_eq!(now(&clock, 0), 100);
    assert_eq!(clock.operator_committed(OperatorIndex(0)), 100);
}

#[test]
fn an_operator_that_is_new_begins_without_a_time_and_one_that_is_gone_is_forgotten() {
    let mut before = clock(&["old", "kept"]);
    before.observe(100);
    observe(&mut before, 0, 90);
    observe(&mut before, 1, 80);
    let mut after = clock(&["kept", "new"]);
    after.restore(&before.encode()).expect("sound");
    assert_eq!((now(&after, 0), now(&after, 1)), (80, NO_TIME));
}

#[test]
fn a_damaged_list_is_refused_and_changes_nothing() {
    let mut clock = clock(&["a"]);
    observe(&mut clock, 0, 5);
    for text in ["v1;5;%=ab", "v1;5;%=abcdef-", "v1;5;%=abcdefgh,x"] {
        assert!(clock.restore(text).is_err(), "{text}");
    }
    assert_eq!(now(&clock, 0), 5);
}

#[test]
fn of_very_many_operators_the_last_go_by_the_tasks_time_and_what_is_saved_is_bounded() {
    let names: Vec<String> = (0..200)
        .map(|name| format!("a-store-with-a-long-name-{name}"))
        .collect();
    let new = || TaskClock::new([]).with_operators(&names);
    let mut clock = new();
    clock.observe(1_700_000_000_000);
    for operator in 0..200 {
        observe(&mut clock, operator, i64::from(operator));
    }
    let last = OPERATOR_TIMES_MAX as u32;
    assert_eq!(now(&clock, last - 1), i64::from(last) - 1);
    assert_eq!(now(&clock, last), 1_700_000_000_000);
    let saved = clock.encode();
    assert!(saved.len() < 1_100, "{} bytes", saved.len());
    let mut restored = new();
    restored.restore(&saved).expect("sound");
    for operator in 0..200 {
        assert_eq!(now(&restored, operator), now(&clock, operator));
    }
}

#[test]
fn an_idle_task_takes_all_its_operators_on() {
    let mut clock = clock(&["a", "b"]);
    clock.observe(10);
    observe(&mut clock, 0, 4);
    clock.advance_idle(1, 30);
    assert_eq!((now(&clock, 0), now(&clock, 1)), (30, 30));
    let mut restored = self::clock(&["a", "b"]);
    restored.restore(&clock.encode()).expect("sound");
    assert_eq!(now(&restored, 1), 30);
}

#[test]
fn the_time_of_the_last_commit_is_told_apart() {
    let mut clock = clock(&["a"]);
    observe(&mut clock, 0, 4);
    assert_eq!(clock.operator_committed(OperatorIndex(0)), NO_TIME);
    clock.commit_operators();
    observe(&mut clock, 0, 9);
    assert_eq!(clock.operator_committed(OperatorIndex(0)), 4);
}
