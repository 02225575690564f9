//! Grouped streams in sessions.

use std::sync::Arc;

use super::aggregate_plan::AggregatePlan;
use super::grouped::{aggregating, count_one, reducing, try_aggregating};
use super::late_records::LateWishes;
use super::operators::spans::session::SessionRule;
use super::{
    EmitStrategy, KGroupedStream, KStream, KTable, LateRecord, Materialized, SessionWindowedSerde,
    SessionWindows, Windowed,
};
use crate::processor::BoxError;
use crate::serde::{Data, DefaultSerde};

/// A stream grouped by key and session, ready to be aggregated.
///
/// When a record joins sessions, those are removed (`None` on the table's stream) and the merged one is added. Results carry the session's end as their
/// timestamp. To write them to a topic with their bounds, use [`SessionWindowedSerde`] for the keys.
///
/// ```
/// use std::time::Duration;
/// # use millpond_streams::dsl::{SessionWindows, StreamsBuilder};
/// # use millpond_streams::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<String, i64>("positions")
///     .group_by_key()
///     .windowed_by(SessionWindows::with_inactivity_gap(Duration::from_secs(60)).grace(Duration::from_secs(60)))
///     .count("flights")
///     .to_stream()
///     .map(|flight, count| {
///         let window = flight.window;
///         (flight.key, format!("{}-{}: {count:?}", window.start_ms, window.end_ms))
///     })
///     .to("flights");
/// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// let (input, output) = (driver.input::<String, i64>("positions"), driver.output::<String, String>("flights"));
/// for ts in [0, 90_000, 45_000] {
///     driver.pipe(&input, "a1b2c3".to_owned(), 1, ts)?;
/// }
/// assert_eq!(
///     driver.read_values(&output)?,
///     ["0-0: Some(1)", "90000-90000: Some(1)", "0-0: None", "90000-90000: None", "0-90000: Some(3)"]
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SessionWindowedKStream<K, V> {
    grouped: KGroupedStream<K, V>,
    windows: SessionWindows,
    emit: EmitStrategy,
    late: LateWishes<K, V>,
}

impl<K: Data, V: Data> SessionWindowedKStream<K, V> {
    pub(super) fn new(grouped: KGroupedStream<K, V>, windows: SessionWindows) -> Self {
        SessionWindowedKStream {
            grouped,
            windows,
            emit: EmitStrategy::default(),
            late: LateWishes::default(),
        }
    }

    /// When results are forwarded.
    #[must_use]
    pub fn emit_strategy(self, emit: EmitStrategy) -> Self {
        SessionWindowedKStream { emit, ..self }
    }

    /// Called for every record that is dropped because its session was closed. Such records are counted in any case.
    #[must_use]
    pub fn on_late(self, hook: impl Fn(LateRecord<'_, K, V>) + Send + Sync + 'static) -> Self {
        SessionWindowedKStream {
            late: self.late.with_hook(hook),
            ..self
        }
    }

    /// Late records as a stream, keyed by the session they would have made: `use_it` is given that of each aggregation made from here.
    #[must_use]
    pub fn with_late(self, use_it: impl Fn(KStream<Windowed<K>, V>) + Send + Sync + 'static) -> Self {
        SessionWindowedKStream {
            late: self.late.with_stream(use_it),
            ..self
        }
    }

    /// Counts the records of each session.
    pub fn count(&self, name: &str) -> KTable<Windowed<K>, u64> {
        self.count_with(name, Materialized::default())
    }

    /// As `count`, stored as told.
    pub fn count_with(&self, name: &str, materialized: Materialized<u64>) -> KTable<Windowed<K>, u64> {
        let merge = |_: &K, so_far: Option<u64>, next: u64| Some(so_far.unwrap_or(0) + next);
        self.fold(name, &materialized, count_one, merge, false)
    }

    /// Combines the values of each session, and the sessions that meet; the first value stands as it is. Returning `None` deletes the session.
    pub fn reduce<R: Into<Option<V>>>(
        &self,
        name: &str,
        reduce: impl Fn(V, &V) -> R + Clone + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, V> {
        self.reduce_with(name, reduce, self.grouped.materialized_values())
    }

    /// As `reduce`, stored as told.
    pub fn reduce_with<R: Into<Option<V>>>(
        &self,
        name: &str,
        reduce: impl Fn(V, &V) -> R + Clone + Send + Sync + 'static,
        materialized: Materialized<V>,
    ) -> KTable<Windowed<K>, V> {
        let joined = reduce.clone();
        let merge = move |_: &K, so_far: Option<V>, next: V| match so_far {
            None => Some(next),
            Some(so_far) => joined(so_far, &next).into(),
        };
        let update = reducing(materialized.value.clone(), reduce);
        self.fold(name, &materialized, update, merge, false)
    }

    /// Folds the values of each session into an aggregate of any type; `merge` joins the aggregates of sessions that meet. A fold begins with `initial`, also
    /// that over the sessions a record meets. Returning `None` deletes the session.
    pub fn aggregate<A: Data + DefaultSerde, R: Into<Option<A>>, M: Into<Option<A>>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Clone + Send + Sync + 'static,
        add: impl Fn(&K, &V, A) -> R + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> M + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        self.aggregate_with(name, initial, add, merge, Materialized::default())
    }

    /// As `aggregate`, stored as told.
    pub fn aggregate_with<A: Data, R: Into<Option<A>>, M: Into<Option<A>>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Clone + Send + Sync + 'static,
        add: impl Fn(&K, &V, A) -> R + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> M + Send + Sync + 'static,
        materialized: Materialized<A>,
    ) -> KTable<Windowed<K>, A> {
        let merge = merging(initial.clone(), merge);
        self.fold(name, &materialized, aggregating(initial, add), merge, false)
    }

    /// As `aggregate`, with a closure that may refuse a record; the sessions then stay as they were.
    pub fn try_aggregate<A, R, E, M>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Clone + Send + Sync + 'static,
        add: impl Fn(&K, &V, A) -> Result<R, E> + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> M + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A>
    where
        A: Data + DefaultSerde,
        R: Into<Option<A>>,
        E: Into<BoxError>,
        M: Into<Option<A>>,
    {
        let merge = merging(initial.clone(), merge);
        let update = try_aggregating(initial, add);
        self.fold(name, &Materialized::default(), update, merge, true)
    }

    fn fold<A: Data>(
        &self,
        name: &str,
        materialized: &Materialized<A>,
        update: impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
        merge: impl Fn(&K, Option<A>, A) -> Option<A> + Send + Sync + 'static,
        fallible: bool,
    ) -> KTable<Windowed<K>, A> {
        let mut plan = self.grouped.plan(name, materialized);
        (plan.emit, plan.late) = (self.emit, self.late.clone());
        fold_sessions(self.windows, plan, update, merge, fallible)
    }
}

/// Adds an aggregation into sessions.
pub(super) fn fold_sessions<K: Data, V: Data, A: Data>(
    windows: SessionWindows,
    plan: AggregatePlan<'_, K, V, A>,
    update: impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
    merge: impl Fn(&K, Option<A>, A) -> Option<A> + Send + Sync + 'static,
    fallible: bool,
) -> KTable<Windowed<K>, A> {
    let retention_ms = plan.retention_ms(windows.shortest_retention_ms(), "inactivity gap plus grace");
    let out_key = Arc::new(SessionWindowedSerde::new(plan.key.clone()));
    let rule = SessionRule {
        windows,
        retention_ms,
        update,
        merge,
        fallible,
    };
    plan.add_spans(rule, out_key)
}

/// Joins a session with what was merged so far, which begins with `initial`.
pub(super) fn merging<K, A, M: Into<Option<A>>>(
    initial: impl Fn() -> A + Send + Sync + 'static,
    merge: impl Fn(&K, A, A) -> M + Send + Sync + 'static,
) -> impl Fn(&K, Option<A>, A) -> Option<A> + Send + Sync + 'static {
    move |key, so_far, next| merge(key, so_far.unwrap_or_else(&initial), next).into()
}
