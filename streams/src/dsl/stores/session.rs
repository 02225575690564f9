//! `SessionStore`: values per key and session, a session being a stretch of time with both ends included.
//!
//! It is laid out as the stores of session windows (`state/span_list.rs`): by pane of the session's end, then by key, the sessions of a key in a pane as one list. So
//! the sessions of a key are found by one read per pane, and expiry is one range delete. Sessions are kept until stream time is the retention past their end.

use std::any::Any;

use millpond_log::types::Timestamp;

use super::access::{StateContext, UNBOUND, append_key, collect_range, envelope_of, failed};
use super::builder::{Expiry, StateStore, StoreDefinition};
use super::window::{WindowExpiry, first_kept};
use crate::dsl::{Window, Windowed};
use crate::processor::{BoxError, ProcessError};
use crate::serde::{Data, DefaultSerde, SerdeRef};
use crate::state::{KeyRange, StoreIndex, Update, ValueEnvelope, span_list, window_key};

/// Panes looked at one by one for a key; when there are more, they are walked.
const PANES_READ_MAX: i64 = 64;

/// Values per key and session (Kafka Streams' `SessionStore`). Got in `init` from [`ProcessorInit::store`](crate::dsl::ProcessorInit::store).
///
/// Times are in ms; both ends of sessions, and of ranges of times, are included. A null value (`None` of an `Option`) removes the session.
pub struct SessionStore<K, V> {
    name: String,
    pane_ms: i64,
    retention_ms: i64,
    key: SerdeRef<K>,
    value: SerdeRef<V>,
    store: StoreIndex,
}

impl<K, V> Clone for SessionStore<K, V> {
    fn clone(&self) -> Self {
        SessionStore {
            name: self.name.clone(),
            pane_ms: self.pane_ms,
            retention_ms: self.retention_ms,
            key: self.key.clone(),
            value: self.value.clone(),
            store: self.store,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a session cannot end at {end_ms} before it starts at {start_ms}")]
struct Backwards {
    start_ms: Timestamp,
    end_ms: Timestamp,
}

/// A handle to be assigned in `init`; used before, its calls err.
impl<K: Data + DefaultSerde, V: Data + DefaultSerde> Default for SessionStore<K, V> {
    fn default() -> Self {
        SessionStore::new("", 1, Timestamp::MAX, K::default_serde(), V::default_serde())
    }
}

impl<K: Data, V: Data> SessionStore<K, V> {
    pub(in crate::dsl) fn new(
        name: &str,
        pane_ms: i64,
        retention_ms: i64,
        key: SerdeRef<K>,
        value: SerdeRef<V>,
    ) -> Self {
        SessionStore {
            name: name.to_owned(),
            pane_ms,
            retention_ms,
            key,
            value,
            store: UNBOUND,
        }
    }

    /// Sets the value of a session, with the timestamp of the record that is being worked on. A session that is past its retention is refused: returns `false`.
    /// # Errors
    /// When it ends before it starts.
    pub fn put(
        &self,
        context: &mut impl StateContext,
        session: &Windowed<K>,
        value: &V,
    ) -> Result<bool, ProcessError> {
        let Window { start_ms, end_ms } = session.window;
        if end_ms < start_ms {
            return Err(failed(context, Backwards { start_ms, end_ms }));
        }
        if end_ms < first_kept(context.stream_time(), self.retention_ms) {
            return Ok(false);
        }
        let envelope = envelope_of(value, context.timestamp(), &self.value, context)?;
        self.change(context, session, envelope)?;
        Ok(true)
    }

    /// Removes a session; no-op when it is not there.
    pub fn remove(&self, context: &mut impl StateContext, session: &Windowed<K>) -> Result<(), ProcessError> {
        self.change(context, session, None)
    }

    /// The value of the session of a key with exactly these ends.
    pub fn fetch_session(
        &self,
        context: &mut impl StateContext,
        key: &K,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<Option<V>, ProcessError> {
        if end < first_kept(context.stream_time(), self.retention_ms) {
            return Ok(None);
        }
        let list_key = self.list_key(end, key, context)?;
        let list = context.store_ref(self.store)?.get(&list_key)?;
        let mut found = None;
        for span in span_list::iter(list.as_deref().unwrap_or_default()) {
            let span = span.map_err(|cause| failed(context, cause))?;
            if (span.start_ms, span.end_ms) == (start, end) {
                found = Some(self.read_value(span.envelope)?);
            }
        }
        Ok(found)
    }

    /// Every session of a key, by end and start.
    pub fn fetch(
        &self,
        context: &mut impl StateContext,
        key: &K,
    ) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        self.find_sessions(context, key, Timestamp::MIN, Timestamp::MAX)
    }

    /// The sessions of a key that end at `earliest_end` or later and start at `latest_start` or earlier, by end and start.
    pub fn find_sessions(
        &self,
        context: &mut impl StateContext,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        let earliest_end = earliest_end.max(first_kept(context.stream_time(), self.retention_ms));
        let mut key_bytes = Vec::new();
        append_key(key, &self.key, &mut key_bytes, context)?;
        let lists = self.lists_of(context, &key_bytes, earliest_end)?;
        let mut found = Vec::new();
        for list in lists {
            self.read_list(
                key,
                &list,
                |window| window.end_ms >= earliest_end && window.start_ms <= latest_start,
                &mut found,
            )?;
        }
        found.sort_by_key(|(session, _)| (session.window.end_ms, session.window.start_ms));
        Ok(found)
    }

    /// As [`find_sessions`](Self::find_sessions), latest first.
    pub fn backward_find_sessions(
        &self,
        context: &mut impl StateContext,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        let mut found = self.find_sessions(context, key, earliest_end, latest_start)?;
        found.reverse();
        Ok(found)
    }

    /// The sessions of all keys that end from `earliest_end` to `latest_end`, by end, start and key bytes (KIP-617, KIP-763).
    pub fn find_all_sessions(
        &self,
        context: &mut impl StateContext,
        earliest_end: Timestamp,
        latest_end: Timestamp,
    ) -> Result<Vec<(Windowed<K>, V)>, ProcessError> {
        let earliest_end = earliest_end.max(first_kept(context.stream_time(), self.retention_ms));
        if earliest_end > latest_end {
            return Ok(Vec::new());
        }
        let range = KeyRange {
            from: window_key::pane_prefix(self.pane_of(earliest_end)).to_vec(),
            to: latest_end
                .checked_add(1)
                .map(|end| window_key::pane_prefix(end).to_vec()),
        };
        let lists = collect_range(self.store, &range, context, |key, list| {
            let (_, key) = window_key::decode(key)?;
            Some((key.to_vec(), list.to_vec()))
        })?;
        let mut found = Vec::new();
        for (key, list) in lists {
            let key = self
                .key
                .deserialize(&key)
                .map_err(|cause| failed(context, cause))?;
            let is_inside = |window: Window| (earliest_end..=latest_end).contains(&window.end_ms);
            self.read_list(&key, &list, is_inside, &mut found)?;
        }
        // Lists come by pane and key; the sort is stable, so keys stay in order within equal ends.
        found.sort_by_key(|(session, _)| (session.window.end_ms, session.window.start_ms));
        Ok(found)
    }

    /// The lists of a key in the panes from that of `earliest_end` on.
    fn lists_of(
        &self,
        context: &mut impl StateContext,
        key: &[u8],
        earliest_end: Timestamp,
    ) -> Result<Vec<Vec<u8>>, ProcessError> {
        let from = self.pane_of(earliest_end);
        let mut store = context.store_ref(self.store)?;
        let Some(last) = store.last_pane().filter(|last| *last >= from) else {
            return Ok(Vec::new());
        };
        if last.saturating_sub(from) / self.pane_ms < PANES_READ_MAX {
            let mut lists = Vec::new();
            let mut pane = from;
            while pane <= last {
                let list = store.get(&window_key::encode(pane, key))?;
                lists.extend(list.map(|list| list.to_vec()));
                let Some(next) = pane.checked_add(self.pane_ms) else {
                    break;
                };
                pane = next;
            }
            return Ok(lists);
        }
        drop(store);
        let range = KeyRange {
            from: window_key::pane_prefix(from).to_vec(),
            to: None,
        };
        collect_range(self.store, &range, context, |found, list| {
            let (_, found) = window_key::decode(found)?;
            (found == key).then(|| list.to_vec())
        })
    }

    /// Sets or removes a session in its list.
    fn change(
        &self,
        context: &mut impl StateContext,
        session: &Windowed<K>,
        envelope: Option<Vec<u8>>,
    ) -> Result<(), ProcessError> {
        let Window { start_ms, end_ms } = session.window;
        let list_key = self.list_key(end_ms, &session.key, context)?;
        let mut damaged: Option<BoxError> = None;
        context.store_ref(self.store)?.update(&list_key, |list, out| {
            match changed(
                list.unwrap_or_default(),
                (start_ms, end_ms),
                envelope.as_deref(),
                out,
            ) {
                Ok(()) if out.is_empty() => Update::Delete,
                Ok(()) => Update::Put,
                Err(cause) => {
                    damaged = Some(cause.into());
                    Update::Keep
                }
            }
        })?;
        damaged.map_or(Ok(()), |cause| Err(failed(context, cause)))
    }

    fn read_list(
        &self,
        key: &K,
        list: &[u8],
        takes: impl Fn(Window) -> bool,
        found: &mut Vec<(Windowed<K>, V)>,
    ) -> Result<(), ProcessError> {
        for span in span_list::iter(list) {
            let span = span.map_err(|cause| ProcessError::node(&self.name, cause))?;
            let window = Window {
                start_ms: span.start_ms,
                end_ms: span.end_ms,
            };
            if takes(window) {
                let key = key.clone();
                found.push((Windowed { key, window }, self.read_value(span.envelope)?));
            }
        }
        Ok(())
    }

    fn read_value(&self, stored: &[u8]) -> Result<V, ProcessError> {
        let envelope = ValueEnvelope::parse(stored).map_err(|cause| ProcessError::node(&self.name, cause))?;
        let value = self.value.deserialize(envelope.value);
        value.map_err(|cause| ProcessError::node(&self.name, cause))
    }

    fn list_key(
        &self,
        end_ms: Timestamp,
        key: &K,
        context: &impl StateContext,
    ) -> Result<Vec<u8>, ProcessError> {
        let mut bytes = window_key::pane_prefix(self.pane_of(end_ms)).to_vec();
        append_key(key, &self.key, &mut bytes, context)?;
        Ok(bytes)
    }

    fn pane_of(&self, end_ms: Timestamp) -> Timestamp {
        // Not below what a pane can start at, for a range that begins at the beginning of time.
        window_key::pane_of(end_ms.max(Timestamp::MIN + self.pane_ms), self.pane_ms)
    }
}

/// Writes the list with the session of these ends replaced, added in order, or left out.
fn changed(
    list: &[u8],
    bounds: (Timestamp, Timestamp),
    envelope: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Result<(), crate::state::value_envelope::CutShort> {
    let mut to_add = envelope;
    for span in span_list::iter(list) {
        let span = span?;
        let here = (span.start_ms, span.end_ms);
        if here >= bounds {
            append(bounds, to_add.take(), out);
        }
        if here != bounds {
            append(here, Some(span.envelope), out);
        }
    }
    append(bounds, to_add, out);
    Ok(())
}

fn append((start_ms, end_ms): (Timestamp, Timestamp), envelope: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(envelope) = envelope else { return };
    let written = span_list::append(start_ms, end_ms, out, |out| {
        out.extend_from_slice(envelope);
        Ok::<(), std::convert::Infallible>(())
    });
    match written {
        Ok(()) => {}
        Err(never) => match never {},
    }
}

impl<K: Data, V: Data> StateStore for SessionStore<K, V> {
    fn bind(
        &self,
        index_of: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
    ) -> Result<Self, ProcessError> {
        Ok(SessionStore {
            store: index_of(&self.name)?,
            ..self.clone()
        })
    }
}

impl<K: Data, V: Data> StoreDefinition for SessionStore<K, V> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn expiry(
        &self,
        index_of: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
    ) -> Result<Option<Box<dyn Expiry>>, ProcessError> {
        let store = index_of(&self.name)?;
        let expiry = WindowExpiry::new(store, self.retention_ms, self.pane_ms);
        Ok(Some(Box::new(expiry)))
    }
}
