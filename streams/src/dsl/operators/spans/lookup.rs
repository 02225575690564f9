//! Tables of spans as other operators see them: wishes, and reading by windowed key.

use super::Anchor;
use super::store::read_span;
use crate::dsl::Windowed;
use crate::dsl::table_lookup::{Entry, ReadTable, TableLookup, TableReader};
use crate::dsl::table_origin::{TableOrigin, TableWishes};
use crate::processor::{InitContext, ProcessContext, ProcessError};
use crate::serde::{Data, SerdeRef};
use crate::state::{KeyBatch, StoreIndex, window_key};

/// A table whose store holds lists of spans.
pub(in crate::dsl) struct SpanTable<K, A> {
    pub(in crate::dsl) store: String,
    pub(in crate::dsl) key: SerdeRef<K>,
    pub(in crate::dsl) aggregate: SerdeRef<A>,
    pub(in crate::dsl) anchor: Anchor,
    pub(in crate::dsl) pane_ms: i64,
    pub(in crate::dsl) grace_ms: i64,
    pub(in crate::dsl) wishes: TableWishes,
}

impl<K: Data, A: Data> TableOrigin<Windowed<K>, A> for SpanTable<K, A> {
    fn enable_old_values(&self, _force: bool) -> bool {
        self.wishes.old_values.make();
        true
    }

    fn grace_ms(&self) -> Option<i64> {
        Some(self.grace_ms)
    }

    fn forward_each_batch(&self) {
        self.wishes.each_batch.make();
    }

    fn lookup(&self) -> TableLookup<Windowed<K>, A> {
        self.wishes.write_through.make();
        let (key, aggregate) = (self.key.clone(), self.aggregate.clone());
        let (store, anchor, pane_ms) = (self.store.clone(), self.anchor, self.pane_ms);
        TableLookup::new(vec![store.clone()], move |context: &InitContext<'_>| {
            Ok(TableReader::new(SpanReader {
                store: context.store_index(&store)?,
                key: key.clone(),
                aggregate: aggregate.clone(),
                anchor,
                pane_ms,
            }))
        })
    }
}

struct SpanReader<K, A> {
    store: StoreIndex,
    key: SerdeRef<K>,
    aggregate: SerdeRef<A>,
    anchor: Anchor,
    pane_ms: i64,
}

impl<K: Data, A: Data> ReadTable<Windowed<K>, A> for SpanReader<K, A> {
    fn get_many(
        &mut self,
        keys: &[Windowed<K>],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<A>>, ProcessError> {
        let mut lists = KeyBatch::new();
        for wanted in keys {
            let pane_ms = window_key::pane_of(self.anchor.of(wanted.window), self.pane_ms);
            let mut written = Ok(());
            lists.push_with(|out| {
                out.extend_from_slice(&window_key::pane_prefix(pane_ms));
                written = self.key.serialize(&wanted.key, out);
            });
            written.map_err(|cause| ProcessError::node(context.node(), cause))?;
        }
        let mut entries = Vec::with_capacity(keys.len());
        let mut damaged = None;
        context.store(self.store).multi_get_with(&lists, |number, list| {
            let found = read_span(list.unwrap_or_default(), keys[number].window, &self.aggregate);
            entries.push(found.unwrap_or_else(|cause| {
                damaged = Some(cause);
                None
            }));
        })?;
        match damaged {
            None => Ok(entries),
            Some(cause) => Err(ProcessError::node(context.node(), cause)),
        }
    }
}
