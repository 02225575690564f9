//! A typed record inside a task, and the batch of them that flows between the nodes of the DSL.

use std::any::Any;

use millpond_log::types::{Offset, Timestamp};

use crate::processor::{Batch, Headers, ProcessContext, ProcessError, RowBatch};
use crate::serde::Data;

/// A typed record.
#[derive(Clone, Debug)]
pub(crate) struct Row<K, V> {
    /// Key.
    pub(crate) key: K,
    /// Value.
    pub(crate) value: V,
    /// Event time in ms.
    pub(crate) timestamp: Timestamp,
    /// Headers.
    pub(crate) headers: Headers,
    /// Stream time when the source record was read, that record counted. Carried along so that lateness does not depend on how input was cut into batches,
    /// nor on records that were filtered out before.
    pub(crate) stream_time: Timestamp,
    /// Offset of the source record in the batch being processed; -1 for results of a commit.
    pub(crate) offset: Offset,
}

/// Offset of rows that stem from no single source record.
pub(crate) const NO_OFFSET: Offset = Offset::new(-1);

impl<K, V> Row<K, V> {
    /// The same record with another value.
    pub(crate) fn with_value<V2>(self, value: impl FnOnce(V) -> V2) -> Row<K, V2> {
        Row {
            key: self.key,
            value: value(self.value),
            timestamp: self.timestamp,
            headers: self.headers,
            stream_time: self.stream_time,
            offset: self.offset,
        }
    }

    /// The same record with another key and value.
    pub(crate) fn with_pair<K2, V2>(self, pair: impl FnOnce(K, V) -> (K2, V2)) -> Row<K2, V2> {
        let (key, value) = pair(self.key, self.value);
        Row {
            key,
            value,
            timestamp: self.timestamp,
            headers: self.headers,
            stream_time: self.stream_time,
            offset: self.offset,
        }
    }
}

impl<K, V> Row<K, V> {
    /// A record for each pair made from this one, all with its time, headers and origin.
    pub(crate) fn expand<K2, V2, I: IntoIterator<Item = (K2, V2)>>(
        self,
        pairs: impl FnOnce(K, V) -> I,
    ) -> impl Iterator<Item = Row<K2, V2>> {
        let Row {
            key,
            value,
            timestamp,
            headers,
            stream_time,
            offset,
        } = self;
        pairs(key, value).into_iter().map(move |(key, value)| Row {
            key,
            value,
            timestamp,
            headers: headers.clone(),
            stream_time,
            offset,
        })
    }
}

impl<K, V> Row<K, Option<V>> {
    /// The record if it has a value.
    pub(crate) fn transpose(self) -> Option<Row<K, V>> {
        let Row {
            key,
            value,
            timestamp,
            headers,
            stream_time,
            offset,
        } = self;
        Some(Row {
            key,
            value: value?,
            timestamp,
            headers,
            stream_time,
            offset,
        })
    }
}

/// The batch on a DSL edge.
pub(crate) struct Rows<K, V>(pub(crate) Vec<Row<K, V>>);

impl<K: Data, V: Data> RowBatch for Rows<K, V> {
    fn row_count(&self) -> usize {
        self.0.len()
    }

    fn duplicate(&self) -> Box<dyn RowBatch> {
        Box::new(Rows(self.0.clone()))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// Wraps rows for forwarding.
pub(crate) fn batch_of<K: Data, V: Data>(rows: Vec<Row<K, V>>) -> Batch {
    Batch::Rows(Box::new(Rows(rows)))
}

/// The rows of a batch; the DSL's types guarantee the shape, so another one is a broken edge.
pub(crate) fn rows_of<K: Data, V: Data>(
    batch: Batch,
    context: &ProcessContext<'_>,
) -> Result<Vec<Row<K, V>>, ProcessError> {
    let actual = batch.shape();
    let rows = match batch {
        Batch::Rows(rows) => rows.into_any().downcast::<Rows<K, V>>().ok(),
        _ => None,
    };
    rows.map(|rows| rows.0)
        .ok_or_else(|| ProcessError::UnexpectedBatch {
            node: context.node().to_owned(),
            expected: std::any::type_name::<Rows<K, V>>(),
            actual,
        })
}
