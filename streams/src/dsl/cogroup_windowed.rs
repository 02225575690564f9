//! Cogrouped streams in windows.

use super::cogrouped::{CogroupedKStream, CogroupedValue, folding};
use super::late_records::LateWishes;
use super::session_windowed::{fold_sessions, merging};
use super::window_fold::FoldWindows;
use super::{EmitStrategy, KStream, KTable, LateRecord, Materialized, SessionWindows, Windowed};
use crate::serde::{Data, DefaultSerde};

/// A kind of windows for cogrouped streams.
pub trait CogroupWindows<K, A> {
    /// The windowed streams.
    type Windowed;

    /// Groups by key and window. Called by [`CogroupedKStream::windowed_by`].
    fn windowed(self, cogrouped: &CogroupedKStream<K, A>) -> Self::Windowed;
}

/// Cogrouped streams in windows by time: tumbling, hopping, sliding, unlimited.
///
/// ```
/// use std::time::Duration;
/// # use millpond_streams::dsl::{StreamsBuilder, TimeWindows};
/// # use millpond_streams::testing::TopologyTestDriver;
/// let builder = StreamsBuilder::new();
/// let departures = builder.stream::<String, i64>("departures").group_by_key();
/// let arrivals = builder.stream::<String, String>("arrivals").group_by_key();
/// departures
///     .cogroup(|_, _, balance: i64| balance - 1)
///     .cogroup(&arrivals, |_, _, balance: i64| balance + 1)
///     .windowed_by(TimeWindows::of(Duration::from_secs(60)))
///     .aggregate("balance-per-minute", || 0_i64)
///     .updates()
///     .map(|windowed, balance| (windowed.key, balance))
///     .to("balance");
/// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// let (out, back) = (driver.input::<String, i64>("departures"), driver.input::<String, String>("arrivals"));
/// driver.pipe(&out, "JFK".to_owned(), 1, 0)?;
/// driver.pipe(&back, "JFK".to_owned(), "UA1".to_owned(), 1_000)?;
/// driver.pipe(&back, "JFK".to_owned(), "UA2".to_owned(), 60_000)?;
/// let balance = driver.output::<String, i64>("balance");
/// assert_eq!(driver.read_values(&balance)?, [-1, 0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TimeWindowedCogroupedKStream<K, A, W> {
    cogrouped: CogroupedKStream<K, A>,
    windows: W,
    emit: EmitStrategy,
    late: LateWishes<K, CogroupedValue<K, A>>,
}

impl<K: Data, A: Data, W: FoldWindows> TimeWindowedCogroupedKStream<K, A, W> {
    pub(super) fn new(cogrouped: CogroupedKStream<K, A>, windows: W) -> Self {
        TimeWindowedCogroupedKStream {
            cogrouped,
            windows,
            emit: EmitStrategy::default(),
            late: LateWishes::default(),
        }
    }

    /// When results are forwarded.
    #[must_use]
    pub fn emit_strategy(self, emit: EmitStrategy) -> Self {
        TimeWindowedCogroupedKStream { emit, ..self }
    }

    /// Called for every record and window that is dropped because it came after the window's grace. Such records are counted in any case.
    #[must_use]
    pub fn on_late(
        self,
        hook: impl Fn(LateRecord<'_, K, CogroupedValue<K, A>>) + Send + Sync + 'static,
    ) -> Self {
        let late = self.late.with_hook(hook);
        TimeWindowedCogroupedKStream { late, ..self }
    }

    /// Late records as a stream, keyed by the window they missed: `use_it` is given that of each aggregation made from here.
    #[must_use]
    pub fn with_late(
        self,
        use_it: impl Fn(KStream<Windowed<K>, CogroupedValue<K, A>>) + Send + Sync + 'static,
    ) -> Self {
        let late = self.late.with_stream(use_it);
        TimeWindowedCogroupedKStream { late, ..self }
    }

    /// Folds all streams into one aggregate per key and window.
    pub fn aggregate(
        &self,
        name: &str,
        initial: impl Fn() -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A>
    where
        A: DefaultSerde,
    {
        self.aggregate_with(name, initial, Materialized::default())
    }

    /// As `aggregate`, stored as told.
    pub fn aggregate_with(
        &self,
        name: &str,
        initial: impl Fn() -> A + Send + Sync + 'static,
        materialized: Materialized<A>,
    ) -> KTable<Windowed<K>, A> {
        let mut plan = self.cogrouped.plan(name, W::SKIPS_NULL_VALUES, &materialized);
        (plan.emit, plan.late) = (self.emit, self.late.clone());
        self.windows.fold(plan, folding(initial))
    }
}

/// Cogrouped streams in sessions.
pub struct SessionWindowedCogroupedKStream<K, A> {
    cogrouped: CogroupedKStream<K, A>,
    windows: SessionWindows,
    emit: EmitStrategy,
    late: LateWishes<K, CogroupedValue<K, A>>,
}

impl<K: Data, A: Data> SessionWindowedCogroupedKStream<K, A> {
    pub(super) fn new(cogrouped: CogroupedKStream<K, A>, windows: SessionWindows) -> Self {
        SessionWindowedCogroupedKStream {
            cogrouped,
            windows,
            emit: EmitStrategy::default(),
            late: LateWishes::default(),
        }
    }

    /// When results are forwarded.
    #[must_use]
    pub fn emit_strategy(self, emit: EmitStrategy) -> Self {
        SessionWindowedCogroupedKStream { emit, ..self }
    }

    /// Called for every record that is dropped because its session was closed. Such records are counted in any case.
    #[must_use]
    pub fn on_late(
        self,
        hook: impl Fn(LateRecord<'_, K, CogroupedValue<K, A>>) + Send + Sync + 'static,
    ) -> Self {
        let late = self.late.with_hook(hook);
        SessionWindowedCogroupedKStream { late, ..self }
    }

    /// Late records as a stream, keyed by the session they would have made: `use_it` is given that of each aggregation made from here.
    #[must_use]
    pub fn with_late(
        self,
        use_it: impl Fn(KStream<Windowed<K>, CogroupedValue<K, A>>) + Send + Sync + 'static,
    ) -> Self {
        let late = self.late.with_stream(use_it);
        SessionWindowedCogroupedKStream { late, ..self }
    }

    /// Folds all streams into one aggregate per session; `merge` joins the aggregates of sessions that meet.
    pub fn aggregate<M: Into<Option<A>>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Clone + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> M + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A>
    where
        A: DefaultSerde,
    {
        self.aggregate_with(name, initial, merge, Materialized::default())
    }

    /// As `aggregate`, stored as told.
    pub fn aggregate_with<M: Into<Option<A>>>(
        &self,
        name: &str,
        initial: impl Fn() -> A + Clone + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> M + Send + Sync + 'static,
        materialized: Materialized<A>,
    ) -> KTable<Windowed<K>, A> {
        let mut plan = self.cogrouped.plan(name, false, &materialized);
        (plan.emit, plan.late) = (self.emit, self.late.clone());
        let merge = merging(initial.clone(), merge);
        fold_sessions(self.windows, plan, folding(initial), merge, false)
    }
}
