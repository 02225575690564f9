//! Unlimited windows.

use std::time::Duration;

use millpond_log::types::Timestamp;

use super::time_windows::millis;

/// One window from a start on that never ends: records before the start are left out, nothing is ever late, and no result is ever final.
///
/// ```
/// use std::time::Duration;
/// use millpond_streams::dsl::UnlimitedWindows;
///
/// assert_eq!(UnlimitedWindows::of().start_ms(), 0);
/// assert_eq!(UnlimitedWindows::of().start_on(Duration::from_secs(1)).start_ms(), 1_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnlimitedWindows {
    start_ms: Timestamp,
}

impl UnlimitedWindows {
    /// From 1970 on.
    pub fn of() -> UnlimitedWindows {
        UnlimitedWindows::default()
    }

    /// From this time after 1970-01-01 UTC on. Whole milliseconds count.
    #[must_use]
    pub fn start_on(self, since_1970: Duration) -> UnlimitedWindows {
        UnlimitedWindows {
            start_ms: millis(since_1970),
        }
    }

    /// Start in ms, inclusive.
    pub fn start_ms(&self) -> Timestamp {
        self.start_ms
    }
}
