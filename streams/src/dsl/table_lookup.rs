//! Reading a table from another operator, by key: what joins do.
//!
//! A [`TableLookup`] is known while the topology is built: it names the stores the reading node must be connected to. From it every task makes a
//! [`TableReader`]. Always true: a reader sees everything its table processed before, also what the table has not forwarded yet; a table without a
//! store of its own is worked out from its parents.
//! Next: `table_origin.rs` for the tables that have a store, `table_map.rs` for those that have none.

use std::sync::Arc;

use millpond_log::types::Timestamp;

use super::table_origin::StoreKeyFn;
use crate::processor::{BoxError, InitContext, ProcessContext, ProcessError};
use crate::serde::{Data, SerdeRef};
use crate::state::{KeyBatch, StoreIndex, ValueEnvelope};

/// A value and its timestamp, as a table holds them.
pub(crate) type Entry<V> = Option<(V, Timestamp)>;

/// Reads entries of a table by key.
pub(crate) trait ReadTable<K, V>: Send {
    /// The entries of `keys`, one for one in their order. Keys may repeat; none may be null.
    fn get_many(
        &mut self,
        keys: &[K],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<V>>, ProcessError>;

    /// The entries of `keys` as they were at `times`. Only versioned tables know the past; others answer with the present.
    fn get_many_as_of(
        &mut self,
        keys: &[K],
        _times: &[Timestamp],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<V>>, ProcessError> {
        self.get_many(keys, context)
    }
}

/// A table as one task reads it. Made at `init` by [`TableLookup::open`].
pub(crate) struct TableReader<K, V>(Box<dyn ReadTable<K, V>>);

impl<K, V> TableReader<K, V> {
    /// A reader out of what knows how to read.
    pub(crate) fn new(reader: impl ReadTable<K, V> + 'static) -> Self {
        TableReader(Box::new(reader))
    }

    /// The entries of `keys` with their timestamps, one for one in their order. Keys may repeat; none may be null.
    /// # Errors
    /// When state fails or a stored value cannot be read.
    pub(crate) fn get_many(
        &mut self,
        keys: &[K],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<V>>, ProcessError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.0.get_many(keys, context)
    }

    /// The entries of `keys` as they were at `times`, one for one in their order; the present ones where the table is not versioned
    /// ([`TableOrigin::history_ms`](super::table_origin::TableOrigin::history_ms)).
    /// # Errors
    /// As `get_many`.
    pub(crate) fn get_many_as_of(
        &mut self,
        keys: &[K],
        times: &[Timestamp],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<V>>, ProcessError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.0.get_many_as_of(keys, times, context)
    }
}

/// Makes a reader when a task starts.
type OpenFn<K, V> = dyn Fn(&InitContext<'_>) -> Result<TableReader<K, V>, ProcessError> + Send + Sync;

/// A table that can be read from a node connected to its [`stores`](Self::stores).
pub(crate) struct TableLookup<K, V> {
    stores: Vec<String>,
    open: Arc<OpenFn<K, V>>,
}

impl<K, V> Clone for TableLookup<K, V> {
    fn clone(&self) -> Self {
        TableLookup {
            stores: self.stores.clone(),
            open: self.open.clone(),
        }
    }
}

impl<K: Data, V: Data> TableLookup<K, V> {
    pub(in crate::dsl) fn new(
        stores: Vec<String>,
        open: impl Fn(&InitContext<'_>) -> Result<TableReader<K, V>, ProcessError> + Send + Sync + 'static,
    ) -> Self {
        TableLookup {
            stores,
            open: Arc::new(open),
        }
    }

    /// Names of the stores to connect the reading node to.
    pub(crate) fn stores(&self) -> impl Iterator<Item = &str> {
        self.stores.iter().map(String::as_str)
    }

    /// The reader of one task; call it at `init`.
    /// # Errors
    /// When the node is not connected to the stores.
    pub(crate) fn open(&self, context: &InitContext<'_>) -> Result<TableReader<K, V>, ProcessError> {
        (self.open)(context)
    }
}

/// Reads a table out of its own store.
pub(in crate::dsl) struct StoreReader<K, V> {
    pub(in crate::dsl) store: StoreIndex,
    pub(in crate::dsl) write_key: Arc<StoreKeyFn<K>>,
    pub(in crate::dsl) value: SerdeRef<V>,
    pub(in crate::dsl) keys: KeyBatch,
}

impl<K: Data, V: Data> StoreReader<K, V> {
    /// Fills `self.keys` with the store keys of `keys`.
    pub(in crate::dsl) fn encode(
        &mut self,
        keys: &[K],
        context: &ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        self.keys.clear();
        for key in keys {
            let mut written = Ok(());
            self.keys.push_with(|out| written = (self.write_key)(key, out));
            written.map_err(|cause| ProcessError::node(context.node(), cause))?;
        }
        Ok(())
    }
}

impl<K: Data, V: Data> ReadTable<K, V> for StoreReader<K, V> {
    fn get_many(
        &mut self,
        keys: &[K],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<V>>, ProcessError> {
        self.encode(keys, context)?;
        let mut entries: Vec<Entry<V>> = keys.iter().map(|_| None).collect();
        let mut damaged = None;
        // Keys that have no entry must not fill the table's memory.
        context
            .store(self.store)
            .find_many(&self.keys, |number, stored| {
                match read_entry(&self.value, stored) {
                    Ok(entry) => entries[number] = Some(entry),
                    Err(cause) => damaged = Some(cause),
                }
            })?;
        match damaged {
            None => Ok(entries),
            Some(cause) => Err(ProcessError::node(context.node(), cause)),
        }
    }
}

/// A stored value and its timestamp.
pub(in crate::dsl) fn read_entry<V: 'static>(
    value: &SerdeRef<V>,
    stored: &[u8],
) -> Result<(V, Timestamp), BoxError> {
    let envelope = ValueEnvelope::parse(stored)?;
    Ok((value.deserialize(envelope.value)?, envelope.timestamp))
}

/// Reads a table that has no store through its parent's reader.
pub(in crate::dsl) struct MappedReader<K, V, F> {
    pub(in crate::dsl) parent: TableReader<K, V>,
    pub(in crate::dsl) map: Arc<F>,
}

impl<K, V, V2, F> ReadTable<K, V2> for MappedReader<K, V, F>
where
    K: Data,
    V: Data,
    V2: Data,
    F: Fn(&K, V) -> Option<V2> + Send + Sync,
{
    fn get_many(
        &mut self,
        keys: &[K],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<V2>>, ProcessError> {
        let entries = self.parent.get_many(keys, context)?;
        Ok(self.mapped(keys, entries))
    }

    fn get_many_as_of(
        &mut self,
        keys: &[K],
        times: &[Timestamp],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<V2>>, ProcessError> {
        let entries = self.parent.get_many_as_of(keys, times, context)?;
        Ok(self.mapped(keys, entries))
    }
}

impl<K, V, F> MappedReader<K, V, F> {
    fn mapped<V2>(&self, keys: &[K], entries: Vec<Entry<V>>) -> Vec<Entry<V2>>
    where
        F: Fn(&K, V) -> Option<V2>,
    {
        let mapped = entries.into_iter().zip(keys).map(|(entry, key)| {
            let (value, timestamp) = entry?;
            Some(((self.map)(key, value)?, timestamp))
        });
        mapped.collect()
    }
}

/// Reads a join of two tables that has no store through both their readers.
pub(in crate::dsl) struct JoinedReader<K, V1, V2, F: ?Sized> {
    pub(in crate::dsl) left: TableReader<K, V1>,
    pub(in crate::dsl) right: TableReader<K, V2>,
    pub(in crate::dsl) join: Arc<F>,
}

impl<K, V1, V2, R, F> ReadTable<K, R> for JoinedReader<K, V1, V2, F>
where
    K: Data,
    V1: Data,
    V2: Data,
    R: Data,
    F: Fn(Option<&V1>, Option<&V2>) -> Option<R> + Send + Sync + ?Sized,
{
    fn get_many(
        &mut self,
        keys: &[K],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<R>>, ProcessError> {
        let left = self.left.get_many(keys, context)?;
        let right = self.right.get_many(keys, context)?;
        let joined = left.iter().zip(&right).map(|(left, right)| {
            let value = (self.join)(
                left.as_ref().map(|(value, _)| value),
                right.as_ref().map(|(value, _)| value),
            )?;
            let left_time = left.as_ref().map(|(_, timestamp)| *timestamp);
            let right_time = right.as_ref().map(|(_, timestamp)| *timestamp);
            Some((value, left_time.max(right_time)?))
        });
        Ok(joined.collect())
    }
}
