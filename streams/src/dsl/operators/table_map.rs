//! New values for the entries of a table, with and without a store of the result.
//!
//! Without a store both halves of a change go through the function, so it must give the same result for the same entry every time.

use std::marker::PhantomData;
use std::sync::Arc;

use super::entry_writer::EntryWriter;
use crate::dsl::change::Change;
use crate::dsl::row::{Row, batch_of, rows_of};
use crate::processor::{Batch, InitContext, ProcessContext, ProcessError, Processor};
use crate::serde::Data;

/// Changes in, changes out.
pub(in crate::dsl) struct MapTable<K, V, V2, F> {
    map: Arc<F>,
    /// Changes from nothing to nothing are not forwarded.
    drops_nothing: bool,
    types: PhantomData<fn(K, V) -> V2>,
}

impl<K, V, V2, F> MapTable<K, V, V2, F> {
    pub(in crate::dsl) fn new(map: Arc<F>, drops_nothing: bool) -> Self {
        MapTable {
            map,
            drops_nothing,
            types: PhantomData,
        }
    }
}

impl<K, V, V2, F> Processor for MapTable<K, V, V2, F>
where
    K: Data,
    V: Data,
    V2: Data,
    F: Fn(&K, V) -> Option<V2> + Send + Sync + 'static,
{
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, Change<V>>(batch, context)?.into_iter();
        let mapped = rows.map(|row| {
            row.with_pair(|key, change| {
                let change = change.map(|value| (self.map)(&key, value));
                (key, change)
            })
        });
        let keeps = |row: &Row<K, Change<V2>>| !(self.drops_nothing && row.value.is_nothing());
        context.forward(batch_of(mapped.filter(keeps).collect()));
        Ok(())
    }
}

/// Changes in, the new halves written to a store, from which the changes below come.
pub(in crate::dsl) struct MapTableToStore<K, V, V2, F> {
    map: Arc<F>,
    writer: EntryWriter<K, V2>,
    types: PhantomData<fn(V)>,
}

impl<K, V, V2, F> MapTableToStore<K, V, V2, F> {
    pub(in crate::dsl) fn new(map: Arc<F>, writer: EntryWriter<K, V2>) -> Self {
        MapTableToStore {
            map,
            writer,
            types: PhantomData,
        }
    }
}

impl<K, V, V2, F> Processor for MapTableToStore<K, V, V2, F>
where
    K: Data,
    V: Data,
    V2: Data,
    F: Fn(&K, V) -> Option<V2> + Send + Sync + 'static,
{
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.writer.init(context)
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, Change<V>>(batch, context)?.into_iter();
        let mapped = rows.map(|row| {
            row.with_pair(|key, change| {
                let new = change.new.and_then(|value| (self.map)(&key, value));
                (key, new)
            })
        });
        self.writer.write(mapped.collect(), context)
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.writer.commit(context)
    }

    fn on_abort(&mut self) {
        self.writer.abort();
    }
}
