//! What a grouped stream can be windowed by.

use super::window_fold::FoldWindows;
use super::{
    KGroupedStream, SessionWindowedKStream, SessionWindows, SlidingWindows, TimeWindowedKStream, TimeWindows,
    UnlimitedWindows,
};
use crate::serde::Data;

/// A kind of windows. Implemented by [`TimeWindows`], [`SlidingWindows`], [`UnlimitedWindows`] and [`SessionWindows`].
pub trait GroupWindows<K, V> {
    /// The windowed stream.
    type Windowed;

    /// Groups by key and window. Called by [`KGroupedStream::windowed_by`].
    fn windowed(self, grouped: &KGroupedStream<K, V>) -> Self::Windowed;
}

impl<K: Data, V: Data> GroupWindows<K, V> for SessionWindows {
    type Windowed = SessionWindowedKStream<K, V>;

    fn windowed(self, grouped: &KGroupedStream<K, V>) -> Self::Windowed {
        SessionWindowedKStream::new(grouped.clone(), self)
    }
}

/// Windows by time have the same operations.
fn by_time<K: Data, V: Data, W: FoldWindows>(
    windows: W,
    grouped: &KGroupedStream<K, V>,
) -> TimeWindowedKStream<K, V, W> {
    TimeWindowedKStream::new(grouped.clone(), windows)
}

impl<K: Data, V: Data> GroupWindows<K, V> for TimeWindows {
    type Windowed = TimeWindowedKStream<K, V>;

    fn windowed(self, grouped: &KGroupedStream<K, V>) -> Self::Windowed {
        by_time(self, grouped)
    }
}

impl<K: Data, V: Data> GroupWindows<K, V> for SlidingWindows {
    type Windowed = TimeWindowedKStream<K, V, SlidingWindows>;

    fn windowed(self, grouped: &KGroupedStream<K, V>) -> Self::Windowed {
        by_time(self, grouped)
    }
}

impl<K: Data, V: Data> GroupWindows<K, V> for UnlimitedWindows {
    type Windowed = TimeWindowedKStream<K, V, UnlimitedWindows>;

    fn windowed(self, grouped: &KGroupedStream<K, V>) -> Self::Windowed {
        by_time(self, grouped)
    }
}
