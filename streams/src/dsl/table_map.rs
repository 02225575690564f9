//! Tables entry by entry: filter and new values, with or without a store of the result.
//!
//! Without a store nothing is kept: old values and look-ups are worked out from the table above. With one, old values are read from it. Always true: a
//! filter sends no tombstone for an entry it never let through. Next: `operators/table_map.rs`.

use std::sync::Arc;

use super::builder::supplier;
use super::operators::entry_writer::EntryWriter;
use super::operators::table_map::{MapTable, MapTableToStore};
use super::operators::table_writer::TableStore;
use super::table_lookup::{MappedReader, TableLookup, TableReader};
use super::table_origin::{TableOrigin, TableWishes};
use super::{KTable, Materialized};
use crate::processor::InitContext;
use crate::serde::Data;

/// Whether a mapping may take entries away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mapping {
    /// Changes from nothing to nothing are dropped; for that the old values are always asked for.
    Filter,
    Map,
}

impl<K: Data, V: Data> KTable<K, V> {
    /// Keeps the entries the predicate takes; the others are deleted. No deletion follows for an entry that was not there, as in Kafka Streams with a
    /// materialised table.
    pub fn filter(&self, takes: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KTable<K, V> {
        let map = move |key: &K, value: V| takes(key, &value).then_some(value);
        self.map_entries("KTABLE-FILTER", Mapping::Filter, map)
    }

    /// As `filter`, with the result kept in the store `name`.
    pub fn filter_with(
        &self,
        name: &str,
        takes: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        materialized: Materialized<V>,
    ) -> KTable<K, V> {
        let map = move |key: &K, value: V| takes(key, &value).then_some(value);
        self.map_to_store(name, Mapping::Filter, map, materialized)
    }

    /// Deletes the entries the predicate takes.
    pub fn filter_not(&self, drops: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KTable<K, V> {
        self.filter(move |key, value| !drops(key, value))
    }

    /// As `filter_not`, with the result kept in the store `name`.
    pub fn filter_not_with(
        &self,
        name: &str,
        drops: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        materialized: Materialized<V>,
    ) -> KTable<K, V> {
        self.filter_with(name, move |key, value| !drops(key, value), materialized)
    }

    /// New value for every entry; deletions stay deletions.
    pub fn map_values<V2: Data>(&self, map: impl Fn(V) -> V2 + Send + Sync + 'static) -> KTable<K, V2> {
        self.map_entries("KTABLE-MAPVALUES", Mapping::Map, move |_: &K, value| {
            Some(map(value))
        })
    }

    /// New value for every entry, made from key and value; deletions stay deletions.
    ///
    /// ```
    /// # use millpond_streams::dsl::StreamsBuilder;
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .table::<String, i64>("prices", "prices")
    ///     .map_values_with_key(|item, price| format!("{item}: {price}"))
    ///     .to_stream()
    ///     .to("labels");
    /// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let prices = driver.input::<String, Option<i64>>("prices");
    /// # driver.pipe(&prices, "tea".into(), Some(3), 0)?;
    /// # driver.pipe(&prices, "tea".into(), None, 1)?;
    /// # let labels = driver.output::<String, Option<String>>("labels");
    /// # assert_eq!(driver.read_values(&labels)?, [Some("tea: 3".to_owned()), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_values_with_key<V2: Data>(
        &self,
        map: impl Fn(&K, V) -> V2 + Send + Sync + 'static,
    ) -> KTable<K, V2> {
        self.map_entries("KTABLE-MAPVALUES", Mapping::Map, move |key: &K, value| {
            Some(map(key, value))
        })
    }

    /// New value for every entry, made from key and value, kept in the store `name`.
    pub fn map_values_with<V2: Data>(
        &self,
        name: &str,
        map: impl Fn(&K, V) -> V2 + Send + Sync + 'static,
        materialized: Materialized<V2>,
    ) -> KTable<K, V2> {
        let map = move |key: &K, value| Some(map(key, value));
        self.map_to_store(name, Mapping::Map, map, materialized)
    }

    /// A table without a store of its own.
    fn map_entries<V2: Data>(
        &self,
        prefix: &str,
        mapping: Mapping,
        map: impl Fn(&K, V) -> Option<V2> + Send + Sync + 'static,
    ) -> KTable<K, V2> {
        // As in Kafka Streams: a filter drops needless tombstones if the table above can tell them without a store of its own being made for it.
        // A versioned one sends them on: who keeps versions must hear that there was nothing from then on.
        let drops_nothing = self.drops_nothing(mapping);
        let map = Arc::new(map);
        let origin = MappedTable {
            parent: self.origin.clone(),
            map: map.clone(),
        };
        let make = supplier(move || MapTable::new(map.clone(), drops_nothing));
        let mut graph = self.graph.lock();
        let name = graph.new_name(prefix);
        let node = graph.topology.add_processor(&name, make, &[self.node], &[]);
        drop(graph);
        KTable::new(self.graph.clone(), node, self.key.clone(), origin)
    }

    /// A table with a store of its own.
    fn map_to_store<V2: Data>(
        &self,
        name: &str,
        mapping: Mapping,
        map: impl Fn(&K, V) -> Option<V2> + Send + Sync + 'static,
        materialized: Materialized<V2>,
    ) -> KTable<K, V2> {
        let wishes = TableWishes::default();
        let drops_nothing = self.drops_nothing(mapping);
        if drops_nothing {
            wishes.old_values.make();
        }
        let store = TableStore {
            drops_nothing,
            grace_ms: self.origin.grace_ms(),
            ..TableStore::new(name, self.key.clone(), &materialized, wishes)
        };
        let map = Arc::new(map);
        store.add_to(&self.graph, &[self.node], move |store| {
            MapTableToStore::new(map.clone(), EntryWriter::new(store))
        })
    }

    fn drops_nothing(&self, mapping: Mapping) -> bool {
        mapping == Mapping::Filter
            && self.origin.enable_old_values(false)
            && self.origin.history_ms().is_none()
    }
}

/// A table worked out from its parent.
struct MappedTable<K, V, F> {
    parent: Arc<dyn TableOrigin<K, V>>,
    map: Arc<F>,
}

impl<K, V, V2, F> TableOrigin<K, V2> for MappedTable<K, V, F>
where
    K: Data,
    V: Data,
    V2: Data,
    F: Fn(&K, V) -> Option<V2> + Send + Sync + 'static,
{
    fn enable_old_values(&self, force: bool) -> bool {
        self.parent.enable_old_values(force)
    }

    fn grace_ms(&self) -> Option<i64> {
        self.parent.grace_ms()
    }

    fn history_ms(&self) -> Option<i64> {
        self.parent.history_ms()
    }

    fn forward_each_batch(&self) {
        self.parent.forward_each_batch();
    }

    fn lookup(&self) -> TableLookup<K, V2> {
        let (parent, map) = (self.parent.lookup(), self.map.clone());
        let stores = parent.stores().map(str::to_owned).collect();
        TableLookup::new(stores, move |context: &InitContext<'_>| {
            Ok(TableReader::new(MappedReader {
                parent: parent.open(context)?,
                map: map.clone(),
            }))
        })
    }
}
