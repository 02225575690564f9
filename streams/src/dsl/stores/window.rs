//! `WindowStore`: one value per key and window start.
//!
//! Keys lie pane first (`state/window_key.rs`): by window start, then by key, which is also the order of every walk. A window is kept until stream time is the
//! retention past its start; later ones are refused, earlier ones never seen again, and removed by one range delete with the next commit.
//! Kafka Streams counts retention from the largest window start put into the store, here it is the task's stream time, so that it survives any restart.

use std::any::Any;

use millpond_log::types::Timestamp;

use super::access::{StateContext, UNBOUND, append_key, collect_range, envelope_of, open_envelope};
use super::builder::{Expiry, StateStore, StoreDefinition};
use super::key_value::ValueAndTimestamp;
use crate::dsl::{Window, Windowed};
use crate::processor::{NO_TIME, ProcessContext, ProcessError};
use crate::serde::{Data, DefaultSerde, SerdeRef};
use crate::state::{KeyRange, StoreIndex, ValueEnvelope, window_key};

/// One value per key and window start (Kafka Streams' `TimestampedWindowStore`). Got in `init` from
/// [`ProcessorInit::store`](crate::dsl::ProcessorInit::store).
///
/// Times of windows are their starts, in ms; ranges of times include both ends. A null value (`None` of an `Option`) is a deletion.
/// A fetch over a range of times walks all keys of the windows in it.
pub struct WindowStore<K, V> {
    name: String,
    size_ms: i64,
    retention_ms: i64,
    key: SerdeRef<K>,
    value: SerdeRef<V>,
    store: StoreIndex,
}

impl<K, V> Clone for WindowStore<K, V> {
    fn clone(&self) -> Self {
        WindowStore {
            name: self.name.clone(),
            size_ms: self.size_ms,
            retention_ms: self.retention_ms,
            key: self.key.clone(),
            value: self.value.clone(),
            store: self.store,
        }
    }
}

/// A handle to be assigned in `init`; used before, its calls err.
impl<K: Data + DefaultSerde, V: Data + DefaultSerde> Default for WindowStore<K, V> {
    fn default() -> Self {
        WindowStore::new("", 1, Timestamp::MAX, K::default_serde(), V::default_serde())
    }
}

impl<K: Data, V: Data> WindowStore<K, V> {
    pub(in crate::dsl) fn new(
        name: &str,
        size_ms: i64,
        retention_ms: i64,
        key: SerdeRef<K>,
        value: SerdeRef<V>,
    ) -> Self {
        WindowStore {
            name: name.to_owned(),
            size_ms,
            retention_ms,
            key,
            value,
            store: UNBOUND,
        }
    }

    /// Sets the value of a key in the window starting at `window_start`, with the timestamp of the record that is being worked on.
    /// A window that is past its retention takes nothing: returns `false`.
    pub fn put(
        &self,
        context: &mut impl StateContext,
        key: &K,
        value: &V,
        window_start: Timestamp,
    ) -> Result<bool, ProcessError> {
        if window_start < self.first_kept(context.stream_time()) {
            return Ok(false);
        }
        let key = self.entry_key(window_start, key, context)?;
        match envelope_of(value, context.timestamp(), &self.value, context)? {
            Some(value) => context.store_ref(self.store)?.put(&key, value),
            None => context.store_ref(self.store)?.delete(&key),
        }
        Ok(true)
    }

    /// The value of a key in the window starting at `time`.
    pub fn fetch(
        &self,
        context: &mut impl StateContext,
        key: &K,
        time: Timestamp,
    ) -> Result<Option<V>, ProcessError> {
        Ok(self
            .fetch_with_timestamp(context, key, time)?
            .map(|found| found.value))
    }

    /// As [`fetch`](Self::fetch), with its timestamp.
    pub fn fetch_with_timestamp(
        &self,
        context: &mut impl StateContext,
        key: &K,
        time: Timestamp,
    ) -> Result<Option<ValueAndTimestamp<V>>, ProcessError> {
        if time < self.first_kept(context.stream_time()) {
            return Ok(None);
        }
        let key = self.entry_key(time, key, context)?;
        let stored = context.store_ref(self.store)?.get(&key)?;
        let Some(stored) = stored else { return Ok(None) };
        let (value, timestamp) = open_envelope(&stored, &self.value, context)?;
        Ok(Some(ValueAndTimestamp { value, timestamp }))
    }

    /// The windows of a key that start from `from` to `to`, by start: (start, value).
    pub fn fetch_range(
        &self,
        context: &mut impl StateContext,
        key: &K,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Timestamp, V)>, ProcessError> {
        let mut wanted = Vec::new();
        append_key(key, &self.key, &mut wanted, context)?;
        self.collect(context, from, to, |start, key, value| {
            (key == wanted).then(|| self.read_value(value).map(|value| (start, value)))
        })
    }

    /// As [`fetch_range`](Self::fetch_range), latest first.
    pub fn backward_fetch_range(
        &self,
        context: &mut impl StateContext,
        key: &K,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Timestamp, V)>, ProcessError> {
        let mut found = self.fetch_range(context, key, from, to)?;
        found.reverse();
        Ok(found)
    }

    /// The windows that start from `from` to `to` of the keys from `first` to `last` (by their bytes, both included; `None` leaves that end open), by start and key.
    pub fn fetch_keys(
        &self,
        context: &mut impl StateContext,
        first: Option<&K>,
        last: Option<&K>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        let bound = |key: Option<&K>| -> Result<Option<Vec<u8>>, ProcessError> {
            let Some(key) = key else { return Ok(None) };
            let mut bytes = Vec::new();
            append_key(key, &self.key, &mut bytes, context)?;
            Ok(Some(bytes))
        };
        let (first, last) = (bound(first)?, bound(last)?);
        self.collect(context, from, to, |start, key, value| {
            let is_inside = first.as_deref().is_none_or(|first| first <= key)
                && last.as_deref().is_none_or(|last| key <= last);
            is_inside.then(|| self.read_entry(start, key, value))
        })
    }

    /// The windows of all keys that start from `from` to `to`, by start and key.
    pub fn fetch_all(
        &self,
        context: &mut impl StateContext,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        self.fetch_keys(context, None, None, from, to)
    }

    /// As [`fetch_all`](Self::fetch_all), latest first.
    pub fn backward_fetch_all(
        &self,
        context: &mut impl StateContext,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        let mut found = self.fetch_all(context, from, to)?;
        found.reverse();
        Ok(found)
    }

    /// Every window that is kept, by start and key.
    pub fn all(&self, context: &mut impl StateContext) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        self.fetch_all(context, Timestamp::MIN, Timestamp::MAX)
    }

    /// As [`all`](Self::all), latest first.
    pub fn backward_all(
        &self,
        context: &mut impl StateContext,
    ) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        self.backward_fetch_all(context, Timestamp::MIN, Timestamp::MAX)
    }

    fn collect<T>(
        &self,
        context: &mut impl StateContext,
        from: Timestamp,
        to: Timestamp,
        mut take: impl FnMut(Timestamp, &[u8], &[u8]) -> Option<Result<T, ProcessError>>,
    ) -> Result<Vec<T>, ProcessError> {
        let from = from.max(self.first_kept(context.stream_time()));
        if from > to {
            return Ok(Vec::new());
        }
        let range = KeyRange {
            from: window_key::pane_prefix(from).to_vec(),
            to: to.checked_add(1).map(|end| window_key::pane_prefix(end).to_vec()),
        };
        let found = collect_range(self.store, &range, context, |key, value| {
            let (start, key) = window_key::decode(key)?;
            take(start, key, value)
        })?;
        found.into_iter().collect()
    }

    fn read_entry(
        &self,
        start_ms: Timestamp,
        key: &[u8],
        value: &[u8],
    ) -> Result<(Windowed<K>, V), ProcessError> {
        let key = self
            .key
            .deserialize(key)
            .map_err(|cause| ProcessError::node(&self.name, cause))?;
        let end_ms = start_ms.saturating_add(self.size_ms);
        let window = Window { start_ms, end_ms };
        Ok((Windowed { key, window }, self.read_value(value)?))
    }

    fn read_value(&self, stored: &[u8]) -> Result<V, ProcessError> {
        let envelope = ValueEnvelope::parse(stored).map_err(|cause| ProcessError::node(&self.name, cause))?;
        let value = self.value.deserialize(envelope.value);
        value.map_err(|cause| ProcessError::node(&self.name, cause))
    }

    fn entry_key(
        &self,
        start_ms: Timestamp,
        key: &K,
        context: &impl StateContext,
    ) -> Result<Vec<u8>, ProcessError> {
        let mut bytes = window_key::pane_prefix(start_ms).to_vec();
        append_key(key, &self.key, &mut bytes, context)?;
        Ok(bytes)
    }

    /// Start of the oldest window that is kept.
    fn first_kept(&self, stream_time: Timestamp) -> Timestamp {
        first_kept(stream_time, self.retention_ms)
    }
}

/// Start of the oldest window, or end of the oldest session, that is kept.
pub(super) fn first_kept(stream_time: Timestamp, retention_ms: i64) -> Timestamp {
    stream_time.saturating_sub(retention_ms).saturating_add(1)
}

impl<K: Data, V: Data> StateStore for WindowStore<K, V> {
    fn bind(
        &self,
        index_of: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
    ) -> Result<Self, ProcessError> {
        Ok(WindowStore {
            store: index_of(&self.name)?,
            ..self.clone()
        })
    }
}

impl<K: Data, V: Data> StoreDefinition for WindowStore<K, V> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn expiry(
        &self,
        index_of: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
    ) -> Result<Option<Box<dyn Expiry>>, ProcessError> {
        let store = index_of(&self.name)?;
        let expiry = WindowExpiry::new(store, self.retention_ms, self.size_ms);
        Ok(Some(Box::new(expiry)))
    }
}

/// Removes windows past their retention, once per length of a window.
pub(super) struct WindowExpiry {
    store: StoreIndex,
    retention_ms: i64,
    step_ms: i64,
    expired_before: Timestamp,
}

impl WindowExpiry {
    /// `step_ms`: how far apart panes are, or how often it is worth looking.
    pub(super) fn new(store: StoreIndex, retention_ms: i64, step_ms: i64) -> Self {
        WindowExpiry {
            store,
            retention_ms,
            step_ms: step_ms.max(1),
            expired_before: NO_TIME,
        }
    }
}

impl Expiry for WindowExpiry {
    fn expire(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let now = context.stream_time();
        let horizon = window_key::pane_of(first_kept(now, self.retention_ms), self.step_ms);
        if now != NO_TIME && horizon > self.expired_before {
            let (from, to) = window_key::panes_before(horizon);
            context.store(self.store).delete_range(&from, &to);
            self.expired_before = horizon;
        }
        Ok(())
    }

    fn on_abort(&mut self) {
        self.expired_before = NO_TIME;
    }
}
