//! How far apart in time two records may be to be joined.

use std::time::Duration;

use millpond_log::types::Timestamp;

/// Windows of a stream-stream join, sliding with every record.
///
/// A record of the left stream at `t` meets the records of the right stream with the same key at `t - before ..= t + after`, both ends included. A record is
/// kept for `before + after + grace` of stream time; what comes later than that finds nothing to be joined with. Without grace a left or outer
/// join gives its unmatched records out as soon as their window has closed, with grace that much later.
///
/// ```
/// use std::time::Duration;
/// use millpond_streams::dsl::JoinWindows;
///
/// // At most five minutes apart, in either direction.
/// let around = JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(300));
/// // The right record comes up to five minutes after the left one, never before it.
/// let following = around.before(Duration::ZERO);
/// assert_eq!((following.before_ms(), following.after_ms()), (0, 300_000));
/// assert_eq!(around.size_ms(), 600_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinWindows {
    before_ms: i64,
    after_ms: i64,
    grace_ms: i64,
}

impl JoinWindows {
    /// Records at most `difference` apart, in either direction; out-of-order records are waited for during `grace` after a window's end.
    pub fn of_time_difference_and_grace(difference: Duration, grace: Duration) -> JoinWindows {
        let difference_ms = millis(difference);
        JoinWindows {
            before_ms: difference_ms,
            after_ms: difference_ms,
            grace_ms: millis(grace),
        }
    }

    /// Records at most `difference` apart, in either direction; nobody is waited for.
    pub fn of_time_difference_with_no_grace(difference: Duration) -> JoinWindows {
        JoinWindows::of_time_difference_and_grace(difference, Duration::ZERO)
    }

    /// How much earlier than the left record the right one may be.
    #[must_use]
    pub fn before(self, difference: Duration) -> JoinWindows {
        self.before_signed(millis(difference))
    }

    /// How much later than the left record the right one may be.
    #[must_use]
    pub fn after(self, difference: Duration) -> JoinWindows {
        self.after_signed(millis(difference))
    }

    /// As [`before`](Self::before) in ms; a negative number means the right record must be at least that much later.
    #[must_use]
    pub fn before_signed(self, before_ms: i64) -> JoinWindows {
        JoinWindows { before_ms, ..self }
    }

    /// As [`after`](Self::after) in ms; a negative number means the right record must be at least that much earlier.
    #[must_use]
    pub fn after_signed(self, after_ms: i64) -> JoinWindows {
        JoinWindows { after_ms, ..self }
    }

    /// How much earlier the right record may be, in ms.
    pub fn before_ms(&self) -> i64 {
        self.before_ms
    }

    /// How much later the right record may be, in ms.
    pub fn after_ms(&self) -> i64 {
        self.after_ms
    }

    /// Grace in ms.
    pub fn grace_ms(&self) -> i64 {
        self.grace_ms
    }

    /// From the earliest to the latest possible partner of a record, in ms.
    pub fn size_ms(&self) -> i64 {
        self.before_ms.saturating_add(self.after_ms)
    }

    /// How long a record is kept, in ms of stream time.
    pub(crate) fn retention_ms(&self) -> i64 {
        self.size_ms().saturating_add(self.grace_ms)
    }

    /// The same windows as the right stream sees them.
    pub(crate) fn reversed(&self) -> JoinWindows {
        JoinWindows {
            before_ms: self.after_ms,
            after_ms: self.before_ms,
            grace_ms: self.grace_ms,
        }
    }

    /// First and last timestamp of the other stream that a record at `timestamp` is joined with, both included. Empty when the first is larger.
    pub(crate) fn partners(&self, timestamp: Timestamp) -> (Timestamp, Timestamp) {
        (
            timestamp.saturating_sub(self.before_ms).max(0),
            timestamp.saturating_add(self.after_ms).max(0),
        )
    }

    /// What is wrong with these windows, if anything.
    pub(crate) fn mistake(&self) -> Option<String> {
        let JoinWindows {
            before_ms, after_ms, ..
        } = self;
        (self.size_ms() < 0).then(|| {
            format!(
                "the join window of {before_ms} ms before and {after_ms} ms after is empty: their sum must not be negative"
            )
        })
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
