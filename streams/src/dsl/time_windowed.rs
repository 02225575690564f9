//! Grouped streams in windows by time: tumbling, hopping, sliding, unlimited.

use super::grouped::{aggregating, count_one, reducing, try_aggregating};
use super::late_records::LateWishes;
use super::window_fold::FoldWindows;
use super::{EmitStrategy, KGroupedStream, KStream, KTable, LateRecord, Materialized, TimeWindows, Windowed};
use crate::processor::BoxError;
use crate::serde::{Data, DefaultSerde};

/// A stream grouped by key and window by time, ready to be aggregated.
///
/// ```
/// use std::time::Duration;
/// # use millpond_streams::dsl::{StreamsBuilder, TimeWindows};
/// # use millpond_streams::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<String, i64>("departures")
///     .group_by_key()
///     .windowed_by(TimeWindows::of(Duration::from_secs(60)).grace(Duration::from_secs(10)))
///     .on_late(|late| eprintln!("{} came too late for {:?}", late.key, late.window))
///     .count("departures-per-minute")
///     .updates()
///     .map(|windowed, count| (windowed.key, format!("{}: {count}", windowed.window.start_ms)))
///     .to("per-minute");
/// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// let (input, output) = (driver.input::<String, i64>("departures"), driver.output::<String, String>("per-minute"));
/// for ts in [1_000, 59_000, 60_000, 2_000, 70_000, 3_000] {
///     driver.pipe(&input, "JFK".to_owned(), 1, ts)?;
/// }
/// // The last one is late: stream time 70 s has reached the first window's end plus its grace.
/// assert_eq!(driver.read_values(&output)?, ["0: 1", "0: 2", "60000: 1", "0: 3", "60000: 2"]);
/// assert_eq!(driver.counters().late, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TimeWindowedKStream<K, V, W = TimeWindows> {
    grouped: KGroupedStream<K, V>,
    windows: W,
    emit: EmitStrategy,
    late: LateWishes<K, V>,
}

impl<K: Data, V: Data, W: FoldWindows> TimeWindowedKStream<K, V, W> {
    pub(super) fn new(grouped: KGroupedStream<K, V>, windows: W) -> Self {
        TimeWindowedKStream {
            grouped,
            windows,
            emit: EmitStrategy::default(),
            late: LateWishes::default(),
        }
    }

    /// When results are forwarded.
    #[must_use]
    pub fn emit_strategy(self, emit: EmitStrategy) -> Self {
        TimeWindowedKStream { emit, ..self }
    }

    /// Called for every record and window that is dropped because it came after the window's grace. Such records are counted in any case.
    #[must_use]
    pub fn on_late(self, hook: impl Fn(LateRecord<'_, K, V>) + Send + Sync + 'static) -> Self {
        let late = self.late.with_hook(hook);
        TimeWindowedKStream { late, ..self }
    }

    /// Late records as a stream, one for each window missed and keyed by it: `use_it` is given that of each aggregation made from here.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millpond_streams::dsl::{StreamsBuilder, TimeWindows};
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("departures")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(Duration::from_secs(60)))
    ///     .with_late(|late| late.map(|missed, value| (missed.key, value)).to("too-late"))
    ///     .count("departures-per-minute");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let (input, late) = (driver.input::<String, i64>("departures"), driver.output::<String, i64>("too-late"));
    /// driver.pipe(&input, "JFK".to_owned(), 1, 60_000)?;
    /// driver.pipe(&input, "JFK".to_owned(), 2, 59_999)?;
    /// assert_eq!(driver.read_values(&late)?, [2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_late(self, use_it: impl Fn(KStream<Windowed<K>, V>) + Send + Sync + 'static) -> Self {
        let late = self.late.with_stream(use_it);
        TimeWindowedKStream { late, ..self }
    }

    /// Counts the records of each key and window.
    pub fn count(&self, name: &str) -> KTable<Windowed<K>, u64> {
        self.count_with(name, Materialized::default())
    }

    /// As `count`, stored as told.
    pub fn count_with(&self, name: &str, materialized: Materialized<u64>) -> KTable<Windowed<K>, u64> {
        self.fold(name, materialized, count_one)
    }

    /// Combines the values of each key and window; the first stands as it is. Returning `None` deletes the entry.
    pub fn reduce<R: Into<Option<V>>>(
        &self,
        name: &str,
        reduce: impl Fn(V, &V) -> R + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, V> {
        self.reduce_with(name, reduce, self.grouped.materialized_values())
    }

    /// As `reduce`, stored as told.
    pub fn reduce_with<R: Into<Option<V>>>(
        &self,
        name: &str,
        reduce: impl Fn(V, &V) -> R + Send + Sync + 'static,
        materialized: Materialized<V>,
    ) -> KTable<Windowed<K>, V> {
        let update = reducing(materialized.value.clone(), reduce);
        self.fold(name, materialized, update)
    }

    /// Folds the values of each key and window into an aggregate of any type. Returning `None` deletes the entry.
    pub fn aggregate<A: Data + DefaultSerde, R: Into<Option<A>>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, &V, A) -> R + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        self.aggregate_with(name, initial, add, Materialized::default())
    }

    /// As `aggregate`, stored as told.
    pub fn aggregate_with<A: Data, R: Into<Option<A>>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, &V, A) -> R + Send + Sync + 'static,
        materialized: Materialized<A>,
    ) -> KTable<Windowed<K>, A> {
        self.fold(name, materialized, aggregating(initial, add))
    }

    /// As `aggregate`, with a closure that may refuse a record; the aggregate then stays as it was.
    pub fn try_aggregate<A: Data + DefaultSerde, R: Into<Option<A>>, E: Into<BoxError>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, &V, A) -> Result<R, E> + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        self.fold(name, Materialized::default(), try_aggregating(initial, add))
    }

    fn fold<A: Data>(
        &self,
        name: &str,
        materialized: Materialized<A>,
        update: impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        let mut plan = self.grouped.plan(name, &materialized);
        (plan.emit, plan.late) = (self.emit, self.late.clone());
        self.windows.fold(plan, update)
    }
}
