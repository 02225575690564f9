//! What `KTable::suppress` holds back, for how long, and what happens when its buffer is full.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::types::Timestamp;

use super::Windowed;

/// How large a buffer may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dsl) struct Bounds {
    pub(in crate::dsl) max_records: Option<u64>,
    pub(in crate::dsl) max_bytes: Option<u64>,
    pub(in crate::dsl) when_full: WhenFull,
}

/// What a full buffer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dsl) enum WhenFull {
    EmitEarly,
    ShutDown,
}

/// A buffer that never lets a result go before its time: without bounds, or one that stops the task when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrictBuffer(Bounds);

/// A buffer that lets its oldest results go early when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EagerBuffer(Bounds);

/// Any buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuppressBuffer(pub(in crate::dsl) Bounds);

impl StrictBuffer {
    /// As large as it needs to be. Its contents are in memory, so bound it unless the number of keys is known to be small.
    pub fn unbounded() -> StrictBuffer {
        StrictBuffer(Bounds {
            max_records: None,
            max_bytes: None,
            when_full: WhenFull::ShutDown,
        })
    }
}

impl EagerBuffer {
    /// At most so many keys.
    pub fn max_records(max_records: u64) -> EagerBuffer {
        EagerBuffer(Bounds {
            max_records: Some(max_records),
            max_bytes: None,
            when_full: WhenFull::EmitEarly,
        })
    }

    /// At most so many bytes of keys, values and headers, plus 24 for each key.
    pub fn max_bytes(max_bytes: u64) -> EagerBuffer {
        EagerBuffer(Bounds {
            max_records: None,
            max_bytes: Some(max_bytes),
            when_full: WhenFull::EmitEarly,
        })
    }

    /// Also at most so many keys.
    #[must_use]
    pub fn and_max_records(self, max_records: u64) -> EagerBuffer {
        EagerBuffer(Bounds {
            max_records: Some(max_records),
            ..self.0
        })
    }

    /// Also at most so many bytes.
    #[must_use]
    pub fn and_max_bytes(self, max_bytes: u64) -> EagerBuffer {
        EagerBuffer(Bounds {
            max_bytes: Some(max_bytes),
            ..self.0
        })
    }

    /// Stops the task with an error when the buffer is full, instead of letting results go early.
    #[must_use]
    pub fn shut_down_when_full(self) -> StrictBuffer {
        StrictBuffer(Bounds {
            when_full: WhenFull::ShutDown,
            ..self.0
        })
    }
}

impl From<StrictBuffer> for SuppressBuffer {
    fn from(buffer: StrictBuffer) -> SuppressBuffer {
        SuppressBuffer(buffer.0)
    }
}

impl From<EagerBuffer> for SuppressBuffer {
    fn from(buffer: EagerBuffer) -> SuppressBuffer {
        SuppressBuffer(buffer.0)
    }
}

/// When a buffered result is due, counted from its buffer time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dsl) enum Wait {
    /// So many ms of stream time.
    Ms(i64),
    /// The grace of the windows above.
    Grace,
}

/// The time by which a result is ordered in the buffer, from its key and its timestamp.
type BufferTime<K> = dyn Fn(&K, Timestamp) -> Timestamp + Send + Sync;

/// Which updates of a table are held back, and until when.
pub struct Suppressed<K> {
    pub(in crate::dsl) time: Arc<BufferTime<K>>,
    pub(in crate::dsl) wait: Wait,
    pub(in crate::dsl) bounds: Bounds,
    /// Nothing was sent before the final result, so a deletion tells nobody anything.
    pub(in crate::dsl) drops_tombstones: bool,
    types: PhantomData<fn(K)>,
}

impl<K> Clone for Suppressed<K> {
    fn clone(&self) -> Self {
        Suppressed {
            time: self.time.clone(),
            wait: self.wait,
            bounds: self.bounds,
            drops_tombstones: self.drops_tombstones,
            types: PhantomData,
        }
    }
}

impl<K> Suppressed<K> {
    /// Holds the first update of a key back until stream time is `limit` past its timestamp; later updates meanwhile replace it in its place. Milliseconds count.
    pub fn until_time_limit(limit: Duration, buffer: impl Into<SuppressBuffer>) -> Suppressed<K> {
        Suppressed {
            time: Arc::new(|_, timestamp| timestamp),
            wait: Wait::Ms(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)),
            bounds: buffer.into().0,
            drops_tombstones: false,
            types: PhantomData,
        }
    }
}

impl<K: 'static> Suppressed<Windowed<K>> {
    /// Holds every window back until it can no longer change: one final result per key and window. Windows whose result was deleted by then send
    /// nothing at all.
    pub fn until_window_closes(buffer: StrictBuffer) -> Suppressed<Windowed<K>> {
        Suppressed {
            time: Arc::new(|windowed: &Windowed<K>, _| windowed.window.end_ms),
            wait: Wait::Grace,
            bounds: buffer.0,
            drops_tombstones: true,
            types: PhantomData,
        }
    }
}
