//! `KStream`: a stream of records, and what can be done with it record by record.
//!
//! Names of nodes here are counted as in Kafka Streams and identify nothing: state and internal topics are named by the user (`grouped.rs`).

use std::marker::PhantomData;
use std::sync::Arc;

use super::builder::{GraphRef, supplier};
use super::operators::sink::{EncodeSink, SinkSettings};
use super::operators::source::{DecodeSource, SourceSettings};
use super::operators::stateless::{BatchFn, MapBatch, PassThrough};
use super::row::Row;
use super::table_origin::Wish;
use super::{Grouped, KGroupedStream, Produced, SplitStream, TimestampExtractor};
use crate::processor::{BoxError, ProcessContext, ProcessError};
use crate::serde::{Data, DefaultSerde};
use crate::topology::{NodeId, RepartitionOptions, SinkOptions, TopologyError};

/// A stream of records with keys `K` and values `V`. Cheap to clone; using it twice sends every record both ways.
///
/// Null is a matter of type: `KStream<Option<K>, V>` may have null keys, `KStream<K, Option<V>>` null values; other types never see one.
///
/// The closures of the plain operators cannot fail. The `try_` variants take closures that return `Result`; what happens to a
/// record that is refused is the application's [`ErrorPolicy`](crate::config::ErrorPolicy): dead letter (default), skip or fail.
pub struct KStream<K, V> {
    pub(super) graph: GraphRef,
    pub(super) node: NodeId,
    /// The key may have changed since the topic was read, so grouping needs a repartition.
    pub(super) rekeyed: bool,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for KStream<K, V> {
    fn clone(&self) -> Self {
        KStream {
            graph: self.graph.clone(),
            node: self.node,
            rekeyed: self.rekeyed,
            types: PhantomData,
        }
    }
}

impl<K: Data, V: Data> KStream<K, V> {
    pub(super) fn new(graph: GraphRef, node: NodeId, rekeyed: bool) -> KStream<K, V> {
        KStream {
            graph,
            node,
            rekeyed,
            types: PhantomData,
        }
    }

    /// Adds a node that works on whole batches.
    pub(super) fn add<K2: Data, V2: Data>(
        &self,
        prefix: &str,
        rekeyed: bool,
        apply: impl Fn(Vec<Row<K, V>>, &mut ProcessContext<'_>) -> Result<Vec<Row<K2, V2>>, ProcessError>
        + Send
        + Sync
        + 'static,
    ) -> KStream<K2, V2> {
        let apply: BatchFn<K, V, K2, V2> = Arc::new(apply);
        let mut graph = self.graph.lock();
        let name = graph.new_name(prefix);
        let make = supplier(move || MapBatch { apply: apply.clone() });
        let node = graph.topology.add_processor(&name, make, &[self.node], &[]);
        KStream::new(self.graph.clone(), node, self.rekeyed || rekeyed)
    }

    /// New key and value for every record. A later grouping goes through a repartition topic, because the key may have changed.
    ///
    /// ```
    /// # use millpond_streams::dsl::StreamsBuilder;
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("sales")
    ///     .map(|shop, amount| (shop.to_uppercase(), amount * 2))
    ///     .filter(|_, amount| *amount > 10)
    ///     .to("doubled");
    /// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let (sales, doubled) = (driver.input::<String, i64>("sales"), driver.output::<String, i64>("doubled"));
    /// # driver.pipe(&sales, "a".into(), 5, 0)?;
    /// # driver.pipe(&sales, "b".into(), 6, 0)?;
    /// # assert_eq!(driver.read_pairs(&doubled)?, [("B".to_owned(), 12)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map<K2: Data, V2: Data>(
        &self,
        map: impl Fn(K, V) -> (K2, V2) + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.add("KSTREAM-MAP", true, move |rows, _| {
            Ok(rows.into_iter().map(|row| row.with_pair(&map)).collect())
        })
    }

    /// New value for every record.
    ///
    /// ```
    /// # use millpond_streams::dsl::StreamsBuilder;
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("lines").flat_map_values(|line| {
    ///     line.split(' ').map(str::to_owned).collect::<Vec<_>>()
    /// });
    /// words.map_values(|word| word.len() as u64).to("lengths");
    /// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let (lines, lengths) = (driver.input::<String, String>("lines"), driver.output::<String, u64>("lengths"));
    /// # driver.pipe(&lines, "k".into(), "to be or".into(), 0)?;
    /// # assert_eq!(driver.read_values(&lengths)?, [2, 2, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_values<V2: Data>(&self, map: impl Fn(V) -> V2 + Send + Sync + 'static) -> KStream<K, V2> {
        self.add("KSTREAM-MAPVALUES", false, move |rows, _| {
            Ok(rows.into_iter().map(|row| row.with_value(&map)).collect())
        })
    }

    /// New value for every record, made from key and value.
    pub fn map_values_with_key<V2: Data>(
        &self,
        map: impl Fn(&K, V) -> V2 + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.add("KSTREAM-MAPVALUES", false, move |rows, _| {
            let with_key = |row: Row<K, V>| {
                row.with_pair(|key, value| {
                    let value = map(&key, value);
                    (key, value)
                })
            };
            Ok(rows.into_iter().map(with_key).collect())
        })
    }

    /// Any number of records for each. A later grouping goes through a repartition topic.
    pub fn flat_map<K2: Data, V2: Data, I: IntoIterator<Item = (K2, V2)>>(
        &self,
        map: impl Fn(K, V) -> I + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.add("KSTREAM-FLATMAP", true, move |rows, _| {
            let mut out = Vec::with_capacity(rows.len());
            for row in rows {
                let (key, value, rest) = row.into_parts();
                out.extend(rest.with_each(map(key, value)));
            }
            Ok(out)
        })
    }

    /// Any number of values for each record, under its key.
    pub fn flat_map_values<V2: Data, I: IntoIterator<Item = V2>>(
        &self,
        map: impl Fn(V) -> I + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.add("KSTREAM-FLATMAPVALUES", false, move |rows, _| {
            let mut out = Vec::with_capacity(rows.len());
            for row in rows {
                let (key, value, rest) = row.into_parts();
                let values = map(value).into_iter();
                out.extend(rest.with_each(values.map(|value| (key.clone(), value))));
            }
            Ok(out)
        })
    }

    /// Keeps the records the predicate takes.
    pub fn filter(&self, takes: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KStream<K, V> {
        self.add("KSTREAM-FILTER", false, move |mut rows, _| {
            rows.retain(|row| takes(&row.key, &row.value));
            Ok(rows)
        })
    }

    /// Drops the records the predicate takes.
    pub fn filter_not(&self, drops: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KStream<K, V> {
        self.filter(move |key, value| !drops(key, value))
    }

    /// A new key for every record. A later grouping goes through a repartition topic.
    pub fn select_key<K2: Data>(
        &self,
        select: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
    ) -> KStream<K2, V> {
        self.add("KSTREAM-KEY-SELECT", true, move |rows, _| {
            let with_key = |row: Row<K, V>| row.with_pair(|key, value| (select(&key, &value), value));
            Ok(rows.into_iter().map(with_key).collect())
        })
    }

    /// Looks at every record and hands it on. What the closure does may happen again after a crash: it is outside the transaction.
    pub fn peek(&self, look: impl Fn(&K, &V) + Send + Sync + 'static) -> KStream<K, V> {
        self.add("KSTREAM-PEEK", false, move |rows, _| {
            rows.iter().for_each(|row| look(&row.key, &row.value));
            Ok(rows)
        })
    }

    /// Ends the stream in a closure. What it does may happen again after a crash: it is outside the transaction.
    pub fn for_each(&self, act: impl Fn(&K, &V) + Send + Sync + 'static) {
        self.add::<K, V>("KSTREAM-FOREACH", false, move |rows, _| {
            rows.iter().for_each(|row| act(&row.key, &row.value));
            Ok(Vec::new())
        });
    }

    /// As [`map`](Self::map), with a closure that may refuse a record.
    pub fn try_map<K2: Data, V2: Data, E: Into<BoxError>>(
        &self,
        map: impl Fn(K, V) -> Result<(K2, V2), E> + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.add("KSTREAM-MAP", true, move |rows, context| {
            try_each(rows, context, &map)
        })
    }

    /// As [`map_values`](Self::map_values), with a closure that may refuse a record.
    ///
    /// ```
    /// # use millpond_streams::dsl::StreamsBuilder;
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("texts").try_map_values(|text| text.parse::<i64>()).to("numbers");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let (texts, numbers) = (driver.input::<String, String>("texts"), driver.output::<String, i64>("numbers"));
    /// driver.pipe(&texts, "k".to_owned(), "12".to_owned(), 0)?;
    /// driver.pipe(&texts, "k".to_owned(), "twelve".to_owned(), 0)?;
    /// assert_eq!(driver.read_values(&numbers)?, [12]);
    /// let dead = driver.dead_letters();
    /// assert_eq!(dead[0].value.as_deref(), Some(&b"twelve"[..]));
    /// assert_eq!(dead[0].headers.get("__streams.errors.message"), Some(&b"invalid digit found in string"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_map_values<V2: Data, E: Into<BoxError>>(
        &self,
        map: impl Fn(V) -> Result<V2, E> + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.add("KSTREAM-MAPVALUES", false, move |rows, context| {
            try_each(rows, context, &|key, value| Ok::<_, E>((key, map(value)?)))
        })
    }

    /// As [`filter`](Self::filter), with a predicate that may refuse a record.
    pub fn try_filter<E: Into<BoxError>>(
        &self,
        takes: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
    ) -> KStream<K, V> {
        self.add("KSTREAM-FILTER", false, move |rows, context| {
            let mut out = Vec::with_capacity(rows.len());
            for row in rows {
                match takes(&row.key, &row.value) {
                    Ok(true) => out.push(row),
                    Ok(false) => {}
                    Err(cause) => context.refuse(None, row.offset, row.timestamp, cause.into())?,
                }
            }
            Ok(out)
        })
    }

    /// As [`flat_map`](Self::flat_map), with a closure that may refuse a record.
    pub fn try_flat_map<K2: Data, V2: Data, I: IntoIterator<Item = (K2, V2)>, E: Into<BoxError>>(
        &self,
        map: impl Fn(K, V) -> Result<I, E> + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.add("KSTREAM-FLATMAP", true, move |rows, context| {
            let mut out = Vec::with_capacity(rows.len());
            for row in rows {
                let (key, value, rest) = row.into_parts();
                let (offset, timestamp) = (rest.offset, rest.timestamp);
                match map(key, value) {
                    Ok(pairs) => out.extend(rest.with_each(pairs)),
                    Err(cause) => context.refuse(None, offset, timestamp, cause.into())?,
                }
            }
            Ok(out)
        })
    }

    /// Begins a split into named branches; each record goes to the first branch whose predicate takes it.
    ///
    /// ```
    /// # use millpond_streams::dsl::StreamsBuilder;
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// let split = builder.stream::<String, i64>("delays").split("by-delay");
    /// split.branch("late", |_, minutes| *minutes > 15).to("late");
    /// split.default_branch("on-time").to("on-time");
    /// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let delays = driver.input::<String, i64>("delays");
    /// # let (late, on_time) = (driver.output::<String, i64>("late"), driver.output::<String, i64>("on-time"));
    /// # driver.pipe(&delays, "UA".into(), 20, 0)?;
    /// # driver.pipe(&delays, "UA".into(), 2, 0)?;
    /// # assert_eq!((driver.read_values(&late)?, driver.read_values(&on_time)?), (vec![20], vec![2]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split(&self, name: &str) -> SplitStream<K, V> {
        SplitStream::new(self, name)
    }

    /// Both streams as one. Records of one topic keep their order, also when they come in different ways; between topics there is none.
    pub fn merge(&self, other: &KStream<K, V>) -> KStream<K, V> {
        let same = Arc::ptr_eq(&self.graph, &other.graph);
        let mut graph = self.graph.lock();
        let name = graph.new_name("KSTREAM-MERGE");
        let mut parents = vec![self.node];
        if same {
            parents.push(other.node);
        } else {
            let reason = "the merged streams belong to different builders".to_owned();
            graph.topology.report(TopologyError::InvalidOperator {
                node: name.clone(),
                reason,
            });
        }
        let node = graph
            .topology
            .add_processor(&name, supplier(|| PassThrough), &parents, &[]);
        KStream::new(self.graph.clone(), node, self.rekeyed || other.rekeyed)
    }

    /// Writes the stream to a topic, with the types' default serdes.
    pub fn to(&self, topic: &str)
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        self.to_with(topic, Produced::default());
    }

    /// Writes the stream to a topic as told.
    pub fn to_with(&self, topic: &str, produced: Produced<K, V>) {
        let Produced {
            key,
            value,
            partitioner,
            on_error,
            name,
        } = produced;
        let settings = SinkSettings {
            topic: topic.to_owned(),
            key,
            value,
            partitioner,
            skips_null_keys: false,
        };
        let settings = Arc::new(settings);
        let encoder = supplier(move || EncodeSink::new(settings.clone()));
        let mut graph = self.graph.lock();
        let name = name.unwrap_or_else(|| graph.new_name("KSTREAM-SINK"));
        let node = graph.topology.add_sink(
            &name,
            topic,
            SinkOptions {
                encoder: Some(encoder),
            },
            &[self.node],
        );
        if let Some(policy) = on_error {
            graph.topology.on_error(node, policy);
        }
    }

    /// Sends the stream through the topic `{app}-{name}-repartition`, partitioned by key: what follows runs in tasks of its own. Records with a null key are
    /// skipped and counted, unless a left or outer join further down has results for them (KIP-962).
    ///
    /// ```
    /// # use millpond_streams::dsl::StreamsBuilder;
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<(), String>("words").select_key(|_, word| word.clone()).repartition("by-word").to("spread");
    /// let topology = builder.build()?;
    /// assert_eq!(topology.sub_topologies().len(), 2);
    /// # let mut driver = TopologyTestDriver::new(&topology)?;
    /// # let (words, spread) = (driver.input::<(), String>("words"), driver.output::<String, String>("spread"));
    /// # driver.pipe(&words, (), "a".into(), 0)?;
    /// # assert_eq!(driver.read_pairs(&spread)?, [("a".to_owned(), "a".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn repartition(&self, name: &str) -> KStream<K, V>
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        self.repartition_with(name, Grouped::default())
    }

    /// As `repartition`, with serdes and partition count as told.
    pub fn repartition_with(&self, name: &str, grouped: Grouped<K, V>) -> KStream<K, V> {
        self.through_repartition(name, &grouped, true)
    }

    pub(super) fn through_repartition(
        &self,
        name: &str,
        grouped: &Grouped<K, V>,
        skips_null_keys: bool,
    ) -> KStream<K, V> {
        let (key, value) = (grouped.key.clone(), grouped.value.clone());
        let sink = Arc::new(SinkSettings {
            topic: format!("{name}-repartition"),
            key: key.clone(),
            value: value.clone(),
            partitioner: grouped.partitioner.clone(),
            skips_null_keys,
        });
        let keeps = Wish::default();
        let keeps_null_keys = keeps.clone();
        let timestamps = TimestampExtractor::record();
        let source = Arc::new(SourceSettings {
            key,
            value,
            timestamps,
            on_error: None,
        });
        let options = RepartitionOptions {
            partitions: grouped.partitions,
            encoder: Some(supplier(move || {
                EncodeSink::new(sink.clone()).keeping_null_keys(keeps_null_keys.clone())
            })),
            decoder: Some(supplier(move || DecodeSource {
                settings: source.clone(),
            })),
        };
        let mut graph = self.graph.lock();
        let node = graph.topology.add_repartition(name, options, &[self.node]);
        graph.repartitions.insert(node.0, (keeps, self.node));
        drop(graph);
        KStream::new(self.graph.clone(), node, false)
    }

    /// Groups by the key as it is. A repartition topic is used only if the key was changed since the topic was read.
    pub fn group_by_key(&self) -> KGroupedStream<K, V>
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        self.group_by_key_with(Grouped::default())
    }

    /// As `group_by_key`, with serdes as told.
    pub fn group_by_key_with(&self, grouped: Grouped<K, V>) -> KGroupedStream<K, V> {
        KGroupedStream::new(self.clone(), grouped)
    }

    /// Groups by a new key, through a repartition topic named after the aggregation that follows.
    pub fn group_by<K2: Data + DefaultSerde>(
        &self,
        select: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
    ) -> KGroupedStream<K2, V>
    where
        V: DefaultSerde,
    {
        self.select_key(select).group_by_key()
    }

    /// As `group_by`, with serdes as told.
    pub fn group_by_with<K2: Data>(
        &self,
        select: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
        grouped: Grouped<K2, V>,
    ) -> KGroupedStream<K2, V> {
        self.select_key(select).group_by_key_with(grouped)
    }
}

/// Applies a fallible closure to every row; refused rows follow the policy.
fn try_each<K: Data, V: Data, K2: Data, V2: Data, E: Into<BoxError>>(
    rows: Vec<Row<K, V>>,
    context: &mut ProcessContext<'_>,
    map: &impl Fn(K, V) -> Result<(K2, V2), E>,
) -> Result<Vec<Row<K2, V2>>, ProcessError> {
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let (key, value, rest) = row.into_parts();
        match map(key, value) {
            Ok((key, value)) => out.push(rest.with(key, value)),
            Err(cause) => context.refuse(None, rest.offset, rest.timestamp, cause.into())?,
        }
    }
    Ok(out)
}
