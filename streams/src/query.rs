//! Typed reads of committed state, over all tasks of an application, from any thread.
//!
//! A view sees committed data only: what a transaction wrote appears when it is committed, all of it at once per task. Tasks commit on their own,
//! so two tasks may be one commit apart. While a task is being opened its part is missing, and reads of the store are refused, never incomplete.
//! Raw readers for SQL: [`StoreRegistry::readers`]. How the layers are read: `state/reader.rs`.

use std::collections::BTreeMap;

use bytes::Bytes;
use millpond_log::types::Timestamp;
use parking_lot::RwLock;

use crate::serde::{SerdeError, SerdeRef};
use crate::state::{
    KeyRange, StateError, StateReader, StoreIndex, StoreKind, StoreSpec, TaskId, TaskState, ValueEnvelope,
    span_list, window_key,
};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The topology has no such store.
    #[error("there is no store {name:?}; the application has {known}")]
    UnknownStore {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Not every task with this store is open: a worker is starting, restarting or has failed.
    #[error("store {name:?} is not complete: {open} of {all} tasks are open; see the application's state")]
    NotReady {
        /// The store.
        name: String,
        /// Tasks that are open.
        open: usize,
        /// Tasks that hold a part of it.
        all: usize,
    },
    /// The store has another kind than the query needs.
    #[error("store {name:?} is {actual}, which has no {operation}")]
    WrongKind {
        /// The store.
        name: String,
        /// What it is.
        actual: &'static str,
        /// What was asked.
        operation: &'static str,
    },
    /// State could not be read.
    #[error("state could not be read")]
    State(#[from] StateError),
    /// A key or value does not have the type asked for.
    #[error("store {name:?} does not hold this type")]
    Serde {
        /// The store.
        name: String,
        /// What the serde said.
        #[source]
        cause: SerdeError,
    },
    /// Stored bytes are not in the form this crate writes.
    #[error("store {name:?} holds bytes that are not an entry")]
    Damaged {
        /// The store.
        name: String,
    },
}

/// One task's part of a store.
#[derive(Clone, Debug)]
pub struct StorePart {
    /// The task.
    pub task: TaskId,
    /// Reads the task's committed state.
    pub reader: StateReader,
    /// The store within the task.
    pub index: StoreIndex,
}

#[derive(Debug)]
struct Registered {
    spec: StoreSpec,
    /// Tasks that hold a part, open or not.
    tasks: Vec<TaskId>,
    open: BTreeMap<TaskId, StorePart>,
}

/// Which stores an application has and which tasks are open. Filled by the workers.
#[derive(Debug, Default)]
pub struct StoreRegistry {
    stores: RwLock<BTreeMap<String, Registered>>,
}

impl StoreRegistry {
    /// Announces a store and the tasks that will hold it.
    pub(crate) fn announce(&self, spec: &StoreSpec, tasks: Vec<TaskId>) {
        let registered = Registered {
            spec: spec.clone(),
            tasks,
            open: BTreeMap::new(),
        };
        self.stores.write().insert(spec.name.clone(), registered);
    }

    /// A task with its stores was opened.
    pub(crate) fn register(&self, task: TaskId, stores: &[StoreSpec], state: &TaskState) {
        let mut known = self.stores.write();
        for (index, spec) in stores.iter().enumerate() {
            if let Some(registered) = known.get_mut(&spec.name) {
                let index = StoreIndex::new(index as u32);
                registered.open.insert(
                    task,
                    StorePart {
                        task,
                        reader: state.reader(),
                        index,
                    },
                );
            }
        }
    }

    /// A task was closed.
    pub(crate) fn unregister(&self, task: TaskId) {
        for registered in self.stores.write().values_mut() {
            registered.open.remove(&task);
        }
    }

    /// Names and kinds of all stores.
    pub fn stores(&self) -> Vec<StoreSpec> {
        self.stores
            .read()
            .values()
            .map(|registered| registered.spec.clone())
            .collect()
    }

    /// The parts of a store, ordered by task. Errs when there is no such store or a part is missing.
    pub fn readers(&self, name: &str) -> Result<Vec<StorePart>, QueryError> {
        let stores = self.stores.read();
        let Some(registered) = stores.get(name) else {
            let known: Vec<&str> = stores.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            return Err(QueryError::UnknownStore {
                name: name.to_owned(),
                known,
            });
        };
        if registered.open.len() < registered.tasks.len() {
            return Err(QueryError::NotReady {
                name: name.to_owned(),
                open: registered.open.len(),
                all: registered.tasks.len(),
            });
        }
        Ok(registered.open.values().cloned().collect())
    }

    fn kind(&self, name: &str) -> Option<StoreKind> {
        self.stores
            .read()
            .get(name)
            .map(|registered| registered.spec.kind)
    }
}

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

/// A typed, read-only view of a store.
pub struct StoreView<K, V> {
    registry: std::sync::Arc<StoreRegistry>,
    name: String,
    key: SerdeRef<K>,
    value: SerdeRef<V>,
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
        registry: std::sync::Arc<StoreRegistry>,
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
        self.needs_key_value("get; use fetch")?;
        let mut bytes = Vec::new();
        self.key
            .serialize(key, &mut bytes)
            .map_err(|cause| self.serde(cause))?;
        for part in self.registry.readers(&self.name)? {
            if let Some(stored) = part.reader.get(part.index, &bytes)? {
                return self.value_of(&stored).map(Some);
            }
        }
        Ok(None)
    }

    /// All keys with their values, task by task, in the byte order of the keys within a task.
    pub fn all(&self) -> Result<Vec<(K, V)>, QueryError> {
        self.needs_key_value("all; use fetch_all")?;
        self.scan(&KeyRange::all())?
            .into_iter()
            .map(|(key, value)| self.entry(&key, &value))
            .collect()
    }

    /// Keys in `[from, to]` with their values, by the byte order of their serialised form, in that order.
    pub fn range(&self, from: &K, to: &K) -> Result<Vec<(K, V)>, QueryError> {
        self.needs_key_value("range; use fetch_all")?;
        let (mut first, mut last) = (Vec::new(), Vec::new());
        self.key
            .serialize(from, &mut first)
            .map_err(|cause| self.serde(cause))?;
        self.key
            .serialize(to, &mut last)
            .map_err(|cause| self.serde(cause))?;
        // The smallest key that is larger than `to`.
        last.push(0);
        let mut found = self.scan(&KeyRange::between(first, last))?;
        found.sort();
        found
            .into_iter()
            .map(|(key, value)| self.entry(&key, &value))
            .collect()
    }

    /// Windows of `key` that start in `[from_ms, to_ms]`, in time order.
    pub fn fetch(
        &self,
        key: &K,
        from_ms: Timestamp,
        to_ms: Timestamp,
    ) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        let mut wanted = Vec::new();
        self.key
            .serialize(key, &mut wanted)
            .map_err(|cause| self.serde(cause))?;
        let found = self.windows(from_ms, to_ms)?;
        let of_key = found.into_iter().filter(|(_, key, _)| *key == wanted);
        of_key
            .map(|(start, key, value)| self.window(start, &key, &value))
            .collect()
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

    /// Sessions or sliding windows of `key` that end at `earliest_end_ms` or later and start at `latest_start_ms` or earlier, in time order. The ends told are
    /// included in these windows.
    pub fn find_sessions(
        &self,
        key: &K,
        earliest_end_ms: Timestamp,
        latest_start_ms: Timestamp,
    ) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        let mut wanted = Vec::new();
        self.key
            .serialize(key, &mut wanted)
            .map_err(|cause| self.serde(cause))?;
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

    fn spans(
        &self,
        wanted: Option<&[u8]>,
        earliest_end_ms: Timestamp,
        latest_start_ms: Timestamp,
    ) -> Result<Vec<WindowEntry<K, V>>, QueryError> {
        if !matches!(self.registry.kind(&self.name), Some(StoreKind::Spans { .. })) {
            return Err(self.wrong_kind("a store without sessions", "find_sessions"));
        }
        let mut found = Vec::new();
        for (key, list) in self.scan(&KeyRange::all())? {
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

    fn scan(&self, range: &KeyRange) -> Result<Vec<(Bytes, Bytes)>, QueryError> {
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

    fn value_of(&self, stored: &[u8]) -> Result<V, QueryError> {
        let envelope = ValueEnvelope::parse(stored).map_err(|_| self.damaged())?;
        self.value
            .deserialize(envelope.value)
            .map_err(|cause| self.serde(cause))
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

    fn needs_key_value(&self, operation: &'static str) -> Result<(), QueryError> {
        match self.registry.kind(&self.name) {
            Some(StoreKind::Window { .. }) => Err(self.wrong_kind("a window store", operation)),
            Some(StoreKind::Spans { .. }) => {
                Err(self.wrong_kind("a store of sessions or sliding windows", operation))
            }
            _ => Ok(()),
        }
    }

    fn wrong_kind(&self, actual: &'static str, operation: &'static str) -> QueryError {
        QueryError::WrongKind {
            name: self.name.clone(),
            actual,
            operation,
        }
    }

    fn serde(&self, cause: SerdeError) -> QueryError {
        QueryError::Serde {
            name: self.name.clone(),
            cause,
        }
    }

    fn damaged(&self) -> QueryError {
        QueryError::Damaged {
            name: self.name.clone(),
        }
    }
}
