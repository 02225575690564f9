//! The fetched batches of one input partition, waiting to be processed.
//!
//! Positions: `position ≤ fetch_position`. `position` is the next offset to be processed and what a commit records; `fetch_position` the next
//! to be fetched; the batches between them are queued. Aborted and control batches never enter the queue, but both positions pass over them,
//! so a partition that ends with a transaction marker is read to its end.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use millpond_log::record::{BatchError, BatchIter, DecodedBatch, RecordBatch};
use millpond_log::types::{Offset, ProducerId, Timestamp, TopicPartition};

use crate::processor::RawBatch;

/// A partition's queue.
#[derive(Debug)]
pub(crate) struct InputQueue {
    partition: TopicPartition,
    position: Offset,
    fetch_position: Offset,
    /// End for a read_committed reader when we last looked; the queue is known to be complete when `fetch_position` has reached it.
    end_seen: Option<Offset>,
    batches: VecDeque<Queued>,
    bytes: usize,
    /// Wall-clock time of the last answer to a fetch, in ms.
    answered_ms: Option<Timestamp>,
}

#[derive(Debug)]
struct Queued {
    batch: RecordBatch,
    decoded: Option<Decoded>,
    /// Position after this batch and everything skipped behind it.
    until: Offset,
}

#[derive(Debug)]
struct Decoded {
    batch: DecodedBatch,
    /// One for each record, for choosing between partitions.
    records: Vec<Place>,
}

/// Where a record is, so that a run of few of them does not read its whole batch again.
#[derive(Debug)]
struct Place {
    offset: Offset,
    timestamp: Timestamp,
    /// Where its bytes end within the batch's records.
    end: usize,
}

/// Records taken from a queue, with their sizes for the counters.
pub(crate) struct Run {
    pub(crate) batch: RawBatch,
    pub(crate) bytes: usize,
}

impl InputQueue {
    /// An empty queue that will fetch from `position`.
    pub(crate) fn new(partition: TopicPartition, position: Offset) -> Self {
        InputQueue {
            partition,
            position,
            fetch_position: position,
            end_seen: None,
            batches: VecDeque::new(),
            bytes: 0,
            answered_ms: None,
        }
    }

    pub(crate) fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    pub(crate) fn position(&self) -> Offset {
        self.position
    }

    pub(crate) fn fetch_position(&self) -> Offset {
        self.fetch_position
    }

    pub(crate) fn buffered_bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Offsets between the position and the end when we last looked; 0 before that.
    pub(crate) fn lag(&self) -> i64 {
        self.end_seen
            .map_or(0, |end| (end.get() - self.position.get()).max(0))
    }

    /// Nothing is queued and the log had no more when we last looked.
    pub(crate) fn is_at_end(&self) -> bool {
        self.batches.is_empty() && self.end_seen.is_some_and(|end| self.fetch_position >= end)
    }

    /// The log answered a fetch at `now_ms`.
    pub(crate) fn answered(&mut self, now_ms: Timestamp) {
        self.answered_ms = Some(now_ms);
    }

    /// Wall-clock time of the last answer that left nothing to be processed; `None` while there is something, or may be.
    pub(crate) fn idle_answer_ms(&self) -> Option<Timestamp> {
        self.answered_ms.filter(|_| self.is_at_end())
    }

    /// Forgets what is queued and starts again at `position`.
    pub(crate) fn rewind(&mut self, position: Offset) {
        *self = InputQueue::new(self.partition.clone(), position);
    }

    /// Takes the answer of a fetch that asked for `asked`. An answer to an older question (before a rewind) is ignored.
    ///
    /// `aborted` are the aborted transactions among the batches as (producer, first offset); their records are left out (read_committed).
    pub(crate) fn push(
        &mut self,
        asked: Offset,
        batches: Vec<Bytes>,
        mut aborted: Vec<(ProducerId, Offset)>,
        last_stable_offset: Offset,
    ) -> Result<(), BatchError> {
        if asked != self.fetch_position {
            return Ok(());
        }
        aborted.sort_by_key(|&(_, first)| first);
        let mut aborted = aborted.into_iter().peekable();
        let mut aborting: BTreeSet<ProducerId> = BTreeSet::new();
        for batch in batches.into_iter().flat_map(BatchIter::new) {
            let batch = batch?;
            let next = batch.next_offset();
            while aborted
                .next_if(|&(_, first)| first <= batch.last_offset())
                .map(|(id, _)| aborting.insert(id))
                .is_some()
            {}
            if batch.is_control() {
                // A marker ends the transaction of its producer, whichever way; a later one of the same producer is listed again.
                aborting.remove(&batch.producer_id());
                self.skip_to(next);
                continue;
            }
            if next <= self.fetch_position
                || (batch.is_transactional() && aborting.contains(&batch.producer_id()))
            {
                self.skip_to(next);
                continue;
            }
            batch.check_crc()?;
            self.bytes += batch.size_bytes();
            self.fetch_position = next;
            self.batches.push_back(Queued {
                batch,
                decoded: None,
                until: next,
            });
        }
        self.end_seen = Some(last_stable_offset);
        Ok(())
    }

    /// Passes over offsets that hold nothing for us.
    fn skip_to(&mut self, next: Offset) {
        if next <= self.fetch_position {
            return;
        }
        self.fetch_position = next;
        match self.batches.back_mut() {
            Some(last) => last.until = next,
            None => self.position = next,
        }
    }

    /// Timestamp of the next record, decoding its batch; `None` when empty.
    pub(crate) fn head_time(&mut self) -> Result<Option<Timestamp>, BatchError> {
        let position = self.position;
        // A compacted batch may end in a gap: nothing of it is left at or above the position.
        while let Some(head) = self.batches.front_mut() {
            let decoded = head.decode()?;
            if let Some(place) = decoded.records.get(decoded.first_at(position)) {
                return Ok(Some(place.timestamp));
            }
            self.drop_head();
        }
        Ok(None)
    }

    fn drop_head(&mut self) {
        if let Some(done) = self.batches.pop_front() {
            self.bytes -= done.batch.size_bytes();
            self.position = done.until;
        }
    }

    /// Takes records from the head: whole batches up to `bytes_max`, and with a `limit` only while timestamps are at most that. At least one
    /// record when the queue is not empty and its head is within the limit.
    pub(crate) fn take(
        &mut self,
        bytes_max: usize,
        limit: Option<Timestamp>,
    ) -> Result<Option<Run>, BatchError> {
        self.take_until(bytes_max, limit, None)
    }

    /// As [`take`](Self::take), and only records below `end`.
    pub(crate) fn take_until(
        &mut self,
        bytes_max: usize,
        limit: Option<Timestamp>,
        end: Option<Offset>,
    ) -> Result<Option<Run>, BatchError> {
        let from = self.position;
        let is_inside = |offset: Offset| end.is_none_or(|end| offset < end);
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(head) = self.batches.front_mut() {
            let size = head.batch.size_bytes();
            if !taken.is_empty() && bytes + size > bytes_max {
                break;
            }
            let whole = limit.is_none_or(|limit| head.batch.max_timestamp() <= limit)
                && is_inside(head.batch.last_offset());
            if whole {
                let batch = match head.decoded.take() {
                    Some(decoded) => decoded.batch,
                    None => head.batch.decode()?,
                };
                taken.push(batch);
                bytes += size;
                self.drop_head();
                continue;
            }
            let position = self.position;
            let decoded = head.decode()?;
            let start = decoded.first_at(position);
            let within = |time: Timestamp| limit.is_none_or(|limit| time <= limit);
            let run = decoded.records[start..]
                .iter()
                .take_while(|place| within(place.timestamp) && is_inside(place.offset))
                .count();
            if run > 0 {
                taken.push(decoded.cut(start, run));
                bytes += size * run / decoded.records.len();
                match decoded.records.get(start + run) {
                    Some(next) => self.position = next.offset,
                    None => self.drop_head(),
                }
            }
            break;
        }
        if taken.is_empty() {
            return Ok(None);
        }
        let batch = RawBatch::new(self.partition.clone(), taken, from, self.position);
        Ok(Some(Run { batch, bytes }))
    }
}

impl Queued {
    fn decode(&mut self) -> Result<&Decoded, BatchError> {
        if self.decoded.is_none() {
            let batch = self.batch.decode()?;
            let mut records = Vec::with_capacity(batch.record_count());
            let mut walk = batch.iter();
            while let Some(record) = walk.next() {
                let record = record?;
                records.push(Place {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    end: batch.records().len() - walk.bytes_left(),
                });
            }
            self.decoded = Some(Decoded { batch, records });
        }
        Ok(self.decoded.as_ref().expect("filled just above"))
    }
}

impl Decoded {
    /// Index of the first record at or above `position`.
    fn first_at(&self, position: Offset) -> usize {
        self.records.partition_point(|place| place.offset < position)
    }

    /// `count` records from that index on, at least one.
    fn cut(&self, first: usize, count: usize) -> DecodedBatch {
        let begin = first.checked_sub(1).map_or(0, |before| self.records[before].end);
        self.batch.cut(count, begin..self.records[first + count - 1].end)
    }
}

#[cfg(test)]
#[path = "input_queue_test.rs"]
mod input_queue_test;
