//! `KTable`: the latest value per key, as a stream of its updates.

use std::marker::PhantomData;

use super::KStream;
use super::builder::GraphRef;
use super::row::Row;
use crate::serde::Data;
use crate::topology::NodeId;

/// A table: what an aggregation or a table topic keeps per key. On its edges flow updates, where `None` means the entry was deleted.
///
/// Updates are forwarded when the task commits, one per key that changed, like Kafka Streams with its record cache (or each one, see
/// [`Materialized::emit_every_update`](super::Materialized::emit_every_update)). Their timestamp is the largest that contributed.
///
/// ```
/// # use millpond_streams::dsl::StreamsBuilder;
/// # use millpond_streams::testing::TopologyTestDriver;
/// let builder = StreamsBuilder::new();
/// let counts = builder.stream::<String, i64>("clicks").group_by_key().count("clicks");
/// // With deletions (`None`): what is no longer frequent leaves the topic.
/// counts.filter(|_, count| *count > 1).to_stream().to("frequent");
/// // Without: only what has a value.
/// counts.updates().map_values(|count| count * 100).to("scaled");
/// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// # let clicks = driver.input::<String, i64>("clicks");
/// # driver.pipe(&clicks, "a".into(), 1, 0)?;
/// # driver.pipe(&clicks, "a".into(), 1, 0)?;
/// # let frequent = driver.output::<String, Option<u64>>("frequent");
/// # assert_eq!(driver.read_values(&frequent)?, [None, Some(2)]);
/// # let scaled = driver.output::<String, u64>("scaled");
/// # assert_eq!(driver.read_values(&scaled)?, [100, 200]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KTable<K, V> {
    graph: GraphRef,
    node: NodeId,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for KTable<K, V> {
    fn clone(&self) -> Self {
        KTable {
            graph: self.graph.clone(),
            node: self.node,
            types: PhantomData,
        }
    }
}

impl<K: Data, V: Data> KTable<K, V> {
    pub(super) fn new(graph: GraphRef, node: NodeId) -> Self {
        KTable {
            graph,
            node,
            types: PhantomData,
        }
    }

    /// The table's edge as a stream, without a node in between.
    fn edge(&self) -> KStream<K, Option<V>> {
        KStream::new(self.graph.clone(), self.node, false)
    }

    /// Keeps the entries the predicate takes; the others are deleted (a tombstone follows, also for entries that were never there, as in Kafka Streams).
    pub fn filter(&self, takes: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KTable<K, V> {
        let filtered: KStream<K, Option<V>> = self.edge().add(
            "KTABLE-FILTER",
            false,
            move |mut rows: Vec<Row<K, Option<V>>>, _| {
                for row in &mut rows {
                    if row.value.as_ref().is_some_and(|value| !takes(&row.key, value)) {
                        row.value = None;
                    }
                }
                Ok(rows)
            },
        );
        KTable::new(self.graph.clone(), filtered.node)
    }

    /// Deletes the entries the predicate takes.
    pub fn filter_not(&self, drops: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KTable<K, V> {
        self.filter(move |key, value| !drops(key, value))
    }

    /// New value for every entry; deletions stay deletions.
    pub fn map_values<V2: Data>(&self, map: impl Fn(V) -> V2 + Send + Sync + 'static) -> KTable<K, V2> {
        let mapped: KStream<K, Option<V2>> = self.edge().add("KTABLE-MAPVALUES", false, move |rows, _| {
            Ok(rows
                .into_iter()
                .map(|row| row.with_value(|value| value.map(&map)))
                .collect())
        });
        KTable::new(self.graph.clone(), mapped.node)
    }

    /// The updates as a stream; `None` = the entry was deleted, written to topics as a tombstone.
    pub fn to_stream(&self) -> KStream<K, Option<V>> {
        self.edge().add("KTABLE-TOSTREAM", false, |rows, _| Ok(rows))
    }

    /// The updates as a stream without deletions: for tables that never delete (counts, windows) or where deletions do not matter.
    pub fn updates(&self) -> KStream<K, V> {
        self.edge().add("KTABLE-TOSTREAM", false, |rows, _| {
            Ok(rows.into_iter().filter_map(Row::transpose).collect())
        })
    }
}
