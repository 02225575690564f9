//! Records and headers that own their bytes, for code that keeps them.

use bytes::Bytes;

use crate::types::{Offset, Timestamp};

/// A record with shared ownership of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the partition.
    pub offset: Offset,
    /// When it happened, in ms.
    pub timestamp: Timestamp,
    /// What it is about; decides the partition and what compaction keeps.
    pub key: Option<Bytes>,
    /// What is said; `None` is a tombstone under compaction.
    pub value: Option<Bytes>,
    /// Extra fields, in order, names may repeat.
    pub headers: Vec<Header>,
}

/// One extra field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name: UTF-8 by convention, which the log does not enforce.
    pub key: Bytes,
    /// Its value; null is allowed.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a value.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Header {
        Header {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// A header whose value is null.
    pub fn null(key: impl Into<Bytes>) -> Header {
        Header {
            key: key.into(),
            value: None,
        }
    }

    /// The name as text, if it is UTF-8.
    pub fn key_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.key).ok()
    }
}
