//! Sliding windows.

use std::time::Duration;

use millpond_log::types::Timestamp;

use super::time_windows::millis;
use crate::state::span_list;

/// Sliding windows (KIP-450): all windows of one length that differ in the records they hold, so there is a new one when a record comes into the window and when one
/// leaves it.
///
/// Two records are in one window exactly if they are at most `time difference` apart: a window goes from `start` to `start + time difference`, **both
/// included**. A window takes records until stream time passes its end plus the grace.
///
/// ```
/// use std::time::Duration;
/// use millpond_streams::dsl::SlidingWindows;
///
/// let bursts = SlidingWindows::of_time_difference(Duration::from_secs(10)).grace(Duration::from_secs(5));
/// assert_eq!((bursts.time_difference_ms(), bursts.grace_ms()), (10_000, 5_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindows {
    time_difference_ms: i64,
    grace_ms: i64,
}

impl SlidingWindows {
    /// Windows of records at most this far apart, without grace. Whole milliseconds count.
    pub fn of_time_difference(difference: Duration) -> SlidingWindows {
        SlidingWindows {
            time_difference_ms: millis(difference),
            grace_ms: 0,
        }
    }

    /// How long after its end a window still takes records, by the time of the aggregation ([`TimeWindows::grace`](super::TimeWindows::grace)).
    #[must_use]
    pub fn grace(self, grace: Duration) -> SlidingWindows {
        SlidingWindows {
            grace_ms: millis(grace),
            ..self
        }
    }

    /// Largest difference of timestamps within a window, in ms.
    pub fn time_difference_ms(&self) -> i64 {
        self.time_difference_ms
    }

    /// Grace in ms.
    pub fn grace_ms(&self) -> i64 {
        self.grace_ms
    }

    /// Windows that end before this are closed.
    pub(crate) fn closed_before(&self, stream_time: Timestamp) -> Timestamp {
        stream_time.saturating_sub(self.grace_ms)
    }

    /// Shortest retention of a store of them: a record looks at windows that begin up to twice the difference before it.
    pub(crate) fn shortest_retention_ms(&self) -> i64 {
        self.time_difference_ms
            .saturating_mul(2)
            .saturating_add(self.grace_ms)
    }

    /// Width of the store's panes.
    pub(crate) fn pane_ms(&self) -> i64 {
        span_list::pane_width(self.time_difference_ms)
    }
}
