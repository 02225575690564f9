//! Timers: one deadline a key, the earliest first.

use std::time::Duration;

use crate::types::{GroupId, MemberId};

use super::classic::ClassicTimer;
use super::timers::{GroupTimer, Timers};

fn group(name: &str) -> GroupId {
    GroupId::new(name)
}

fn session(member: &str) -> GroupTimer {
    GroupTimer::Classic(ClassicTimer::Session(MemberId::new(member)))
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines() {
    let mut timers = Timers::default();
    assert!(
        timers.set(&group("a"), session("m"), at(30)),
        "the first is the earliest"
    );
    assert!(!timers.set(&group("b"), session("m"), at(40)));
    assert!(timers.set(&group("b"), session("n"), at(20)));
    assert_eq!(timers.next(), Some(at(20)));
    assert_eq!(timers.pop_due(at(19)), None);
    assert_eq!(timers.pop_due(at(30)), Some((group("b"), session("n"))));
    assert_eq!(timers.pop_due(at(30)), Some((group("a"), session("m"))));
    assert_eq!(timers.pop_due(at(30)), None);
    assert_eq!(timers.next(), Some(at(40)));
}

#[test]
fn setting_a_timer_again_replaces_it() {
    let mut timers = Timers::default();
    timers.set(&group("a"), session("m"), at(10));
    timers.set(&group("a"), session("m"), at(50));
    assert_eq!(timers.pop_due(at(49)), None);
    assert_eq!(timers.pop_due(at(50)), Some((group("a"), session("m"))));
    assert_eq!(timers.next(), None, "nothing is left of the first deadline");
}

#[test]
fn cancelled_timers_never_fire() {
    let mut timers = Timers::default();
    timers.set(&group("a"), session("m"), at(10));
    timers.set(&group("a"), session("n"), at(10));
    timers.set(&group("b"), session("m"), at(10));
    timers.cancel(&group("a"), &session("m"));
    timers.cancel(&group("a"), &session("nobody"));
    assert_eq!(timers.pop_due(at(10)), Some((group("a"), session("n"))));
    timers.set(&group("a"), session("n"), at(10));
    timers.cancel_all(&group("a"));
    assert_eq!(timers.pop_due(at(10)), Some((group("b"), session("m"))));
    assert_eq!(timers.next(), None);
}
