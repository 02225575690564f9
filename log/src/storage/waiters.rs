//! Who waits for a partition's ends to move: parked acknowledgements and long polls.
//!
//! Nobody polls. A waiter names a mark and an offset and is woken once the mark is above it, or once the partition is gone or
//! stopped. Waiters whose future was dropped are swept out as the list grows.

use tokio::sync::oneshot;

use super::log_offsets::LogOffsets;
use crate::types::Offset;

/// Which end a waiter watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Everything below is on the medium.
    Durable,
    /// `high_watermark`.
    HighWatermark,
    /// `last_stable_offset`.
    LastStable,
}

/// Where the marks stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) durable: Offset,
    pub(super) offsets: LogOffsets,
}

impl Marks {
    pub(super) fn get(&self, mark: Mark) -> Offset {
        match mark {
            Mark::Durable => self.durable,
            Mark::HighWatermark => self.offsets.high_watermark,
            Mark::LastStable => self.offsets.last_stable_offset,
        }
    }
}

#[derive(Debug)]
struct Waiter {
    mark: Mark,
    above: Offset,
    wake: oneshot::Sender<()>,
}

/// The waiters of one partition.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    list: Vec<Waiter>,
    sweep_at: usize,
}

impl Waiters {
    /// Parks one; the receiver resolves when `mark` is above `above` (or with an error when all are released).
    pub(super) fn park(&mut self, mark: Mark, above: Offset) -> oneshot::Receiver<()> {
        if self.list.len() >= self.sweep_at {
            self.list.retain(|w| !w.wake.is_closed());
            self.sweep_at = (self.list.len() * 2).max(16);
        }
        let (wake, woken) = oneshot::channel();
        self.list.push(Waiter { mark, above, wake });
        woken
    }

    /// Takes everyone whose mark has passed, in the order they came; the caller wakes them outside its lock.
    #[must_use]
    pub(super) fn due(&mut self, marks: &Marks) -> Vec<oneshot::Sender<()>> {
        if self.list.is_empty() {
            return Vec::new();
        }
        let mut due = Vec::new();
        let mut kept = Vec::with_capacity(self.list.len());
        for waiter in self.list.drain(..) {
            if marks.get(waiter.mark) > waiter.above {
                due.push(waiter.wake);
            } else {
                kept.push(waiter);
            }
        }
        self.list = kept;
        due
    }

    /// Lets everyone go who waits for `mark`, or for anything if `None`.
    #[must_use]
    pub(super) fn release(&mut self, mark: Option<Mark>) -> Vec<oneshot::Sender<()>> {
        let (released, kept): (Vec<Waiter>, Vec<Waiter>) = self
            .list
            .drain(..)
            .partition(|w| mark.is_none_or(|m| w.mark == m));
        self.list = kept;
        released.into_iter().map(|w| w.wake).collect()
    }
}

/// Wakes the taken waiters; one that has gone away in the meantime is nobody's loss.
pub(super) fn wake(taken: Vec<oneshot::Sender<()>>) {
    for waiter in taken {
        waiter.send(()).ok();
    }
}
