//! Timers against clocks that go on, jump and go back.

use super::*;

fn timers(intervals_ms: &[u64]) -> WallClockTimers {
    let mut timers = WallClockTimers::default();
    for (node, interval) in intervals_ms.iter().enumerate() {
        timers.add(node, Duration::from_millis(*interval));
    }
    timers
}

#[test]
fn without_timers_nobody_needs_to_look() {
    assert_eq!(timers(&[]).due(), None);
}

#[test]
fn the_first_look_starts_the_timers() {
    let mut timers = timers(&[10, 25]);
    assert_eq!(timers.due(), Some(Timestamp::MIN));
    assert!(timers.look(100).is_empty());
    assert_eq!(timers.due(), Some(110));
    assert!(timers.look(109).is_empty());
    assert_eq!(timers.look(110), [0]);
    assert_eq!(timers.look(125), [0, 1]);
}

#[test]
fn a_node_is_told_once_however_many_intervals_passed() {
    let mut timers = timers(&[10]);
    timers.look(0);
    assert_eq!(timers.look(1_000), [0]);
    assert!(timers.look(1_000).is_empty());
    assert_eq!(timers.due(), Some(1_010));
}

#[test]
fn a_clock_set_back_delays_a_timer_by_one_interval_at_most() {
    let mut timers = timers(&[10]);
    timers.look(1_000_000);
    assert!(timers.look(500).is_empty());
    assert_eq!(timers.due(), Some(510));
}

#[test]
fn after_a_lost_transaction_the_nodes_are_told_again() {
    let mut timers = timers(&[10]);
    timers.look(0);
    assert_eq!(timers.look(10), [0]);
    timers.repeat();
    assert_eq!(timers.look(11), [0]);
    assert_eq!(timers.due(), Some(21));
}
