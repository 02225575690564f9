//! Tumbling and hopping windows.

use std::time::Duration;

use millpond_log::types::Timestamp;

use super::Window;

/// Windows of a fixed size: tumbling, or hopping with an advance smaller than the size.
///
/// A record at `t` belongs to every window with `start ≤ t < start + size` whose start is a multiple of the advance. A window takes records
/// until stream time reaches its end plus the grace; later ones are late.
///
/// ```
/// use std::time::Duration;
/// use millpond_streams::dsl::TimeWindows;
///
/// let hourly = TimeWindows::of(Duration::from_secs(3600)).grace(Duration::from_secs(600));
/// let hopping = TimeWindows::of(Duration::from_secs(60)).advance_by(Duration::from_secs(20));
/// assert_eq!(hourly.windows_for(5_000_000).count(), 1);
/// assert_eq!(hopping.windows_for(65_000).map(|window| window.start_ms).collect::<Vec<_>>(), [20_000, 40_000, 60_000]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindows {
    size_ms: i64,
    advance_ms: i64,
    grace_ms: i64,
}

impl TimeWindows {
    /// Tumbling windows of this size, without grace. Whole milliseconds count.
    pub fn of(size: Duration) -> TimeWindows {
        let size_ms = millis(size);
        TimeWindows {
            size_ms,
            advance_ms: size_ms,
            grace_ms: 0,
        }
    }

    /// Makes them hop: a window starts every `advance`.
    #[must_use]
    pub fn advance_by(self, advance: Duration) -> TimeWindows {
        TimeWindows {
            advance_ms: millis(advance),
            ..self
        }
    }

    /// How long after its end a window still takes records, by the largest timestamp of the records that reached the aggregation with a key; those that a filter
    /// dropped before do not count. Behind a repartition topic it is never ahead of the slowest upstream task.
    #[must_use]
    pub fn grace(self, grace: Duration) -> TimeWindows {
        TimeWindows {
            grace_ms: millis(grace),
            ..self
        }
    }

    /// Size in ms.
    pub fn size_ms(&self) -> i64 {
        self.size_ms
    }

    /// Advance in ms.
    pub fn advance_ms(&self) -> i64 {
        self.advance_ms
    }

    /// Grace in ms.
    pub fn grace_ms(&self) -> i64 {
        self.grace_ms
    }

    /// The windows a record at `timestamp` belongs to, by start. Empty for timestamps before 0, as in Kafka Streams.
    pub fn windows_for(&self, timestamp: Timestamp) -> impl Iterator<Item = Window> + use<> {
        let TimeWindows {
            size_ms, advance_ms, ..
        } = *self;
        let last = if timestamp < 0 {
            -1
        } else {
            timestamp - timestamp % advance_ms
        };
        let first = (timestamp - size_ms + advance_ms).max(0) / advance_ms * advance_ms;
        (0..)
            .map(move |hop| first + hop * advance_ms)
            .take_while(move |start| *start <= last)
            .map(move |start_ms| Window {
                start_ms,
                end_ms: start_ms + size_ms,
            })
    }

    /// True when a window ending at `end_ms` takes nothing any more.
    pub(crate) fn is_closed(&self, end_ms: Timestamp, stream_time: Timestamp) -> bool {
        end_ms.saturating_add(self.grace_ms) <= stream_time
    }

    /// What is wrong with these windows, if anything.
    pub(crate) fn mistake(&self) -> Option<String> {
        if self.size_ms < 1 {
            Some("the window size must be at least 1 ms".to_owned())
        } else if self.advance_ms < 1 || self.advance_ms > self.size_ms {
            let TimeWindows {
                size_ms, advance_ms, ..
            } = self;
            Some(format!(
                "the advance of {advance_ms} ms must be at least 1 ms and at most the size, {size_ms} ms"
            ))
        } else {
            None
        }
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
