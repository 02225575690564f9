//! Stream time of a task, from one source or from many upstream tasks.

use super::{NO_TIME, TaskClock};

#[test]
fn ordinary_sources_move_time_to_the_largest_timestamp() {
    let mut clock = TaskClock::new([]);
    assert_eq!(clock.time(), NO_TIME);
    assert_eq!([clock.observe(5), clock.observe(3), clock.observe(9)], [5, 5, 9]);
}

#[test]
fn upstream_time_is_unknown_until_all_upstream_tasks_were_heard_and_then_the_slowest() {
    let mut clock = TaskClock::new([("by-key".to_owned(), 2)]);
    assert_eq!(
        clock.observe(1_000),
        NO_TIME,
        "timestamps do not count behind a repartition topic"
    );
    assert_eq!(clock.observe_upstream("by-key", 0, 50), NO_TIME);
    assert_eq!(clock.observe_upstream("by-key", 1, 20), 20);
    assert_eq!(clock.observe_upstream("by-key", 1, 70), 50);
    assert_eq!(
        clock.observe_upstream("by-key", 0, 40),
        50,
        "older news changes nothing"
    );
    assert_eq!(
        clock.observe_upstream("other", 0, 90),
        50,
        "unknown sources are ignored"
    );
}

#[test]
fn the_order_in_which_upstream_tasks_run_does_not_matter() {
    let told = [(0, 10), (1, 5), (2, 30), (0, 40), (1, 25), (2, 35)];
    let end = |order: &[usize]| {
        let mut clock = TaskClock::new([("r".to_owned(), 3)]);
        for upstream in order {
            for (_, time) in told.iter().filter(|(who, _)| who == &(*upstream as i32)) {
                clock.observe_upstream("r", *upstream as i32, *time);
            }
        }
        clock
    };
    assert_eq!(end(&[0, 1, 2]), end(&[2, 1, 0]));
    assert_eq!(end(&[1, 2, 0]).time(), 25);
}

#[test]
fn a_saved_clock_comes_back_as_it_was() {
    let mut clock = TaskClock::new([("a".to_owned(), 2), ("b".to_owned(), 1)]);
    clock.observe_upstream("a", 0, -5);
    clock.observe_upstream("b", 0, 7);
    let saved = clock.encode();
    assert_eq!(saved, "v1;;a=0:-5;b=0:7");
    let mut restored = TaskClock::new([("a".to_owned(), 2), ("b".to_owned(), 1)]);
    restored.observe_upstream("a", 1, 99);
    restored.restore(&saved).expect("sound");
    assert_eq!(restored, clock);
    restored.restore("").expect("empty means nothing seen");
    assert_eq!(
        restored,
        TaskClock::new([("a".to_owned(), 2), ("b".to_owned(), 1)])
    );
}

#[test]
fn a_damaged_saved_clock_is_refused_and_changes_nothing() {
    let mut clock = TaskClock::new([]);
    clock.observe(5);
    for text in ["v2;5", "v1", "v1;x", "v1;5;a", "nonsense"] {
        assert!(clock.restore(text).is_err(), "{text}");
    }
    assert_eq!(clock.time(), 5);
}

#[test]
fn an_idle_upstream_task_that_never_had_a_record_holds_nobody_back() {
    let mut clock = TaskClock::new([("r".to_owned(), 3)]);
    clock.observe_upstream("r", 0, 50);
    clock.observe_upstream("r", 1, NO_TIME);
    assert_eq!(clock.time(), NO_TIME, "the third was not heard");
    assert_eq!(clock.observe_upstream("r", 2, NO_TIME), 50);
    let saved = clock.encode();
    let mut restored = TaskClock::new([("r".to_owned(), 3)]);
    restored.restore(&saved).expect("sound");
    assert_eq!(restored, clock);
    assert_eq!(restored.observe_upstream("r", 1, 40), 50, "time does not go back");
    assert_eq!(restored.observe_upstream("r", 0, 90), 50, "now it counts");
    assert_eq!(restored.observe_upstream("r", 1, 70), 70);
}

#[test]
fn times_of_partitions_and_the_number_of_idle_advances_are_saved_with_the_clock() {
    let mut clock = TaskClock::new([]);
    clock.observe_partition("in", 5);
    clock.observe_partition("in", 3);
    clock.advance_idle(7, 100);
    let mut restored = TaskClock::new([]);
    restored.restore(&clock.encode()).expect("sound");
    assert_eq!(restored, clock);
    assert_eq!(
        (restored.partition_time("in"), restored.idle_advances()),
        (Some(5), 7)
    );
    assert_eq!(restored.partition_time("other"), None);
}
