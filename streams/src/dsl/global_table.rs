//! `GlobalKTable`: a topic that every instance has whole, to be looked up by any key.

use std::marker::PhantomData;
use std::sync::Arc;

use super::builder::GraphRef;
use super::table_lookup::{Entry, ReadTable, TableLookup, TableReader, read_entry};
use super::{Consumed, Materialized, StreamsBuilder};
use crate::processor::{BoxError, InitContext, ProcessContext, ProcessError};
use crate::serde::{Data, DefaultSerde, SerdeRef};
use crate::state::{KeyBatch, PinnedState, StoreIndex, StoreSpec};

/// A table of which every instance keeps all partitions, so that any record can be joined with any entry of it, whatever the keys.
///
/// Its topic is read from the beginning before the first record of the application is processed, and followed from then on by a reader of its own, outside the
/// transactions: which entry a join sees depends on how far that reader is. Made by [`StreamsBuilder::global_table`].
pub struct GlobalKTable<K, V> {
    pub(super) graph: GraphRef,
    pub(super) key: SerdeRef<K>,
    value: SerdeRef<V>,
    store: String,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for GlobalKTable<K, V> {
    fn clone(&self) -> Self {
        GlobalKTable {
            graph: self.graph.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
            store: self.store.clone(),
            types: PhantomData,
        }
    }
}

impl StreamsBuilder {
    /// A topic as a table that every instance has whole, kept in the store `name`. The last record of a key stands, null deletes it, records with a null key
    /// are left out, and so are those that cannot be read.
    ///
    /// ```
    /// use millpond_streams::dsl::{Joined, StreamsBuilder};
    /// # use millpond_streams::testing::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let airports = builder.global_table::<String, String>("airports", "airport-names");
    /// builder
    ///     .stream::<i64, String>("flights") // flight number → destination
    ///     .join_global_table(
    ///         &airports,
    ///         |_, destination| destination.clone(),
    ///         |_, name| name.clone(),
    ///         Joined::named("named-destinations"),
    ///     )
    ///     .to("destinations");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let airports = driver.input::<String, String>("airports");
    /// let flights = driver.input::<i64, String>("flights");
    /// driver.pipe(&airports, "JFK".into(), "Kennedy".into(), 0)?;
    /// driver.pipe(&flights, 17, "JFK".into(), 0)?;
    /// let destinations = driver.output::<i64, String>("destinations");
    /// assert_eq!(driver.read_pairs(&destinations)?, [(17, "Kennedy".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn global_table<K, V>(&self, topic: &str, name: &str) -> GlobalKTable<K, V>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.global_table_with(topic, name, Consumed::default(), Materialized::default())
    }

    /// As `global_table`, read and stored as told. What is stored are the topic's bytes; timestamps of records are taken as they are.
    pub fn global_table_with<K: Data, V: Data>(
        &self,
        topic: &str,
        name: &str,
        consumed: Consumed<K, V>,
        materialized: Materialized<V>,
    ) -> GlobalKTable<K, V> {
        let Consumed { key, value, .. } = consumed;
        let (read_key, read_value) = (key.clone(), value.clone());
        let check = Arc::new(move |key: &[u8], value: &[u8]| {
            read_key.deserialize(key)?;
            read_value.deserialize(value).map(|_| ())
        });
        let mut graph = self.graph().lock();
        materialized.refuse_history(name, &mut graph.topology);
        let spec = StoreSpec::key_value(name).without_changelog();
        graph.topology.add_global(topic, spec, check);
        drop(graph);
        GlobalKTable {
            graph: self.graph().clone(),
            key,
            value,
            store: name.to_owned(),
            types: PhantomData,
        }
    }
}

impl<K: Data, V: Data> GlobalKTable<K, V> {
    /// Name of its store, for queries.
    pub fn store_name(&self) -> &str {
        &self.store
    }

    /// A way to read the table from an operator. It needs no connected store.
    pub(super) fn lookup(&self) -> TableLookup<K, V> {
        let (store, key, value) = (self.store.clone(), self.key.clone(), self.value.clone());
        TableLookup::new(Vec::new(), move |context: &InitContext<'_>| {
            let (state, index) = context.global_store(&store)?;
            Ok(TableReader::new(GlobalReader {
                state,
                store: index,
                key: key.clone(),
                value: value.clone(),
                keys: KeyBatch::new(),
            }))
        })
    }
}

/// Reads a global table out of the state all tasks share.
struct GlobalReader<K, V> {
    state: PinnedState,
    store: StoreIndex,
    key: SerdeRef<K>,
    value: SerdeRef<V>,
    keys: KeyBatch,
}

impl<K: Data, V: Data> ReadTable<K, V> for GlobalReader<K, V> {
    fn get_many(
        &mut self,
        keys: &[K],
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Entry<V>>, ProcessError> {
        self.keys.clear();
        for key in keys {
            let mut written = Ok(());
            self.keys.push_with(|out| written = self.key.serialize(key, out));
            written.map_err(|cause| ProcessError::node(context.node(), cause))?;
        }
        let mut entries: Vec<Entry<V>> = keys.iter().map(|_| None).collect();
        let mut damaged: Option<BoxError> = None;
        self.state.find_many(self.store, &self.keys, |number, stored| {
            match read_entry(&self.value, stored) {
                Ok(entry) => entries[number] = Some(entry),
                Err(cause) => damaged = Some(cause),
            }
        })?;
        damaged.map_or(Ok(entries), |cause| {
            Err(ProcessError::node(context.node(), cause))
        })
    }
}
