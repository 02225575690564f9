//! A typed view of a store, and the queries of stores without windows: by key, by range, by prefix.
//!
//! Next: `windows.rs` for stores of windows and sessions, `versions.rs` for tables that know their past.

use std::sync::Arc;

use bytes::Bytes;

use super::{QueryError, StoreRegistry};
use crate::dsl::ValueAndTimestamp;
use crate::serde::{SerdeError, SerdeRef};
use crate::state::{KeyRange, StoreKind, ValueEnvelope};

/// A typed, read-only view of a store.
pub struct StoreView<K, V> {
    pub(super) registry: Arc<StoreRegistry>,
    pub(super) name: String,
    pub(super) key: SerdeRef<K>,
    pub(super) value: SerdeRef<V>,
}

impl<K, V> std::fmt::Debug for StoreView<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreView")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<K: 'static, V: 'static> StoreView<K, V> {
    pub(crate) fn new(
        registry: Arc<StoreRegistry>,
        name: &str,
        key: SerdeRef<K>,
        value: SerdeRef<V>,
    ) -> Result<Self, QueryError> {
        // Unknown names are told at once; a store that is not ready yet is told by the reads.
        match registry.readers(name) {
            Err(error @ QueryError::UnknownStore { .. }) => Err(error),
            _ => Ok(StoreView {
                registry,
                name: name.to_owned(),
                key,
                value,
            }),
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: &K) -> Result<Option<V>, QueryError> {
        Ok(self.get_with_timestamp(key)?.map(|found| found.value))
    }

    /// The value of `key`, with its timestamp.
    pub fn get_with_timestamp(&self, key: &K) -> Result<Option<ValueAndTimestamp<V>>, QueryError> {
        self.needs_key_value("get; use fetch")?;
        let bytes = self.key_bytes(key)?;
        for part in self.registry.readers(&self.name)? {
            if let Some(stored) = part.reader.get(part.index, &bytes)? {
                return self.timed_value_of(&stored).map(Some);
            }
        }
        Ok(None)
    }

    /// All keys with their values, by the byte order of their serialised form.
    pub fn all(&self) -> Result<Vec<(K, V)>, QueryError> {
        self.range(None, None)
    }

    /// As [`all`](Self::all), in descending order.
    pub fn reverse_all(&self) -> Result<Vec<(K, V)>, QueryError> {
        self.reverse_range(None, None)
    }

    /// Keys from `from` to `to`, both included, with their values, by the byte order of their serialised form; `None` leaves that end open.
    pub fn range(&self, from: Option<&K>, to: Option<&K>) -> Result<Vec<(K, V)>, QueryError> {
        self.entries(self.sorted_range(from, to)?)
    }

    /// As [`range`](Self::range), in descending order.
    pub fn reverse_range(&self, from: Option<&K>, to: Option<&K>) -> Result<Vec<(K, V)>, QueryError> {
        let mut found = self.sorted_range(from, to)?;
        found.reverse();
        self.entries(found)
    }

    /// Keys that begin, as bytes, with `prefix`, in ascending order.
    pub fn prefix_scan(&self, prefix: impl AsRef<[u8]>) -> Result<Vec<(K, V)>, QueryError> {
        self.needs_key_value("prefix_scan; use fetch_all")?;
        let mut found = self.scan(&KeyRange::prefix(prefix.as_ref()))?;
        found.sort();
        self.entries(found)
    }

    fn sorted_range(&self, from: Option<&K>, to: Option<&K>) -> Result<Vec<(Bytes, Bytes)>, QueryError> {
        self.needs_key_value("range; use fetch_all")?;
        let bound = |key: Option<&K>| key.map(|key| self.key_bytes(key)).transpose();
        let (from, mut to) = (bound(from)?.unwrap_or_default(), bound(to)?);
        if let Some(to) = &mut to {
            // The smallest key that is larger.
            to.push(0);
        }
        let mut found = self.scan(&KeyRange { from, to })?;
        // Each task has its part in order.
        found.sort();
        Ok(found)
    }

    fn entries(&self, found: Vec<(Bytes, Bytes)>) -> Result<Vec<(K, V)>, QueryError> {
        found
            .into_iter()
            .map(|(key, value)| self.entry(&key, &value))
            .collect()
    }

    pub(super) fn key_bytes(&self, key: &K) -> Result<Vec<u8>, QueryError> {
        let mut bytes = Vec::new();
        self.key
            .serialize(key, &mut bytes)
            .map_err(|cause| self.serde(cause))?;
        Ok(bytes)
    }

    pub(super) fn scan(&self, range: &KeyRange) -> Result<Vec<(Bytes, Bytes)>, QueryError> {
        let mut found = Vec::new();
        for part in self.registry.readers(&self.name)? {
            let pinned = part.reader.pin()?;
            let snapshot = pinned.snapshot()?;
            for entry in snapshot.scan(part.index, range)? {
                found.push(entry?);
            }
        }
        Ok(found)
    }

    fn entry(&self, key: &[u8], value: &[u8]) -> Result<(K, V), QueryError> {
        Ok((
            self.key.deserialize(key).map_err(|cause| self.serde(cause))?,
            self.value_of(value)?,
        ))
    }

    pub(super) fn value_of(&self, stored: &[u8]) -> Result<V, QueryError> {
        Ok(self.timed_value_of(stored)?.value)
    }

    pub(super) fn timed_value_of(&self, stored: &[u8]) -> Result<ValueAndTimestamp<V>, QueryError> {
        let envelope = ValueEnvelope::parse(stored).map_err(|_| self.damaged())?;
        let value = self.value.deserialize(envelope.value);
        Ok(ValueAndTimestamp {
            value: value.map_err(|cause| self.serde(cause))?,
            timestamp: envelope.timestamp,
        })
    }

    pub(super) fn needs_key_value(&self, operation: &'static str) -> Result<(), QueryError> {
        match self.registry.kind(&self.name) {
            Some(StoreKind::Window { .. }) => Err(self.wrong_kind("a window store", operation)),
            Some(StoreKind::Spans { .. }) => {
                Err(self.wrong_kind("a store of sessions or sliding windows", operation))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn wrong_kind(&self, actual: &'static str, operation: &'static str) -> QueryError {
        QueryError::WrongKind {
            name: self.name.clone(),
            actual,
            operation,
        }
    }

    pub(super) fn serde(&self, cause: SerdeError) -> QueryError {
        QueryError::Serde {
            name: self.name.clone(),
            cause,
        }
    }

    pub(super) fn damaged(&self) -> QueryError {
        QueryError::Damaged {
            name: self.name.clone(),
        }
    }
}
