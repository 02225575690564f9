//! `KTable`: the latest value per key, as a stream of its updates.
//!
//! Here: the type and its ways out. `table_map.rs` has what is done entry by entry, `table_origin.rs` and `table_lookup.rs` what joins need of a table,
//! `operators/table_writer.rs` how a table's store is written.

use std::marker::PhantomData;
use std::sync::Arc;

use super::KStream;
use super::builder::GraphRef;
use super::change::Change;
use super::row::Row;
use super::table_lookup::TableLookup;
use super::table_origin::TableOrigin;
use crate::serde::{Data, SerdeRef};
use crate::topology::NodeId;

/// A table: what an aggregation or a table topic keeps per key. On its edges flow updates, where `None` means the entry was deleted.
///
/// Updates are forwarded when the task commits, one per key that changed, like Kafka Streams with its record cache (or each one, see
/// [`Materialized::emit_every_update`](super::Materialized::emit_every_update)). Their timestamp is that of the record that made them, or for
/// aggregations the largest that contributed.
///
/// ```
/// # use millpond_streams::dsl::StreamsBuilder;
/// # use millpond_streams::testing::TopologyTestDriver;
/// let builder = StreamsBuilder::new();
/// let counts = builder.stream::<String, i64>("clicks").group_by_key().count("clicks");
/// // With deletions (`None`): what is no longer rare leaves the topic.
/// counts.filter(|_, count| *count < 3).to_stream().to("rare");
/// // Without: only what has a value.
/// counts.updates().map_values(|count| count * 100).to("scaled");
/// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// # let clicks = driver.input::<String, i64>("clicks");
/// # for _ in 0..4 {
/// #     driver.pipe(&clicks, "a".into(), 1, 0)?;
/// # }
/// # let rare = driver.output::<String, Option<u64>>("rare");
/// # assert_eq!(driver.read_values(&rare)?, [Some(1), Some(2), None]);
/// # let scaled = driver.output::<String, u64>("scaled");
/// # assert_eq!(driver.read_values(&scaled)?, [100, 200, 300, 400]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KTable<K, V> {
    pub(super) graph: GraphRef,
    pub(super) node: NodeId,
    /// Serde of the keys, for stores and topics of tables made from this one.
    pub(super) key: SerdeRef<K>,
    pub(super) origin: Arc<dyn TableOrigin<K, V>>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for KTable<K, V> {
    fn clone(&self) -> Self {
        KTable {
            graph: self.graph.clone(),
            node: self.node,
            key: self.key.clone(),
            origin: self.origin.clone(),
            types: PhantomData,
        }
    }
}

impl<K: Data, V: Data> KTable<K, V> {
    /// The table that `node` forwards changes of. `key`: serde of its keys; `origin`: how its entries are looked up.
    pub(super) fn new(
        graph: GraphRef,
        node: NodeId,
        key: SerdeRef<K>,
        origin: impl TableOrigin<K, V> + 'static,
    ) -> Self {
        KTable::with_origin(graph, node, key, Arc::new(origin))
    }

    /// As `new`, with an origin that others share.
    pub(super) fn with_origin(
        graph: GraphRef,
        node: NodeId,
        key: SerdeRef<K>,
        origin: Arc<dyn TableOrigin<K, V>>,
    ) -> Self {
        KTable {
            graph,
            node,
            key,
            origin,
            types: PhantomData,
        }
    }

    /// Asks the operators behind this table to send the value before with every change. Needed by whatever takes away what it added before.
    pub(crate) fn enable_old_values(&self) {
        self.origin.enable_old_values(true);
    }

    /// As [`lookup`](Self::lookup), for a join with another table: what is read is what this table has told its receivers, so that both halves of a change
    /// of the other side meet what they met before.
    pub(crate) fn lookup_in_step(&self) -> TableLookup<K, V> {
        self.origin.forward_each_batch();
        self.origin.lookup()
    }

    /// A way to read this table by key from another operator.
    pub(crate) fn lookup(&self) -> TableLookup<K, V> {
        self.origin.lookup()
    }

    /// The table's edge as a stream, without a node in between.
    pub(super) fn edge(&self) -> KStream<K, Change<V>> {
        KStream::new(self.graph.clone(), self.node, false)
    }

    /// The updates as a stream; `None` = the entry was deleted, written to topics as a tombstone.
    pub fn to_stream(&self) -> KStream<K, Option<V>> {
        self.edge().add("KTABLE-TOSTREAM", false, |rows, _| {
            Ok(rows
                .into_iter()
                .map(|row| row.with_value(|change: Change<V>| change.new))
                .collect())
        })
    }

    /// The updates as a stream without deletions: for tables that never delete (counts, windows) or where deletions do not matter.
    pub fn updates(&self) -> KStream<K, V> {
        self.edge().add("KTABLE-TOSTREAM", false, |rows, _| {
            let new = |row: Row<K, Change<V>>| row.with_value(|change| change.new).transpose();
            Ok(rows.into_iter().filter_map(new).collect())
        })
    }
}
