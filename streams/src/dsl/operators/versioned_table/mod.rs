//! A stream of updates becomes a table that knows its past: for some time it can tell what an entry was at any moment (KIP-889).
//!
//! Timestamps decide, not offsets: a record that is older than what stands takes its place in the past and changes nothing now, so it is not forwarded; one
//! older than the retention is dropped and counted as late. Always true: the table's own store holds the present, as that of any table does; `history.rs` holds
//! the past; both are up to date at the end of each batch. Changes are forwarded at once: a cache would lose the versions between two commits.

pub(in crate::dsl) mod history;

use std::collections::BTreeMap;
use std::sync::Arc;

use millpond_log::types::Timestamp;

use self::history::{History, Put};
use crate::dsl::change::Change;
use crate::dsl::row::{Row, batch_of, rows_of};
use crate::dsl::table_origin::TableWishes;
use crate::processor::{Batch, BoxError, InitContext, ProcessContext, ProcessError, Processor};
use crate::serde::{Data, SerdeRef};
use crate::state::{KeyBatch, StoreIndex, ValueEnvelope};

/// A versioned table's stores.
pub(in crate::dsl) struct VersionedStore<K, V> {
    pub(in crate::dsl) store: String,
    pub(in crate::dsl) history: String,
    pub(in crate::dsl) retention_ms: i64,
    pub(in crate::dsl) key: SerdeRef<K>,
    pub(in crate::dsl) value: SerdeRef<V>,
    pub(in crate::dsl) wishes: TableWishes,
}

/// Nullable rows in, changes out.
pub(in crate::dsl) struct VersionedTable<K, V> {
    settings: Arc<VersionedStore<K, V>>,
    store: StoreIndex,
    history: Option<History>,
    old_values: bool,
    expired_before: Timestamp,
}

/// Rows and the bytes of their keys.
type Encoded<K, V> = (Vec<Row<K, Option<V>>>, KeyBatch);

/// The present entry of a key, and whether the batch changed it: since when, and its bytes.
struct Present {
    entry: Option<(Timestamp, Vec<u8>)>,
    is_changed: bool,
}

impl<K, V> VersionedTable<K, V> {
    pub(in crate::dsl) fn new(settings: Arc<VersionedStore<K, V>>) -> Self {
        VersionedTable {
            settings,
            store: StoreIndex::new(0),
            history: None,
            old_values: false,
            expired_before: 0,
        }
    }
}

impl<K: Data, V: Data> Processor for VersionedTable<K, V> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.store = context.store_index(&self.settings.store)?;
        let history = context.store_index(&self.settings.history)?;
        self.history = Some(History::new(self.settings.retention_ms, history));
        self.old_values = self.settings.wishes.old_values.is_made();
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, Option<V>>(batch, context)?;
        let Some(history) = self.history.clone() else {
            return Ok(());
        };
        let (rows, keys) = self.encode(rows, context)?;
        let mut present = self.read(&keys, context)?;
        let stored_time = history.time(context)?;
        let mut time = stored_time;
        let mut changes = Vec::new();
        let mut value = Vec::new();
        for (row, key) in rows.into_iter().zip(keys.iter()) {
            let now = if context.follows_upstreams() {
                row.stream_time
            } else {
                time
            };
            if row.timestamp < history.horizon(now) {
                context.late(1);
                continue;
            }
            time = time.max(row.timestamp);
            value.clear();
            if let Some(new) = &row.value
                && let Err(cause) = self.settings.value.serialize(new, &mut value)
            {
                context.refuse(None, row.offset, row.timestamp, cause.into())?;
                continue;
            }
            let Some(entry) = present.get_mut(key) else {
                continue;
            };
            let bytes = row.value.is_some().then_some(value.as_slice());
            let latest = entry
                .entry
                .as_ref()
                .map(|(from, bytes)| (*from, bytes.as_slice()));
            let put = history.put(key, row.timestamp, bytes, latest, time, context)?;
            if put == Put::Latest {
                let old = self.old_value(entry, context)?;
                entry.entry = bytes.map(|bytes| (row.timestamp, bytes.to_vec()));
                entry.is_changed = true;
                changes.push(row.with_value(|new| Change { new, old }));
            }
        }
        if time != stored_time {
            history.set_time(time, context);
        }
        self.write(present, context);
        if context.has_children() && !changes.is_empty() {
            context.forward(batch_of(changes));
        }
        Ok(())
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if let Some(history) = &self.history {
            let horizon = history.horizon_now(history.time(context)?, context);
            if horizon > self.expired_before {
                self.expired_before = history.expire(horizon, context);
            }
        }
        Ok(())
    }

    fn on_abort(&mut self) {
        self.expired_before = 0;
    }
}

impl<K: Data, V: Data> VersionedTable<K, V> {
    /// The rows that have a key, and their keys as bytes.
    fn encode(
        &self,
        rows: Vec<Row<K, Option<V>>>,
        context: &mut ProcessContext<'_>,
    ) -> Result<Encoded<K, V>, ProcessError> {
        let settings = &*self.settings;
        let (mut kept, mut keys, mut bytes) = (Vec::with_capacity(rows.len()), KeyBatch::new(), Vec::new());
        for mut row in rows {
            if settings.key.is_null(&row.key) {
                context.skipped(1);
                continue;
            }
            row.value = row.value.filter(|value| !settings.value.is_null(value));
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

    fn old_value(&self, entry: &Present, context: &ProcessContext<'_>) -> Result<Option<V>, ProcessError> {
        let Some((_, bytes)) = entry.entry.as_ref().filter(|_| self.old_values) else {
            return Ok(None);
        };
        let old = self.settings.value.deserialize(bytes);
        old.map(Some)
            .map_err(|cause| ProcessError::node(context.node(), cause))
    }

    fn write(&self, present: BTreeMap<Vec<u8>, Present>, context: &mut ProcessContext<'_>) {
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
