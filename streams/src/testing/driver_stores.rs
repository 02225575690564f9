//! Looking into the stores of a driver: values and entries, over all tasks.

use bytes::Bytes;
use millpond_log::types::Timestamp;

use super::{DriverError, TopologyTestDriver};
use crate::dsl::{Window, Windowed};
use crate::serde::{DefaultSerde, SerdeError};
use crate::state::{KeyRange, ValueEnvelope, span_list, value_envelope, window_key};

impl TopologyTestDriver {
    /// The value of a key in a store without windows.
    pub fn value<K: DefaultSerde, V: DefaultSerde>(
        &mut self,
        store: &str,
        key: &K,
    ) -> Result<Option<V>, DriverError> {
        let wanted = store_bytes(store, key)?;
        let found = self
            .entries_raw(store)?
            .into_iter()
            .find(|(found, _)| *found == wanted);
        found.map(|(_, bytes)| read_value(store, &bytes)).transpose()
    }

    /// The value of a key in the window starting at `start_ms`.
    pub fn windowed_value<K: DefaultSerde, V: DefaultSerde>(
        &mut self,
        store: &str,
        key: &K,
        start_ms: Timestamp,
    ) -> Result<Option<V>, DriverError> {
        let wanted = window_key::encode(start_ms, &store_bytes(store, key)?);
        let found = self
            .entries_raw(store)?
            .into_iter()
            .find(|(found, _)| **found == *wanted);
        found.map(|(_, bytes)| read_value(store, &bytes)).transpose()
    }

    /// All entries of a store without windows, by key bytes.
    pub fn entries<K: DefaultSerde, V: DefaultSerde>(
        &mut self,
        store: &str,
    ) -> Result<Vec<(K, V)>, DriverError> {
        let read = |(key, value): (Bytes, Bytes)| Ok((read_key(store, &key)?, read_value(store, &value)?));
        self.entries_raw(store)?.into_iter().map(read).collect()
    }

    /// All entries of a window store, by window start and key bytes. `size_ms` is the size of its windows.
    pub fn windowed_entries<K: DefaultSerde, V: DefaultSerde>(
        &mut self,
        store: &str,
        size_ms: i64,
    ) -> Result<Vec<(Windowed<K>, V)>, DriverError> {
        let mut entries = Vec::new();
        for (key, value) in self.entries_raw(store)? {
            let short = SerdeError::Width {
                type_name: "window key",
                expected: 8,
                actual: key.len(),
            };
            let (start_ms, key) = window_key::decode(&key).ok_or_else(|| DriverError::Serde {
                topic: store.to_owned(),
                cause: short,
            })?;
            let window = Window {
                start_ms,
                end_ms: start_ms + size_ms,
            };
            entries.push((
                Windowed {
                    key: read_key(store, key)?,
                    window,
                },
                read_value(store, &value)?,
            ));
        }
        Ok(entries)
    }

    /// Number of entries of a store of any kind.
    pub fn store_len(&mut self, store: &str) -> Result<usize, DriverError> {
        Ok(self.entries_raw(store)?.len())
    }

    /// All entries of a store of sessions or sliding windows, by key bytes and window start. Both bounds of these windows are included.
    pub fn span_entries<K: DefaultSerde, V: DefaultSerde>(
        &mut self,
        store: &str,
    ) -> Result<Vec<(Windowed<K>, V)>, DriverError> {
        let mut lists = Vec::new();
        for (key, list) in self.entries_raw(store)? {
            let (pane_ms, key) = window_key::decode(&key).ok_or_else(|| cut_short(store))?;
            lists.push((Bytes::copy_from_slice(key), pane_ms, list));
        }
        lists.sort();
        let mut entries = Vec::new();
        for (key, _, list) in lists {
            for span in span_list::iter(&list) {
                let span = span.map_err(|_| cut_short(store))?;
                let window = Window {
                    start_ms: span.start_ms,
                    end_ms: span.end_ms,
                };
                let key = read_key(store, &key)?;
                entries.push((Windowed { key, window }, read_value(store, span.envelope)?));
            }
        }
        Ok(entries)
    }

    fn entries_raw(&mut self, store: &str) -> Result<Vec<(Bytes, Bytes)>, DriverError> {
        if let Some(globals) = &self.globals
            && let Ok(index) = globals.reader().index_of(store)
        {
            let pinned = globals.pin()?;
            let snapshot = pinned.snapshot()?;
            let entries = snapshot.scan(index, &KeyRange::all())?.collect::<Result<_, _>>();
            return Ok(entries?);
        }
        let subs = self.topology.sub_topologies();
        let found = subs
            .iter()
            .find_map(|sub| Some((sub.id(), sub.store_index(store)?)));
        let Some((sub, index)) = found else {
            let known = subs
                .iter()
                .flat_map(|sub| sub.stores())
                .map(|spec| spec.name.clone())
                .collect();
            return Err(DriverError::UnknownStore {
                name: store.to_owned(),
                known,
            });
        };
        let mut entries = Vec::new();
        for task in self.tasks.iter_mut().filter(|task| task.id.sub_topology == sub) {
            entries.extend(task.entries(index)?);
        }
        entries.sort();
        Ok(entries)
    }
}

pub(super) fn store_bytes<K: DefaultSerde>(store: &str, key: &K) -> Result<Bytes, DriverError> {
    let mut bytes = Vec::new();
    let written = K::default_serde().serialize(key, &mut bytes);
    written.map_err(|cause| DriverError::Serde {
        topic: store.to_owned(),
        cause,
    })?;
    Ok(Bytes::from(bytes))
}

fn read_key<K: DefaultSerde>(store: &str, bytes: &[u8]) -> Result<K, DriverError> {
    let read = K::default_serde().deserialize(bytes);
    read.map_err(|cause| DriverError::Serde {
        topic: store.to_owned(),
        cause,
    })
}

fn cut_short(store: &str) -> DriverError {
    DriverError::Serde {
        topic: store.to_owned(),
        cause: SerdeError::Format {
            format: "list of windows",
            cause: value_envelope::CutShort.to_string(),
        },
    }
}

fn read_value<V: DefaultSerde>(store: &str, stored: &[u8]) -> Result<V, DriverError> {
    let failed = |cause| DriverError::Serde {
        topic: store.to_owned(),
        cause,
    };
    let envelope = ValueEnvelope::parse(stored).map_err(|error| {
        failed(SerdeError::Format {
            format: "value envelope",
            cause: error.to_string(),
        })
    })?;
    V::default_serde().deserialize(envelope.value).map_err(failed)
}
