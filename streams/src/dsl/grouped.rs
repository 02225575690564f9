//! Grouped streams and their aggregations without windows.

use std::sync::Arc;

use parking_lot::Mutex;

use super::aggregate_plan::AggregatePlan;
use super::builder::GraphRef;
use super::{GroupWindows, Grouped, KStream, KTable, Materialized};
use crate::processor::BoxError;
use crate::serde::{Data, DefaultSerde, SerdeRef};

/// A stream grouped by its key, ready to be aggregated.
///
/// The first argument of every aggregation is its **name**: it names the store, the changelog `{app}-{name}-changelog` and, where the key was
/// changed, the repartition topic. Choose it once; changing it means starting with empty state.
///
/// ```
/// # use millpond_streams::dsl::StreamsBuilder;
/// # use millpond_streams::testing::TopologyTestDriver;
/// let builder = StreamsBuilder::new();
/// let sales = builder.stream::<String, i64>("sales").group_by_key();
/// sales.count("sales-per-shop").to_stream().to("counts");
/// sales.reduce("turnover", |sum, amount| sum + amount).to_stream().to("sums");
/// sales.aggregate("largest", || 0_i64, |_, amount, largest| largest.max(*amount)).to_stream().to("largest");
/// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// # let sales = driver.input::<String, i64>("sales");
/// # driver.pipe(&sales, "a".into(), 5, 0)?;
/// # driver.pipe(&sales, "a".into(), 2, 0)?;
/// # let (counts, sums) = (driver.output::<String, u64>("counts"), driver.output::<String, i64>("sums"));
/// # assert_eq!(driver.read_values(&counts)?, [1, 2]);
/// # assert_eq!(driver.read_values(&sums)?, [5, 7]);
/// # let largest = driver.output::<String, i64>("largest");
/// # assert_eq!(driver.read_values(&largest)?, [5, 5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KGroupedStream<K, V> {
    stream: KStream<K, V>,
    grouped: Arc<Grouped<K, V>>,
    /// The stream behind the repartition topic that has a name of its own, once it was needed.
    repartitioned: Arc<Mutex<Option<KStream<K, V>>>>,
}

impl<K, V> Clone for KGroupedStream<K, V> {
    fn clone(&self) -> Self {
        KGroupedStream {
            stream: self.stream.clone(),
            grouped: self.grouped.clone(),
            repartitioned: self.repartitioned.clone(),
        }
    }
}

impl<K: Data, V: Data> KGroupedStream<K, V> {
    pub(super) fn new(stream: KStream<K, V>, grouped: Grouped<K, V>) -> Self {
        KGroupedStream {
            stream,
            grouped: Arc::new(grouped),
            repartitioned: Arc::default(),
        }
    }

    /// Groups by key and window: [`TimeWindows`](super::TimeWindows), [`SlidingWindows`](super::SlidingWindows),
    /// [`UnlimitedWindows`](super::UnlimitedWindows) or [`SessionWindows`](super::SessionWindows).
    pub fn windowed_by<W: GroupWindows<K, V>>(&self, windows: W) -> W::Windowed {
        windows.windowed(self)
    }

    /// Counts the records of each key. Null values are left out, as in Kafka Streams.
    pub fn count(&self, name: &str) -> KTable<K, u64> {
        self.count_with(name, Materialized::default())
    }

    /// As `count`, stored as told.
    pub fn count_with(&self, name: &str, materialized: Materialized<u64>) -> KTable<K, u64> {
        self.fold(name, materialized, count_one)
    }

    /// Combines the values of each key; the first value of a key stands as it is. Returning `None` deletes the entry.
    pub fn reduce<R: Into<Option<V>>>(
        &self,
        name: &str,
        reduce: impl Fn(V, &V) -> R + Send + Sync + 'static,
    ) -> KTable<K, V> {
        self.reduce_with(name, reduce, Materialized::with(self.grouped.value.clone()))
    }

    /// As `reduce`, stored as told.
    pub fn reduce_with<R: Into<Option<V>>>(
        &self,
        name: &str,
        reduce: impl Fn(V, &V) -> R + Send + Sync + 'static,
        materialized: Materialized<V>,
    ) -> KTable<K, V> {
        let update = reducing(materialized.value.clone(), reduce);
        self.fold(name, materialized, update)
    }

    /// Folds the values of each key into an aggregate of any type. Returning `None` deletes the entry; the next record starts anew.
    pub fn aggregate<A: Data + DefaultSerde, R: Into<Option<A>>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, &V, A) -> R + Send + Sync + 'static,
    ) -> KTable<K, A> {
        self.aggregate_with(name, initial, add, Materialized::default())
    }

    /// As `aggregate`, stored as told.
    pub fn aggregate_with<A: Data, R: Into<Option<A>>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, &V, A) -> R + Send + Sync + 'static,
        materialized: Materialized<A>,
    ) -> KTable<K, A> {
        self.fold(name, materialized, aggregating(initial, add))
    }

    /// As `aggregate`, with a closure that may refuse a record; the aggregate then stays as it was.
    pub fn try_aggregate<A: Data + DefaultSerde, R: Into<Option<A>>, E: Into<BoxError>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, &V, A) -> Result<R, E> + Send + Sync + 'static,
    ) -> KTable<K, A> {
        self.fold(name, Materialized::default(), try_aggregating(initial, add))
    }

    fn fold<A: Data>(
        &self,
        name: &str,
        materialized: Materialized<A>,
        update: impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> KTable<K, A> {
        self.plan(name, &materialized).add_unwindowed(true, update)
    }

    /// An aggregation of this name, to be completed with windows.
    pub(super) fn plan<'a, A>(
        &'a self,
        name: &'a str,
        materialized: &'a Materialized<A>,
    ) -> AggregatePlan<'a, K, V, A> {
        let (key, value) = self.serdes();
        let parents = vec![self.partitioned(name).node];
        AggregatePlan::new(self.graph(), parents, name, (key, value), materialized)
    }

    pub(super) fn serdes(&self) -> (SerdeRef<K>, SerdeRef<V>) {
        (self.grouped.key.clone(), self.grouped.value.clone())
    }

    /// The stream to aggregate: behind a repartition topic if the key was changed. The topic is called `name` unless the grouping has a name of its own; then
    /// all its aggregations share the topic.
    pub(super) fn partitioned(&self, name: &str) -> KStream<K, V> {
        if !self.stream.rekeyed {
            return self.stream.clone();
        }
        let through = |name: &str| self.stream.through_repartition(name, &self.grouped, true);
        match &self.grouped.name {
            None => through(name),
            Some(name) => {
                let mut known = self.repartitioned.lock();
                known.get_or_insert_with(|| through(name)).clone()
            }
        }
    }

    /// Its aggregations name a repartition topic.
    pub(super) fn names_repartition(&self) -> bool {
        self.stream.rekeyed && self.grouped.name.is_none()
    }

    pub(super) fn graph(&self) -> &GraphRef {
        &self.stream.graph
    }

    pub(super) fn materialized_values(&self) -> Materialized<V> {
        Materialized::with(self.grouped.value.clone())
    }
}

pub(super) fn count_one<K, V>(_: &K, _: &V, slot: &mut Option<u64>) -> Result<(), BoxError> {
    *slot = Some(slot.unwrap_or(0) + 1);
    Ok(())
}

/// A value that `serde` writes as null counts as none, so that the next one stands as it is again.
pub(super) fn reducing<K, V: Data, R: Into<Option<V>>>(
    serde: SerdeRef<V>,
    reduce: impl Fn(V, &V) -> R + Send + Sync + 'static,
) -> impl Fn(&K, &V, &mut Option<V>) -> Result<(), BoxError> + Send + Sync + 'static {
    move |_, value, slot| {
        let reduced = match slot.take() {
            None => Some(value.clone()),
            Some(so_far) => reduce(so_far, value).into(),
        };
        *slot = reduced.filter(|value| !serde.is_null(value));
        Ok(())
    }
}

pub(super) fn aggregating<K, V, A, R: Into<Option<A>>>(
    initial: impl Fn() -> A + Send + Sync + 'static,
    add: impl Fn(&K, &V, A) -> R + Send + Sync + 'static,
) -> impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static {
    move |key, value, slot| {
        let so_far = slot.take().unwrap_or_else(&initial);
        *slot = add(key, value, so_far).into();
        Ok(())
    }
}

pub(super) fn try_aggregating<K, V, A: Clone, R: Into<Option<A>>, E: Into<BoxError>>(
    initial: impl Fn() -> A + Send + Sync + 'static,
    add: impl Fn(&K, &V, A) -> Result<R, E> + Send + Sync + 'static,
) -> impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static {
    move |key, value, slot| {
        // A copy, because a refused record must leave the aggregate as it was.
        let so_far = slot.clone().unwrap_or_else(&initial);
        *slot = add(key, value, so_far).map_err(Into::into)?.into();
        Ok(())
    }
}
