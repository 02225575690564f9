//! What a partition knows about its producers: sequences, epochs, open transactions. A pure fold over batch headers.
//!
//! Always: the state after applying the log up to `o` equals the snapshot at `o` (only the last batch of a producer is in a
//! snapshot, as in Kafka; the older four are a courtesy to retries). `check` never changes anything and `apply` never refuses, so a
//! failed append leaves no trace (KAFKA-6683). `partition_log.rs` calls both; `producer_snapshot.rs` has the file format.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// Batches remembered per producer, as in Kafka: a client has at most five in flight.
pub const BATCHES_REMEMBERED: usize = 5;

/// The part of a batch header that producer state depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchFacts {
    /// First offset.
    pub base_offset: Offset,
    /// Last offset, inclusive.
    pub last_offset: Offset,
    /// Largest timestamp.
    pub max_timestamp: Timestamp,
    /// Who; `ProducerId::NONE` for a producer without idempotence.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record.
    pub base_sequence: Sequence,
    /// Sequence of the last record.
    pub last_sequence: Sequence,
    /// Part of a transaction.
    pub is_transactional: bool,
    /// A transaction marker, decoded.
    pub marker: Option<Marker>,
    /// Bytes of the batch.
    pub size_bytes: usize,
    /// Term of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
}

/// A transaction marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Commit or abort.
    pub commit: bool,
    /// Term of the coordinator that decided.
    pub coordinator_epoch: i32,
}

/// One remembered batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RememberedBatch {
    /// Sequence of the last record.
    pub last_sequence: Sequence,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// Last minus first offset.
    pub offset_delta: i32,
}

impl RememberedBatch {
    fn base_offset(&self) -> Offset {
        Offset::new(self.last_offset.get() - i64::from(self.offset_delta))
    }

    fn base_sequence(&self) -> Sequence {
        self.last_sequence.minus(self.offset_delta)
    }
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Newest epoch seen.
    pub producer_epoch: ProducerEpoch,
    /// Newest batches of that epoch, oldest first.
    pub batches: SmallVec<[RememberedBatch; 1]>,
    /// Term of the coordinator of the last marker; -1 if none.
    pub coordinator_epoch: i32,
    /// Timestamp of the last batch or marker.
    pub last_timestamp: Timestamp,
    /// First offset of its open transaction.
    pub open_txn: Option<Offset>,
    /// Offset of the last marker seen. Not part of a snapshot: it judges appends that were verified in this process (`check_verified`).
    pub last_marker: Option<Offset>,
    /// When this node last heard of it. Not part of a snapshot: batch timestamps may lie in the past, so expiry cannot use them (KAFKA-9144).
    pub last_seen: Timestamp,
}

impl ProducerEntry {
    fn new(producer_epoch: ProducerEpoch, now: Timestamp) -> Self {
        Self {
            producer_epoch,
            batches: SmallVec::new(),
            coordinator_epoch: -1,
            last_timestamp: -1,
            open_txn: None,
            last_marker: None,
            last_seen: now,
        }
    }

    /// The newest batch.
    pub fn last_batch(&self) -> Option<&RememberedBatch> {
        self.batches.last()
    }
}

/// What can be seen of a producer of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerDescription {
    /// Who.
    pub producer_id: ProducerId,
    /// Newest epoch seen.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of its last record in that epoch; `NONE` if only a marker was seen.
    pub last_sequence: Sequence,
    /// Timestamp of its last batch or marker.
    pub last_timestamp: Timestamp,
    /// Term of the coordinator of its last marker; -1 if none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub txn_start_offset: Option<Offset>,
}

/// Why a batch does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerRefusal {
    /// A gap in the sequence.
    OutOfOrder {
        /// The sequence that would fit.
        expected: Sequence,
    },
    /// Seen before, offset forgotten.
    TooOldDuplicate,
    /// An epoch below the newest.
    Fenced {
        /// The newest.
        current: ProducerEpoch,
    },
    /// A plain batch inside an open transaction.
    PlainInsideTxn,
    /// The transaction was ended after the coordinator was asked about it.
    TxnEnded,
    /// A marker from an older coordinator term.
    CoordinatorFenced {
        /// The newest term.
        current: i32,
    },
}

/// What `check` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New and in order.
    Accept,
    /// Already in the log at these offsets (first, last).
    Duplicate(Offset, Offset),
}

/// A transaction that a marker closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedTxn {
    /// Who.
    pub producer_id: ProducerId,
    /// First offset.
    pub first_offset: Offset,
    /// Offset of the marker.
    pub marker_offset: Offset,
    /// Decision.
    pub committed: bool,
    /// First undecided offset once this one is closed.
    pub last_stable_offset: Offset,
}

/// What `apply` changed about transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnChange {
    /// Nothing.
    None,
    /// A transaction opened at this offset.
    Opened(Offset),
    /// A transaction was closed.
    Closed(ClosedTxn),
}

/// All producers of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerState {
    producers: BTreeMap<ProducerId, ProducerEntry>,
    open: BTreeMap<Offset, ProducerId>,
}

impl ProducerState {
    /// State from snapshot entries.
    pub fn from_entries(entries: impl IntoIterator<Item = (ProducerId, ProducerEntry)>) -> Self {
        let producers: BTreeMap<_, _> = entries.into_iter().collect();
        let open = producers
            .iter()
            .filter_map(|(id, e)| e.open_txn.map(|first| (first, *id)))
            .collect();
        Self { producers, open }
    }

    /// A copy with only these producers.
    pub fn only(&self, ids: impl IntoIterator<Item = ProducerId>) -> Self {
        let ids: BTreeSet<_> = ids.into_iter().collect();
        Self::from_entries(
            ids.into_iter()
                .filter_map(|id| self.producers.get(&id).map(|e| (id, e.clone()))),
        )
    }

    /// Every producer, by id.
    pub fn entries(&self) -> impl Iterator<Item = (ProducerId, &ProducerEntry)> {
        self.producers.iter().map(|(id, e)| (*id, e))
    }

    /// What can be seen of every producer, by id.
    pub fn describe(&self) -> Vec<ProducerDescription> {
        let describe = |(producer_id, entry): (ProducerId, &ProducerEntry)| ProducerDescription {
            producer_id,
            producer_epoch: entry.producer_epoch,
            last_sequence: entry
                .last_batch()
                .map_or(Sequence::NONE, |batch| batch.last_sequence),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            txn_start_offset: entry.open_txn,
        };
        self.entries().map(describe).collect()
    }

    /// One producer.
    pub fn entry(&self, producer_id: ProducerId) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id)
    }

    /// Number of producers.
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// True without producers.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// First offsets of the open transactions, ascending.
    pub fn open_txns(&self) -> impl Iterator<Item = Offset> + '_ {
        self.open.keys().copied()
    }

    /// First offset of the oldest open transaction.
    pub fn first_open(&self) -> Option<Offset> {
        self.open.keys().next().copied()
    }

    /// Decides whether a client's batch fits; `skip_sequence` is the planted bug of that name.
    pub fn check(&self, batch: &BatchFacts, skip_sequence: bool) -> Result<Verdict, ProducerRefusal> {
        if batch.producer_id == ProducerId::NONE {
            return Ok(Verdict::Accept);
        }
        let Some(entry) = self.producers.get(&batch.producer_id) else {
            // KIP-360: a producer whose state is gone (expired, deleted by retention) goes on with its own count.
            return Ok(Verdict::Accept);
        };
        if batch.producer_epoch < entry.producer_epoch {
            return Err(ProducerRefusal::Fenced {
                current: entry.producer_epoch,
            });
        }
        if skip_sequence {
            return Ok(Verdict::Accept);
        }
        if batch.producer_epoch > entry.producer_epoch {
            // A new epoch starts again at zero.
            if batch.base_sequence != Sequence::new(0) {
                return Err(ProducerRefusal::OutOfOrder {
                    expected: Sequence::new(0),
                });
            }
        } else if let Some(last) = entry.last_batch() {
            for known in &entry.batches {
                if known.base_sequence() == batch.base_sequence && known.last_sequence == batch.last_sequence
                {
                    return Ok(Verdict::Duplicate(known.base_offset(), known.last_offset));
                }
            }
            let expected = last.last_sequence.plus(1);
            if batch.base_sequence != expected {
                // Sequences wrap at 2^31, so "older" is a distance: less than half the circle behind.
                let behind = i64::from(last.last_sequence.get()) - i64::from(batch.last_sequence.get());
                let behind = behind.rem_euclid(1 << 31);
                return Err(if behind < 1 << 30 {
                    ProducerRefusal::TooOldDuplicate
                } else {
                    ProducerRefusal::OutOfOrder { expected }
                });
            }
        } else if batch.base_sequence != Sequence::new(0) {
            // Only a marker was seen in this epoch (KIP-890 bumps it with the marker): data starts at zero.
            return Err(ProducerRefusal::OutOfOrder {
                expected: Sequence::new(0),
            });
        }
        if entry.open_txn.is_some() && !batch.is_transactional && batch.producer_epoch == entry.producer_epoch
        {
            return Err(ProducerRefusal::PlainInsideTxn);
        }
        Ok(Verdict::Accept)
    }

    /// Decides whether a transactional batch that `check` accepts may open a transaction here (KIP-890, the verification guard). `verified_from` was the
    /// log end before the coordinator said that the transaction is open on this partition: a marker at or above it ended that transaction,
    /// and a batch appended now would be open for ever. Epochs come first (`check`), so a fenced producer learns that it is fenced.
    pub fn check_verified(
        &self,
        batch: &BatchFacts,
        verified_from: Option<Offset>,
    ) -> Result<(), ProducerRefusal> {
        let (true, Some(verified_from)) = (batch.is_transactional, verified_from) else {
            return Ok(());
        };
        let Some(entry) = self.producers.get(&batch.producer_id) else {
            return Ok(());
        };
        let is_open = entry.open_txn.is_some() && entry.producer_epoch == batch.producer_epoch;
        match entry.last_marker {
            Some(marker) if !is_open && marker >= verified_from => Err(ProducerRefusal::TxnEnded),
            _ => Ok(()),
        }
    }

    /// Decides whether a marker may be written.
    pub fn check_marker(
        &self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        marker: Marker,
    ) -> Result<(), ProducerRefusal> {
        let Some(entry) = self.producers.get(&producer_id) else {
            return Ok(());
        };
        if producer_epoch < entry.producer_epoch {
            return Err(ProducerRefusal::Fenced {
                current: entry.producer_epoch,
            });
        }
        if marker.coordinator_epoch < entry.coordinator_epoch {
            return Err(ProducerRefusal::CoordinatorFenced {
                current: entry.coordinator_epoch,
            });
        }
        Ok(())
    }

    /// Takes a batch that is in the log.
    pub fn apply(&mut self, batch: &BatchFacts, now: Timestamp) -> TxnChange {
        if batch.producer_id == ProducerId::NONE {
            return TxnChange::None;
        }
        let entry = self
            .producers
            .entry(batch.producer_id)
            .or_insert_with(|| ProducerEntry::new(batch.producer_epoch, now));
        entry.last_seen = now;
        entry.last_timestamp = batch.max_timestamp;
        if batch.producer_epoch > entry.producer_epoch {
            entry.producer_epoch = batch.producer_epoch;
            entry.batches.clear();
        }
        if let Some(marker) = batch.marker {
            entry.coordinator_epoch = entry.coordinator_epoch.max(marker.coordinator_epoch);
            entry.last_marker = Some(batch.last_offset);
            let Some(first_offset) = entry.open_txn.take() else {
                return TxnChange::None;
            };
            self.open.remove(&first_offset);
            return TxnChange::Closed(ClosedTxn {
                producer_id: batch.producer_id,
                first_offset,
                marker_offset: batch.last_offset,
                committed: marker.commit,
                last_stable_offset: self.first_open().unwrap_or(batch.last_offset.next()),
            });
        }
        if batch.base_sequence.get() >= 0 {
            if entry.batches.len() == BATCHES_REMEMBERED {
                entry.batches.remove(0);
            }
            entry.batches.push(RememberedBatch {
                last_sequence: batch.last_sequence,
                last_offset: batch.last_offset,
                offset_delta: (batch.last_offset.get() - batch.base_offset.get()) as i32,
            });
        }
        if batch.is_transactional && entry.open_txn.is_none() {
            entry.open_txn = Some(batch.base_offset);
            self.open.insert(batch.base_offset, batch.producer_id);
            return TxnChange::Opened(batch.base_offset);
        }
        TxnChange::None
    }

    /// Forgets producers this node has not heard of since `before`; never one with an open transaction.
    pub fn expire(&mut self, before: Timestamp) -> usize {
        let count = self.producers.len();
        self.producers
            .retain(|_, e| e.open_txn.is_some() || e.last_seen >= before);
        count - self.producers.len()
    }

    /// The state as a snapshot keeps it: only the last batch of each producer.
    pub fn as_snapshotted(&self) -> Self {
        let mut copy = self.clone();
        for entry in copy.producers.values_mut() {
            let keep = entry.batches.len().saturating_sub(1);
            entry.batches.drain(..keep);
            entry.last_seen = 0;
            entry.last_marker = None;
        }
        copy
    }
}
