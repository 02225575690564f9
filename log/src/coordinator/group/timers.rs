//! Timers of all groups of a shard, by deadline. Values only: whoever owns the clock asks what is due.
//!
//! Always true: a key has one deadline at most; setting it again replaces it. So one task can wait for the earliest of them all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::types::GroupId;

use super::classic::ClassicTimer;
use super::consumer::Timer;

/// What a timer is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GroupTimer {
    /// Of a classic group.
    Classic(ClassicTimer),
    /// Of a member of a consumer group.
    Consumer(Timer),
}

/// Deadlines in terms of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_key: BTreeMap<GroupId, BTreeMap<GroupTimer, Duration>>,
    by_deadline: BTreeSet<(Duration, GroupId, GroupTimer)>,
}

impl Timers {
    /// Sets a timer. True if it is the earliest now.
    pub(super) fn set(&mut self, group: &GroupId, timer: GroupTimer, at: Duration) -> bool {
        self.cancel(group, &timer);
        self.by_key
            .entry(group.clone())
            .or_default()
            .insert(timer.clone(), at);
        self.by_deadline.insert((at, group.clone(), timer));
        self.next() == Some(at)
    }

    /// True if the timer runs.
    pub(super) fn is_set(&self, group: &GroupId, timer: &GroupTimer) -> bool {
        self.by_key
            .get(group)
            .is_some_and(|of_group| of_group.contains_key(timer))
    }

    /// Forgets a timer. No-op if it is not set.
    pub(super) fn cancel(&mut self, group: &GroupId, timer: &GroupTimer) {
        let Some(of_group) = self.by_key.get_mut(group) else {
            return;
        };
        if let Some(at) = of_group.remove(timer) {
            self.by_deadline.remove(&(at, group.clone(), timer.clone()));
        }
        if of_group.is_empty() {
            self.by_key.remove(group);
        }
    }

    /// Forgets all timers of a group.
    pub(super) fn cancel_all(&mut self, group: &GroupId) {
        for (timer, at) in self.by_key.remove(group).unwrap_or_default() {
            self.by_deadline.remove(&(at, group.clone(), timer));
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.by_deadline.first().map(|(at, ..)| *at)
    }

    /// Takes out the earliest timer if its moment has come.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<(GroupId, GroupTimer)> {
        let (at, group, timer) = self.by_deadline.first()?.clone();
        if at > now {
            return None;
        }
        self.cancel(&group, &timer);
        Some((group, timer))
    }
}
