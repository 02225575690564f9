//! Options of a join of a stream with a table.

use std::time::Duration;

use crate::serde::{DefaultSerde, SerdeRef};

/// Name, serdes and grace of a join of a stream with a table.
///
/// The name is not optional: the queue of a join with grace is kept in the store `{name}-Buffer`, a stream whose key was changed goes through the topic
/// `{app}-{name}-repartition`.
pub struct Joined<K, V> {
    pub(crate) name: String,
    pub(crate) key: SerdeRef<K>,
    pub(crate) value: SerdeRef<V>,
    pub(crate) partitions: Option<i32>,
    pub(crate) grace: Option<Duration>,
    pub(crate) logged: bool,
}

impl<K: DefaultSerde, V: DefaultSerde> Joined<K, V> {
    /// A join of this name with the types' default serdes of the stream.
    pub fn named(name: &str) -> Self {
        Joined::with(name, K::default_serde(), V::default_serde())
    }
}

impl<K, V> Joined<K, V> {
    /// A join of this name with these serdes of the stream's keys and values.
    pub fn with(name: &str, key: SerdeRef<K>, value: SerdeRef<V>) -> Self {
        Joined {
            name: name.to_owned(),
            key,
            value,
            partitions: None,
            grace: None,
            logged: true,
        }
    }

    /// Records wait this long in stream time before they are joined, so that the table can catch up (KIP-923). The table must be versioned
    /// ([`Materialized::versioned`](super::Materialized::versioned)), for it is asked what it was at the record's time.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Joined {
            grace: Some(grace),
            ..self
        }
    }

    /// Partitions of the repartition topic, if there is one (default: as many as the table's).
    #[must_use]
    pub fn partitions(self, partitions: i32) -> Self {
        Joined {
            partitions: Some(partitions),
            ..self
        }
    }

    /// No changelog topic: records that wait for their grace do not survive the loss of the disk, nor a crash before they were flushed.
    #[must_use]
    pub fn without_changelog(self) -> Self {
        Joined {
            logged: false,
            ..self
        }
    }
}
