//! When the nodes of a task want to be told that wall-clock time went on.
//!
//! Always true: a node is told at most once per look, however many of its intervals passed; between two looks nothing is forgotten. Time is handed in:
//! the runtime looks when [`WallClockTimers::due`] says so, a test whenever it moves its clock.

use std::time::Duration;

use millpond_log::types::Timestamp;

/// The timers of one task. Not part of its state: they start anew with the task.
#[derive(Debug, Default)]
pub(super) struct WallClockTimers {
    timers: Vec<Timer>,
}

#[derive(Debug)]
struct Timer {
    node: usize,
    interval_ms: i64,
    /// `None` before the first look, which starts it.
    due: Option<Timestamp>,
}

impl WallClockTimers {
    /// Adds a node; an interval below 1 ms counts as 1 ms.
    pub(super) fn add(&mut self, node: usize, interval: Duration) {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        self.timers.push(Timer {
            node,
            interval_ms,
            due: None,
        });
    }

    /// When to look again: the earliest due time, [`Timestamp::MIN`] before the first look, `None` when no node wants to know.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.timers
            .iter()
            .map(|timer| timer.due.unwrap_or(Timestamp::MIN))
            .min()
    }

    /// The nodes to tell now, in their order. Each is due again one interval from now: intervals that were missed are not made up for.
    pub(super) fn look(&mut self, now_ms: Timestamp) -> Vec<usize> {
        let mut nodes = Vec::new();
        for timer in &mut self.timers {
            let next = now_ms.saturating_add(timer.interval_ms);
            match timer.due {
                Some(due) if due <= now_ms => nodes.push(timer.node),
                // A clock that was set back must not put a timer off for longer than its interval.
                Some(due) if due <= next => continue,
                _ => {}
            }
            timer.due = Some(next);
        }
        nodes
    }

    /// A transaction was lost, and with it perhaps what nodes did when they were told last: they are told again at the next look.
    pub(super) fn repeat(&mut self) {
        for timer in &mut self.timers {
            timer.due = timer.due.map(|_| Timestamp::MIN);
        }
    }
}

#[cfg(test)]
#[path = "wall_clock_test.rs"]
mod wall_clock_test;
