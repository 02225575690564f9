//! Options of a stream-stream join.

use crate::serde::{DefaultSerde, SerdeRef};

/// Name and serdes of a stream-stream join.
///
/// The name is not optional, because state hangs on it. The stores are called as in Kafka Streams: `{name}-this-join-store` and `{name}-other-join-store` (or
/// `{name}-outer-this-join-store`, `{name}-outer-other-join-store` where the other side is outer) and `{name}-left-shared-join-store` or
/// `{name}-outer-shared-join-store`; the repartition topics of sides whose key was changed `{app}-{name}-left-repartition` and `…-right-repartition`.
pub struct StreamJoined<K, V1, V2> {
    pub(crate) name: String,
    pub(crate) key: SerdeRef<K>,
    pub(crate) left: SerdeRef<V1>,
    pub(crate) right: SerdeRef<V2>,
    pub(crate) partitions: Option<i32>,
    pub(crate) logged: bool,
}

impl<K: DefaultSerde, V1: DefaultSerde, V2: DefaultSerde> StreamJoined<K, V1, V2> {
    /// A join of this name with the types' default serdes.
    pub fn named(name: &str) -> Self {
        StreamJoined::with(name, K::default_serde(), V1::default_serde(), V2::default_serde())
    }
}

impl<K, V1, V2> StreamJoined<K, V1, V2> {
    /// A join of this name with these serdes of the key, the left and the right values.
    pub fn with(name: &str, key: SerdeRef<K>, left: SerdeRef<V1>, right: SerdeRef<V2>) -> Self {
        StreamJoined {
            name: name.to_owned(),
            key,
            left,
            right,
            partitions: None,
            logged: true,
        }
    }

    /// Partitions of the repartition topics, where there are any (default: as many as the tasks writing to them).
    #[must_use]
    pub fn partitions(self, partitions: i32) -> Self {
        StreamJoined {
            partitions: Some(partitions),
            ..self
        }
    }

    /// No changelog topics: what was read for the join does not survive the loss of its disk, nor a crash before it was flushed.
    #[must_use]
    pub fn without_changelog(self) -> Self {
        StreamJoined {
            logged: false,
            ..self
        }
    }
}
