//! Writes the store of a table and forwards what changed: every update at once, or one per key when the task commits (at the end of each batch where another
//! table is joined with this one).
//!
//! Always true: the store is up to date at the end of each batch, so other operators may read it; only what was not forwarded yet waits in memory, with
//! the value the receivers know as its old one, and `abort` forgets it. Nothing is read from the store unless somebody needs the value before, or a
//! deletion of what never was must be told from a real one.
//! An update always goes on, also when it repeats the value before: Kafka Streams gave up dropping those (KAFKA-12508).

use std::sync::Arc;

use super::pane_cache::{NO_SLOT, PaneCache, ProbeKeys};
use super::versioned_table::history::history_spec;
use super::versioned_table::stored_versions::history_store;
use crate::dsl::builder::{GraphRef, supplier};
use crate::dsl::change::Change;
use crate::dsl::row::{NO_OFFSET, Row, batch_of};
use crate::dsl::table_lookup::read_entry;
use crate::dsl::table_origin::{StoredTable, TableOrigin, TableWishes};
use crate::dsl::versioned_table::VersionedOrigin;
use crate::dsl::{KTable, KeyValueStore, Materialized, ReadOnly};
use crate::processor::{BoxError, Headers, InitContext, ProcessContext, ProcessError, Processor};
use crate::serde::held::{self, HeldBytes};
use crate::serde::{Data, SerdeRef};
use crate::state::{KeyBatch, StoreIndex, Update, ValueEnvelope};
use crate::topology::{NodeId, StoreSpec};

/// A table's store, and how its changes are forwarded.
pub(in crate::dsl) struct TableStore<K, V> {
    pub(in crate::dsl) store: String,
    pub(in crate::dsl) key: SerdeRef<K>,
    pub(in crate::dsl) value: SerdeRef<V>,
    pub(in crate::dsl) emit_every_update: Option<bool>,
    pub(in crate::dsl) wishes: TableWishes,
    /// Deletions of what is not there are neither written nor forwarded, also when every update is forwarded.
    pub(in crate::dsl) drops_nothing: bool,
    /// See `TableOrigin::grace_ms`.
    pub(in crate::dsl) grace_ms: Option<i64>,
    /// For how long versions are kept, in ms of stream time; none = only the latest is.
    pub(in crate::dsl) history_ms: Option<i64>,
    pub(in crate::dsl) logged: bool,
}

impl<K: Data, V: Data> TableStore<K, V> {
    pub(in crate::dsl) fn new(
        store: &str,
        key: SerdeRef<K>,
        materialized: &Materialized<V>,
        wishes: TableWishes,
    ) -> Self {
        TableStore {
            store: store.to_owned(),
            key,
            value: materialized.value.clone(),
            emit_every_update: materialized.emit_every_update,
            wishes,
            drops_nothing: false,
            grace_ms: None,
            history_ms: materialized.history_ms(),
            logged: materialized.logged,
        }
    }

    /// Where versions are kept, if they are.
    pub(in crate::dsl) fn history_store(&self) -> String {
        history_store(&self.store)
    }

    /// What its writer needs: one store, or two where versions are kept.
    pub(in crate::dsl) fn specs(&self) -> Vec<StoreSpec> {
        let mut specs = vec![StoreSpec::key_value(&self.store)];
        if let Some(retention_ms) = self.history_ms {
            specs.push(history_spec(&self.history_store(), retention_ms));
        }
        for spec in &mut specs {
            spec.logged = self.logged;
        }
        specs
    }

    /// How others read it.
    pub(in crate::dsl) fn origin(self: &Arc<Self>) -> Arc<dyn TableOrigin<K, V>> {
        if self.history_ms.is_some() {
            return Arc::new(VersionedOrigin {
                settings: self.clone(),
            });
        }
        let (key, value) = (self.key.clone(), self.value.clone());
        Arc::new(StoredTable {
            grace_ms: self.grace_ms,
            ..StoredTable::plain(&self.store, key, value, self.wishes.clone())
        })
    }

    /// Adds the store and the node that writes it, both of the store's name; `make` makes its processor.
    pub(in crate::dsl) fn add_to<P: Processor + 'static>(
        self,
        graph: &GraphRef,
        parents: &[NodeId],
        make: impl Fn(Arc<TableStore<K, V>>) -> P + Send + Sync + 'static,
    ) -> KTable<K, V> {
        let settings = Arc::new(self);
        let for_tasks = settings.clone();
        let make = supplier(move || make(for_tasks.clone()));
        let specs = settings.specs();
        let names: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut builder = graph.lock();
        specs
            .into_iter()
            .for_each(|spec| builder.topology.add_store(spec));
        let node = builder
            .topology
            .add_processor(&settings.store, make, parents, &names);
        builder.offer_table(&settings.store, {
            let (key, value) = (settings.key.clone(), settings.value.clone());
            let store = KeyValueStore::new(&settings.store, key, value);
            ReadOnly::new(store, settings.wishes.write_through.clone())
        });
        drop(builder);
        KTable::with_origin(graph.clone(), node, settings.key.clone(), settings.origin())
    }
}

/// See the module's text.
pub(in crate::dsl) struct TableWriter<K, V> {
    settings: Arc<TableStore<K, V>>,
    store: StoreIndex,
    emit_every_update: bool,
    old_values: bool,
    /// Another table is joined with this one: nothing waits longer than its batch.
    each_batch: bool,
    cache_max_bytes: usize,
    /// What was not forwarded yet, in the order the keys changed first.
    pending: PaneCache<Pending<K, V>>,
    probes: ProbeKeys,
    keys: KeyBatch,
    key_bytes: Vec<u8>,
    values: Vec<u8>,
}

/// A change that waits for the commit.
struct Pending<K, V> {
    key: K,
    change: Change<V>,
    /// There was a value when the receivers last heard of the key.
    existed: bool,
    headers: Headers,
    /// What the value before holds on the heap.
    old_bytes: usize,
}

/// An update on its way through one batch.
struct Work<K, V> {
    row: Row<K, Option<V>>,
    /// End of its bytes in `values`; a deletion has none.
    value_end: usize,
    /// What key and new value hold on the heap, if they are to wait, and what the value before does.
    heap_bytes: usize,
    old_bytes: usize,
    slot: u32,
    /// First update of the key since the receivers last heard of it.
    is_first: bool,
    existed: bool,
    old: Option<V>,
}

impl<K: Data, V: Data> TableWriter<K, V> {
    pub(in crate::dsl) fn new(settings: Arc<TableStore<K, V>>) -> Self {
        TableWriter {
            settings,
            store: StoreIndex::new(0),
            emit_every_update: false,
            old_values: false,
            each_batch: false,
            cache_max_bytes: 0,
            pending: PaneCache::new(),
            probes: ProbeKeys::default(),
            keys: KeyBatch::new(),
            key_bytes: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(in crate::dsl) fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        let settings = &*self.settings;
        self.store = context.store_index(&settings.store)?;
        self.emit_every_update = settings
            .emit_every_update
            .unwrap_or(context.config().emit_every_update);
        self.old_values = settings.wishes.old_values.is_made();
        self.each_batch = settings.wishes.each_batch.is_made();
        self.cache_max_bytes = context.config().cache_max_bytes;
        Ok(())
    }

    /// Puts the new values into the store, in order, and forwards the changes or keeps them for the commit. Rows with a null key are skipped.
    pub(in crate::dsl) fn write(
        &mut self,
        rows: Vec<Row<K, Option<V>>>,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let waits = !self.emit_every_update && context.has_children();
        let mut work = self.encode(rows, waits, context)?;
        if self.old_values || waits || self.settings.drops_nothing {
            self.replace(&mut work, context)?;
            if self.settings.drops_nothing {
                work.retain(|work| work.row.value.is_some() || work.existed);
            }
        } else {
            self.put(&work, context);
        }
        if waits {
            self.keep(work);
            if self.each_batch || self.pending.bytes() > self.cache_max_bytes {
                self.commit(context)?;
            }
        } else if context.has_children() {
            let changes = work
                .into_iter()
                .map(|Work { row, old, .. }| row.with_value(|new| Change::latest(new, old)));
            context.forward(batch_of(changes.collect()));
        }
        Ok(())
    }

    /// Forwards what waits, each key once.
    pub(in crate::dsl) fn commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let Some(pane) = self.pending.panes.pop() else {
            return Ok(());
        };
        let stream_time = context.stream_time();
        let mut rows = Vec::with_capacity(pane.slots.len());
        for slot in pane.slots {
            let Some(pending) = slot.value else { continue };
            // The receivers never knew of the key, so they need not hear that it is gone again.
            if pending.change.new.is_none() && !pending.existed {
                continue;
            }
            rows.push(Row {
                key: pending.key,
                value: pending.change,
                timestamp: slot.timestamp,
                headers: pending.headers,
                stream_time,
                offset: NO_OFFSET,
            });
        }
        context.forward(batch_of(rows));
        Ok(())
    }

    pub(in crate::dsl) fn abort(&mut self) {
        self.pending.clear();
    }

    /// Keys and values as bytes, and the slot of each key that waits.
    fn encode(
        &mut self,
        rows: Vec<Row<K, Option<V>>>,
        waits: bool,
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Work<K, V>>, ProcessError> {
        let settings = &*self.settings;
        self.keys.clear();
        self.values.clear();
        self.probes.clear();
        let mut work = Vec::with_capacity(rows.len());
        let mut encoded = Vec::new();
        for mut row in rows {
            if settings.key.is_null(&row.key) {
                context.skipped(1);
                continue;
            }
            row.value = row.value.filter(|value| !settings.value.is_null(value));
            self.key_bytes.clear();
            encoded.clear();
            let mut serialize = || {
                settings.key.serialize(&row.key, &mut self.key_bytes)?;
                let value = row.value.as_ref();
                value.map_or(Ok(()), |value| settings.value.serialize(value, &mut encoded))
            };
            if let Err(cause) = serialize() {
                context.refuse(None, row.offset, row.timestamp, cause.into())?;
                continue;
            }
            self.keys.push(&self.key_bytes);
            if row.value.is_some() {
                // Without headers, as in Kafka Streams: they belong to the record, not to the entry.
                ValueEnvelope::append_plain(row.timestamp, &encoded, &mut self.values);
            }
            let (mut slot, mut is_first, mut heap_bytes) = (NO_SLOT, true, 0);
            if waits {
                let probe = self.probes.push(&self.key_bytes);
                let hash = self.probes.hash(probe);
                let pane = self.pending.pane(0);
                let pane = &mut self.pending.panes[pane];
                let value = row.value.as_ref();
                heap_bytes = held::heap_bytes(&*settings.key, &row.key, self.key_bytes.len())
                    + value.map_or(0, |value| {
                        held::heap_bytes(&*settings.value, value, encoded.len())
                    });
                (slot, is_first) = pane.slot(pane.candidate(hash), hash, self.probes.key(probe));
            }
            work.push(Work {
                row,
                value_end: self.values.len(),
                heap_bytes,
                old_bytes: 0,
                slot,
                is_first,
                existed: false,
                old: None,
            });
        }
        Ok(work)
    }

    /// Replaces the entries one by one, in order, and notes what was there before.
    fn replace(
        &mut self,
        work: &mut [Work<K, V>],
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let (old_values, value, values) = (self.old_values, &self.settings.value, &self.values);
        let mut start = 0;
        let mut damaged: Option<BoxError> = None;
        context
            .store(self.store)
            .update_many(&self.keys, |number, stored, buffer| {
                let work = &mut work[number];
                let bytes = &values[start..work.value_end];
                start = work.value_end;
                work.existed = stored.is_some();
                if let Some(stored) = stored
                    && old_values
                    && work.is_first
                {
                    match read_entry(value, stored) {
                        Ok((old, _)) => {
                            work.old_bytes = held::heap_bytes(&**value, &old, stored.len());
                            work.old = Some(old);
                        }
                        Err(cause) => damaged = Some(cause),
                    }
                }
                match (&work.row.value, stored) {
                    (Some(_), _) => {
                        buffer.extend_from_slice(bytes);
                        Update::Put
                    }
                    (None, Some(_)) => Update::Delete,
                    (None, None) => Update::Keep,
                }
            })?;
        damaged.map_or(Ok(()), |cause| Err(ProcessError::node(context.node(), cause)))
    }

    /// Puts the entries without looking at what was there before.
    fn put(&self, work: &[Work<K, V>], context: &mut ProcessContext<'_>) {
        let mut store = context.store(self.store);
        let mut start = 0;
        for (work, key) in work.iter().zip(self.keys.iter()) {
            match work.row.value {
                Some(_) => store.put(key, &self.values[start..work.value_end]),
                None => store.delete(key),
            }
            start = work.value_end;
        }
    }

    /// Keeps the changes until the commit, one per key.
    fn keep(&mut self, work: Vec<Work<K, V>>) {
        let pane = self.pending.pane(0);
        let pane = &mut self.pending.panes[pane];
        let settings = &*self.settings;
        for work in work {
            let Row {
                mut key,
                value: mut new,
                timestamp,
                headers,
                ..
            } = work.row;
            held::detach(&*settings.key, &mut key);
            if let Some(new) = &mut new {
                held::detach(&*settings.value, new);
            }
            let slot = &mut pane.slots[work.slot as usize];
            slot.timestamp = timestamp;
            let old_bytes = match &mut slot.value {
                Some(pending) => {
                    (pending.change.new, pending.headers) = (new, headers);
                    pending.old_bytes
                }
                none => {
                    let old = work.old;
                    *none = Some(Pending {
                        key,
                        change: Change::latest(new, old),
                        existed: work.existed,
                        headers,
                        old_bytes: work.old_bytes,
                    });
                    work.old_bytes
                }
            };
            pane.set_held(work.slot, HeldBytes::of(work.heap_bytes + old_bytes));
        }
    }
}
