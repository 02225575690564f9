//! When punctuators are due. Pure: times come in, nothing is called here.
//!
//! Always true: a punctuator is due at `start + n × interval`; it is never called twice for one look, and intervals that were missed are not made up for (as in
//! Kafka Streams). Start of a stream-time punctuator is 0 unless it is anchored (KIP-1146), so where it is due is a matter of time alone and the same after a
//! restart; start of a wall-clock one is the moment it was scheduled, plus one interval.

use std::time::Duration;

use millpond_log::types::Timestamp;

use super::{Cancellable, PunctuationType};
use crate::processor::NO_TIME;

/// The punctuators of one processor; `C` is what they do.
pub(in crate::dsl) struct Schedules<C> {
    all: Vec<Schedule<C>>,
}

struct Schedule<C> {
    kind: PunctuationType,
    start: Option<Timestamp>,
    interval_ms: i64,
    /// `None` until the time it counts from is known.
    due: Option<Timestamp>,
    cancelled: Cancellable,
    /// Taken while it is called.
    act: Option<C>,
}

impl<C> Default for Schedules<C> {
    fn default() -> Self {
        Schedules { all: Vec::new() }
    }
}

impl<C> Schedules<C> {
    /// Adds a punctuator, to be started by [`settle`](Self::settle). An interval below 1 ms counts as 1 ms.
    pub(in crate::dsl) fn add(
        &mut self,
        kind: PunctuationType,
        start: Option<Timestamp>,
        interval: Duration,
        act: C,
    ) -> Cancellable {
        let cancelled = Cancellable::default();
        self.all.push(Schedule {
            kind,
            start,
            interval_ms: i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1),
            due: None,
            cancelled: cancelled.clone(),
            act: Some(act),
        });
        cancelled
    }

    /// Starts those that were added since the last call. `now` is the time of their kind, [`NO_TIME`] when it is not known yet. `resumes`: what was due up to
    /// `now` has been called before, by the processor this one follows.
    pub(in crate::dsl) fn settle(&mut self, kind: PunctuationType, now: Timestamp, resumes: bool) {
        for schedule in &mut self.all {
            if schedule.kind != kind || schedule.due.is_some() {
                continue;
            }
            schedule.due = Some(match (kind, schedule.start) {
                (PunctuationType::WallClock, None) => now.saturating_add(schedule.interval_ms),
                (PunctuationType::WallClock, Some(start)) if start >= now => start,
                (PunctuationType::WallClock, Some(start)) => {
                    schedule.next_after(start, now.saturating_sub(1))
                }
                (PunctuationType::StreamTime, start) => {
                    let start = start.unwrap_or(0);
                    if resumes && now != NO_TIME && start <= now {
                        schedule.next_after(start, now)
                    } else {
                        start
                    }
                }
            });
        }
    }

    /// Whether one waits for [`settle`](Self::settle).
    pub(in crate::dsl) fn is_unsettled(&self, kind: PunctuationType) -> bool {
        self.all
            .iter()
            .any(|schedule| schedule.kind == kind && schedule.due.is_none() && !schedule.is_over())
    }

    /// The one that is due first, and when; ties in the order they were added.
    pub(in crate::dsl) fn next(&self, kind: PunctuationType) -> Option<(usize, Timestamp)> {
        let schedules = self.all.iter().enumerate();
        schedules
            .filter(|(_, schedule)| schedule.kind == kind && !schedule.is_over())
            .filter_map(|(index, schedule)| Some((index, schedule.due?)))
            .min_by_key(|(index, due)| (*due, *index))
    }

    /// Forgets those that were cancelled. Places change.
    pub(in crate::dsl) fn sweep(&mut self) {
        self.all.retain(|schedule| !schedule.is_over());
    }

    /// Takes what the punctuator does, to be called at `now`; it is due again after that.
    pub(in crate::dsl) fn take(&mut self, index: usize, now: Timestamp) -> Option<C> {
        let schedule = &mut self.all[index];
        let due = schedule.due?;
        schedule.due = Some(schedule.next_after(due, now));
        schedule.act.take()
    }

    /// Puts back what was taken.
    pub(in crate::dsl) fn put_back(&mut self, index: usize, act: C) {
        if let Some(schedule) = self.all.get_mut(index) {
            schedule.act = Some(act);
        }
    }
}

impl<C> Schedule<C> {
    fn is_over(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// The first `from + n × interval`, n ≥ 1, above `now`.
    fn next_after(&self, from: Timestamp, now: Timestamp) -> Timestamp {
        let missed = now.saturating_sub(from).max(0) / self.interval_ms;
        missed
            .checked_add(1)
            .and_then(|intervals| intervals.checked_mul(self.interval_ms))
            .and_then(|ahead| from.checked_add(ahead))
            .unwrap_or(Timestamp::MAX)
    }
}
