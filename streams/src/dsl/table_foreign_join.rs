//! Joins of a table with another on a key taken from this one's value: inner and left (KIP-213, KIP-1104).
//!
//! Next: `operators/foreign_join/` for what happens between the two tables.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::builder::{GraphRef, supplier};
use super::operators::entry_writer::EntryWriter;
use super::operators::foreign_join::{
    AnswerSubscribers, AskAgain, ForeignResult, JoinResponses, ReceiveSubscriptions, Response, ResponseSerde,
    SendSubscriptions, Subscription, SubscriptionKeys, SubscriptionSerde,
};
use super::operators::sink::{EncodeSink, SinkSettings};
use super::operators::source::{DecodeSource, SourceSettings};
use super::operators::table_writer::TableStore;
use super::options::{Partitioner, Partitions};
use super::table_lookup::TableLookup;
use super::table_origin::{TableOrigin, TableWishes, Wish};
use super::{KTable, Materialized, TimestampExtractor};
use crate::serde::{Data, DefaultSerde, OptionSerde, SerdeRef};
use crate::topology::{NodeId, RepartitionOptions, StoreSpec, TopologyError};

/// Takes the foreign key from an entry.
type ForeignKeyFn<K, V, KO> = dyn Fn(&K, &V) -> Option<KO> + Send + Sync;

/// How the two sides of a foreign-key join talk: serdes of their values.
pub struct TableJoined<V, VO> {
    left: SerdeRef<V>,
    right: SerdeRef<VO>,
}

impl<V, VO> TableJoined<V, VO> {
    /// Left values are compared, and right values travel, as these serdes write them.
    pub fn with(left: SerdeRef<V>, right: SerdeRef<VO>) -> Self {
        TableJoined { left, right }
    }
}

impl<V: DefaultSerde, VO: DefaultSerde> Default for TableJoined<V, VO> {
    fn default() -> Self {
        TableJoined::with(V::default_serde(), VO::default_serde())
    }
}

impl<K: Data, V: Data> KTable<K, V> {
    /// Joins every entry with the entry of `other` that stands under the key `foreign_key` takes from it; entries without such a key are skipped and counted.
    /// Many entries may share one; a change there changes all their results.
    ///
    /// `name` names the node, the topics `{app}-{name}-subscription-repartition` and `{app}-{name}-response-repartition`, and the store `{name}-subscriptions`.
    /// Results are forwarded one by one. If something below needs the values before, or looks entries up, they are also kept in a store called `name`.
    ///
    /// ```
    /// # use millpond_streams::dsl::StreamsBuilder;
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let flights = builder.table::<String, String>("flights", "flights");
    /// let airports = builder.table::<String, String>("airports", "airports");
    /// // A flight's value is its destination's code.
    /// flights
    ///     .foreign_key_join("with-airport", &airports, |_, to| Some(to.clone()), |to, name| format!("{to}: {name}"))
    ///     .to_stream()
    ///     .to("destinations");
    /// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let (flights, airports) = (driver.input::<String, Option<String>>("flights"), driver.input::<String, Option<String>>("airports"));
    /// # driver.pipe(&flights, "UA1".into(), Some("JFK".into()), 1)?;
    /// # driver.pipe(&airports, "JFK".into(), Some("Kennedy".into()), 2)?;
    /// # driver.pipe(&airports, "JFK".into(), Some("John F. Kennedy".into()), 3)?;
    /// # driver.pipe(&flights, "UA1".into(), None, 4)?;
    /// # let destinations = driver.output::<String, Option<String>>("destinations");
    /// # let found = driver.read_values(&destinations)?;
    /// # assert_eq!(found, [Some("JFK: Kennedy".into()), Some("JFK: John F. Kennedy".into()), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn foreign_key_join<KO: Data, VO: Data + DefaultSerde, R: Data + DefaultSerde>(
        &self,
        name: &str,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&K, &V) -> Option<KO> + Send + Sync + 'static,
        join: impl Fn(&V, &VO) -> R + Send + Sync + 'static,
    ) -> KTable<K, R>
    where
        V: DefaultSerde,
    {
        let join = move |left: &V, right: Option<&VO>| Some(join(left, right?));
        let stored = Materialized::default();
        self.join_foreign(
            name,
            other,
            foreign_key,
            join,
            Kind::INNER,
            TableJoined::default(),
            stored,
        )
    }

    /// As `foreign_key_join`, with serdes as told and the result kept in the store `name`.
    pub fn foreign_key_join_with<KO: Data, VO: Data, R: Data>(
        &self,
        name: &str,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&K, &V) -> Option<KO> + Send + Sync + 'static,
        join: impl Fn(&V, &VO) -> R + Send + Sync + 'static,
        joined: TableJoined<V, VO>,
        materialized: Materialized<R>,
    ) -> KTable<K, R> {
        let join = move |left: &V, right: Option<&VO>| Some(join(left, right?));
        self.join_foreign(
            name,
            other,
            foreign_key,
            join,
            Kind::INNER.stored(),
            joined,
            materialized,
        )
    }

    /// As `foreign_key_join`, where entries without a foreign key, or with one that `other` does not have, give a result too.
    pub fn foreign_key_left_join<KO: Data, VO: Data + DefaultSerde, R: Data + DefaultSerde>(
        &self,
        name: &str,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&K, &V) -> Option<KO> + Send + Sync + 'static,
        join: impl Fn(&V, Option<&VO>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R>
    where
        V: DefaultSerde,
    {
        let join = move |left: &V, right: Option<&VO>| Some(join(left, right));
        let stored = Materialized::default();
        self.join_foreign(
            name,
            other,
            foreign_key,
            join,
            Kind::LEFT,
            TableJoined::default(),
            stored,
        )
    }

    /// As `foreign_key_left_join`, with serdes as told and the result kept in the store `name`.
    pub fn foreign_key_left_join_with<KO: Data, VO: Data, R: Data>(
        &self,
        name: &str,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&K, &V) -> Option<KO> + Send + Sync + 'static,
        join: impl Fn(&V, Option<&VO>) -> R + Send + Sync + 'static,
        joined: TableJoined<V, VO>,
        materialized: Materialized<R>,
    ) -> KTable<K, R> {
        let join = move |left: &V, right: Option<&VO>| Some(join(left, right));
        self.join_foreign(
            name,
            other,
            foreign_key,
            join,
            Kind::LEFT.stored(),
            joined,
            materialized,
        )
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the one place where both tables, the closures and the options meet"
    )]
    fn join_foreign<KO: Data, VO: Data, R: Data>(
        &self,
        name: &str,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&K, &V) -> Option<KO> + Send + Sync + 'static,
        join: impl Fn(&V, Option<&VO>) -> Option<R> + Send + Sync + 'static,
        kind: Kind,
        joined: TableJoined<V, VO>,
        materialized: Materialized<R>,
    ) -> KTable<K, R> {
        // The old value tells which subscription to end.
        self.enable_old_values();
        if !Arc::ptr_eq(&self.graph, &other.graph) {
            let reason = "the joined tables belong to different builders".to_owned();
            let node = name.to_owned();
            let mistake = TopologyError::InvalidOperator { node, reason };
            self.graph.lock().topology.report(mistake);
        }
        let (left_lookup, right_lookup) = (self.lookup_in_step(), other.lookup_in_step());
        let foreign_key: Arc<ForeignKeyFn<K, V, KO>> = Arc::new(foreign_key);
        let subscriptions = self.add_subscriptions(name, other, foreign_key.clone(), kind, &joined);
        let responses = self.add_right_side(name, other, subscriptions, right_lookup, &joined);
        let ask_again = (!kind.is_left).then(|| {
            let key = other.key.clone();
            Arc::new(AskAgain { foreign_key, key })
        });
        let join = self.add_responses(name, left_lookup, responses, join, joined.left, ask_again.clone());
        let result = self.add_result(name, join, kind, materialized);
        if let Some(ask_again) = ask_again {
            self.add_questions(name, join, &ask_again.key);
        }
        result
    }

    /// Left side, first half. Returns the source of the subscriptions.
    fn add_subscriptions<KO: Data, VO: Data>(
        &self,
        name: &str,
        other: &KTable<KO, VO>,
        foreign_key: Arc<ForeignKeyFn<K, V, KO>>,
        kind: Kind,
        joined: &TableJoined<V, VO>,
    ) -> NodeId {
        let (key, value) = (other.key.clone(), joined.left.clone());
        let send = supplier(move || SendSubscriptions {
            foreign_key: foreign_key.clone(),
            key: key.clone(),
            value: value.clone(),
            is_left_join: kind.is_left,
            types: PhantomData,
        });
        let mut graph = self.graph.lock();
        let send_name = format!("{name}-subscription-send");
        let send = graph.topology.add_processor(&send_name, send, &[self.node], &[]);
        drop(graph);
        let key: SerdeRef<Option<KO>> = Arc::new(OptionSerde(other.key.clone()));
        let value: SerdeRef<Subscription<K>> = Arc::new(SubscriptionSerde(self.key.clone()));
        let topic = format!("{name}-subscription");
        let source = add_topic(&self.graph, &topic, key, value, None, &[send]);
        self.graph.lock().topology.copartition(&[source, other.node]);
        source
    }

    /// The right side. Returns the source of the responses.
    fn add_right_side<KO: Data, VO: Data>(
        &self,
        name: &str,
        other: &KTable<KO, VO>,
        subscriptions: NodeId,
        right: TableLookup<KO, VO>,
        joined: &TableJoined<V, VO>,
    ) -> NodeId {
        let store = format!("{name}-subscriptions");
        let keys = SubscriptionKeys {
            left: self.key.clone(),
            right: other.key.clone(),
        };
        let mut stores: Vec<String> = right.stores().map(str::to_owned).collect();
        stores.push(store.clone());
        let stores: Vec<&str> = stores.iter().map(String::as_str).collect();
        let receive = {
            let (store, keys) = (store.clone(), keys.clone());
            supplier(move || ReceiveSubscriptions::new(store.clone(), keys.clone(), right.clone()))
        };
        let answer = {
            let store = store.clone();
            supplier(move || AnswerSubscribers::<K, KO, VO>::new(store.clone(), keys.clone()))
        };
        let mut graph = self.graph.lock();
        graph.topology.add_store(StoreSpec::key_value(&store));
        let receive_name = format!("{name}-subscription-receive");
        let receive = graph
            .topology
            .add_processor(&receive_name, receive, &[subscriptions], &stores);
        let answer_name = format!("{name}-foreign-change");
        let answer = graph
            .topology
            .add_processor(&answer_name, answer, &[other.node], &[&store]);
        drop(graph);
        let value: SerdeRef<Response<VO>> = Arc::new(ResponseSerde(joined.right.clone()));
        // Back to where the question came from, however the left table is partitioned.
        let partitioner: Partitioner<K, Response<VO>> =
            Arc::new(|_: &K, response: &Response<VO>, _| Partitions::One(response.partition));
        let topic = format!("{name}-response");
        let (key, parents) = (self.key.clone(), [receive, answer]);
        let source = add_topic(&self.graph, &topic, key, value, Some(partitioner), &parents);
        self.graph.lock().topology.copartition(&[source, self.node]);
        source
    }

    /// Left side, second half. Returns the node that forwards new values of the join.
    fn add_responses<KO: Data, VO: Data, R: Data>(
        &self,
        name: &str,
        left: TableLookup<K, V>,
        responses: NodeId,
        join: impl Fn(&V, Option<&VO>) -> Option<R> + Send + Sync + 'static,
        value: SerdeRef<V>,
        ask_again: Option<Arc<AskAgain<K, V, KO>>>,
    ) -> NodeId {
        let join = Arc::new(join);
        let stores: Vec<String> = left.stores().map(str::to_owned).collect();
        let stores: Vec<&str> = stores.iter().map(String::as_str).collect();
        let make = supplier(move || {
            JoinResponses::new(left.clone(), value.clone(), join.clone(), ask_again.clone())
        });
        let node_name = format!("{name}-response-join");
        let mut graph = self.graph.lock();
        graph
            .topology
            .add_processor(&node_name, make, &[responses], &stores)
    }

    /// The way by which a left entry asks again.
    fn add_questions<KO: Data>(&self, name: &str, parent: NodeId, key: &SerdeRef<KO>) {
        let topic = format!("{name}-subscription");
        let settings: SinkSettings<Option<KO>, Subscription<K>> = SinkSettings {
            topic: format!("{topic}-repartition"),
            key: Arc::new(OptionSerde(key.clone())),
            value: Arc::new(SubscriptionSerde(self.key.clone())),
            partitioner: None,
            skips_null_keys: false,
        };
        let settings = Arc::new(settings);
        let encoder = supplier(move || EncodeSink::new(settings.clone()));
        let node = format!("{name}-subscription-again-sink");
        let mut graph = self.graph.lock();
        graph
            .topology
            .add_repartition_sink(&node, &topic, encoder, &[parent]);
    }

    fn add_result<R: Data>(
        &self,
        name: &str,
        parent: NodeId,
        kind: Kind,
        materialized: Materialized<R>,
    ) -> KTable<K, R> {
        let mut store = TableStore::new(name, self.key.clone(), &materialized, TableWishes::default());
        if !kind.stored {
            // A store that is only made because somebody needs it changes nothing about what is forwarded.
            store.emit_every_update = Some(true);
        }
        let store = Arc::new(store);
        let has_store = Wish::default();
        let make = {
            let (store, has_store) = (store.clone(), has_store.clone());
            supplier(move || ForeignResult {
                has_store: has_store.clone(),
                stored: false,
                writer: EntryWriter::new(store.clone()),
            })
        };
        let node = self
            .graph
            .lock()
            .topology
            .add_processor(name, make, &[parent], &[]);
        let result = ForeignTable {
            graph: self.graph.clone(),
            node,
            specs: store.specs(),
            table: store.origin(),
            has_store,
            is_added: AtomicBool::new(false),
        };
        if kind.stored {
            result.add_store();
        }
        KTable::new(self.graph.clone(), node, self.key.clone(), result)
    }
}

/// Inner or left, and whether the result has a store whatever happens.
#[derive(Clone, Copy)]
struct Kind {
    is_left: bool,
    stored: bool,
}

impl Kind {
    const INNER: Kind = Kind {
        is_left: false,
        stored: false,
    };
    const LEFT: Kind = Kind {
        is_left: true,
        stored: false,
    };

    fn stored(self) -> Kind {
        Kind { stored: true, ..self }
    }
}

/// A repartition topic between the sides; returns its source.
fn add_topic<K: Data, V: Data>(
    graph: &GraphRef,
    name: &str,
    key: SerdeRef<K>,
    value: SerdeRef<V>,
    partitioner: Option<Partitioner<K, V>>,
    parents: &[NodeId],
) -> NodeId {
    let sink = Arc::new(SinkSettings {
        topic: format!("{name}-repartition"),
        key: key.clone(),
        value: value.clone(),
        partitioner,
        skips_null_keys: false,
    });
    let source = Arc::new(SourceSettings {
        key,
        value,
        timestamps: TimestampExtractor::record(),
        on_error: None,
    });
    let options = RepartitionOptions {
        partitions: None,
        encoder: Some(supplier(move || EncodeSink::new(sink.clone()))),
        decoder: Some(supplier(move || DecodeSource {
            settings: source.clone(),
        })),
    };
    graph.lock().topology.add_repartition(name, options, parents)
}

/// The result of a foreign-key join, with a store as soon as somebody needs one.
struct ForeignTable<K, R> {
    graph: GraphRef,
    node: NodeId,
    specs: Vec<StoreSpec>,
    table: Arc<dyn TableOrigin<K, R>>,
    has_store: Wish,
    is_added: AtomicBool,
}

impl<K, R> ForeignTable<K, R> {
    fn add_store(&self) {
        if !self.is_added.swap(true, Ordering::Relaxed) {
            self.has_store.make();
            let mut graph = self.graph.lock();
            for spec in &self.specs {
                graph.topology.add_store(spec.clone());
                graph.topology.connect_store(self.node, &spec.name);
            }
        }
    }
}

impl<K: Data, R: Data> TableOrigin<K, R> for ForeignTable<K, R> {
    fn enable_old_values(&self, force: bool) -> bool {
        if force {
            self.add_store();
        }
        self.is_added.load(Ordering::Relaxed) && self.table.enable_old_values(force)
    }

    fn lookup(&self) -> TableLookup<K, R> {
        self.add_store();
        self.table.lookup()
    }

    fn forward_each_batch(&self) {
        self.table.forward_each_batch();
    }

    fn grace_ms(&self) -> Option<i64> {
        None
    }

    fn history_ms(&self) -> Option<i64> {
        self.table.history_ms()
    }
}
