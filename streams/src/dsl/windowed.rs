//! Windows and keys of windowed results.

use std::sync::Arc;

use millpond_log::types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::serde::{DefaultSerde, Serde, SerdeError, SerdeRef};

/// A stretch of event time. Of time windows and unlimited windows `start_ms ≤ t < end_ms`; of sessions and sliding windows the end is included, as in
/// Kafka Streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Start, inclusive.
    pub start_ms: Timestamp,
    /// End: exclusive of time windows, inclusive of sessions and sliding windows.
    pub end_ms: Timestamp,
}

/// A key in a window: what windowed aggregations are keyed by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Windowed<K> {
    /// The record's key.
    pub key: K,
    /// The window.
    pub window: Window,
}

/// Kafka Streams' format for windowed keys: key bytes, then the window's start (big endian). The end is not written: a reader must know the size.
pub struct WindowedSerde<K> {
    inner: SerdeRef<K>,
    size_ms: Option<i64>,
}

impl<K: DefaultSerde> WindowedSerde<K> {
    /// Reads and writes windows of this size.
    pub fn of_size(size_ms: i64) -> SerdeRef<Windowed<K>>
    where
        K: 'static,
    {
        Arc::new(WindowedSerde {
            inner: K::default_serde(),
            size_ms: Some(size_ms),
        })
    }
}

impl<K> WindowedSerde<K> {
    /// As `of_size`, with a serde for the key.
    pub fn new(inner: SerdeRef<K>, size_ms: i64) -> WindowedSerde<K> {
        WindowedSerde {
            inner,
            size_ms: Some(size_ms),
        }
    }
}

impl<K: 'static> Serde<Windowed<K>> for WindowedSerde<K> {
    fn serialize(&self, value: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.inner.serialize(&value.key, out)?;
        out.extend_from_slice(&value.window.start_ms.to_be_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Windowed<K>, SerdeError> {
        let Some((key, start)) = bytes.split_last_chunk::<8>() else {
            return Err(SerdeError::Width {
                type_name: "window start",
                expected: 8,
                actual: bytes.len(),
            });
        };
        let start_ms = Timestamp::from_be_bytes(*start);
        // As in Kafka Streams: an unknown size makes an open-ended window.
        let end_ms = self
            .size_ms
            .map_or(Timestamp::MAX, |size| start_ms.saturating_add(size));
        Ok(Windowed {
            key: self.inner.deserialize(key)?,
            window: Window { start_ms, end_ms },
        })
    }

    fn detach(&self, value: &mut Windowed<K>) {
        self.inner.detach(&mut value.key);
    }

    fn heap_bytes(&self, value: &Windowed<K>) -> Option<usize> {
        self.inner.heap_bytes(&value.key)
    }
}

/// Kafka Streams' format for keys of sessions: key bytes, then the session's end, then its start (big endian).
///
/// ```
/// # use millpond_streams::dsl::{SessionWindowedSerde, Window, Windowed};
/// # use millpond_streams::serde::Serde;
/// let serde = SessionWindowedSerde::<String>::default_of();
/// let session = Windowed { key: "a".to_owned(), window: Window { start_ms: 1, end_ms: 2 } };
/// let mut bytes = Vec::new();
/// serde.serialize(&session, &mut bytes)?;
/// assert_eq!(bytes, [b'a', 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1]);
/// assert_eq!(serde.deserialize(&bytes)?, session);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SessionWindowedSerde<K> {
    inner: SerdeRef<K>,
}

impl<K: DefaultSerde> SessionWindowedSerde<K> {
    /// With the key's own serde.
    pub fn default_of() -> SerdeRef<Windowed<K>> {
        Arc::new(SessionWindowedSerde::new(K::default_serde()))
    }
}

impl<K> SessionWindowedSerde<K> {
    /// With a serde for the key.
    pub fn new(inner: SerdeRef<K>) -> SessionWindowedSerde<K> {
        SessionWindowedSerde { inner }
    }
}

impl<K: 'static> Serde<Windowed<K>> for SessionWindowedSerde<K> {
    fn serialize(&self, value: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.inner.serialize(&value.key, out)?;
        out.extend_from_slice(&value.window.end_ms.to_be_bytes());
        out.extend_from_slice(&value.window.start_ms.to_be_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Windowed<K>, SerdeError> {
        let split = bytes
            .split_last_chunk::<8>()
            .and_then(|(rest, start)| Some((rest.split_last_chunk::<8>()?, start)));
        let Some(((key, end), start)) = split else {
            return Err(SerdeError::Width {
                type_name: "session bounds",
                expected: 16,
                actual: bytes.len(),
            });
        };
        Ok(Windowed {
            key: self.inner.deserialize(key)?,
            window: Window {
                start_ms: Timestamp::from_be_bytes(*start),
                end_ms: Timestamp::from_be_bytes(*end),
            },
        })
    }

    fn detach(&self, value: &mut Windowed<K>) {
        self.inner.detach(&mut value.key);
    }

    fn heap_bytes(&self, value: &Windowed<K>) -> Option<usize> {
        self.inner.heap_bytes(&value.key)
    }
}

/// Without a size: writing is complete, reading gives windows without end (use [`WindowedSerde::of_size`] to read them back).
impl<K: DefaultSerde> DefaultSerde for Windowed<K> {
    fn default_serde() -> SerdeRef<Windowed<K>> {
        Arc::new(WindowedSerde {
            inner: K::default_serde(),
            size_ms: None,
        })
    }
}
