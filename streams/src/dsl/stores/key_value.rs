//! `KeyValueStore`: one value per key.
//!
//! Entries carry a timestamp: that of the record which wrote them unless told otherwise. With a time to live, an entry is gone once stream time reaches its
//! timestamp plus that time. An index `{name}-expiry` (expiry time, then key) says what to remove: always true, a key that is in the store is in the index at
//! or before its expiry, so an entry that is overwritten costs no second index entry; the old one is moved when it is due.

use std::any::Any;
use std::time::Duration;

use millpond_log::types::Timestamp;

use super::access::{
    StateContext, UNBOUND, append_key, closed_range, collect_range, envelope_of, failed, open_envelope,
};
use super::builder::{Expiry, StateStore, StoreBuilder, StoreDefinition};
use crate::processor::{BoxError, NO_TIME, ProcessContext, ProcessError};
use crate::serde::{Data, DefaultSerde, SerdeRef};
use crate::state::{KeyRange, StoreIndex, Update, ValueEnvelope, window_key};

/// A value and the time it was written with (Kafka Streams' `ValueAndTimestamp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueAndTimestamp<V> {
    /// The value.
    pub value: V,
    /// Timestamp in ms.
    pub timestamp: Timestamp,
}

/// One value per key (Kafka Streams' `TimestampedKeyValueStore`). Got in `init` from [`ProcessorInit::store`](crate::dsl::ProcessorInit::store).
///
/// A null value (`None` of an `Option`) is a deletion. Walks are in the order of the keys' bytes and give copies.
pub struct KeyValueStore<K, V> {
    name: String,
    key: SerdeRef<K>,
    value: SerdeRef<V>,
    ttl_ms: Option<i64>,
    store: StoreIndex,
    expiry: StoreIndex,
}

impl<K, V> Clone for KeyValueStore<K, V> {
    fn clone(&self) -> Self {
        KeyValueStore {
            name: self.name.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
            ttl_ms: self.ttl_ms,
            store: self.store,
            expiry: self.expiry,
        }
    }
}

impl<K: Data, V: Data> StoreBuilder<KeyValueStore<K, V>> {
    /// Entries live until stream time reaches their timestamp plus `ttl`. What is expired is never seen; it is removed with the next commit.
    /// Not in Kafka Streams.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.store.ttl_ms = Some(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        self
    }
}

/// A handle to be assigned in `init`; used before, its calls err.
impl<K: Data + DefaultSerde, V: Data + DefaultSerde> Default for KeyValueStore<K, V> {
    fn default() -> Self {
        KeyValueStore::new("", K::default_serde(), V::default_serde())
    }
}

impl<K: Data, V: Data> KeyValueStore<K, V> {
    pub(in crate::dsl) fn new(name: &str, key: SerdeRef<K>, value: SerdeRef<V>) -> Self {
        KeyValueStore {
            name: name.to_owned(),
            key,
            value,
            ttl_ms: None,
            store: UNBOUND,
            expiry: UNBOUND,
        }
    }

    /// The value of a key.
    pub fn get(&self, context: &mut impl StateContext, key: &K) -> Result<Option<V>, ProcessError> {
        Ok(self.get_with_timestamp(context, key)?.map(|found| found.value))
    }

    /// The value of a key, with its timestamp.
    pub fn get_with_timestamp(
        &self,
        context: &mut impl StateContext,
        key: &K,
    ) -> Result<Option<ValueAndTimestamp<V>>, ProcessError> {
        let key = self.key_bytes(key, context)?;
        let stored = context.store_ref(self.store)?.get(&key)?;
        let Some(stored) = stored else { return Ok(None) };
        let (value, timestamp) = open_envelope(&stored, &self.value, context)?;
        let found = ValueAndTimestamp { value, timestamp };
        Ok(Some(found).filter(|found| self.is_live(found.timestamp, context.stream_time())))
    }

    /// Sets the value of a key, with the timestamp of the record that is being worked on.
    pub fn put(&self, context: &mut impl StateContext, key: &K, value: &V) -> Result<(), ProcessError> {
        let timestamp = context.timestamp();
        self.put_at(context, key, value, timestamp)
    }

    /// Sets the value of a key, with a timestamp (ms).
    pub fn put_at(
        &self,
        context: &mut impl StateContext,
        key: &K,
        value: &V,
        timestamp: Timestamp,
    ) -> Result<(), ProcessError> {
        let key = self.key_bytes(key, context)?;
        match envelope_of(value, timestamp, &self.value, context)? {
            Some(value) => self.put_bytes(context, &key, &value, timestamp),
            None => {
                context.store_ref(self.store)?.delete(&key);
                Ok(())
            }
        }
    }

    /// Sets the value of a key unless it has one; returns the one it had.
    pub fn put_if_absent(
        &self,
        context: &mut impl StateContext,
        key: &K,
        value: &V,
    ) -> Result<Option<V>, ProcessError> {
        let before = self.get(context, key)?;
        if before.is_none() {
            self.put(context, key, value)?;
        }
        Ok(before)
    }

    /// Sets the values of several keys, in order.
    pub fn put_all<'e>(
        &self,
        context: &mut impl StateContext,
        entries: impl IntoIterator<Item = (&'e K, &'e V)>,
    ) -> Result<(), ProcessError> {
        entries
            .into_iter()
            .try_for_each(|(key, value)| self.put(context, key, value))
    }

    /// Removes a key; returns the value it had.
    pub fn delete(&self, context: &mut impl StateContext, key: &K) -> Result<Option<V>, ProcessError> {
        let before = self.get(context, key)?;
        let key = self.key_bytes(key, context)?;
        context.store_ref(self.store)?.delete(&key);
        Ok(before)
    }

    /// The entries with keys from `from` to `to`, both included, in ascending order; `None` leaves that end open.
    pub fn range(
        &self,
        context: &mut impl StateContext,
        from: Option<&K>,
        to: Option<&K>,
    ) -> Result<Vec<(K, V)>, ProcessError> {
        let bound = |key: Option<&K>| key.map(|key| self.key_bytes(key, context)).transpose();
        let range = closed_range(bound(from)?, bound(to)?);
        self.entries(context, &range)
    }

    /// As [`range`](Self::range), in descending order.
    pub fn reverse_range(
        &self,
        context: &mut impl StateContext,
        from: Option<&K>,
        to: Option<&K>,
    ) -> Result<Vec<(K, V)>, ProcessError> {
        let mut entries = self.range(context, from, to)?;
        entries.reverse();
        Ok(entries)
    }

    /// Every entry, in ascending order.
    pub fn all(&self, context: &mut impl StateContext) -> Result<Vec<(K, V)>, ProcessError> {
        self.entries(context, &KeyRange::all())
    }

    /// Every entry, in descending order.
    pub fn reverse_all(&self, context: &mut impl StateContext) -> Result<Vec<(K, V)>, ProcessError> {
        self.reverse_range(context, None, None)
    }

    /// The entries whose keys, as bytes, begin with `prefix`.
    pub fn prefix_scan(
        &self,
        context: &mut impl StateContext,
        prefix: impl AsRef<[u8]>,
    ) -> Result<Vec<(K, V)>, ProcessError> {
        self.entries(context, &KeyRange::prefix(prefix.as_ref()))
    }

    /// Roughly how many entries there are; expired ones that were not removed yet count.
    pub fn approximate_num_entries(&self, context: &mut impl StateContext) -> Result<u64, ProcessError> {
        Ok(context.store_ref(self.store)?.approximate_entries()?)
    }

    fn entries(
        &self,
        context: &mut impl StateContext,
        range: &KeyRange,
    ) -> Result<Vec<(K, V)>, ProcessError> {
        let stream_time = context.stream_time();
        let read = |key: &[u8], stored: &[u8]| -> Result<Option<(K, V)>, ProcessError> {
            let node = |cause: BoxError| ProcessError::node(&self.name, cause);
            let envelope = ValueEnvelope::parse(stored).map_err(|cause| node(cause.into()))?;
            if !self.is_live(envelope.timestamp, stream_time) {
                return Ok(None);
            }
            let key = self.key.deserialize(key).map_err(|cause| node(cause.into()))?;
            let value = self.value.deserialize(envelope.value);
            Ok(Some((key, value.map_err(|cause| node(cause.into()))?)))
        };
        collect_range(self.store, range, context, |key, stored| {
            read(key, stored).transpose()
        })?
        .into_iter()
        .collect()
    }

    fn key_bytes(&self, key: &K, context: &impl StateContext) -> Result<Vec<u8>, ProcessError> {
        let mut bytes = Vec::new();
        append_key(key, &self.key, &mut bytes, context)?;
        Ok(bytes)
    }

    fn is_live(&self, timestamp: Timestamp, stream_time: Timestamp) -> bool {
        self.ttl_ms
            .is_none_or(|ttl_ms| timestamp.saturating_add(ttl_ms) > stream_time)
    }

    fn put_bytes(
        &self,
        context: &mut impl StateContext,
        key: &[u8],
        value: &[u8],
        timestamp: Timestamp,
    ) -> Result<(), ProcessError> {
        let Some(ttl_ms) = self.ttl_ms else {
            context.store_ref(self.store)?.put(key, value);
            return Ok(());
        };
        let expires = timestamp.saturating_add(ttl_ms);
        let mut indexed_from = None;
        context.store_ref(self.store)?.update(key, |before, out| {
            indexed_from = before
                .and_then(|before| ValueEnvelope::parse(before).ok())
                .map(|before| before.timestamp.saturating_add(ttl_ms));
            out.extend_from_slice(value);
            Update::Put
        })?;
        // An entry that expires earlier than the one before needs an earlier index entry.
        if indexed_from.is_none_or(|before| expires < before) {
            let entry = window_key::encode(expires, key);
            context.store_ref(self.expiry)?.put(&entry, INDEXED);
        }
        Ok(())
    }
}

/// Value of an index entry: only its key says something.
const INDEXED: [u8; 1] = [1];

fn expiry_name(store: &str) -> String {
    format!("{store}-expiry")
}

impl<K: Data, V: Data> StateStore for KeyValueStore<K, V> {
    fn bind(
        &self,
        index_of: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
    ) -> Result<Self, ProcessError> {
        let store = index_of(&self.name)?;
        let expiry = match self.ttl_ms {
            Some(_) => index_of(&expiry_name(&self.name))?,
            None => store,
        };
        Ok(KeyValueStore {
            store,
            expiry,
            ..self.clone()
        })
    }
}

impl<K: Data, V: Data> StoreDefinition for KeyValueStore<K, V> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn companions(&self) -> Vec<String> {
        self.ttl_ms.map(|_| expiry_name(&self.name)).into_iter().collect()
    }

    fn expiry(
        &self,
        index_of: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
    ) -> Result<Option<Box<dyn Expiry>>, ProcessError> {
        let Some(ttl_ms) = self.ttl_ms else {
            return Ok(None);
        };
        Ok(Some(Box::new(KeyExpiry {
            store: index_of(&self.name)?,
            index: index_of(&expiry_name(&self.name))?,
            ttl_ms,
        })))
    }
}

/// Removes entries whose time to live is over.
struct KeyExpiry {
    store: StoreIndex,
    index: StoreIndex,
    ttl_ms: i64,
}

impl Expiry for KeyExpiry {
    fn expire(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let now = context.stream_time();
        if now == NO_TIME {
            return Ok(());
        }
        let (from, to) = window_key::panes_before(now.saturating_add(1));
        let due = collect_range(self.index, &KeyRange::between(from, to), context, |entry, _| {
            Some(entry.to_vec())
        })?;
        for entry in due {
            context.store(self.index).delete(&entry);
            let Some((_, key)) = window_key::decode(&entry) else {
                continue;
            };
            let expires = context.store(self.store).get_with(key, |stored| {
                stored.map(|stored| {
                    ValueEnvelope::parse(stored)
                        .map(|envelope| envelope.timestamp.saturating_add(self.ttl_ms))
                })
            })?;
            match expires.transpose().map_err(|cause| failed(context, cause))? {
                Some(expires) if expires <= now => context.store(self.store).delete(key),
                // Written again since: it is looked at again when that is over.
                Some(expires) => context
                    .store(self.index)
                    .put(&window_key::encode(expires, key), INDEXED),
                None => {}
            }
        }
        Ok(())
    }
}
