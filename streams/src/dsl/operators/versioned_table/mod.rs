//! Writes the store of a table that knows its past: for some time it can tell what an entry was at any moment (KIP-889).
//!
//! Timestamps decide, not offsets: a record that is older than what stands takes its place in the past and changes nothing now; it is forwarded as a change of the
//! past, which joins and groupings below leave out. One older than the retention is dropped and counted as late. Always true: the table's own store holds the
//! present, as that of any table does; `history.rs` holds the past; both are up to date at the end of each batch. Changes are forwarded at once: a
//! cache would lose the versions between two commits.
//! Next: `fold.rs` for aggregates that know their past.

pub(in crate::dsl) mod fold;
pub(in crate::dsl) mod history;
pub(in crate::dsl) mod stored_versions;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

use millpond_log::types::Timestamp;

use self::history::{History, Put};
use super::table_writer::TableStore;
use crate::dsl::change::Change;
use crate::dsl::row::{Row, batch_of};
use crate::processor::{BoxError, InitContext, ProcessContext, ProcessError};
use crate::serde::{Data, SerdeRef};
use crate::state::{KeyBatch, StoreIndex, ValueEnvelope};

/// See the module's text.
pub(in crate::dsl) struct VersionedWriter<K, V> {
    settings: Arc<TableStore<K, V>>,
    store: StoreIndex,
    history: Option<History>,
    old_values: bool,
    expired_before: Timestamp,
}

/// Rows and the bytes of their keys.
type Encoded<K, U> = (Vec<Row<K, U>>, KeyBatch);

/// The present entry of a key, and whether the batch changed it: since when, and its bytes.
struct Present {
    entry: Option<(Timestamp, Vec<u8>)>,
    is_changed: bool,
}

/// What an entry is now, read only if somebody asks.
pub(super) struct Stored<'a, V> {
    value: &'a SerdeRef<V>,
    entry: Option<(Timestamp, &'a [u8])>,
}

impl<V: Data> Stored<'_, V> {
    /// The value and since when it holds.
    pub(super) fn read(&self) -> Result<Option<(V, Timestamp)>, BoxError> {
        let Some((from, bytes)) = self.entry else {
            return Ok(None);
        };
        Ok(Some((self.value.deserialize(bytes)?, from)))
    }
}

impl<K, V> VersionedWriter<K, V> {
    pub(in crate::dsl) fn new(settings: Arc<TableStore<K, V>>) -> Self {
        VersionedWriter {
            settings,
            store: StoreIndex::new(0),
            history: None,
            old_values: false,
            expired_before: 0,
        }
    }
}

impl<K: Data, V: Data> VersionedWriter<K, V> {
    pub(in crate::dsl) fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        let settings = &*self.settings;
        self.store = context.store_index(&settings.store)?;
        let history = context.store_index(&settings.history_store())?;
        self.history = settings
            .history_ms
            .map(|retention_ms| History::new(retention_ms, history));
        self.old_values = settings.wishes.old_values.is_made();
        Ok(())
    }

    /// Puts the new values into the store, in order, and forwards the changes. Rows with a null key are skipped and counted.
    pub(in crate::dsl) fn write(
        &mut self,
        rows: Vec<Row<K, Option<V>>>,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        self.write_each(rows, context, |_, update, at, _| Ok((update, at)))
    }

    /// As `write`, where `next` makes the new value, and since when it holds, from the update, its time and what stands.
    pub(super) fn write_each<U>(
        &mut self,
        rows: Vec<Row<K, U>>,
        context: &mut ProcessContext<'_>,
        mut next: impl FnMut(&K, U, Timestamp, &Stored<'_, V>) -> Result<(Option<V>, Timestamp), BoxError>,
    ) -> Result<(), ProcessError> {
        let Some(history) = self.history.clone() else {
            return Ok(());
        };
        let (rows, keys) = self.encode(rows, context)?;
        let mut present = self.read(&keys, context)?;
        let stored_time = history.time(context)?;
        let mut time = stored_time;
        let mut changes = Vec::new();
        let mut bytes = Vec::new();
        for (row, key) in rows.into_iter().zip(keys.iter()) {
            let Some(entry) = present.get_mut(key) else {
                continue;
            };
            let (key_of_row, update, mut rest) = row.into_parts();
            let stored = Stored {
                value: &self.settings.value,
                entry: entry
                    .entry
                    .as_ref()
                    .map(|(from, bytes)| (*from, bytes.as_slice())),
            };
            bytes.clear();
            let made = next(&key_of_row, update, rest.timestamp, &stored).and_then(|(new, at)| {
                let new = new.filter(|value| !self.settings.value.is_null(value));
                if let Some(new) = &new {
                    self.settings.value.serialize(new, &mut bytes)?;
                }
                Ok((new, at))
            });
            let (new, at) = match made {
                Ok(made) => made,
                Err(cause) => {
                    context.refuse(None, rest.offset, rest.timestamp, cause)?;
                    continue;
                }
            };
            if self.settings.drops_nothing && new.is_none() && entry.entry.is_none() {
                continue;
            }
            let now = if context.follows_upstreams() {
                rest.stream_time
            } else {
                time
            };
            if at < history.horizon(now) {
                context.late(1);
                continue;
            }
            time = time.max(at);
            let encoded = new.is_some().then_some(bytes.as_slice());
            let put = history.put(key, at, encoded, stored.entry, time, context)?;
            let old = if self.old_values {
                let read = stored.read();
                let read = read.map_err(|cause| ProcessError::node(context.node(), cause))?;
                read.map(|(old, _)| old)
            } else {
                None
            };
            let is_latest = put == Put::Latest;
            if is_latest {
                entry.entry = encoded.map(|bytes| (at, bytes.to_vec()));
                entry.is_changed = true;
            }
            rest.timestamp = at;
            changes.push(rest.with(key_of_row, Change { new, old, is_latest }));
        }
        if time != stored_time {
            history.set_time(time, context);
        }
        self.put_present(present, context);
        if context.has_children() && !changes.is_empty() {
            context.forward(batch_of(changes));
        }
        Ok(())
    }

    /// Drops what is past the retention.
    pub(in crate::dsl) fn commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if let Some(history) = &self.history {
            let horizon = history.horizon_now(history.time(context)?, context);
            if horizon > self.expired_before {
                self.expired_before = history.expire(horizon, context);
            }
        }
        Ok(())
    }

    pub(in crate::dsl) fn abort(&mut self) {
        self.expired_before = 0;
    }

    /// The rows that have a key, and their keys as bytes.
    fn encode<U>(
        &self,
        rows: Vec<Row<K, U>>,
        context: &mut ProcessContext<'_>,
    ) -> Result<Encoded<K, U>, ProcessError> {
        let settings = &*self.settings;
        let (mut kept, mut keys, mut bytes) = (Vec::with_capacity(rows.len()), KeyBatch::new(), Vec::new());
        for row in rows {
            if settings.key.is_null(&row.key) {
                context.skipped(1);
                continue;
            }
            bytes.clear();
            if let Err(cause) = settings.key.serialize(&row.key, &mut bytes) {
                context.refuse(None, row.offset, row.timestamp, cause.into())?;
                continue;
            }
            keys.push(&bytes);
            kept.push(row);
        }
        Ok((kept, keys))
    }

    /// The present entries of all keys, in one read.
    fn read(
        &self,
        keys: &KeyBatch,
        context: &mut ProcessContext<'_>,
    ) -> Result<BTreeMap<Vec<u8>, Present>, ProcessError> {
        let mut present = BTreeMap::new();
        let mut damaged: Option<BoxError> = None;
        context.store(self.store).multi_get_with(keys, |number, stored| {
            let entry = stored.and_then(|stored| match ValueEnvelope::parse(stored) {
                Ok(envelope) => Some((envelope.timestamp, envelope.value.to_vec())),
                Err(cause) => {
                    damaged = Some(cause.into());
                    None
                }
            });
            let is_changed = false;
            present.insert(keys.get(number).to_vec(), Present { entry, is_changed });
        })?;
        damaged.map_or(Ok(present), |cause| {
            Err(ProcessError::node(context.node(), cause))
        })
    }

    fn put_present(&self, present: BTreeMap<Vec<u8>, Present>, context: &mut ProcessContext<'_>) {
        let mut store = context.store(self.store);
        let mut envelope = Vec::new();
        for (key, entry) in present.into_iter().filter(|(_, entry)| entry.is_changed) {
            match entry.entry {
                Some((from, bytes)) => {
                    envelope.clear();
                    ValueEnvelope::append_plain(from, &bytes, &mut envelope);
                    store.put(&key, &envelope);
                }
                None => store.delete(&key),
            }
        }
    }
}
