//! Where the event time of a record comes from.

use std::fmt;
use std::sync::Arc;

use millpond_log::types::Timestamp;

type Extract<K, V> = Arc<dyn Fn(&K, &V, Timestamp) -> Option<Timestamp> + Send + Sync>;

/// Finds the event time of a record, and says what to do when there is none.
///
/// ```
/// use millpond_streams::dsl::TimestampExtractor;
///
/// // The record's own timestamp (the default); a field of the value; the wall clock.
/// let own = TimestampExtractor::<String, i64>::record();
/// let field = TimestampExtractor::<String, i64>::value(|value: &i64| Some(*value)).fail_on_invalid();
/// let clock = TimestampExtractor::<String, i64>::wall_clock();
/// # let _ = (own, field, clock);
/// ```
pub struct TimestampExtractor<K, V> {
    pub(crate) source: TimeSource<K, V>,
    pub(crate) on_invalid: OnInvalid,
}

pub(crate) enum TimeSource<K, V> {
    Record,
    WallClock,
    Closure(Extract<K, V>),
}

/// What happens to a record without a valid time (none, or before 1970).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnInvalid {
    LogAndSkip,
    Fail,
    UsePartitionTime,
}

impl<K, V> TimestampExtractor<K, V> {
    /// The timestamp the record carries.
    pub fn record() -> Self {
        TimestampExtractor {
            source: TimeSource::Record,
            on_invalid: OnInvalid::LogAndSkip,
        }
    }

    /// The wall clock when the record is processed. Results then depend on when the job runs.
    pub fn wall_clock() -> Self {
        TimestampExtractor {
            source: TimeSource::WallClock,
            on_invalid: OnInvalid::LogAndSkip,
        }
    }

    /// Whatever the closure makes of key, value and the record's own timestamp; `None` = no valid time.
    pub fn with(extract: impl Fn(&K, &V, Timestamp) -> Option<Timestamp> + Send + Sync + 'static) -> Self {
        TimestampExtractor {
            source: TimeSource::Closure(Arc::new(extract)),
            on_invalid: OnInvalid::LogAndSkip,
        }
    }

    /// A field of the value.
    pub fn value(extract: impl Fn(&V) -> Option<Timestamp> + Send + Sync + 'static) -> Self {
        TimestampExtractor::with(move |_, value, _| extract(value))
    }

    /// Records without a valid time are logged, counted as skipped and left out (the default; Kafka's `LogAndSkipOnInvalidTimestamp`).
    #[must_use]
    pub fn log_and_skip(self) -> Self {
        TimestampExtractor {
            on_invalid: OnInvalid::LogAndSkip,
            ..self
        }
    }

    /// A record without a valid time stops the task (Kafka's `FailOnInvalidTimestamp`).
    #[must_use]
    pub fn fail_on_invalid(self) -> Self {
        TimestampExtractor {
            on_invalid: OnInvalid::Fail,
            ..self
        }
    }

    /// Records without a valid time get the stream time of the task (Kafka's `UsePartitionTimeOnInvalidTimestamp`); while that is unknown they are skipped.
    #[must_use]
    pub fn use_partition_time(self) -> Self {
        TimestampExtractor {
            on_invalid: OnInvalid::UsePartitionTime,
            ..self
        }
    }

    /// The same for values that may be null; a null value has the record's own timestamp.
    pub(crate) fn for_nullable(self) -> TimestampExtractor<K, Option<V>>
    where
        K: 'static,
        V: 'static,
    {
        let source = match self.source {
            TimeSource::Record => TimeSource::Record,
            TimeSource::WallClock => TimeSource::WallClock,
            TimeSource::Closure(extract) => {
                TimeSource::Closure(Arc::new(move |key, value: &Option<V>, record| {
                    value
                        .as_ref()
                        .map_or(Some(record), |value| extract(key, value, record))
                }))
            }
        };
        TimestampExtractor {
            source,
            on_invalid: self.on_invalid,
        }
    }

    pub(crate) fn extract(
        &self,
        key: &K,
        value: &V,
        record: Timestamp,
        now_ms: Timestamp,
    ) -> Option<Timestamp> {
        let found = match &self.source {
            TimeSource::Record => Some(record),
            TimeSource::WallClock => Some(now_ms),
            TimeSource::Closure(extract) => extract(key, value, record),
        };
        found.filter(|time| *time >= 0)
    }
}

impl<K, V> Clone for TimestampExtractor<K, V> {
    fn clone(&self) -> Self {
        let source = match &self.source {
            TimeSource::Record => TimeSource::Record,
            TimeSource::WallClock => TimeSource::WallClock,
            TimeSource::Closure(extract) => TimeSource::Closure(extract.clone()),
        };
        TimestampExtractor {
            source,
            on_invalid: self.on_invalid,
        }
    }
}

impl<K, V> fmt::Debug for TimestampExtractor<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            TimeSource::Record => "record",
            TimeSource::WallClock => "wall clock",
            TimeSource::Closure(_) => "closure",
        };
        write!(f, "TimestampExtractor({source}, {:?})", self.on_invalid)
    }
}
