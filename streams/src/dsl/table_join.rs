//! Joins of two tables on their key: inner, left and outer, with or without a store of the result.
//!
//! An update of either side is joined with what the other side holds now. Always true: a result carries the larger of both timestamps; an update that
//! meets nothing, and that changes nothing by itself, leaves no trace. Both tables must have the same number of partitions.
//! Next: `operators/table_join.rs`.

use std::sync::Arc;

use super::builder::supplier;
use super::operators::entry_writer::EntryWriter;
use super::operators::stateless::PassThrough;
use super::operators::table_join::{JoinSide, StoreJoined};
use super::operators::table_writer::TableStore;
use super::table_lookup::{JoinedReader, TableLookup, TableReader};
use super::table_origin::{TableOrigin, TableWishes, Wish};
use super::{KTable, Materialized};
use crate::processor::InitContext;
use crate::serde::Data;
use crate::topology::{NodeId, TopologyError};

/// Which sides must have an entry for the join to have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JoinKind {
    Inner,
    Left,
    Outer,
}

/// Joins the two sides of a key; at least one is there.
type JoinFn<V1, V2, R> = dyn Fn(Option<&V1>, Option<&V2>) -> Option<R> + Send + Sync;

impl<K: Data, V: Data> KTable<K, V> {
    /// Keys that both tables have, with the joiner's value. The entry goes when either side goes.
    ///
    /// ```
    /// # use millpond_streams::dsl::StreamsBuilder;
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.table::<String, i64>("prices", "prices");
    /// let stock = builder.table::<String, i64>("stock", "stock");
    /// prices.join(&stock, |price, pieces| price * pieces).to_stream().to("worth");
    /// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let (prices, stock) = (driver.input::<String, Option<i64>>("prices"), driver.input::<String, Option<i64>>("stock"));
    /// # driver.pipe(&prices, "tea".into(), Some(3), 10)?;
    /// # driver.pipe(&stock, "tea".into(), Some(4), 5)?;
    /// # driver.pipe(&prices, "tea".into(), None, 12)?;
    /// # let worth = driver.output::<String, Option<i64>>("worth");
    /// # let found: Vec<_> = driver.read(&worth)?.into_iter().map(|record| (record.value, record.timestamp)).collect();
    /// # assert_eq!(found, [(Some(12), 10), (None, 12)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join<V2: Data, R: Data>(
        &self,
        other: &KTable<K, V2>,
        join: impl Fn(&V, &V2) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        self.join_tables(other, JoinKind::Inner, inner(join), None)
    }

    /// As `join`, with the result kept in the store `name`.
    pub fn join_with<V2: Data, R: Data>(
        &self,
        name: &str,
        other: &KTable<K, V2>,
        join: impl Fn(&V, &V2) -> R + Send + Sync + 'static,
        materialized: Materialized<R>,
    ) -> KTable<K, R> {
        self.join_tables(other, JoinKind::Inner, inner(join), Some((name, materialized)))
    }

    /// Keys of this table, with what the other has under them. The entry goes when this side goes.
    pub fn left_join<V2: Data, R: Data>(
        &self,
        other: &KTable<K, V2>,
        join: impl Fn(&V, Option<&V2>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        self.join_tables(other, JoinKind::Left, left(join), None)
    }

    /// As `left_join`, with the result kept in the store `name`.
    pub fn left_join_with<V2: Data, R: Data>(
        &self,
        name: &str,
        other: &KTable<K, V2>,
        join: impl Fn(&V, Option<&V2>) -> R + Send + Sync + 'static,
        materialized: Materialized<R>,
    ) -> KTable<K, R> {
        self.join_tables(other, JoinKind::Left, left(join), Some((name, materialized)))
    }

    /// Keys that either table has. At least one of the joiner's arguments is there. The entry goes when both sides are gone.
    pub fn outer_join<V2: Data, R: Data>(
        &self,
        other: &KTable<K, V2>,
        join: impl Fn(Option<&V>, Option<&V2>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        self.join_tables(other, JoinKind::Outer, outer(join), None)
    }

    /// As `outer_join`, with the result kept in the store `name`.
    pub fn outer_join_with<V2: Data, R: Data>(
        &self,
        name: &str,
        other: &KTable<K, V2>,
        join: impl Fn(Option<&V>, Option<&V2>) -> R + Send + Sync + 'static,
        materialized: Materialized<R>,
    ) -> KTable<K, R> {
        self.join_tables(other, JoinKind::Outer, outer(join), Some((name, materialized)))
    }

    fn join_tables<V2: Data, R: Data>(
        &self,
        other: &KTable<K, V2>,
        kind: JoinKind,
        join: impl Fn(Option<&V>, Option<&V2>) -> Option<R> + Send + Sync + 'static,
        stored: Option<(&str, Materialized<R>)>,
    ) -> KTable<K, R> {
        let join: Arc<JoinFn<V, V2, R>> = Arc::new(join);
        // Needed to tell a deletion that matters from one that does not, where a side counts without the other.
        if kind != JoinKind::Inner {
            self.enable_old_values();
        }
        if kind == JoinKind::Outer {
            other.enable_old_values();
        }
        let origin = JoinedTable {
            left: self.origin.clone(),
            right: other.origin.clone(),
            join: join.clone(),
            old_values: Wish::default(),
        };
        let (mine, theirs) = (self.lookup_in_step(), other.lookup_in_step());
        let old_values = origin.old_values.clone();
        let reversed: Arc<JoinFn<V2, V, R>> = {
            let join = join.clone();
            Arc::new(move |right: Option<&V2>, left: Option<&V>| join(left, right))
        };
        let this_side = {
            let (theirs, old_values) = (theirs.clone(), old_values.clone());
            let needs_other = kind == JoinKind::Inner;
            supplier(move || JoinSide::new(theirs.clone(), join.clone(), needs_other, old_values.clone()))
        };
        let other_side = {
            let (mine, old_values) = (mine.clone(), old_values.clone());
            let needs_other = kind != JoinKind::Outer;
            supplier(move || JoinSide::new(mine.clone(), reversed.clone(), needs_other, old_values.clone()))
        };
        let mut graph = self.graph.lock();
        let this_name = graph.new_name("KTABLE-JOINTHIS");
        let other_name = graph.new_name("KTABLE-JOINOTHER");
        let merge_name = graph.new_name("KTABLE-MERGE");
        if !Arc::ptr_eq(&self.graph, &other.graph) {
            let reason = "the joined tables belong to different builders".to_owned();
            graph.topology.report(TopologyError::InvalidOperator {
                node: merge_name.clone(),
                reason,
            });
            drop(graph);
            return KTable::new(self.graph.clone(), self.node, self.key.clone(), origin);
        }
        let stores: Vec<&str> = theirs.stores().collect();
        let this_node = graph
            .topology
            .add_processor(&this_name, this_side, &[self.node], &stores);
        let stores: Vec<&str> = mine.stores().collect();
        let other_node = graph
            .topology
            .add_processor(&other_name, other_side, &[other.node], &stores);
        let sides: [NodeId; 2] = [this_node, other_node];
        graph.topology.copartition(&sides);
        graph.topology.keep_in_step(self.node, other.node);
        match stored {
            None => {
                let merge = graph
                    .topology
                    .add_processor(&merge_name, supplier(|| PassThrough), &sides, &[]);
                drop(graph);
                KTable::new(self.graph.clone(), merge, self.key.clone(), origin)
            }
            Some((name, materialized)) => {
                drop(graph);
                let wishes = TableWishes::default();
                let store = TableStore {
                    grace_ms: origin.grace_ms(),
                    ..TableStore::new(name, self.key.clone(), &materialized, wishes)
                };
                store.add_to(&self.graph, &sides, |store| StoreJoined {
                    writer: EntryWriter::new(store),
                })
            }
        }
    }
}

fn inner<V1, V2, R>(
    join: impl Fn(&V1, &V2) -> R + Send + Sync + 'static,
) -> impl Fn(Option<&V1>, Option<&V2>) -> Option<R> + Send + Sync + 'static {
    move |left, right| Some(join(left?, right?))
}

fn left<V1, V2, R>(
    join: impl Fn(&V1, Option<&V2>) -> R + Send + Sync + 'static,
) -> impl Fn(Option<&V1>, Option<&V2>) -> Option<R> + Send + Sync + 'static {
    move |left, right| Some(join(left?, right))
}

fn outer<V1, V2, R>(
    join: impl Fn(Option<&V1>, Option<&V2>) -> R + Send + Sync + 'static,
) -> impl Fn(Option<&V1>, Option<&V2>) -> Option<R> + Send + Sync + 'static {
    move |left, right| (left.is_some() || right.is_some()).then(|| join(left, right))
}

/// A join without a store: worked out from both sides.
struct JoinedTable<K, V1, V2, R> {
    left: Arc<dyn TableOrigin<K, V1>>,
    right: Arc<dyn TableOrigin<K, V2>>,
    join: Arc<JoinFn<V1, V2, R>>,
    old_values: Wish,
}

impl<K: Data, V1: Data, V2: Data, R: Data> TableOrigin<K, R> for JoinedTable<K, V1, V2, R> {
    fn enable_old_values(&self, _force: bool) -> bool {
        self.left.enable_old_values(true);
        self.right.enable_old_values(true);
        self.old_values.make();
        true
    }

    fn forward_each_batch(&self) {
        self.left.forward_each_batch();
        self.right.forward_each_batch();
    }

    fn grace_ms(&self) -> Option<i64> {
        self.left.grace_ms().max(self.right.grace_ms())
    }

    fn lookup(&self) -> TableLookup<K, R> {
        let (left, right, join) = (self.left.lookup(), self.right.lookup(), self.join.clone());
        let mut stores: Vec<String> = left.stores().chain(right.stores()).map(str::to_owned).collect();
        stores.sort();
        stores.dedup();
        TableLookup::new(stores, move |context: &InitContext<'_>| {
            Ok(TableReader::new(JoinedReader {
                left: left.open(context)?,
                right: right.open(context)?,
                join: join.clone(),
            }))
        })
    }
}
