//! Options of sources, sinks, groupings and stores: serdes other than the default, and what goes with them.

use std::time::Duration;

use millpond_log::types::Timestamp;

use super::TimestampExtractor;
use crate::config::ErrorPolicy;
use crate::serde::{DefaultSerde, SerdeRef};
use crate::topology::{TopologyBuilder, TopologyError};

/// How a topic is read.
///
/// ```
/// use millpond_streams::dsl::{Consumed, StreamsBuilder};
/// use millpond_streams::json_serde;
/// use millpond_streams::serde::{BincodeSerde, Native};
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct Order { placed_ms: i64 }
/// # json_serde!(Order);
/// use std::sync::Arc;
///
/// let builder = StreamsBuilder::new();
/// // Default serdes, time from a field:
/// builder.stream_with("orders", Consumed::<String, Order>::default().event_time(|order| Some(order.placed_ms)));
/// // Serdes by hand:
/// builder.stream_with("more-orders", Consumed::<String, Order>::with(Arc::new(Native), Arc::new(BincodeSerde)));
/// ```
pub struct Consumed<K, V> {
    pub(crate) key: SerdeRef<K>,
    pub(crate) value: SerdeRef<V>,
    pub(crate) timestamps: TimestampExtractor<K, V>,
    pub(crate) on_error: Option<ErrorPolicy>,
    pub(crate) name: Option<String>,
    pub(crate) idle_timeout: Option<Duration>,
}

impl<K, V> Consumed<K, V> {
    /// Reads with these serdes.
    pub fn with(key: SerdeRef<K>, value: SerdeRef<V>) -> Self {
        Consumed {
            key,
            value,
            timestamps: TimestampExtractor::record(),
            on_error: None,
            name: None,
            idle_timeout: None,
        }
    }

    /// Lets stream time go on with the wall clock once neither these topics nor any other input of the task had a record for `timeout`, so that windows close and
    /// stream-time punctuators and timers act although nothing arrives. Records that come after that with earlier times are late.
    ///
    /// Time goes on at the pace of the wall clock, from where the last record left it. What was done is written to the topic `{app}-{topic}-time`: a replay does the
    /// same at the same place of the input. Not in Kafka Streams.
    #[must_use]
    pub fn idle_advance(self, timeout: Duration) -> Self {
        Consumed {
            idle_timeout: Some(timeout),
            ..self
        }
    }

    /// Where event time comes from.
    #[must_use]
    pub fn timestamps(self, timestamps: TimestampExtractor<K, V>) -> Self {
        Consumed { timestamps, ..self }
    }

    /// Event time is a field of the value, in ms; `None` = no valid time, and the record is logged, counted and left out. For everything else there is
    /// [`timestamps`](Self::timestamps).
    #[must_use]
    pub fn event_time(self, field: impl Fn(&V) -> Option<Timestamp> + Send + Sync + 'static) -> Self {
        self.timestamps(TimestampExtractor::value(field))
    }

    /// What happens to records that cannot be decoded (default: as the application says, which is the dead-letter topic).
    #[must_use]
    pub fn on_error(self, policy: ErrorPolicy) -> Self {
        Consumed {
            on_error: Some(policy),
            ..self
        }
    }

    /// Name of the source node in `describe()`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Consumed {
            name: Some(name.to_owned()),
            ..self
        }
    }
}

impl<K: DefaultSerde, V: DefaultSerde> Default for Consumed<K, V> {
    fn default() -> Self {
        Consumed::with(K::default_serde(), V::default_serde())
    }
}

/// How a topic is written.
pub struct Produced<K, V> {
    pub(crate) key: SerdeRef<K>,
    pub(crate) value: SerdeRef<V>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
    pub(crate) on_error: Option<ErrorPolicy>,
    pub(crate) name: Option<String>,
}

/// Chooses partitions by key, value and the topic's partition count.
pub(crate) type Partitioner<K, V> = std::sync::Arc<dyn Fn(&K, &V, i32) -> Partitions + Send + Sync>;

/// Where a record goes within a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Partitions {
    /// By the hash of its key.
    ByKey,
    /// To this one, wrapped to the topic's count.
    One(i32),
    /// To each of these; to none: it is not written.
    Each(Vec<i32>),
}

/// A partitioner that names one partition, or leaves it to the key's hash.
fn one_partition<K, V>(choose: impl Fn(&K, &V) -> Option<i32> + Send + Sync + 'static) -> Partitioner<K, V> {
    std::sync::Arc::new(move |key, value, _| choose(key, value).map_or(Partitions::ByKey, Partitions::One))
}

/// A partitioner that knows the partition count and may name several.
fn each_partition<K, V>(
    choose: impl Fn(&K, &V, i32) -> Option<Vec<i32>> + Send + Sync + 'static,
) -> Partitioner<K, V> {
    std::sync::Arc::new(move |key, value, count| {
        choose(key, value, count).map_or(Partitions::ByKey, Partitions::Each)
    })
}

impl<K, V> Produced<K, V> {
    /// Writes with these serdes.
    pub fn with(key: SerdeRef<K>, value: SerdeRef<V>) -> Self {
        Produced {
            key,
            value,
            partitioner: None,
            on_error: None,
            name: None,
        }
    }

    /// Chooses the partition (wrapped to the topic's count); `None` leaves it to the key's hash.
    #[must_use]
    pub fn partitioner(self, choose: impl Fn(&K, &V) -> Option<i32> + Send + Sync + 'static) -> Self {
        Produced {
            partitioner: Some(one_partition(choose)),
            ..self
        }
    }

    /// Chooses partitions out of as many as the third argument says (KIP-837): several take the record each, an empty list leaves it out, `None` leaves it to
    /// the key's hash. A record for a partition that does not exist is refused.
    #[must_use]
    pub fn partitions_by(
        self,
        choose: impl Fn(&K, &V, i32) -> Option<Vec<i32>> + Send + Sync + 'static,
    ) -> Self {
        Produced {
            partitioner: Some(each_partition(choose)),
            ..self
        }
    }

    /// What happens to records that cannot be encoded, or that the topic will not take (default: as the application says).
    #[must_use]
    pub fn on_error(self, policy: ErrorPolicy) -> Self {
        Produced {
            on_error: Some(policy),
            ..self
        }
    }

    /// Name of the sink node in `describe()`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Produced {
            name: Some(name.to_owned()),
            ..self
        }
    }
}

impl<K: DefaultSerde, V: DefaultSerde> Default for Produced<K, V> {
    fn default() -> Self {
        Produced::with(K::default_serde(), V::default_serde())
    }
}

/// How records are grouped: the serdes of the repartition topic (if one is needed) and of the store's keys.
pub struct Grouped<K, V> {
    pub(crate) key: SerdeRef<K>,
    pub(crate) value: SerdeRef<V>,
    pub(crate) partitions: Option<i32>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
    pub(crate) name: Option<String>,
}

impl<K, V> Grouped<K, V> {
    /// Groups with these serdes.
    pub fn with(key: SerdeRef<K>, value: SerdeRef<V>) -> Self {
        Grouped {
            key,
            value,
            partitions: None,
            partitioner: None,
            name: None,
        }
    }

    /// Name of the repartition topic, `{app}-{name}-repartition`, shared by all aggregations of this grouping. Without one each aggregation has its own, named after
    /// it.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Grouped {
            name: Some(name.to_owned()),
            ..self
        }
    }

    /// Partitions of the repartition topic (default: as many as the tasks writing to it).
    #[must_use]
    pub fn partitions(self, partitions: i32) -> Self {
        Grouped {
            partitions: Some(partitions),
            ..self
        }
    }

    /// Chooses the partition of the repartition topic (wrapped to its count); `None` leaves it to the key's hash. Equal keys must go to equal partitions where
    /// something is kept per key.
    #[must_use]
    pub fn partitioner(self, choose: impl Fn(&K, &V) -> Option<i32> + Send + Sync + 'static) -> Self {
        Grouped {
            partitioner: Some(one_partition(choose)),
            ..self
        }
    }
}

impl<K: DefaultSerde, V: DefaultSerde> Default for Grouped<K, V> {
    fn default() -> Self {
        Grouped::with(K::default_serde(), V::default_serde())
    }
}

/// How a table or an aggregate is stored. Its name is the operator's name.
pub struct Materialized<A> {
    pub(crate) value: SerdeRef<A>,
    pub(crate) retention: Option<Duration>,
    pub(crate) logged: bool,
    pub(crate) emit_every_update: Option<bool>,
    pub(crate) history: Option<Duration>,
}

impl<A> Materialized<A> {
    /// Stores values with this serde.
    pub fn with(value: SerdeRef<A>) -> Self {
        Materialized {
            value,
            retention: None,
            logged: true,
            emit_every_update: None,
            history: None,
        }
    }

    /// Keeps the past of a table without windows: what its entries were at any time of the last `retention`, in stream time (KIP-889, KIP-914).
    ///
    /// Then timestamps decide what is latest, not offsets: an older record takes its place in the past and changes nothing now; `to_stream` shows it all the
    /// same, while joins of tables and groupings leave it out. One older than the retention is dropped and counted as late. Joins of streams with such a table read
    /// what it was at the record's time. The past is kept in a store of its own, `{name}-history`. Changes are forwarded at once, never one per commit.
    /// Updates of such a table cannot be held back by [`suppress`](super::KTable::suppress).
    ///
    /// ```
    /// use std::time::Duration;
    /// use millpond_streams::dsl::{Consumed, Joined, Materialized, StreamsBuilder};
    /// # use millpond_streams::testing::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let versioned = Materialized::default().versioned(Duration::from_secs(3600));
    /// let prices = builder.table_with::<String, i64>("prices", "prices", Consumed::default(), versioned);
    /// builder
    ///     .stream::<String, i64>("orders")
    ///     .join_table(&prices, |pieces, price| pieces * price, Joined::named("amounts"))
    ///     .to("amounts");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let (prices, orders) = (driver.input::<String, i64>("prices"), driver.input::<String, i64>("orders"));
    /// driver.pipe(&prices, "lamp".into(), 10, 0)?;
    /// driver.pipe(&prices, "lamp".into(), 12, 1_000)?;
    /// driver.pipe(&orders, "lamp".into(), 3, 500)?; // the price of then
    /// driver.pipe(&orders, "lamp".into(), 3, 1_500)?;
    /// let amounts = driver.output::<String, i64>("amounts");
    /// assert_eq!(driver.read_values(&amounts)?, [30, 36]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn versioned(self, retention: Duration) -> Self {
        Materialized {
            history: Some(retention),
            ..self
        }
    }

    /// How long windows are kept after their start (default and minimum: size plus grace).
    #[must_use]
    pub fn retention(self, retention: Duration) -> Self {
        Materialized {
            retention: Some(retention),
            ..self
        }
    }

    /// No changelog topic: the state does not survive the loss of its disk, nor a crash before it was flushed.
    #[must_use]
    pub fn without_changelog(self) -> Self {
        Materialized {
            logged: false,
            ..self
        }
    }

    /// Forward every update (true) or one per key and commit (false), whatever the application says.
    #[must_use]
    pub fn emit_every_update(self, every: bool) -> Self {
        Materialized {
            emit_every_update: Some(every),
            ..self
        }
    }
}

impl<A> Materialized<A> {
    /// For how long versions are to be kept, in ms.
    pub(crate) fn history_ms(&self) -> Option<i64> {
        let history = self.history?;
        Some(i64::try_from(history.as_millis()).unwrap_or(i64::MAX / 4))
    }

    /// For operators that cannot keep a past: reports the wish as a mistake.
    pub(crate) fn refuse_history(&self, node: &str, topology: &mut TopologyBuilder) {
        if self.history.is_some() {
            topology.report(TopologyError::InvalidOperator {
                node: node.to_owned(),
                reason: "tables of windows cannot be versioned".to_owned(),
            });
        }
    }
}

impl<A: DefaultSerde> Default for Materialized<A> {
    fn default() -> Self {
        Materialized::with(A::default_serde())
    }
}
