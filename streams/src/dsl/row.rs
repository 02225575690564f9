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
    /// Stream time of the task when the source record was read, that record counted. Carried along so that nothing depends on how input was cut into batches.
    /// Operators judge lateness by a time of their own (`operators/own_time.rs`), which behind a repartition topic is not ahead of this.
    pub(crate) stream_time: Timestamp,
    /// Offset of the source record in the batch being processed; -1 for results of a commit.
    pub(crate) offset: Offset,
}

/// Offset of rows that stem from no single source record.
pub(crate) const NO_OFFSET: Offset = Offset::new(-1);

impl<K, V> Row<K, V> {
    /// Key and value, and the record without them, for [`Row::with`].
    #[inline]
    pub(crate) fn into_parts(self) -> (K, V, Row<(), ()>) {
        let rest = Row {
            key: (),
            value: (),
            timestamp: self.timestamp,
            headers: self.headers,
            stream_time: self.stream_time,
            offset: self.offset,
        };
        (self.key, self.value, rest)
    }

    /// The same record with another value.
    #[inline]
    pub(crate) fn with_value<V2>(self, value: impl FnOnce(V) -> V2) -> Row<K, V2> {
        self.with_pair(|key, old| (key, value(old)))
    }

    /// The same record with another key and value.
    #[inline]
    pub(crate) fn with_pair<K2, V2>(self, pair: impl FnOnce(K, V) -> (K2, V2)) -> Row<K2, V2> {
        let (key, value, rest) = self.into_parts();
        let (key, value) = pair(key, value);
        rest.with(key, value)
    }
}

impl Row<(), ()> {
    /// The record of this time, headers and origin with a key and a value.
    #[inline]
    pub(crate) fn with<K, V>(self, key: K, value: V) -> Row<K, V> {
        Row {
            key,
            value,
            timestamp: self.timestamp,
            headers: self.headers,
            stream_time: self.stream_time,
            offset: self.offset,
        }
    }

    /// A record like [`with`](Self::with) for each pair.
    pub(crate) fn with_each<K, V>(
        self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> impl Iterator<Item = Row<K, V>> {
        pairs
            .into_iter()
            .map(move |(key, value)| self.clone().with(key, value))
    }
}

impl<K, V> Row<K, Option<V>> {
    /// The record if it has a value.
    #[inline]
    pub(crate) fn transpose(self) -> Option<Row<K, V>> {
        let (key, value, rest) = self.into_parts();
        Some(rest.with(key, value?))
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
