//! When punctuators are due, by facts of Kafka Streams' `PunctuationQueueTest`.

use std::time::Duration;

use super::{PunctuationType, Schedules};
use crate::processor::NO_TIME;

const STREAM: PunctuationType = PunctuationType::StreamTime;
const CLOCK: PunctuationType = PunctuationType::WallClock;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Which of the schedules are called at `now`, in order.
fn called(schedules: &mut Schedules<&'static str>, kind: PunctuationType, now: i64) -> Vec<&'static str> {
    schedules.settle(kind, now, false);
    let mut found = Vec::new();
    while let Some((index, _)) = schedules.next(kind).filter(|(_, due)| *due <= now) {
        let act = schedules.take(index, now).expect("it is due");
        schedules.put_back(index, act);
        found.push(act);
    }
    found
}

#[test]
fn one_look_calls_a_punctuator_once_however_many_intervals_passed() {
    let mut schedules = Schedules::default();
    schedules.add(STREAM, Some(0), ms(100), "a");
    let looks = [0, 99, 100, 199, 200, 1001, 1002, 1099, 1100];
    let counts = looks.map(|now| called(&mut schedules, STREAM, now).len());
    assert_eq!(counts, [1, 0, 1, 0, 1, 1, 0, 0, 1]);
}

#[test]
fn an_anchor_is_kept_over_gaps() {
    let mut schedules = Schedules::default();
    schedules.add(STREAM, Some(50), ms(100), "a");
    let looks = [49, 50, 149, 150, 249, 250, 1051, 1149, 1150];
    let counts = looks.map(|now| called(&mut schedules, STREAM, now).len());
    assert_eq!(counts, [0, 1, 0, 1, 0, 1, 1, 0, 1]);
}

#[test]
fn several_are_called_by_due_time_and_then_in_the_order_they_were_added() {
    let mut schedules = Schedules::default();
    schedules.add(STREAM, Some(30), ms(100), "late");
    schedules.add(STREAM, Some(10), ms(100), "first");
    schedules.add(STREAM, Some(10), ms(100), "second");
    schedules.add(CLOCK, Some(0), ms(1), "other clock");
    assert_eq!(called(&mut schedules, STREAM, 40), ["first", "second", "late"]);
}

#[test]
fn a_cancelled_one_is_never_due_and_is_forgotten() {
    let mut schedules = Schedules::default();
    let cancellable = schedules.add(STREAM, None, ms(10), "a");
    schedules.add(STREAM, None, ms(10), "b");
    cancellable.cancel();
    cancellable.cancel();
    schedules.sweep();
    assert_eq!(called(&mut schedules, STREAM, 10), ["b"]);
    assert_eq!(schedules.next(STREAM), Some((0, 20)));
}

#[test]
fn one_that_resumes_goes_on_behind_what_its_predecessor_did() {
    let mut schedules = Schedules::default();
    schedules.add(STREAM, None, ms(10), "every ten");
    schedules.add(STREAM, Some(103), ms(10), "anchored later");
    schedules.settle(STREAM, 42, true);
    assert!(!schedules.is_unsettled(STREAM));
    assert_eq!(schedules.next(STREAM), Some((0, 50)));
    assert_eq!(
        called(&mut schedules, STREAM, 103),
        ["every ten", "anchored later"]
    );
    let mut fresh: Schedules<&str> = Schedules::default();
    fresh.add(STREAM, None, ms(10), "from the first record");
    fresh.settle(STREAM, NO_TIME, true);
    assert_eq!(called(&mut fresh, STREAM, 3), ["from the first record"]);
}

#[test]
fn times_at_the_end_of_time_do_not_overflow() {
    let mut schedules = Schedules::default();
    schedules.add(STREAM, Some(i64::MAX - 1), Duration::MAX, "a");
    assert_eq!(called(&mut schedules, STREAM, i64::MAX - 1), ["a"]);
    assert_eq!(schedules.next(STREAM), Some((0, i64::MAX)));
}
