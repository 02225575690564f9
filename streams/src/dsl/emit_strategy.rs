//! When results of windows are forwarded.

use std::time::Duration;

use super::time_windows::millis;

/// When the results of a windowed aggregation are forwarded (KIP-825).
///
/// ```
/// # use std::time::Duration;
/// # use millpond_streams::dsl::{EmitStrategy, StreamsBuilder, TimeWindows};
/// # use millpond_streams::testing::TopologyTestDriver;
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<String, i64>("departures")
///     .group_by_key()
///     .windowed_by(TimeWindows::of(Duration::from_secs(60)))
///     .emit_strategy(EmitStrategy::on_window_close())
///     .count("per-minute")
///     .updates()
///     .map(|windowed, count| (windowed.key, count))
///     .to("final-counts");
/// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// let (input, output) = (driver.input::<String, i64>("departures"), driver.output::<String, u64>("final-counts"));
/// for ts in [1_000, 2_000, 59_000] {
///     driver.pipe(&input, "JFK".to_owned(), 1, ts)?;
/// }
/// assert!(driver.read_values(&output)?.is_empty());
/// driver.pipe(&input, "LAX".to_owned(), 1, 60_000)?;
/// assert_eq!(driver.read_values(&output)?, [3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmitStrategy(Kind);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    OnUpdate,
    OnClose,
    Every(i64),
}

impl EmitStrategy {
    /// Whenever a window changed: once per window and commit, or each change (see
    /// [`Materialized::emit_every_update`](super::Materialized::emit_every_update)). The default.
    pub fn on_window_update() -> EmitStrategy {
        EmitStrategy(Kind::OnUpdate)
    }

    /// Once per window, when it is closed for good: in the order of window ends, then (of sessions) starts, then key bytes. Stream time must pass the
    /// window's end plus grace for that, and nothing else makes it pass but records. Results appear with the commit that follows.
    pub fn on_window_close() -> EmitStrategy {
        EmitStrategy(Kind::OnClose)
    }

    /// Whenever stream time passes a multiple of `interval`: once for each window that changed since. The last result of a window is told with the first
    /// interval that ends after it closed, and is final. What is told together depends on the records alone, not on commits. Whole milliseconds count.
    ///
    /// A removal carries the end of the interval as its timestamp. What was not told yet is kept in memory, and at commits in a store beside that of the aggregation, `{name}-untold`. Kafka Streams has nothing like it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millpond_streams::dsl::{EmitStrategy, StreamsBuilder, TimeWindows};
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("departures")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(Duration::from_secs(60)))
    ///     .emit_strategy(EmitStrategy::every(Duration::from_secs(20)))
    ///     .count("per-minute")
    ///     .updates()
    ///     .map(|windowed, count| (windowed.key, count))
    ///     .to("counts");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let (input, output) = (driver.input::<String, i64>("departures"), driver.output::<String, u64>("counts"));
    /// for ts in [1_000, 2_000, 21_000, 25_000, 30_000, 61_000] {
    ///     driver.pipe(&input, "JFK".to_owned(), 1, ts)?;
    /// }
    /// assert_eq!(driver.read_values(&output)?, [2, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn every(interval: Duration) -> EmitStrategy {
        EmitStrategy(Kind::Every(millis(interval)))
    }

    /// Of early results, in ms.
    pub(crate) fn interval_ms(self) -> Option<i64> {
        match self.0 {
            // An interval of nothing is refused when the topology is built.
            Kind::Every(interval_ms) => Some(interval_ms.max(1)),
            Kind::OnUpdate | Kind::OnClose => None,
        }
    }

    /// What is wrong with it, if anything.
    pub(crate) fn mistake(self) -> Option<&'static str> {
        (self.0 == Kind::Every(0)).then_some("the interval of early results must be at least 1 ms")
    }

    pub(crate) fn is_on_close(self) -> bool {
        self.0 == Kind::OnClose
    }
}
