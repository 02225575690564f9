//! Session windows.

use std::time::Duration;

use millpond_log::types::Timestamp;

use super::time_windows::millis;
use crate::state::span_list;

/// Sessions: stretches of activity of a key, ended by a gap without records.
///
/// Records of a key at most `inactivity gap` apart belong to the same session. A session's window goes from its first to its last record, **both
/// included**. It takes records until stream time passes its end plus gap plus grace; a record that would make or enlarge only such a session is late.
///
/// ```
/// use std::time::Duration;
/// use millpond_streams::dsl::SessionWindows;
///
/// let visits = SessionWindows::with_inactivity_gap(Duration::from_secs(30 * 60)).grace(Duration::from_secs(60));
/// assert_eq!((visits.gap_ms(), visits.grace_ms()), (1_800_000, 60_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionWindows {
    gap_ms: i64,
    grace_ms: i64,
}

impl SessionWindows {
    /// Sessions that end when a key has no record for this long, without grace. Whole milliseconds count.
    pub fn with_inactivity_gap(gap: Duration) -> SessionWindows {
        SessionWindows {
            gap_ms: millis(gap),
            grace_ms: 0,
        }
    }

    /// How long after its end and the gap a session still takes records, by the time of the aggregation ([`TimeWindows::grace`](super::TimeWindows::grace)).
    #[must_use]
    pub fn grace(self, grace: Duration) -> SessionWindows {
        SessionWindows {
            grace_ms: millis(grace),
            ..self
        }
    }

    /// Inactivity gap in ms.
    pub fn gap_ms(&self) -> i64 {
        self.gap_ms
    }

    /// Grace in ms.
    pub fn grace_ms(&self) -> i64 {
        self.grace_ms
    }

    /// Sessions that end before this are closed.
    pub(crate) fn closed_before(&self, stream_time: Timestamp) -> Timestamp {
        stream_time
            .saturating_sub(self.gap_ms)
            .saturating_sub(self.grace_ms)
    }

    /// Shortest retention of a store of them.
    pub(crate) fn shortest_retention_ms(&self) -> i64 {
        self.gap_ms.saturating_add(self.grace_ms)
    }

    /// Width of the store's panes: a few gaps, so that a record meets one or two panes and a list has few sessions.
    pub(crate) fn pane_ms(&self) -> i64 {
        span_list::pane_width(self.gap_ms.saturating_mul(4))
    }
}
