//! The half of a partition that only its owner loop touches: the end of the log and the producers.
//!
//! An append, checked by itself before it came here (`prepared_append.rs`), is checked completely before anything changes, then written, then applied; so a refused append leaves no trace, and a failed write
//! stops the directory before the memory runs ahead of the file (KAFKA-6683). Readers see the result through `partition.rs` only.
//! Next: `owner.rs` drives this, `segment.rs` has the files, `loader.rs` builds one from a directory.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::aborted_segments;
use super::append::{AppendAck, AppendOrigin};
use super::batch_facts::facts_of;
use super::compaction::AbortedRange;
use super::disk::DiskResult;
use super::epoch_log::EpochLog;
use super::flush_queue::{Chore, DirtyFile, FlushQueue};
use super::headroom::Need;
use super::journal_format::JournalPiece;
use super::partition::Partition;
use super::prepared_append::{Payload, PreparedAppend};
use super::producer_state::{BatchFacts, Marker, ProducerRefusal, ProducerState, TxnChange, Verdict};
use super::roll::{ActiveSegment, RollReason, should_roll};
use super::segment::{Segment, WrittenBatch};
use super::settings::{Durability, TimestampSource, TopicConfig};
use super::snapshots::write_snapshot;
use super::storage_error::StorageError;
use super::tail_cache::CachedBatch;
use crate::faults::Sabotage;
use crate::record::{BatchBytes, ControlRecord, RecordBatch, patch};
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// The writing half of a partition.
#[derive(Debug)]
pub(super) struct PartitionLog {
    pub(super) shared: Arc<Partition>,
    pub(super) producers: ProducerState,
    next_offset: Offset,
    pub(super) epochs: EpochLog,
    flush: Arc<FlushQueue>,
}

/// An append that is written.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) ack: AppendAck,
    /// The answer waits until everything up to here is durable.
    pub(super) durable_above: Option<Offset>,
}

impl PartitionLog {
    pub(super) fn new(
        shared: Arc<Partition>,
        producers: ProducerState,
        next_offset: Offset,
        epochs: EpochLog,
        flush: Arc<FlushQueue>,
    ) -> Self {
        Self {
            shared,
            producers,
            next_offset,
            epochs,
            flush,
        }
    }

    /// Judges, numbers and writes the batches of an append.
    pub(super) fn append(
        &mut self,
        append: PreparedAppend,
        now: Timestamp,
    ) -> Result<Appended, StorageError> {
        self.shared.check_open()?;
        let config = self.shared.config();
        let PreparedAppend {
            payload,
            mut facts,
            origin,
            acks_durable,
            verified_from,
        } = append;
        if origin == AppendOrigin::Client
            && let Some((first, last)) = self.check_sequences(&facts, verified_from)?
        {
            // Already here; it may not be durable yet, so this answer waits like the first one.
            return Ok(self.appended(first, last, None, true, acks_durable, &config));
        }
        let first = self.assign(&mut facts, origin)?;
        let stamped = (config.timestamp_source == TimestampSource::LogAppendTime
            && origin != AppendOrigin::Replication)
            .then_some(now);
        let bytes = self.stamp(payload, &mut facts, stamped)?;
        let need = match origin {
            AppendOrigin::Coordinator => Need::Upkeep,
            // Dropping a view writes to the catalogue first, and frees more than that.
            AppendOrigin::Client if self.shared.id.topic.is_of_the_node() => Need::Upkeep,
            AppendOrigin::Client | AppendOrigin::Replication => Need::Data,
        };
        self.write(bytes, &facts, need, now, &config)?;
        let last = facts.last().map_or(first, |f| f.last_offset);
        Ok(self.appended(first, last, stamped, false, acks_durable, &config))
    }

    /// Writes a transaction marker.
    pub(super) fn append_control(
        &mut self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        record: ControlRecord,
        now: Timestamp,
    ) -> Result<Appended, StorageError> {
        self.shared.check_open()?;
        let marker = Marker {
            commit: record.is_commit(),
            coordinator_epoch: record.coordinator_epoch(),
        };
        self.producers
            .check_marker(producer_id, producer_epoch, marker)
            .map_err(|r| self.refusal(r, producer_id, producer_epoch, marker.coordinator_epoch, None))?;
        let config = self.shared.config();
        let batch = record.to_batch(producer_id, producer_epoch, now);
        let parsed = RecordBatch::parse(batch.clone()).map_err(|e| self.invalid(e))?;
        let mut facts: SmallVec<[BatchFacts; 2]> = SmallVec::new();
        facts.push(facts_of(&parsed).map_err(|e| self.invalid(e))?);
        drop(parsed);
        let offset = self.assign(&mut facts, AppendOrigin::Coordinator)?;
        let bytes = self.stamp(Payload::Own(BatchBytes::from(batch).into_own()), &mut facts, None)?;
        self.write(bytes, &facts, Need::Upkeep, now, &config)?;
        Ok(self.appended(offset, offset, None, false, true, &config))
    }

    fn appended(
        &self,
        first: Offset,
        last: Offset,
        stamped: Option<Timestamp>,
        duplicate: bool,
        acks_durable: bool,
        config: &TopicConfig,
    ) -> Appended {
        let waits = acks_durable
            && config.durability == Durability::Fsync
            && !self.shared.dir.faults.sabotaged(Sabotage::AckBeforeDurable);
        Appended {
            ack: AppendAck {
                base_offset: first,
                last_offset: last,
                log_append_time: stamped,
                log_start_offset: self.shared.offsets().log_start_offset,
                duplicate,
            },
            durable_above: waits.then_some(last),
        }
    }

    /// `Some` with the first and last offset if all batches are duplicates.
    fn check_sequences(
        &self,
        facts: &[BatchFacts],
        verified_from: Option<Offset>,
    ) -> Result<Option<(Offset, Offset)>, StorageError> {
        let skip = self.shared.dir.faults.sabotaged(Sabotage::SkipSequenceCheck);
        let refuse = |r, f: &BatchFacts| self.refusal(r, f.producer_id, f.producer_epoch, 0, Some(f));
        if let [only] = facts {
            return Ok(
                match self.producers.check(only, skip).map_err(|r| refuse(r, only))? {
                    Verdict::Accept => {
                        self.producers
                            .check_verified(only, verified_from)
                            .map_err(|r| refuse(r, only))?;
                        None
                    }
                    Verdict::Duplicate(first, last) => Some((first, last)),
                },
            );
        }
        // Each batch is checked against the state its predecessors would leave, on a copy of the producers concerned.
        let mut scratch = self.producers.only(facts.iter().map(|f| f.producer_id));
        let mut duplicates = Vec::new();
        for batch in facts {
            match scratch.check(batch, skip).map_err(|r| refuse(r, batch))? {
                Verdict::Accept => {
                    scratch
                        .check_verified(batch, verified_from)
                        .map_err(|r| refuse(r, batch))?;
                    scratch.apply(batch, 0);
                }
                Verdict::Duplicate(first, last) => duplicates.push((first, last)),
            }
        }
        match (duplicates.first(), duplicates.last()) {
            (Some((first, _)), Some((_, last))) if duplicates.len() == facts.len() => {
                Ok(Some((*first, *last)))
            }
            (None, _) => Ok(None),
            _ => Err(StorageError::InvalidRecord {
                partition: self.shared.id.clone(),
                reason: "a request mixes new batches with ones already written",
            }),
        }
    }

    /// Gives the batches their offsets; returns the first.
    fn assign(&self, facts: &mut [BatchFacts], origin: AppendOrigin) -> Result<Offset, StorageError> {
        let mut next = self.next_offset;
        let mut first = None;
        for batch in facts {
            if origin == AppendOrigin::Replication {
                if batch.base_offset != next {
                    return Err(StorageError::InvalidRecord {
                        partition: self.shared.id.clone(),
                        reason: "replicated offsets do not follow the log end",
                    });
                }
            } else {
                let count = batch.last_offset.distance_from(batch.base_offset);
                batch.base_offset = next;
                batch.last_offset = next.plus(count);
                batch.leader_epoch = LeaderEpoch::ZERO;
            }
            first.get_or_insert(batch.base_offset);
            next = batch.last_offset.next();
        }
        Ok(first.unwrap_or(next))
    }

    /// The bytes as they go to the file.
    fn stamp(
        &self,
        payload: Payload,
        facts: &mut [BatchFacts],
        stamped: Option<Timestamp>,
    ) -> Result<Bytes, StorageError> {
        let mut bytes = match payload {
            Payload::Own(bytes) => bytes,
            Payload::Verbatim(bytes) => return Ok(bytes),
        };
        patch::assign_offsets(&mut bytes, self.next_offset, LeaderEpoch::ZERO)
            .map_err(|e| self.invalid(e))?;
        if let Some(time) = stamped {
            let mut at = 0;
            for batch in facts {
                patch::set_log_append_time(&mut bytes[at..], time).map_err(|e| self.invalid(e))?;
                at += batch.size_bytes;
                batch.max_timestamp = time;
            }
        }
        Ok(bytes.freeze())
    }

    fn write(
        &mut self,
        bytes: Bytes,
        facts: &[BatchFacts],
        need: Need,
        now: Timestamp,
        config: &TopicConfig,
    ) -> Result<(), StorageError> {
        let dir = Arc::clone(&self.shared.dir);
        let last_offset = facts[facts.len() - 1].last_offset;
        dir.check_headroom(bytes.len() as u64, need)?;
        let mut active = self.shared.active();
        let facts_about_active = ActiveSegment {
            base_offset: active.base_offset(),
            size_bytes: active.size_bytes(),
            first_append: active.first_append(),
            index_bytes: active.index_bytes(),
        };
        let mut new_file = active.size_bytes() == 0;
        if let Some(reason) = should_roll(&facts_about_active, bytes.len() as u64, last_offset, now, config) {
            active = self.roll(reason).map_err(|e| self.failed(&e, false))?;
            new_file = true;
        }
        let mut at = 0;
        let written: SmallVec<[WrittenBatch; 2]> = facts
            .iter()
            .map(|f| {
                let batch = WrittenBatch {
                    base_offset: f.base_offset,
                    last_offset: f.last_offset,
                    max_timestamp: f.max_timestamp,
                    start: at,
                    size_bytes: f.size_bytes,
                };
                at += f.size_bytes;
                batch
            })
            .collect();
        let (file, position) = active
            .write(&dir, &bytes, &written, now, config.index_interval_bytes)
            .map_err(|e| self.failed(&e, true))?;
        let records = last_offset.next().distance_from(facts[0].base_offset);
        dir.metrics
            .on_append(facts.len(), records.unsigned_abs(), bytes.len());
        self.next_offset = last_offset.next();
        let epoch = facts.last().map_or(LeaderEpoch::NONE, |f| f.leader_epoch);
        self.epochs
            .on_append(&dir, epoch, facts[0].base_offset)
            .map_err(|e| self.failed(&e, true))?;
        let mut changes: SmallVec<[TxnChange; 2]> = SmallVec::new();
        for batch in facts {
            let change = self.producers.apply(batch, now);
            if let TxnChange::Closed(closed) = change
                && !closed.committed
            {
                // In the index before the marker can be read, or a reader would take aborted data for committed.
                let range = AbortedRange {
                    first_offset: closed.first_offset,
                    last_offset: closed.marker_offset,
                    producer_id: closed.producer_id,
                    last_stable_offset: closed.last_stable_offset,
                };
                active.add_aborted(range).map_err(|e| self.failed(&e, true))?;
            }
            changes.push(change);
        }
        let cached = written.iter().map(|w| CachedBatch {
            base_offset: w.base_offset,
            next_offset: w.last_offset.next(),
            bytes: bytes.slice(w.start..w.start + w.size_bytes),
        });
        dir.tail_cache.push(&self.shared.tail, cached);
        self.shared.publish(|marks| {
            for change in changes {
                match change {
                    TxnChange::None => {}
                    TxnChange::Opened(first) => marks.on_txn_opened(first),
                    TxnChange::Closed(closed) => {
                        marks.on_txn_closed(closed.first_offset, closed.marker_offset)
                    }
                }
            }
            marks.on_written(last_offset.next());
        });
        dir.faults.point("K1");
        if config.durability == Durability::Fsync {
            let dirty = DirtyFile {
                base_offset: active.base_offset(),
                file,
            };
            let piece = (dir.config.journal_bytes > 0).then(|| JournalPiece {
                topic_id: self.shared.topic_id.get(),
                directory: self.shared.id.to_string(),
                segment_base: active.base_offset(),
                position,
                base_offset: facts[0].base_offset,
                next_offset: last_offset.next(),
                data: bytes.clone(),
            });
            self.flush.push(
                &self.shared,
                last_offset.next(),
                dirty,
                bytes.len() as u64,
                piece,
                new_file,
            );
        }
        Ok(())
    }

    /// Closes the active segment and opens the next at the log end. Nothing is synced here: the flusher does before anything in the new
    /// segment is acknowledged.
    pub(super) fn roll(&mut self, reason: RollReason) -> DiskResult<Arc<Segment>> {
        let dir = Arc::clone(&self.shared.dir);
        let closed = self.shared.active();
        closed.close()?;
        let opened = Arc::new(Segment::create(&dir, &self.shared.path, self.next_offset)?);
        dir.faults.point("K4");
        tracing::debug!(partition = %self.shared.id, ?reason, base_offset = %self.next_offset, "rolled");
        self.shared
            .replace_segments(self.shared.segments().with_active(Arc::clone(&opened)));
        // A segment of a page-cache topic reaches the medium when it is closed, so that a restart need not check it again.
        let file = DirtyFile {
            base_offset: closed.base_offset(),
            file: closed.log_file(&dir)?,
        };
        let snapshot = write_snapshot(&self.shared, &self.producers, self.next_offset);
        let partition = Arc::clone(&self.shared);
        let chore: Chore = Box::new(move || {
            closed.sync_indexes()?;
            aborted_segments::note(&partition, &closed)?;
            snapshot()
        });
        self.flush
            .push_closed(&self.shared, self.next_offset, file, chore);
        Ok(opened)
    }

    /// Offset the next record will get.
    pub(super) fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// Queue of the directory's flusher.
    pub(super) fn flush(&self) -> &Arc<FlushQueue> {
        &self.flush
    }

    pub(super) fn failed(&self, error: &super::disk::DiskError, maybe_done: bool) -> StorageError {
        self.shared.dir.fail(error);
        // The flusher releases whoever still waits for earlier appends.
        self.flush.wake.notify_one();
        match self.shared.dir.failure(maybe_done) {
            Some(failure) => failure,
            None => StorageError::Io {
                reason: error.to_string(),
            },
        }
    }

    fn invalid(&self, source: crate::record::BatchError) -> StorageError {
        StorageError::InvalidBatch {
            partition: self.shared.id.clone(),
            source,
        }
    }

    fn refusal(
        &self,
        refusal: ProducerRefusal,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        coordinator_epoch: i32,
        batch: Option<&BatchFacts>,
    ) -> StorageError {
        let partition = self.shared.id.clone();
        let found = batch.map_or(crate::types::Sequence::NONE, |b| b.base_sequence);
        match refusal {
            ProducerRefusal::OutOfOrder { expected } => StorageError::OutOfOrderSequence {
                partition,
                producer_id,
                expected,
                found,
            },
            ProducerRefusal::TooOldDuplicate => StorageError::DuplicateSequence {
                partition,
                producer_id,
                found,
            },
            ProducerRefusal::Fenced { current } => StorageError::ProducerFenced {
                partition,
                producer_id,
                current,
                found: epoch,
            },
            ProducerRefusal::PlainInsideTxn => StorageError::InvalidTxnState {
                partition,
                producer_id,
            },
            ProducerRefusal::TxnEnded => StorageError::TxnEnded {
                partition,
                producer_id,
            },
            ProducerRefusal::CoordinatorFenced { current } => StorageError::CoordinatorFenced {
                partition,
                producer_id,
                current,
                found: coordinator_epoch,
            },
        }
    }
}
