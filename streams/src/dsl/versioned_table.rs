//! Versioned tables as other operators read them; `operators/versioned_table/` writes them.

use std::sync::Arc;

use millpond_log::types::Timestamp;

use super::operators::table_writer::TableStore;
use super::operators::versioned_table::history::History;
use super::table_lookup::{Entry, ReadTable, StoreReader, TableLookup, TableReader, read_entry};
use super::table_origin::TableOrigin;
use crate::processor::{BoxError, InitContext, ProcessContext, ProcessError};
use crate::serde::Data;
use crate::state::{KeyBatch, ValueEnvelope};

/// How others read a versioned table.
pub(in crate::dsl) struct VersionedOrigin<K, V> {
    pub(in crate::dsl) settings: Arc<TableStore<K, V>>,
}

impl<K: Data, V: Data> TableOrigin<K, V> for VersionedOrigin<K, V> {
    fn enable_old_values(&self, _force: bool) -> bool {
        self.settings.wishes.old_values.make();
        true
    }

    /// Nothing ever waits.
    fn forward_each_batch(&self) {}

    fn lookup(&self) -> TableLookup<K, V> {
        let settings = self.settings.clone();
        let stores = vec![settings.store.clone(), settings.history_store()];
        TableLookup::new(stores, move |context: &InitContext<'_>| {
            let store = context.store_index(&settings.store)?;
            let history = context.store_index(&settings.history_store())?;
            let history = History::new(settings.history_ms.unwrap_or_default(), history);
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
        self.settings.history_ms
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
