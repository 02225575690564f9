//! Versioned tables as the DSL makes and reads them; `operators/versioned_table/` writes them.

use std::sync::Arc;

use millpond_log::types::Timestamp;

use super::builder::{GraphRef, supplier};
use super::operators::versioned_table::history::{History, history_spec};
use super::operators::versioned_table::{VersionedStore, VersionedTable};
use super::table_lookup::{Entry, ReadTable, StoreReader, TableLookup, TableReader, read_entry};
use super::table_origin::{TableOrigin, TableWishes};
use super::{KTable, Materialized};
use crate::processor::{BoxError, InitContext, ProcessContext, ProcessError};
use crate::serde::{Data, SerdeRef};
use crate::state::{KeyBatch, StoreSpec, ValueEnvelope};
use crate::topology::NodeId;

/// Adds a versioned table with its two stores, `{name}` and `{name}-history`, below `parent`, which sends nullable rows.
pub(super) fn add_versioned<K: Data, V: Data>(
    graph: &GraphRef,
    parent: NodeId,
    name: &str,
    key: SerdeRef<K>,
    materialized: &Materialized<V>,
    retention_ms: i64,
) -> KTable<K, V> {
    let settings = Arc::new(VersionedStore {
        store: name.to_owned(),
        history: format!("{name}-history"),
        retention_ms,
        key: key.clone(),
        value: materialized.value.clone(),
        wishes: TableWishes::default(),
    });
    let mut specs = [
        StoreSpec::key_value(name),
        history_spec(&settings.history, retention_ms),
    ];
    let for_tasks = settings.clone();
    let make = supplier(move || VersionedTable::new(for_tasks.clone()));
    let mut builder = graph.lock();
    for spec in &mut specs {
        spec.logged = materialized.logged;
        builder.topology.add_store(spec.clone());
    }
    let node = builder
        .topology
        .add_processor(name, make, &[parent], &[name, &settings.history]);
    drop(builder);
    KTable::new(graph.clone(), node, key, VersionedOrigin { settings })
}

/// How others read a versioned table.
struct VersionedOrigin<K, V> {
    settings: Arc<VersionedStore<K, V>>,
}

impl<K: Data, V: Data> TableOrigin<K, V> for VersionedOrigin<K, V> {
    fn enable_old_values(&self, _force: bool) -> bool {
        self.settings.wishes.old_values.make();
        true
    }

    fn lookup(&self) -> TableLookup<K, V> {
        let settings = self.settings.clone();
        let stores = vec![settings.store.clone(), settings.history.clone()];
        TableLookup::new(stores, move |context: &InitContext<'_>| {
            let store = context.store_index(&settings.store)?;
            let history = History::new(settings.retention_ms, context.store_index(&settings.history)?);
            let key = settings.key.clone();
            Ok(TableReader::new(VersionedReader {
                present: StoreReader {
                    store,
                    write_key: Arc::new(move |wanted: &K, out: &mut Vec<u8>| key.serialize(wanted, out)),
                    value: settings.value.clone(),
                    keys: KeyBatch::new(),
                },
                history,
            }))
        })
    }

    fn grace_ms(&self) -> Option<i64> {
        None
    }

    fn history_ms(&self) -> Option<i64> {
        Some(self.settings.retention_ms)
    }
}

/// Reads the present out of the table's store, and the past out of its history.
struct VersionedReader<K, V> {
    present: StoreReader<K, V>,
    history: History,
}

impl<K: Data, V: Data> ReadTable<K, V> for VersionedReader<K, V> {
    fn get_many(
        &mut self,
        keys: &[K],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<V>>, ProcessError> {
        self.present.get_many(keys, context)
    }

    fn get_many_as_of(
        &mut self,
        keys: &[K],
        times: &[Timestamp],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<V>>, ProcessError> {
        self.present.encode(keys, context)?;
        let mut entries: Vec<Entry<V>> = Vec::with_capacity(keys.len());
        let mut damaged: Option<BoxError> = None;
        let value = &self.present.value;
        context
            .store(self.present.store)
            .multi_get_with(&self.present.keys, |number, stored| {
                let holds = |stored: &&[u8]| {
                    ValueEnvelope::parse(stored).is_ok_and(|envelope| envelope.timestamp <= times[number])
                };
                let entry = stored.filter(holds).map(|stored| read_entry(value, stored));
                entries.push(entry.transpose().unwrap_or_else(|cause| {
                    damaged = Some(cause);
                    None
                }));
            })?;
        let past: Vec<usize> = (0..keys.len())
            .filter(|number| entries[*number].is_none())
            .collect();
        let queries: Vec<(&[u8], Timestamp)> = past
            .iter()
            .map(|number| (self.present.keys.get(*number), times[*number]))
            .collect();
        self.history.find(&queries, context, |place, from, bytes| {
            match value.deserialize(bytes) {
                Ok(found) => entries[past[place]] = Some((found, from)),
                Err(cause) => damaged = Some(cause.into()),
            }
        })?;
        damaged.map_or(Ok(entries), |cause| {
            Err(ProcessError::node(context.node(), cause))
        })
    }
}
