//! Where a table's entries come from, as far as those below it care: whether they can have old values, and how they look entries up.
//!
//! Wishes are made while the topology is built and looked at when a task starts, so an operator pays for old values and write-through only when
//! somebody uses them. Always true: a wish once made is never taken back. Next: `table_lookup.rs`, `operators/table_writer.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::table_lookup::{StoreReader, TableLookup, TableReader};
use crate::processor::InitContext;
use crate::serde::{Data, SerdeError, SerdeRef};
use crate::state::KeyBatch;

/// Something an operator below wants of one above.
#[derive(Clone, Debug, Default)]
pub(in crate::dsl) struct Wish(Arc<AtomicBool>);

impl Wish {
    pub(in crate::dsl) fn make(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(in crate::dsl) fn is_made(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What those below want of a table's operator.
#[derive(Clone, Debug, Default)]
pub(in crate::dsl) struct TableWishes {
    /// Changes carry the value before.
    pub(in crate::dsl) old_values: Wish,
    /// The store is read by others, so it must be up to date at the end of each batch.
    pub(in crate::dsl) write_through: Wish,
    /// Another table is joined with this one: changes go on at the end of each batch, so that what the store holds is what the receivers know. Else the value
    /// before would be joined with one the other side has not told yet, and what is taken away below were not what was added.
    pub(in crate::dsl) each_batch: Wish,
}

/// The operator behind a table.
pub(in crate::dsl) trait TableOrigin<K, V>: Send + Sync {
    /// Asks for old values in all changes, here and above as far as needed. Unless `force`d, a table that would need a store for that and has none
    /// declines (false).
    fn enable_old_values(&self, force: bool) -> bool;

    /// A way to read the table.
    fn lookup(&self) -> TableLookup<K, V>;

    /// Asks that nothing waits for the commit: between two batches receivers know what a look-up tells.
    fn forward_each_batch(&self);

    /// How long after its end a window may still change, in ms of stream time; none for a table without windows.
    fn grace_ms(&self) -> Option<i64>;

    /// How far back its entries can be read as they were, in ms of stream time; none for a table that is not versioned.
    fn history_ms(&self) -> Option<i64> {
        None
    }
}

/// Writes the store key of a table's key.
pub(in crate::dsl) type StoreKeyFn<K> = dyn Fn(&K, &mut Vec<u8>) -> Result<(), SerdeError> + Send + Sync;

/// A table with a store of its own.
pub(in crate::dsl) struct StoredTable<K, V> {
    pub(in crate::dsl) store: String,
    pub(in crate::dsl) write_key: Arc<StoreKeyFn<K>>,
    pub(in crate::dsl) value: SerdeRef<V>,
    pub(in crate::dsl) wishes: TableWishes,
    pub(in crate::dsl) grace_ms: Option<i64>,
}

impl<K: Data, V: Data> StoredTable<K, V> {
    /// A table whose store keys are its keys.
    pub(in crate::dsl) fn plain(
        store: &str,
        key: SerdeRef<K>,
        value: SerdeRef<V>,
        wishes: TableWishes,
    ) -> Self {
        StoredTable {
            store: store.to_owned(),
            write_key: Arc::new(move |wanted, out| key.serialize(wanted, out)),
            value,
            wishes,
            grace_ms: None,
        }
    }
}

impl<K: Data, V: Data> TableOrigin<K, V> for StoredTable<K, V> {
    fn enable_old_values(&self, _force: bool) -> bool {
        self.wishes.old_values.make();
        true
    }

    fn forward_each_batch(&self) {
        self.wishes.each_batch.make();
    }

    fn lookup(&self) -> TableLookup<K, V> {
        self.wishes.write_through.make();
        let (store, write_key, value) = (self.store.clone(), self.write_key.clone(), self.value.clone());
        TableLookup::new(vec![store.clone()], move |context: &InitContext<'_>| {
            Ok(TableReader::new(StoreReader {
                store: context.store_index(&store)?,
                write_key: write_key.clone(),
                value: value.clone(),
                keys: KeyBatch::new(),
            }))
        })
    }

    fn grace_ms(&self) -> Option<i64> {
        self.grace_ms
    }
}
