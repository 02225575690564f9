//! From a stream to a table: every record is an update of its key.

use super::builder::GraphRef;
use super::operators::entry_writer::EntryWriter;
use super::operators::table_source::TableSource;
use super::operators::table_writer::TableStore;
use super::table_origin::TableWishes;
use super::{Grouped, KStream, KTable, Materialized};
use crate::serde::{Data, DefaultSerde, SerdeRef};
use crate::topology::NodeId;

impl<K: Data, V: Data> KStream<K, V> {
    /// The stream as a table kept in the store `name`: each record replaces the one before under its key. Such a table never deletes; for that see
    /// [`to_table_with_tombstones`](KStream::to_table_with_tombstones). Records with a null key are skipped and counted. Goes through the repartition topic
    /// `{app}-{name}-repartition` if the key was changed.
    ///
    /// ```
    /// # use millpond_streams::dsl::StreamsBuilder;
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("readings").map_values(|celsius| celsius * 9 / 5 + 32).to_table("fahrenheit");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let readings = driver.input::<String, i64>("readings");
    /// driver.pipe(&readings, "roof".into(), 10, 0)?;
    /// driver.pipe(&readings, "roof".into(), 20, 1)?;
    /// assert_eq!(driver.value::<String, i64>("fahrenheit", &"roof".into())?, Some(68));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_table(&self, name: &str) -> KTable<K, V>
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        self.to_table_with(name, Grouped::default(), Materialized::default())
    }

    /// As `to_table`, with serdes as told.
    pub fn to_table_with(
        &self,
        name: &str,
        grouped: Grouped<K, V>,
        materialized: Materialized<V>,
    ) -> KTable<K, V> {
        let updates = self.keyed_for_table(name, &grouped).map_values(Some);
        add_table(&updates.graph, updates.node, name, grouped.key, &materialized)
    }

    fn keyed_for_table(&self, name: &str, grouped: &Grouped<K, V>) -> KStream<K, V> {
        if self.rekeyed {
            self.through_repartition(name, grouped, true)
        } else {
            self.clone()
        }
    }
}

impl<K: Data, V: Data> KStream<K, Option<V>> {
    /// As [`to_table`](KStream::to_table), where `None` deletes the entry of its key.
    ///
    /// ```
    /// # use millpond_streams::dsl::StreamsBuilder;
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, Option<String>>("seats").to_table_with_tombstones("taken-seats");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let seats = driver.input::<String, Option<String>>("seats");
    /// driver.pipe(&seats, "12A".into(), Some("Ada".into()), 0)?;
    /// driver.pipe(&seats, "12A".into(), None, 1)?;
    /// assert_eq!(driver.entries::<String, String>("taken-seats")?, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_table_with_tombstones(&self, name: &str) -> KTable<K, V>
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        self.to_table_with_tombstones_with(name, Grouped::default(), Materialized::default())
    }

    /// As `to_table_with_tombstones`, with serdes as told.
    pub fn to_table_with_tombstones_with(
        &self,
        name: &str,
        grouped: Grouped<K, Option<V>>,
        materialized: Materialized<V>,
    ) -> KTable<K, V> {
        let updates = self.keyed_for_table(name, &grouped);
        add_table(&updates.graph, updates.node, name, grouped.key, &materialized)
    }
}

/// The table that nullable rows of `parent` make.
pub(super) fn add_table<K: Data, V: Data>(
    graph: &GraphRef,
    parent: NodeId,
    name: &str,
    key: SerdeRef<K>,
    materialized: &Materialized<V>,
) -> KTable<K, V> {
    let store = TableStore::new(name, key, materialized, TableWishes::default());
    store.add_to(graph, &[parent], |store| TableSource {
        writer: EntryWriter::new(store),
    })
}
