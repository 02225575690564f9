//! Typed handles of a driver's topics, and the records that go in and come out.

use millpond_log::types::{Timestamp, TopicName};

use crate::processor::Headers;
use crate::serde::SerdeRef;

/// A record as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRecord<K, V> {
    /// Key.
    pub key: K,
    /// Value.
    pub value: V,
    /// Timestamp in ms.
    pub timestamp: Timestamp,
    /// Headers.
    pub headers: Headers,
    /// Partition; for input, none = by the key's hash.
    pub partition: Option<i32>,
}

impl<K, V> TestRecord<K, V> {
    /// A record without headers, partitioned by key.
    pub fn new(key: K, value: V, timestamp: Timestamp) -> Self {
        TestRecord {
            key,
            value,
            timestamp,
            headers: Headers::NONE,
            partition: None,
        }
    }

    /// The same record with headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        TestRecord { headers, ..self }
    }

    /// The same record for this partition.
    #[must_use]
    pub fn on_partition(self, partition: i32) -> Self {
        TestRecord {
            partition: Some(partition),
            ..self
        }
    }
}

/// A topic a test writes to; made by `TopologyTestDriver::input`.
pub struct TestInputTopic<K, V> {
    pub(super) topic: TopicName,
    pub(super) key: SerdeRef<K>,
    pub(super) value: SerdeRef<V>,
}

/// A topic a test reads from; made by `TopologyTestDriver::output`.
pub struct TestOutputTopic<K, V> {
    pub(super) topic: TopicName,
    pub(super) key: SerdeRef<K>,
    pub(super) value: SerdeRef<V>,
}
