//! The record a processor gets and forwards: key, value, time and headers, all of them readable and writable.
//!
//! A [`Record`] owns its parts. A [`FixedKeyRecord`] lets everything be changed but the key, so that no repartition is needed behind a
//! [`FixedKeyProcessor`](super::FixedKeyProcessor). Where a record came from is not part of it but of the context ([`RecordMetadata`]).

use millpond_log::types::{Offset, PartitionId, Timestamp, TopicName};

use crate::processor::Headers;

/// A record inside a processor (Kafka Streams' `api.Record`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<K, V> {
    /// Key.
    pub key: K,
    /// Value.
    pub value: V,
    /// Event time in ms; a record with a time below 0 cannot be forwarded.
    pub timestamp: Timestamp,
    /// Headers.
    pub headers: Headers,
}

impl<K, V> Record<K, V> {
    /// A record without headers.
    pub fn new(key: K, value: V, timestamp: Timestamp) -> Self {
        Record {
            key,
            value,
            timestamp,
            headers: Headers::NONE,
        }
    }

    /// The same record with another key.
    #[must_use]
    pub fn with_key<K2>(self, key: K2) -> Record<K2, V> {
        Record {
            key,
            value: self.value,
            timestamp: self.timestamp,
            headers: self.headers,
        }
    }

    /// The same record with another value.
    #[must_use]
    pub fn with_value<V2>(self, value: V2) -> Record<K, V2> {
        Record {
            key: self.key,
            value,
            timestamp: self.timestamp,
            headers: self.headers,
        }
    }

    /// The same record at another time (ms).
    #[must_use]
    pub fn with_timestamp(self, timestamp: Timestamp) -> Self {
        Record { timestamp, ..self }
    }

    /// The same record with other headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Record { headers, ..self }
    }
}

/// A record whose key cannot be changed (Kafka Streams' `FixedKeyRecord`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedKeyRecord<K, V>(pub(super) Record<K, V>);

impl<K, V> FixedKeyRecord<K, V> {
    /// The key.
    pub fn key(&self) -> &K {
        &self.0.key
    }

    /// The value.
    pub fn value(&self) -> &V {
        &self.0.value
    }

    /// Event time in ms.
    pub fn timestamp(&self) -> Timestamp {
        self.0.timestamp
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        &self.0.headers
    }

    /// The headers, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.0.headers
    }

    /// The same record with another value.
    #[must_use]
    pub fn with_value<V2>(self, value: V2) -> FixedKeyRecord<K, V2> {
        FixedKeyRecord(self.0.with_value(value))
    }

    /// The same record with the value that `map` makes of its own.
    #[must_use]
    pub fn map_value<V2>(self, map: impl FnOnce(V) -> V2) -> FixedKeyRecord<K, V2> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.0;
        FixedKeyRecord(Record {
            key,
            value: map(value),
            timestamp,
            headers,
        })
    }

    /// The same record at another time (ms).
    #[must_use]
    pub fn with_timestamp(self, timestamp: Timestamp) -> Self {
        FixedKeyRecord(self.0.with_timestamp(timestamp))
    }

    /// The same record with other headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        FixedKeyRecord(self.0.with_headers(headers))
    }
}

/// Where a record was read (Kafka Streams' `RecordMetadata`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMetadata<'a> {
    /// The topic; a repartition topic where the task reads one.
    pub topic: &'a TopicName,
    /// The partition.
    pub partition: PartitionId,
    /// The offset.
    pub offset: Offset,
}
