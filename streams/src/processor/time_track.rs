//! Where in a source batch stream time went on.
//!
//! Always true: times ascend strictly, offsets never go back, and every time is above `before`. A node that acts on time (punctuators, timers) walks the track beside its
//! rows, so that what it does between two records does not depend on how the input was cut into batches.
//! Filled by the decoder of the source, or from the marks of a repartition topic; read in `dsl/operators/process.rs`.

use millpond_log::types::{Offset, Timestamp};

use super::NO_TIME;

/// The advances of stream time in one source batch.
#[derive(Clone, Debug)]
pub struct TimeTrack {
    before: Timestamp,
    advances: Vec<(Offset, Timestamp)>,
}

impl Default for TimeTrack {
    fn default() -> TimeTrack {
        TimeTrack {
            before: NO_TIME,
            advances: Vec::new(),
        }
    }
}

impl TimeTrack {
    /// Begins anew; stream time is `before` now.
    pub(super) fn start(&mut self, before: Timestamp) {
        self.before = before;
        self.advances.clear();
    }

    /// The record at `offset` took stream time to `time`.
    pub(super) fn push(&mut self, offset: Offset, time: Timestamp) {
        self.advances.push((offset, time));
    }

    /// Stream time before the batch, [`NO_TIME`] when it was not known.
    pub fn before(&self) -> Timestamp {
        self.before
    }

    /// (offset of the record, stream time after it), ascending; only records that took it on.
    pub fn advances(&self) -> &[(Offset, Timestamp)] {
        &self.advances
    }

    /// The first advance beyond `seen` that came with a record before `offset`.
    pub fn next_before(&self, offset: Offset, seen: Timestamp) -> Option<Timestamp> {
        let (_, time) = self.after(seen).filter(|(at, _)| *at < offset)?;
        Some(time)
    }

    /// The first advance beyond `seen` to a time below `until`.
    pub fn next_below(&self, until: Timestamp, seen: Timestamp) -> Option<Timestamp> {
        let (_, time) = self.after(seen).filter(|(_, time)| *time < until)?;
        Some(time)
    }

    fn after(&self, seen: Timestamp) -> Option<(Offset, Timestamp)> {
        let next = self.advances.partition_point(|(_, time)| *time <= seen);
        self.advances.get(next).copied()
    }
}
