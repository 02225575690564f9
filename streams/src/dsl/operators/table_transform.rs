//! New values for the entries of a table from a transformer of the user's, with and without a store of the result.
//!
//! Without a store both halves of a change go through the transformer, the one before only if somebody wants it; look-ups go through another transformer
//! over the table above. Always true: a transformer is dropped when a transaction is lost, and made anew with the next call.

use std::sync::Arc;

use millpond_log::types::Timestamp;

use super::entry_writer::EntryWriter;
use crate::dsl::change::Change;
use crate::dsl::process::{ValueTransformerContext, ValueTransformerInit, ValueTransformerWithKey};
use crate::dsl::row::{Row, batch_of, rows_of};
use crate::dsl::stores::{Expiry, StoreDefinition};
use crate::dsl::table_lookup::{Entry, ReadTable, TableReader};
use crate::dsl::table_origin::Wish;
use crate::processor::{Batch, BoxError, Headers, InitContext, ProcessContext, ProcessError, Processor};
use crate::state::StoreIndex;

/// What the operator is made of; the same for all tasks.
pub(in crate::dsl) struct TransformSettings<T> {
    pub(in crate::dsl) supplier: Box<dyn Fn() -> T + Send + Sync>,
    /// The stores it is connected to, by name.
    pub(in crate::dsl) stores: Vec<(String, Arc<dyn StoreDefinition>)>,
    /// Changes carry the value before.
    pub(in crate::dsl) old_values: Wish,
}

impl<T> TransformSettings<T> {
    /// Names of all stores, also of those that belong to them.
    pub(in crate::dsl) fn store_names(&self) -> Vec<String> {
        let companions = self.stores.iter().flat_map(|(_, store)| store.companions());
        let names = self.stores.iter().map(|(name, _)| name.clone());
        names.chain(companions).collect()
    }
}

/// A transformer in a task.
struct Transforming<T> {
    settings: Arc<TransformSettings<T>>,
    indices: Vec<(String, StoreIndex)>,
    transformer: Option<T>,
}

impl<T: ValueTransformerWithKey> Transforming<T> {
    fn new(settings: Arc<TransformSettings<T>>) -> Self {
        Transforming {
            settings,
            indices: Vec::new(),
            transformer: None,
        }
    }

    fn init(&mut self, context: &InitContext<'_>) -> Result<(), ProcessError> {
        for name in self.settings.store_names() {
            let index = context.store_index(&name)?;
            self.indices.push((name, index));
        }
        Ok(())
    }

    fn start(&mut self, context: &ProcessContext<'_>) -> Result<(), ProcessError> {
        let (node, indices) = (context.node(), &self.indices);
        let index_of = |name: &str| {
            let found = indices.iter().find(|(store, _)| store == name);
            found
                .map(|(_, index)| *index)
                .ok_or_else(|| ProcessError::Unknown {
                    node: node.to_owned(),
                    kind: "store",
                    name: name.to_owned(),
                })
        };
        let mut transformer = (self.settings.supplier)();
        let init = ValueTransformerInit {
            node,
            task: context.task_id(),
            stores: &self.settings.stores,
            index_of: &index_of,
        };
        transformer
            .init(&init)
            .map_err(|cause| match cause.downcast::<ProcessError>() {
                Ok(error) => *error,
                Err(cause) => ProcessError::node(node, cause),
            })?;
        self.transformer = Some(transformer);
        Ok(())
    }

    /// Asks the transformer. The inner error is the user's and concerns the one entry; the outer one concerns everything.
    fn transform(
        &mut self,
        key: &T::Key,
        value: Option<T::ValueIn>,
        (timestamp, stream_time): (Timestamp, Timestamp),
        headers: &Headers,
        context: &mut ProcessContext<'_>,
    ) -> Result<Result<Option<T::ValueOut>, BoxError>, ProcessError> {
        if self.transformer.is_none() {
            self.start(context)?;
        }
        let Some(transformer) = &mut self.transformer else {
            return Ok(Ok(None));
        };
        let mut context = ValueTransformerContext {
            inner: context.reborrow(),
            timestamp,
            stream_time,
            headers,
        };
        let made = transformer.transform(key, value, &mut context);
        made.map_or_else(
            |cause| match cause.downcast::<ProcessError>() {
                Ok(error) => match *error {
                    ProcessError::Node { cause, .. } => Ok(Err(cause)),
                    fatal => Err(fatal),
                },
                Err(cause) => Ok(Err(cause)),
            },
            |made| Ok(Ok(made)),
        )
    }
}

/// What goes on below a transformed table.
type Changed<T> = Row<<T as ValueTransformerWithKey>::Key, Change<<T as ValueTransformerWithKey>::ValueOut>>;

/// Changes in; changes out, or new values to a store from which the changes below come.
pub(in crate::dsl) struct TransformTable<T: ValueTransformerWithKey> {
    transforming: Transforming<T>,
    writer: Option<EntryWriter<T::Key, T::ValueOut>>,
    old_values: bool,
    expiries: Vec<Box<dyn Expiry>>,
}

impl<T: ValueTransformerWithKey> TransformTable<T> {
    pub(in crate::dsl) fn new(
        settings: Arc<TransformSettings<T>>,
        writer: Option<EntryWriter<T::Key, T::ValueOut>>,
    ) -> Self {
        TransformTable {
            transforming: Transforming::new(settings),
            writer,
            old_values: false,
            expiries: Vec::new(),
        }
    }

    /// Both halves of a change, transformed; the one before only if it is wanted.
    fn change(
        &mut self,
        row: Row<T::Key, Change<T::ValueIn>>,
        context: &mut ProcessContext<'_>,
    ) -> Result<Option<Changed<T>>, ProcessError> {
        let (key, change, rest) = row.into_parts();
        let times = (rest.timestamp, rest.stream_time);
        let transforming = &mut self.transforming;
        let mut made = transforming.transform(&key, change.new, times, &rest.headers, context)?;
        let mut old = None;
        if self.old_values && made.is_ok() {
            match transforming.transform(&key, change.old, times, &rest.headers, context)? {
                Ok(before) => old = before,
                Err(cause) => made = Err(cause),
            }
        }
        match made {
            Ok(new) => {
                let is_latest = change.is_latest;
                Ok(Some(rest.with(key, Change { new, old, is_latest })))
            }
            Err(cause) => {
                context.refuse(None, rest.offset, rest.timestamp, cause)?;
                Ok(None)
            }
        }
    }
}

impl<T: ValueTransformerWithKey> Processor for TransformTable<T> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.transforming.init(context)?;
        for (_, store) in &self.transforming.settings.stores {
            self.expiries
                .extend(store.expiry(&|name| context.store_index(name))?);
        }
        match &mut self.writer {
            Some(writer) => writer.init(context),
            None => {
                self.old_values = self.transforming.settings.old_values.is_made();
                Ok(())
            }
        }
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<T::Key, Change<T::ValueIn>>(batch, context)?;
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            out.extend(self.change(row, context)?);
        }
        match &mut self.writer {
            Some(writer) => {
                let updates = out.into_iter().map(|row| row.with_value(|change| change.new));
                writer.write(updates.collect(), context)
            }
            None => {
                context.forward(batch_of(out));
                Ok(())
            }
        }
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if let Some(writer) = &mut self.writer {
            writer.commit(context)?;
        }
        self.expiries
            .iter_mut()
            .try_for_each(|expiry| expiry.expire(context))
    }

    fn on_abort(&mut self) {
        self.transforming.transformer = None;
        if let Some(writer) = &mut self.writer {
            writer.abort();
        }
        self.expiries.iter_mut().for_each(|expiry| expiry.on_abort());
    }
}

/// Reads a transformed table that has no store through its parent's reader.
pub(in crate::dsl) struct TransformedReader<T: ValueTransformerWithKey> {
    parent: TableReader<T::Key, T::ValueIn>,
    transforming: Transforming<T>,
}

impl<T: ValueTransformerWithKey> TransformedReader<T> {
    pub(in crate::dsl) fn open(
        parent: TableReader<T::Key, T::ValueIn>,
        settings: Arc<TransformSettings<T>>,
        context: &InitContext<'_>,
    ) -> Result<Self, ProcessError> {
        let mut transforming = Transforming::new(settings);
        transforming.init(context)?;
        Ok(TransformedReader { parent, transforming })
    }

    fn transformed(
        &mut self,
        keys: &[T::Key],
        entries: Vec<Entry<T::ValueIn>>,
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<T::ValueOut>>, ProcessError> {
        let mut made = Vec::with_capacity(keys.len());
        for (key, entry) in keys.iter().zip(entries) {
            let timestamp = entry.as_ref().map_or(UNKNOWN, |(_, timestamp)| *timestamp);
            let value = entry.map(|(value, _)| value);
            let times = (timestamp, context.stream_time());
            let value = self
                .transforming
                .transform(key, value, times, &Headers::NONE, context)?
                .map_err(|cause| ProcessError::node(context.node(), cause))?;
            made.push(value.map(|value| (value, timestamp)));
        }
        Ok(made)
    }
}

/// Time of an entry that is not there.
const UNKNOWN: Timestamp = -1;

impl<T: ValueTransformerWithKey> ReadTable<T::Key, T::ValueOut> for TransformedReader<T> {
    fn get_many(
        &mut self,
        keys: &[T::Key],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<T::ValueOut>>, ProcessError> {
        let entries = self.parent.get_many(keys, context)?;
        self.transformed(keys, entries, context)
    }

    fn get_many_as_of(
        &mut self,
        keys: &[T::Key],
        times: &[Timestamp],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<T::ValueOut>>, ProcessError> {
        let entries = self.parent.get_many_as_of(keys, times, context)?;
        self.transformed(keys, entries, context)
    }
}
