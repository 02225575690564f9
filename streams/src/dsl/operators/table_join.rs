//! One side of a join of tables: each change meets what the other table holds now.
//!
//! Always true: rows leave in the order they came, those without effect left out. Old values are made only when somebody wants them.

use std::sync::Arc;

use super::entry_writer::EntryWriter;
use crate::dsl::change::Change;
use crate::dsl::row::{batch_of, rows_of};
use crate::dsl::table_lookup::{TableLookup, TableReader};
use crate::dsl::table_origin::Wish;
use crate::processor::{Batch, InitContext, ProcessContext, ProcessError, Processor};
use crate::serde::Data;

/// Changes of one table in, changes of the join out.
pub(in crate::dsl) struct JoinSide<K, V, V2, R, F: ?Sized> {
    lookup: TableLookup<K, V2>,
    other: Option<TableReader<K, V2>>,
    join: Arc<F>,
    /// Without an entry on the other side there is none in the join, neither before nor after.
    needs_other: bool,
    wants_old: Wish,
    old_values: bool,
    types: std::marker::PhantomData<fn(V) -> R>,
}

impl<K: Data, V: Data, V2: Data, R: Data, F> JoinSide<K, V, V2, R, F>
where
    F: Fn(Option<&V>, Option<&V2>) -> Option<R> + Send + Sync + ?Sized + 'static,
{
    pub(in crate::dsl) fn new(
        lookup: TableLookup<K, V2>,
        join: Arc<F>,
        needs_other: bool,
        wants_old: Wish,
    ) -> Self {
        JoinSide {
            lookup,
            other: None,
            join,
            needs_other,
            wants_old,
            old_values: false,
            types: std::marker::PhantomData,
        }
    }
}

impl<K: Data, V: Data, V2: Data, R: Data, F> Processor for JoinSide<K, V, V2, R, F>
where
    F: Fn(Option<&V>, Option<&V2>) -> Option<R> + Send + Sync + ?Sized + 'static,
{
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.other = Some(self.lookup.open(context)?);
        self.old_values = self.wants_old.is_made();
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let mut rows = rows_of::<K, Change<V>>(batch, context)?;
        // What held in the past of a versioned table joins nothing now.
        let all = rows.len();
        rows.retain(|row| row.value.is_latest);
        context.skipped((all - rows.len()) as u64);
        let keys: Vec<K> = rows.iter().map(|row| row.key.clone()).collect();
        let Some(other) = self.other.as_mut() else {
            return Ok(());
        };
        let entries = other.get_many(&keys, context)?;
        let mut out = Vec::with_capacity(rows.len());
        for (row, entry) in rows.into_iter().zip(entries) {
            if entry.is_none() && (self.needs_other || row.value.is_nothing()) {
                continue;
            }
            let (other, other_time) = match &entry {
                Some((value, timestamp)) => (Some(value), *timestamp),
                None => (None, row.timestamp),
            };
            let timestamp = row.timestamp.max(other_time);
            let mut joined = row.with_value(|change| {
                let old = match self.old_values {
                    true => (self.join)(change.old.as_ref(), other),
                    false => None,
                };
                Change::latest((self.join)(change.new.as_ref(), other), old)
            });
            joined.timestamp = timestamp;
            out.push(joined);
        }
        context.forward(batch_of(out));
        Ok(())
    }
}

/// Changes of both sides in, the new halves written to a store.
pub(in crate::dsl) struct StoreJoined<K, R> {
    pub(in crate::dsl) writer: EntryWriter<K, R>,
}

impl<K: Data, R: Data> Processor for StoreJoined<K, R> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.writer.init(context)
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, Change<R>>(batch, context)?.into_iter();
        let updates = rows.map(|row| row.with_value(|change| change.new));
        self.writer.write(updates.collect(), context)
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.writer.commit(context)
    }

    fn on_abort(&mut self) {
        self.writer.abort();
    }
}
