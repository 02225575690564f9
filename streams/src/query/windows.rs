//! Queries of stores of windows and of sessions.

use bytes::Bytes;
use millpond_log::types::Timestamp;

use super::{QueryError, StoreView};
use crate::state::{KeyRange, StoreKind, span_list, window_key};

/// A window of one key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowEntry<K, V> {
    /// The key.
    pub key: K,
    /// Start of the window in ms, included.
    pub start_ms: Timestamp,
    /// End of the window in ms, excluded.
    pub end_ms: Timestamp,
    /// The value.
    pub value: V,
}

impl<K: 'static, V: 'static> StoreView<K, V> {
    /// The value of `key` in the window that starts at `start_ms`.
    pub fn fetch_at(&self, key: &K, start_ms: Timestamp) -> Result<Option<V>, QueryError> {
        self.size_ms()?;
        let wanted = window_key::encode(start_ms, &self.key_bytes(key)?);
        for part in self.registry.readers(&self.name)? {
            if let Some(stored) = part.reader.get(part.index, &wanted)? {
                return self.value_of(&stored).map(Some);
            }
        }
        Ok(None)
    }

    /// Windows of `key` that start in `[from_ms, to_ms]`, in time order.
    pub fn fetch(
        &self,
        key: &K,
        from_ms: Timestamp,
        to_ms: Timestamp,
    ) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        let wanted = self.key_bytes(key)?;
        let found = self.windows(from_ms, to_ms)?;
        let of_key = found.into_iter().filter(|(_, key, _)| *key == wanted);
        of_key
            .map(|(start, key, value)| self.window(start, &key, &value))
            .collect()
    }

    /// As [`fetch`](Self::fetch), latest first.
    pub fn backward_fetch(
        &self,
        key: &K,
        from_ms: Timestamp,
        to_ms: Timestamp,
    ) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        let mut found = self.fetch(key, from_ms, to_ms)?;
        found.reverse();
        Ok(found)
    }

    /// Windows of all keys that start in `[from_ms, to_ms]`, in time order.
    pub fn fetch_all(
        &self,
        from_ms: Timestamp,
        to_ms: Timestamp,
    ) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        let found = self.windows(from_ms, to_ms)?;
        found
            .into_iter()
            .map(|(start, key, value)| self.window(start, &key, &value))
            .collect()
    }

    /// As [`fetch_all`](Self::fetch_all), latest first.
    pub fn backward_fetch_all(
        &self,
        from_ms: Timestamp,
        to_ms: Timestamp,
    ) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        let mut found = self.fetch_all(from_ms, to_ms)?;
        found.reverse();
        Ok(found)
    }

    /// Every session or sliding window of `key`, in time order.
    pub fn fetch_sessions(&self, key: &K) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        self.find_sessions(key, Timestamp::MIN, Timestamp::MAX)
    }

    /// The value of the session or sliding window of `key` with exactly these ends, both included in it.
    pub fn fetch_session(
        &self,
        key: &K,
        start_ms: Timestamp,
        end_ms: Timestamp,
    ) -> Result<Option<V>, QueryError> {
        let found = self.find_sessions(key, end_ms, start_ms)?;
        let mut exact = found
            .into_iter()
            .filter(|entry| (entry.start_ms, entry.end_ms) == (start_ms, end_ms));
        Ok(exact.next().map(|entry| entry.value))
    }

    /// Sessions or sliding windows of `key` that end at `earliest_end_ms` or later and start at `latest_start_ms` or earlier, in time order. The ends told are
    /// included in these windows.
    pub fn find_sessions(
        &self,
        key: &K,
        earliest_end_ms: Timestamp,
        latest_start_ms: Timestamp,
    ) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        let wanted = self.key_bytes(key)?;
        self.spans(Some(&wanted), earliest_end_ms, latest_start_ms)
    }

    /// As [`find_sessions`](Self::find_sessions), of all keys, ordered by end, start and key bytes.
    pub fn find_all_sessions(
        &self,
        earliest_end_ms: Timestamp,
        latest_start_ms: Timestamp,
    ) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        self.spans(None, earliest_end_ms, latest_start_ms)
    }

    /// As [`find_sessions`](Self::find_sessions), latest first.
    pub fn backward_find_sessions(
        &self,
        key: &K,
        earliest_end_ms: Timestamp,
        latest_start_ms: Timestamp,
    ) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        let mut found = self.find_sessions(key, earliest_end_ms, latest_start_ms)?;
        found.reverse();
        Ok(found)
    }

    fn spans(
        &self,
        wanted: Option<&[u8]>,
        earliest_end_ms: Timestamp,
        latest_start_ms: Timestamp,
    ) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        let Some(StoreKind::Spans { pane_ms, .. }) = self.registry.kind(&self.name) else {
            return Err(self.wrong_kind("a store without sessions", "find_sessions"));
        };
        // A span lies in the pane of its end or, at most a pane before, of its start.
        let first = window_key::pane_of(earliest_end_ms.max(0), pane_ms).saturating_sub(pane_ms);
        let range = KeyRange {
            from: match earliest_end_ms {
                ..=0 => Vec::new(),
                _ => window_key::pane_prefix(first).to_vec(),
            },
            to: None,
        };
        let mut found = Vec::new();
        for (key, list) in self.scan(&range)? {
            let (_, plain) = window_key::decode(&key).ok_or_else(|| self.damaged())?;
            if wanted.is_some_and(|wanted| wanted != plain) {
                continue;
            }
            for span in span_list::iter(&list) {
                let span = span.map_err(|_| self.damaged())?;
                if span.end_ms >= earliest_end_ms && span.start_ms <= latest_start_ms {
                    let value = list.slice_ref(span.envelope);
                    found.push((span.end_ms, span.start_ms, key.slice_ref(plain), value));
                }
            }
        }
        found.sort();
        let entries = found.into_iter().map(|(end_ms, start_ms, key, value)| {
            Ok(WindowEntry {
                key: self.key.deserialize(&key).map_err(|cause| self.serde(cause))?,
                start_ms,
                end_ms,
                value: self.value_of(&value)?,
            })
        });
        entries.collect()
    }

    fn windows(
        &self,
        from_ms: Timestamp,
        to_ms: Timestamp,
    ) -> Result<Vec<(Timestamp, Bytes, Bytes)>, QueryError> {
        self.size_ms()?;
        let to = to_ms
            .checked_add(1)
            .map(|to| window_key::pane_prefix(to).to_vec());
        let range = KeyRange {
            from: window_key::pane_prefix(from_ms).to_vec(),
            to,
        };
        let mut found = Vec::new();
        for (key, value) in self.scan(&range)? {
            let (start, plain) = window_key::decode(&key).ok_or_else(|| self.damaged())?;
            found.push((start, key.slice_ref(plain), value));
        }
        found.sort();
        Ok(found)
    }

    fn window(
        &self,
        start_ms: Timestamp,
        key: &[u8],
        value: &Bytes,
    ) -> Result<WindowEntry<K, V>, QueryError> {
        let key = self.key.deserialize(key).map_err(|cause| self.serde(cause))?;
        let end_ms = start_ms.saturating_add(self.size_ms()?);
        Ok(WindowEntry {
            key,
            start_ms,
            end_ms,
            value: self.value_of(value)?,
        })
    }

    fn size_ms(&self) -> Result<i64, QueryError> {
        match self.registry.kind(&self.name) {
            Some(StoreKind::Window { size_ms, .. }) => Ok(size_ms),
            Some(StoreKind::Spans { .. }) => Err(self.wrong_kind(
                "a store of sessions or sliding windows",
                "fetch; use find_sessions",
            )),
            _ => Err(self.wrong_kind("a key-value store", "windows")),
        }
    }
}
