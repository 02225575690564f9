//! Tables grouped by a new key, and aggregations that take back what they added.
//!
//! Every update of the table travels to the task of its new key: the value after is added there, the value before subtracted. Always true: an update that
//! stays under one key travels as one record, so nobody sees the aggregate between the two; one that changes its key travels as two, the removal
//! first. Next: `change_serde.rs`, `operators/regroup_table.rs`.

use std::sync::Arc;

use super::aggregate_plan::{AggregatePlan, UNIT_IS_NULL};
use super::builder::{GraphRef, supplier};
use super::change::Change;
use super::change_serde::ChangeSerde;
use super::operators::regroup_table::RegroupTable;
use super::operators::sink::{EncodeSink, SinkSettings};
use super::operators::source::{DecodeSource, SourceSettings};
use super::{Grouped, KTable, Materialized, TimestampExtractor};
use crate::processor::BoxError;
use crate::serde::{Data, DefaultSerde, SerdeRef, is_unit};
use crate::topology::{NodeId, RepartitionOptions, TopologyError};

impl<K: Data, V: Data> KTable<K, V> {
    /// Groups the entries by a new key, with a new value each, to be aggregated. Goes through a repartition topic named after the aggregation that follows. Entries
    /// whose new key or value is null are left out.
    pub fn group_by<K2: Data + DefaultSerde, V2: Data + DefaultSerde>(
        &self,
        select: impl Fn(&K, V) -> (K2, V2) + Send + Sync + 'static,
    ) -> KGroupedTable<K2, V2> {
        self.group_by_with(select, Grouped::default())
    }

    /// As `group_by`, with serdes as told.
    pub fn group_by_with<K2: Data, V2: Data>(
        &self,
        select: impl Fn(&K, V) -> (K2, V2) + Send + Sync + 'static,
        grouped: Grouped<K2, V2>,
    ) -> KGroupedTable<K2, V2> {
        self.enable_old_values();
        let select = Arc::new(select);
        let (key, value) = (grouped.key.clone(), grouped.value.clone());
        let make = supplier(move || RegroupTable::new(select.clone(), key.clone(), value.clone()));
        let mut graph = self.graph.lock();
        let name = graph.new_name("KTABLE-SELECT");
        if is_unit::<V2>() {
            let (node, reason) = (name.clone(), UNIT_IS_NULL.to_owned());
            let mistake = TopologyError::InvalidOperator { node, reason };
            graph.topology.report(mistake);
        }
        let node = graph.topology.add_processor(&name, make, &[self.node], &[]);
        drop(graph);
        KGroupedTable {
            graph: self.graph.clone(),
            node,
            grouped: Arc::new(grouped),
        }
    }
}

/// A table grouped by a new key, ready to be aggregated.
///
/// The first argument of every aggregation is its **name**: it names the store, the changelog and the repartition topic. The subtractor must undo what the
/// adder did with the same value, in whatever order: Kafka Streams' words for it are commutative and associative.
///
/// ```
/// # use millpond_streams::dsl::StreamsBuilder;
/// # use millpond_streams::testing::TopologyTestDriver;
/// let builder = StreamsBuilder::new();
/// // Which airport an aircraft is at; how many aircraft each airport has.
/// builder
///     .table::<String, String>("positions", "positions")
///     .group_by(|aircraft, airport| (airport, aircraft.clone()))
///     .count("aircraft-per-airport")
///     .to_stream()
///     .to("counts");
/// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// # let (positions, counts) = (driver.input::<String, Option<String>>("positions"), driver.output::<String, u64>("counts"));
/// # driver.pipe(&positions, "N1".into(), Some("JFK".into()), 0)?;
/// # driver.pipe(&positions, "N2".into(), Some("JFK".into()), 1)?;
/// # driver.pipe(&positions, "N1".into(), Some("LAX".into()), 2)?;
/// # let found = driver.read_pairs(&counts)?;
/// # assert_eq!(found, [("JFK".into(), 1), ("JFK".into(), 2), ("JFK".into(), 1), ("LAX".into(), 1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KGroupedTable<K, V> {
    graph: GraphRef,
    node: NodeId,
    grouped: Arc<Grouped<K, V>>,
}

impl<K, V> Clone for KGroupedTable<K, V> {
    fn clone(&self) -> Self {
        KGroupedTable {
            graph: self.graph.clone(),
            node: self.node,
            grouped: self.grouped.clone(),
        }
    }
}

impl<K: Data, V: Data> KGroupedTable<K, V> {
    /// Counts the entries of each key. A key whose last entry went stays with a count of 0, as in Kafka Streams.
    pub fn count(&self, name: &str) -> KTable<K, u64> {
        self.count_with(name, Materialized::default())
    }

    /// As `count`, stored as told.
    pub fn count_with(&self, name: &str, materialized: Materialized<u64>) -> KTable<K, u64> {
        self.aggregate_with(
            name,
            || 0,
            |_, _, count: u64| count + 1,
            |_, _, count: u64| count.saturating_sub(1),
            materialized,
        )
    }

    /// Combines the values of each key; the first stands as it is. Returning `None` deletes the entry.
    pub fn reduce<R: Into<Option<V>>, S: Into<Option<V>>>(
        &self,
        name: &str,
        add: impl Fn(V, &V) -> R + Send + Sync + 'static,
        subtract: impl Fn(V, &V) -> S + Send + Sync + 'static,
    ) -> KTable<K, V> {
        self.reduce_with(
            name,
            add,
            subtract,
            Materialized::with(self.grouped.value.clone()),
        )
    }

    /// As `reduce`, stored as told.
    pub fn reduce_with<R: Into<Option<V>>, S: Into<Option<V>>>(
        &self,
        name: &str,
        add: impl Fn(V, &V) -> R + Send + Sync + 'static,
        subtract: impl Fn(V, &V) -> S + Send + Sync + 'static,
        materialized: Materialized<V>,
    ) -> KTable<K, V> {
        self.fold(name, materialized, move |_: &K, change: &Change<V>, slot| {
            if let Some(old) = &change.old {
                *slot = slot.take().and_then(|so_far| subtract(so_far, old).into());
            }
            if let Some(new) = &change.new {
                *slot = match slot.take() {
                    None => Some(new.clone()),
                    Some(so_far) => add(so_far, new).into(),
                };
            }
            Ok(())
        })
    }

    /// Folds the values of each key into an aggregate of any type. Returning `None` deletes the entry; the next value starts anew.
    pub fn aggregate<A: Data + DefaultSerde, R: Into<Option<A>>, S: Into<Option<A>>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, &V, A) -> R + Send + Sync + 'static,
        subtract: impl Fn(&K, &V, A) -> S + Send + Sync + 'static,
    ) -> KTable<K, A> {
        self.aggregate_with(name, initial, add, subtract, Materialized::default())
    }

    /// As `aggregate`, stored as told.
    pub fn aggregate_with<A: Data, R: Into<Option<A>>, S: Into<Option<A>>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, &V, A) -> R + Send + Sync + 'static,
        subtract: impl Fn(&K, &V, A) -> S + Send + Sync + 'static,
        materialized: Materialized<A>,
    ) -> KTable<K, A> {
        self.fold(name, materialized, move |key: &K, change: &Change<V>, slot| {
            if let Some(old) = &change.old {
                *slot = slot.take().and_then(|so_far| subtract(key, old, so_far).into());
            }
            if let Some(new) = &change.new {
                let so_far = slot.take().unwrap_or_else(&initial);
                *slot = add(key, new, so_far).into();
            }
            Ok(())
        })
    }

    fn fold<A: Data>(
        &self,
        name: &str,
        materialized: Materialized<A>,
        update: impl Fn(&K, &Change<V>, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> KTable<K, A> {
        let changes: SerdeRef<Change<V>> = Arc::new(ChangeSerde(self.grouped.value.clone()));
        let topic = self.grouped.name.as_deref().unwrap_or(name);
        let parents = vec![self.add_repartition(topic, changes.clone())];
        let serdes = (self.grouped.key.clone(), changes);
        let plan = AggregatePlan::new(&self.graph, parents, name, serdes, &materialized);
        plan.add_unwindowed(false, update)
    }

    fn add_repartition(&self, name: &str, value: SerdeRef<Change<V>>) -> NodeId {
        let key = self.grouped.key.clone();
        let sink = Arc::new(SinkSettings {
            topic: format!("{name}-repartition"),
            key: key.clone(),
            value: value.clone(),
            partitioner: None,
            skips_null_keys: true,
        });
        let source = Arc::new(SourceSettings {
            key,
            value,
            timestamps: TimestampExtractor::record(),
            on_error: None,
        });
        let options = RepartitionOptions {
            partitions: self.grouped.partitions,
            encoder: Some(supplier(move || EncodeSink::new(sink.clone()))),
            decoder: Some(supplier(move || DecodeSource {
                settings: source.clone(),
            })),
        };
        let mut graph = self.graph.lock();
        graph.topology.add_repartition(name, options, &[self.node])
    }
}
