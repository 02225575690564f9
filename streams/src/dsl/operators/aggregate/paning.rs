//! Which panes a record belongs to: none (one for all time), tumbling or hopping windows, or a window without end.

use std::sync::Arc;

use millpond_log::types::Timestamp;

use crate::dsl::{TimeWindows, UnlimitedWindows, Window, Windowed, WindowedSerde};
use crate::serde::{Data, SerdeRef};
use crate::state::window_key;

/// Which panes a record belongs to, and what the result is keyed by.
pub(in crate::dsl) trait Paning<K>: Copy + Send + Sync + 'static {
    type OutKey: Data;
    fn windows(&self, timestamp: Timestamp, each: impl FnMut(Window));
    fn is_closed(&self, window: Window, stream_time: Timestamp) -> bool;
    fn window_of(&self, start_ms: Timestamp) -> Window;
    /// Panes that start before this are closed at `stream_time`; none when panes never close.
    fn closed_before(&self, stream_time: Timestamp) -> Option<Timestamp>;
    /// First stream time at which a pane is closed.
    fn closes_at(&self, start_ms: Timestamp) -> Timestamp;
    fn out_key(&self, key: K, start_ms: Timestamp) -> Self::OutKey;
    fn store_key(&self, start_ms: Timestamp, key: &[u8], out: &mut Vec<u8>);
    /// Serde of the results' keys, from that of the records' keys.
    fn out_serde(&self, key: &SerdeRef<K>) -> SerdeRef<Self::OutKey>;
    /// The pane and the record's key in a result's key.
    fn parts(key: &Self::OutKey) -> (Timestamp, &K);
    /// How long after its end a window may still change; none without windows.
    fn grace_ms(&self) -> Option<i64>;
    /// Panes that start before this are to be deleted.
    fn horizon(&self, stream_time: Timestamp) -> Option<Timestamp>;
}

/// One pane for all time.
#[derive(Clone, Copy)]
pub(in crate::dsl) struct Unwindowed;

const ALWAYS: Window = Window {
    start_ms: 0,
    end_ms: Timestamp::MAX,
};

impl<K: Data> Paning<K> for Unwindowed {
    type OutKey = K;

    fn windows(&self, _timestamp: Timestamp, mut each: impl FnMut(Window)) {
        each(ALWAYS);
    }

    fn is_closed(&self, _window: Window, _stream_time: Timestamp) -> bool {
        false
    }

    fn window_of(&self, _start_ms: Timestamp) -> Window {
        ALWAYS
    }

    fn closed_before(&self, _stream_time: Timestamp) -> Option<Timestamp> {
        None
    }

    fn closes_at(&self, _start_ms: Timestamp) -> Timestamp {
        Timestamp::MAX
    }

    fn out_key(&self, key: K, _start_ms: Timestamp) -> K {
        key
    }

    fn store_key(&self, _start_ms: Timestamp, key: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(key);
    }

    fn out_serde(&self, key: &SerdeRef<K>) -> SerdeRef<K> {
        key.clone()
    }

    fn parts(key: &K) -> (Timestamp, &K) {
        (ALWAYS.start_ms, key)
    }

    fn grace_ms(&self) -> Option<i64> {
        None
    }

    fn horizon(&self, _stream_time: Timestamp) -> Option<Timestamp> {
        None
    }
}

/// Tumbling or hopping windows with the retention of their store.
#[derive(Clone, Copy)]
pub(in crate::dsl) struct Panes {
    pub(in crate::dsl) windows: TimeWindows,
    pub(in crate::dsl) retention_ms: i64,
}

impl<K: Data> Paning<K> for Panes {
    type OutKey = Windowed<K>;

    fn windows(&self, timestamp: Timestamp, each: impl FnMut(Window)) {
        self.windows.windows_for(timestamp).for_each(each);
    }

    fn is_closed(&self, window: Window, stream_time: Timestamp) -> bool {
        self.windows.is_closed(window.end_ms, stream_time)
    }

    fn window_of(&self, start_ms: Timestamp) -> Window {
        Window {
            start_ms,
            end_ms: start_ms + self.windows.size_ms(),
        }
    }

    fn closed_before(&self, stream_time: Timestamp) -> Option<Timestamp> {
        // Closed: start + size + grace <= stream time.
        let length = self.windows.size_ms().saturating_add(self.windows.grace_ms());
        Some(stream_time.saturating_sub(length).saturating_add(1))
    }

    fn closes_at(&self, start_ms: Timestamp) -> Timestamp {
        start_ms
            .saturating_add(self.windows.size_ms())
            .saturating_add(self.windows.grace_ms())
    }

    fn out_key(&self, key: K, start_ms: Timestamp) -> Windowed<K> {
        Windowed {
            key,
            window: Window {
                start_ms,
                end_ms: start_ms + self.windows.size_ms(),
            },
        }
    }

    fn store_key(&self, start_ms: Timestamp, key: &[u8], out: &mut Vec<u8>) {
        window_key::append_to(start_ms, key, out);
    }

    fn out_serde(&self, key: &SerdeRef<K>) -> SerdeRef<Windowed<K>> {
        Arc::new(WindowedSerde::new(key.clone(), self.windows.size_ms()))
    }

    fn parts(key: &Windowed<K>) -> (Timestamp, &K) {
        (key.window.start_ms, &key.key)
    }

    fn grace_ms(&self) -> Option<i64> {
        Some(self.windows.grace_ms())
    }

    fn horizon(&self, stream_time: Timestamp) -> Option<Timestamp> {
        let horizon = stream_time.saturating_sub(self.retention_ms);
        // Whole hops, so that a range is deleted once per window and not once per commit.
        (horizon > 0).then(|| horizon - horizon % self.windows.advance_ms())
    }
}

/// One window from a start on, without end.
#[derive(Clone, Copy)]
pub(in crate::dsl) struct EndlessPane {
    pub(in crate::dsl) windows: UnlimitedWindows,
}

impl EndlessPane {
    fn window(&self) -> Window {
        Window {
            start_ms: self.windows.start_ms(),
            end_ms: Timestamp::MAX,
        }
    }
}

impl<K: Data> Paning<K> for EndlessPane {
    type OutKey = Windowed<K>;

    fn windows(&self, timestamp: Timestamp, mut each: impl FnMut(Window)) {
        if timestamp >= self.windows.start_ms() {
            each(self.window());
        }
    }

    fn is_closed(&self, _window: Window, _stream_time: Timestamp) -> bool {
        false
    }

    fn window_of(&self, _start_ms: Timestamp) -> Window {
        self.window()
    }

    fn closed_before(&self, _stream_time: Timestamp) -> Option<Timestamp> {
        None
    }

    fn closes_at(&self, _start_ms: Timestamp) -> Timestamp {
        Timestamp::MAX
    }

    fn out_key(&self, key: K, _start_ms: Timestamp) -> Windowed<K> {
        let window = self.window();
        Windowed { key, window }
    }

    fn store_key(&self, start_ms: Timestamp, key: &[u8], out: &mut Vec<u8>) {
        window_key::append_to(start_ms, key, out);
    }

    fn out_serde(&self, key: &SerdeRef<K>) -> SerdeRef<Windowed<K>> {
        Arc::new(WindowedSerde::new(key.clone(), i64::MAX))
    }

    fn parts(key: &Windowed<K>) -> (Timestamp, &K) {
        (key.window.start_ms, &key.key)
    }

    fn grace_ms(&self) -> Option<i64> {
        None
    }

    fn horizon(&self, _stream_time: Timestamp) -> Option<Timestamp> {
        None
    }
}
