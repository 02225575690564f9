//! When results of windows are forwarded.

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

    pub(crate) fn is_on_close(self) -> bool {
        self.0 == Kind::OnClose
    }
}
