//! Walks the records of an unpacked batch without copying or allocating.
//!
//! Always true of the records handed out: offsets ascend and lie within the batch; key, value and headers borrow from
//! the batch and were checked to lie inside their record. A malformed record is the last thing the iterator yields.

use std::ops::Range;

use bytes::Bytes;

use super::error::BatchError;
use super::header::{BatchHeader, TimestampType};
use super::record::{Header, Record};
use super::varint::{take_i32, take_i64};
use crate::types::{Offset, Timestamp};

/// Fewest bytes a record can take: length, attributes, four varints of one byte each, header count.
const MIN_RECORD_SIZE: usize = 7;

/// A batch whose records are unpacked; clones share the bytes.
#[derive(Clone, Debug)]
pub struct DecodedBatch {
    header: BatchHeader,
    records: Bytes,
    /// Fewer than the header says when it was cut.
    count: usize,
}

impl DecodedBatch {
    pub(super) fn new(header: BatchHeader, records: Bytes) -> Result<DecodedBatch, BatchError> {
        // So that a caller may reserve room for `record_count` items without trusting the sender.
        if header.record_count() > records.len() / MIN_RECORD_SIZE {
            return Err(BatchError::InvalidHeader {
                field: "recordCount",
                value: header.record_count() as i64,
            });
        }
        let count = header.record_count();
        Ok(DecodedBatch {
            header,
            records,
            count,
        })
    }

    /// The fields in front of the records.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Records in the batch; proportional to the bytes it holds, so safe to reserve room for.
    pub fn record_count(&self) -> usize {
        self.count
    }

    /// A stretch of `count` records, which lie in `bytes` of [`records`](Self::records): whoever has walked a batch need not do so again for every piece of it. The header
    /// stays that of the whole batch. Where records end is what [`RecordIter::bytes_left`] tells.
    ///
    /// # Panics
    /// If `bytes` are not inside the batch. Bounds that are not those of records make an iterator that ends with an error.
    #[must_use]
    pub fn cut(&self, count: usize, bytes: Range<usize>) -> DecodedBatch {
        DecodedBatch {
            header: self.header,
            records: self.records.slice(bytes),
            count,
        }
    }

    /// The unpacked records.
    pub fn records(&self) -> &Bytes {
        &self.records
    }

    /// The records in order.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter {
            rest: &self.records,
            total: self.count,
            index: 0,
            base_offset: self.header.base_offset().get(),
            last_offset_delta: self.header.last_offset_delta(),
            previous_delta: -1,
            base_timestamp: self.header.base_timestamp(),
            append_time: match self.header.timestamp_type() {
                TimestampType::LogAppendTime => Some(self.header.max_timestamp()),
                TimestampType::CreateTime => None,
            },
        }
    }

    /// Shares a piece borrowed from this batch (a key, a value, a header) without copying it. The piece keeps the whole
    /// batch alive.
    ///
    /// # Panics
    /// If `piece` does not lie inside this batch.
    pub fn slice_of(&self, piece: &[u8]) -> Bytes {
        self.records.slice_ref(piece)
    }

    /// The record with shared ownership of its parts, nothing copied.
    ///
    /// # Panics
    /// If `record` was not borrowed from this batch.
    pub fn to_record(&self, record: &RecordRef<'_>) -> Record {
        Record {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(|key| self.slice_of(key)),
            value: record.value.map(|value| self.slice_of(value)),
            headers: record
                .headers
                .iter()
                .map(|header| Header {
                    key: self.slice_of(header.key),
                    value: header.value.map(|value| self.slice_of(value)),
                })
                .collect(),
        }
    }
}

impl<'a> IntoIterator for &'a DecodedBatch {
    type Item = Result<RecordRef<'a>, BatchError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// A record that borrows from its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its number in the partition.
    pub offset: Offset,
    /// When it happened, in ms; the broker's append time if the batch carries that.
    pub timestamp: Timestamp,
    /// What it is about.
    pub key: Option<&'a [u8]>,
    /// What is said; `None` is a tombstone under compaction.
    pub value: Option<&'a [u8]>,
    /// Extra fields, in order.
    pub headers: HeadersRef<'a>,
}

/// Iterates a [`DecodedBatch`]. Ends after the first error.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    rest: &'a [u8],
    total: usize,
    index: usize,
    base_offset: i64,
    last_offset_delta: i32,
    previous_delta: i32,
    base_timestamp: i64,
    append_time: Option<i64>,
}

impl<'a> RecordIter<'a> {
    /// Bytes of the records that are still to come.
    pub fn bytes_left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    fn parse_next(&mut self) -> Result<RecordRef<'a>, &'static str> {
        let length = take_i32(&mut self.rest).ok_or("length is not a varint")?;
        let length = usize::try_from(length).map_err(|_| "length is negative")?;
        if length > self.rest.len() {
            return Err("length passes the end of the batch");
        }
        let (mut body, rest) = self.rest.split_at(length);
        self.rest = rest;
        // Attributes: no bit is in use.
        body = body.get(1..).ok_or("record is empty")?;
        let timestamp_delta = take_i64(&mut body).ok_or("timestamp delta is not a varint")?;
        let offset_delta = take_i32(&mut body).ok_or("offset delta is not a varint")?;
        if offset_delta <= self.previous_delta {
            return Err("offsets do not ascend");
        }
        if offset_delta > self.last_offset_delta {
            return Err("offset lies beyond the batch");
        }
        self.previous_delta = offset_delta;
        let key = take_nullable(&mut body).ok_or("key passes the end of the record")?;
        let value = take_nullable(&mut body).ok_or("value passes the end of the record")?;
        let headers = HeadersRef::parse(body)?;
        Ok(RecordRef {
            offset: Offset::new(self.base_offset + i64::from(offset_delta)),
            timestamp: match self.append_time {
                Some(time) => time,
                None => self.base_timestamp.saturating_add(timestamp_delta),
            },
            key,
            value,
            headers,
        })
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordRef<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.total {
            if self.rest.is_empty() {
                return None;
            }
            let extra = std::mem::take(&mut self.rest).len();
            return Some(Err(BatchError::TrailingBytes { extra }));
        }
        let index = self.index;
        self.index += 1;
        Some(self.parse_next().map_err(|reason| {
            (self.rest, self.index) = (&[], self.total);
            BatchError::InvalidRecord { index, reason }
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.total - self.index + 1))
    }
}

impl std::iter::FusedIterator for RecordIter<'_> {}

/// A byte string with a varint length, -1 for null.
#[inline]
fn take_nullable<'a>(input: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = take_i32(input)?;
    if length < 0 {
        return (length == -1).then_some(None);
    }
    let (piece, rest) = input.split_at_checked(length as usize)?;
    *input = rest;
    Some(Some(piece))
}

/// The headers of a record: checked once, parsed again as they are walked.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadersRef<'a> {
    count: u32,
    /// The headers without their count.
    bytes: &'a [u8],
}

impl<'a> HeadersRef<'a> {
    /// `bytes` is all that follows the value: the count and the headers, nothing more.
    #[inline]
    fn parse(mut bytes: &'a [u8]) -> Result<HeadersRef<'a>, &'static str> {
        if bytes == [0] {
            return Ok(HeadersRef::default());
        }
        let count = take_i32(&mut bytes).ok_or("header count is not a varint")?;
        let count = u32::try_from(count).map_err(|_| "header count is negative")?;
        let headers = HeadersRef { count, bytes };
        let mut rest = bytes;
        for _ in 0..count {
            if take_header(&mut rest).is_none() {
                return Err("header passes the end of the record");
            }
        }
        if !rest.is_empty() {
            return Err("bytes follow the last header");
        }
        Ok(headers)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in order.
    pub fn iter(&self) -> HeadersIter<'a> {
        HeadersIter {
            left: self.count,
            rest: self.bytes,
        }
    }

    /// The last header of that name, which is the one in force when a name repeats.
    pub fn last(&self, key: &[u8]) -> Option<HeaderRef<'a>> {
        self.iter().filter(|header| header.key == key).last()
    }

    /// The headers as encoded, without their count.
    pub fn encoded(&self) -> &'a [u8] {
        self.bytes
    }

    /// Copies them.
    pub fn to_vec(&self) -> Vec<Header> {
        self.iter()
            .map(|header| Header {
                key: Bytes::copy_from_slice(header.key),
                value: header.value.map(Bytes::copy_from_slice),
            })
            .collect()
    }
}

impl<'a> IntoIterator for HeadersRef<'a> {
    type Item = HeaderRef<'a>;
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for HeadersRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// One borrowed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    /// Its name: UTF-8 by convention, which the log does not enforce.
    pub key: &'a [u8],
    /// Its value; null is allowed.
    pub value: Option<&'a [u8]>,
}

/// Iterates the headers of a record.
#[derive(Clone, Debug)]
pub struct HeadersIter<'a> {
    left: u32,
    rest: &'a [u8],
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = HeaderRef<'a>;

    fn next(&mut self) -> Option<HeaderRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        take_header(&mut self.rest)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}

fn take_header<'a>(input: &mut &'a [u8]) -> Option<HeaderRef<'a>> {
    // Unlike the value, the name may not be null.
    let key = take_nullable(input)??;
    let value = take_nullable(input)?;
    Some(HeaderRef { key, value })
}
