//! Where the event time of a record comes from.

use std::fmt;
use std::sync::Arc;

use millpond_log::types::Timestamp;

type Extract<K, V> = Arc<dyn Fn(&K, &V, RecordTimes) -> Option<Timestamp> + Send + Sync>;

/// The times an extractor may look at beside key and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTimes {
    /// Timestamp the record carries, in ms; negative when it has none.
    pub record: Timestamp,
    /// Largest time extracted so far from the records of its partition, in ms; `None` before the first.
    pub partition: Option<Timestamp>,
    /// Wall-clock time in ms.
    pub wall_clock: Timestamp,
}

/// Finds the event time of a record, and says what to do when there is none.
///
/// | Kafka Streams | here |
/// | --- | --- |
/// | `FailOnInvalidTimestamp` (its default) | `record().fail_on_invalid()` |
/// | `LogAndSkipOnInvalidTimestamp` | `record()`, the default here |
/// | `UsePartitionTimeOnInvalidTimestamp` | `record().use_partition_time()` |
/// | `WallclockTimestampExtractor` | `wall_clock()` |
/// | `TimestampExtractor.extract(record, partitionTime)` | `value(..)`, `with(..)`, `with_times(..)` |
/// | `ExtractRecordMetadataTimestamp` with an `onInvalidTimestamp` of one's own | `with_times(..)` |
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
    /// As a closure that also looks at the partition's time, which is kept for it.
    Times(Extract<K, V>),
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
            source: TimeSource::Closure(Arc::new(move |key, value, times| {
                extract(key, value, times.record)
            })),
            on_invalid: OnInvalid::LogAndSkip,
        }
    }

    /// Whatever the closure makes of key, value and the times around the record; `None` = no valid time.
    ///
    /// ```
    /// use millpond_streams::dsl::{RecordTimes, TimestampExtractor};
    ///
    /// // The record's own time, or a second after the last one of its partition.
    /// let extractor = TimestampExtractor::<String, i64>::with_times(|_, _, times: RecordTimes| {
    ///     Some(times.record).filter(|time| *time >= 0).or(times.partition.map(|last| last + 1_000))
    /// });
    /// # let _ = extractor;
    /// ```
    pub fn with_times(
        extract: impl Fn(&K, &V, RecordTimes) -> Option<Timestamp> + Send + Sync + 'static,
    ) -> Self {
        TimestampExtractor {
            source: TimeSource::Times(Arc::new(extract)),
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

    /// Records without a valid time get the largest time of their partition so far (Kafka's `UsePartitionTimeOnInvalidTimestamp`). While there is none they are
    /// refused, which is a dead letter unless the policy says otherwise (Kafka Streams stops).
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
            TimeSource::Closure(extract) => TimeSource::Closure(nullable(extract)),
            TimeSource::Times(extract) => TimeSource::Times(nullable(extract)),
        };
        TimestampExtractor {
            source,
            on_invalid: self.on_invalid,
        }
    }

    /// Whether times of partitions must be kept for it.
    pub(crate) fn needs_partition_time(&self) -> bool {
        self.on_invalid == OnInvalid::UsePartitionTime || matches!(self.source, TimeSource::Times(_))
    }

    pub(crate) fn extract(&self, key: &K, value: &V, times: RecordTimes) -> Option<Timestamp> {
        let found = match &self.source {
            TimeSource::Record => Some(times.record),
            TimeSource::WallClock => Some(times.wall_clock),
            TimeSource::Closure(extract) | TimeSource::Times(extract) => extract(key, value, times),
        };
        let by_partition = times
            .partition
            .filter(|_| self.on_invalid == OnInvalid::UsePartitionTime);
        found.filter(|time| *time >= 0).or(by_partition)
    }
}

/// The same for values that may be null; a null value has the record's own timestamp.
fn nullable<K: 'static, V: 'static>(extract: Extract<K, V>) -> Extract<K, Option<V>> {
    Arc::new(move |key, value: &Option<V>, times| {
        value
            .as_ref()
            .map_or(Some(times.record), |value| extract(key, value, times))
    })
}

impl<K, V> Clone for TimestampExtractor<K, V> {
    fn clone(&self) -> Self {
        let source = match &self.source {
            TimeSource::Record => TimeSource::Record,
            TimeSource::WallClock => TimeSource::WallClock,
            TimeSource::Closure(extract) => TimeSource::Closure(extract.clone()),
            TimeSource::Times(extract) => TimeSource::Times(extract.clone()),
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
            TimeSource::Closure(_) | TimeSource::Times(_) => "closure",
        };
        write!(f, "TimestampExtractor({source}, {:?})", self.on_invalid)
    }
}
