//! Records of one source partition, zero-copy: the decoded batches and the range of offsets of them that is meant.
//!
//! Cheap to clone (shared). `from ≤ offset < until` for every record it yields; offsets ascend. Control batches never get here: the runtime drops them.

use std::sync::Arc;

use bytes::Bytes;
use millpond_log::record::{BatchError, DecodedBatch, RecordRef};
use millpond_log::types::{Offset, Timestamp, TopicPartition};

use super::{Headers, time_header};

/// A run of records of one partition.
#[derive(Clone)]
pub struct RawBatch {
    inner: Arc<Inner>,
}

struct Inner {
    partition: TopicPartition,
    batches: Vec<DecodedBatch>,
    from: Offset,
    until: Offset,
    /// Only for repartition topics: stream time of the task from this offset on (ascending in both).
    marks: Vec<(Offset, Timestamp)>,
    /// Records that only carry time are left out by `records`.
    hides_time_records: bool,
}

/// A record with the batch it lies in, so that a value can be shared instead of copied.
#[derive(Clone, Copy)]
pub struct RawRecordRef<'a> {
    /// The record.
    pub record: RecordRef<'a>,
    /// The batch that owns its bytes.
    pub owner: &'a DecodedBatch,
}

/// An owned copy of a record with where it came from, for the dead-letter topic.
#[derive(Clone, Debug)]
pub struct RawRecord {
    /// Where it was read, if it was read at all (results of a commit were not).
    pub origin: Option<(TopicPartition, Offset)>,
    /// Key, or none.
    pub key: Option<Bytes>,
    /// Value, or none.
    pub value: Option<Bytes>,
    /// Timestamp in ms.
    pub timestamp: Timestamp,
    /// Headers.
    pub headers: Headers,
}

impl RawBatch {
    /// Records of `batches` with `from ≤ offset < until`.
    pub fn new(
        partition: TopicPartition,
        batches: Vec<DecodedBatch>,
        from: Offset,
        until: Offset,
    ) -> RawBatch {
        RawBatch {
            inner: Arc::new(Inner {
                partition,
                batches,
                from,
                until,
                marks: Vec::new(),
                hides_time_records: false,
            }),
        }
    }

    /// The partition the records were read from.
    pub fn partition(&self) -> &TopicPartition {
        &self.inner.partition
    }

    /// First offset meant (inclusive).
    pub fn from(&self) -> Offset {
        self.inner.from
    }

    /// End of the range (exclusive): the position after this batch.
    pub fn until(&self) -> Offset {
        self.inner.until
    }

    /// The records in offset order.
    pub fn records(&self) -> impl Iterator<Item = Result<RawRecordRef<'_>, BatchError>> {
        let inner = &*self.inner;
        inner
            .batches
            .iter()
            .flat_map(|owner| {
                owner
                    .iter()
                    .map(move |record| record.map(|record| (record, owner)))
            })
            .filter_map(move |item| match item {
                Err(error) => Some(Err(error)),
                Ok((record, owner)) => inner.shows(&record).then_some(Ok(RawRecordRef { record, owner })),
            })
    }

    /// The batches that hold the records, and maybe others.
    pub(super) fn batches(&self) -> &[DecodedBatch] {
        &self.inner.batches
    }

    /// Those of its records with `from ≤ offset < until`.
    pub(super) fn range(&self, from: Offset, until: Offset) -> RawBatch {
        RawBatch::new(
            self.inner.partition.clone(),
            self.inner.batches.clone(),
            from,
            until,
        )
    }

    /// Calls `take` for each of the records in offset order; as [`records`](Self::records), but what there is to know of a batch is asked once per batch and not of
    /// each of its records.
    /// # Errors
    /// What `take` returned, or when a batch is damaged.
    #[inline]
    pub fn try_for_each<E: From<BatchError>>(
        &self,
        mut take: impl FnMut(RawRecordRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let inner = &*self.inner;
        for owner in &inner.batches {
            let is_whole = !inner.cuts(owner) && !inner.hides_time_records;
            for record in owner {
                let record = record?;
                if is_whole || inner.shows(&record) {
                    take(RawRecordRef { record, owner })?;
                }
            }
        }
        Ok(())
    }

    /// Number of records, those that only carry time left out as in `records`. Reads them only where their number is not known beforehand.
    /// # Errors
    /// When a batch is damaged.
    pub(super) fn record_count(&self) -> Result<usize, BatchError> {
        let inner = &*self.inner;
        if inner.hides_time_records || inner.batches.iter().any(|batch| inner.cuts(batch)) {
            return self
                .records()
                .try_fold(0, |count, record| record.map(|_| count + 1));
        }
        Ok(self.record_count_hint())
    }

    /// Number of records to expect: exact unless the range cuts a batch.
    pub fn record_count_hint(&self) -> usize {
        self.inner.batches.iter().map(DecodedBatch::record_count).sum()
    }

    /// For a repartition source: (offset, stream time from this offset on), ascending. Empty for ordinary sources.
    pub fn time_marks(&self) -> &[(Offset, Timestamp)] {
        &self.inner.marks
    }

    /// An owned copy of the record at `offset`, if it is here. Linear: for error paths only.
    pub fn find(&self, offset: Offset) -> Option<RawRecord> {
        let found = self
            .records()
            .filter_map(Result::ok)
            .find(|found| found.record.offset == offset)?;
        Some(found.to_raw_record(self.partition()))
    }

    /// The same records as seen by a repartition source.
    pub(super) fn with_time_marks(self, marks: Vec<(Offset, Timestamp)>) -> RawBatch {
        let inner = match Arc::try_unwrap(self.inner) {
            Ok(inner) => Inner {
                marks,
                hides_time_records: true,
                ..inner
            },
            // Somebody still holds the plain batch: share nothing but the bytes.
            Err(shared) => Inner {
                partition: shared.partition.clone(),
                batches: shared.batches.clone(),
                from: shared.from,
                until: shared.until,
                marks,
                hides_time_records: true,
            },
        };
        RawBatch {
            inner: Arc::new(inner),
        }
    }
}

impl Inner {
    /// Whether the range leaves out a part of a batch.
    fn cuts(&self, batch: &DecodedBatch) -> bool {
        batch.header().base_offset() < self.from || batch.header().last_offset() >= self.until
    }

    /// Whether a record is in the range, and not there for its time only.
    #[inline]
    fn shows(&self, record: &RecordRef<'_>) -> bool {
        record.offset >= self.from
            && record.offset < self.until
            && !(self.hides_time_records && time_header::is_time_only(record))
    }
}

impl<'a> RawRecordRef<'a> {
    /// An owned copy.
    pub fn to_raw_record(&self, partition: &TopicPartition) -> RawRecord {
        RawRecord {
            origin: Some((partition.clone(), self.record.offset)),
            key: self.record.key.map(Bytes::copy_from_slice),
            value: self.record.value.map(Bytes::copy_from_slice),
            timestamp: self.record.timestamp,
            headers: Headers::of_record(&self.record),
        }
    }
}
