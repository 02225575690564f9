//! What compaction keeps. Pure: batches in log order go in, a fate for each comes out. `cleaner.rs` reads and writes the files.
//!
//! Always: a record outlives every newer record of its key being absent; records at or above `map_end` are kept; nothing at or
//! above the last stable offset is looked at (the caller's duty). A marker goes only after a pass that met none of its transaction's
//! data, and only after its delete horizon (KIP-534), so a reader that has seen part of the transaction still finds the decision. Survivors
//! keep their offsets. The last batch of a producer stays, empty if need be: without it a restart would forget its sequence.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::record::{BatchBuilder, BatchError, BatchOptions, ControlRecord, RecordBatch};
use crate::types::{Offset, ProducerId, Timestamp};

/// An aborted transaction as the transaction indexes list it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AbortedRange {
    /// First offset.
    pub first_offset: Offset,
    /// Offset of its abort marker.
    pub last_offset: Offset,
    /// Who.
    pub producer_id: ProducerId,
    /// Last stable offset when it was aborted.
    pub last_stable_offset: Offset,
}

/// Which transaction each batch belongs to, as a pass walks up the log.
#[derive(Debug, Default)]
pub struct TxnWalk {
    /// Aborted transactions not reached yet, by first offset.
    ahead: VecDeque<AbortedRange>,
    /// Aborted transactions the walk is inside of, and whether data of theirs was met.
    aborted: BTreeMap<ProducerId, (AbortedRange, bool)>,
    /// Producers with data of a committed transaction met since its last marker.
    committed: BTreeSet<ProducerId>,
    /// Aborted ranges whose markers stay, for the new transaction index.
    kept: Vec<AbortedRange>,
}

impl TxnWalk {
    /// A walk over a log with these aborted transactions.
    pub fn new(mut aborted: Vec<AbortedRange>) -> Self {
        aborted.sort_unstable();
        Self {
            ahead: aborted.into(),
            ..Self::default()
        }
    }

    /// A walk that begins at `start`. A transaction whose marker lies before it is over: the walk would never meet the end of it, and would take
    /// whatever its producer commits later for aborted.
    pub fn starting_at(start: Offset, mut aborted: Vec<AbortedRange>) -> Self {
        aborted.retain(|range| range.last_offset >= start);
        Self::new(aborted)
    }

    fn enter(&mut self, offset: Offset) {
        while let Some(range) = self.ahead.pop_front_if(|r| r.first_offset <= offset) {
            self.aborted.insert(range.producer_id, (range, false));
        }
    }

    /// Takes a data batch; true if it belongs to an aborted transaction.
    pub fn on_data(&mut self, batch: &RecordBatch) -> bool {
        self.enter(batch.last_offset());
        if !batch.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&batch.producer_id()) {
            Some((_, met)) => {
                *met = true;
                true
            }
            None => {
                self.committed.insert(batch.producer_id());
                false
            }
        }
    }

    /// Takes a marker; true if the walk met no data of its transaction.
    pub fn on_marker(&mut self, batch: &RecordBatch) -> Result<bool, BatchError> {
        self.enter(batch.last_offset());
        let Some(marker) = marker_of(batch)? else {
            return Ok(false);
        };
        Ok(match marker {
            ControlRecord::Abort { .. } => match self.aborted.remove(&batch.producer_id()) {
                Some((range, met)) => {
                    if met {
                        self.kept.push(range);
                    }
                    !met
                }
                None => true,
            },
            ControlRecord::Commit { .. } => !self.committed.remove(&batch.producer_id()),
        })
    }

    /// Aborted ranges whose data was met since the last call.
    pub fn take_kept(&mut self) -> Vec<AbortedRange> {
        std::mem::take(&mut self.kept)
    }
}

/// The marker in a control batch; `None` for a kind of control record this version does not know.
pub fn marker_of(batch: &RecordBatch) -> Result<Option<ControlRecord>, BatchError> {
    let decoded = batch.decode()?;
    let Some(record) = decoded.iter().next() else {
        return Ok(None);
    };
    let record = record?;
    ControlRecord::parse(record.key, record.value)
}

/// The newest offset of every key in the dirty part of a log.
#[derive(Debug)]
pub struct KeyMap {
    newest: HashMap<Box<[u8]>, Offset, FixedState>,
    used_bytes: usize,
    budget_bytes: usize,
    end: Offset,
}

/// Bytes a key costs beside itself.
const KEY_OVERHEAD_BYTES: usize = 40;

impl KeyMap {
    /// A map of at most `budget_bytes` that begins at `start`.
    pub fn new(budget_bytes: usize, start: Offset) -> Self {
        Self {
            newest: HashMap::with_hasher(FixedState::default()),
            used_bytes: 0,
            budget_bytes,
            end: start,
        }
    }

    /// First offset the map knows nothing about.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Takes the next batch of the dirty part; false if it no longer fits, which ends the map before this batch.
    pub fn add(&mut self, batch: &RecordBatch, walk: &mut TxnWalk) -> Result<bool, BatchError> {
        if batch.is_control() {
            walk.on_marker(batch)?;
        } else if !walk.on_data(batch) {
            let decoded = batch.decode()?;
            let mut needed = 0;
            for record in decoded.iter() {
                needed += record?.key.map_or(0, |k| k.len() + KEY_OVERHEAD_BYTES);
            }
            // The first batch always fits, or a log with huge keys would never be compacted.
            if !self.newest.is_empty() && self.used_bytes + needed > self.budget_bytes {
                return Ok(false);
            }
            for record in decoded.iter() {
                let record = record?;
                let Some(key) = record.key else { continue };
                if let Some(newest) = self.newest.get_mut(key) {
                    *newest = record.offset;
                } else {
                    self.used_bytes += key.len() + KEY_OVERHEAD_BYTES;
                    self.newest.insert(key.into(), record.offset);
                }
            }
        }
        self.end = batch.next_offset();
        Ok(true)
    }

    fn is_newest(&self, key: &[u8], offset: Offset) -> bool {
        self.newest.get(key).is_none_or(|newest| offset >= *newest)
    }
}

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Stays as it is.
    Keep,
    /// Goes.
    Drop,
    /// Stays without records.
    KeepEmpty,
    /// Is written again with these records, and with this delete horizon if one is set.
    Rewrite {
        /// Offsets of the records that stay.
        offsets: Vec<Offset>,
        /// When tombstones or a marker in it may go.
        delete_horizon_ms: Option<Timestamp>,
    },
}

/// Settings of one pass.
#[derive(Clone, Copy, Debug)]
pub struct PassOptions {
    /// Now.
    pub now: Timestamp,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// Tombstones and markers at or above this offset stay: a state store may still need them.
    pub tombstones_kept_from: Offset,
}

/// One pass over a log.
#[derive(Debug)]
pub struct Pass {
    map: KeyMap,
    walk: TxnWalk,
    /// Offset of the last batch of each producer; control batches count only if a producer has nothing else.
    last_batches: BTreeMap<ProducerId, Offset>,
    options: PassOptions,
    tombstones_removed_below: Offset,
}

impl Pass {
    /// A pass from the log's start on.
    pub fn new(
        map: KeyMap,
        aborted: Vec<AbortedRange>,
        last_batches: BTreeMap<ProducerId, Offset>,
        options: PassOptions,
    ) -> Self {
        Self {
            map,
            walk: TxnWalk::new(aborted),
            last_batches,
            options,
            tombstones_removed_below: Offset::ZERO,
        }
    }

    /// One beyond the highest tombstone this pass removed.
    pub fn tombstones_removed_below(&self) -> Offset {
        self.tombstones_removed_below
    }

    /// Aborted ranges for the transaction index of what was kept since the last call.
    pub fn take_kept_aborted(&mut self) -> Vec<AbortedRange> {
        self.walk.take_kept()
    }

    /// Decides about the next batch.
    pub fn fate(&mut self, batch: &RecordBatch) -> Result<Fate, BatchError> {
        if batch.is_control() {
            return self.marker_fate(batch);
        }
        let is_last = batch.producer_id().is_some()
            && self.last_batches.get(&batch.producer_id()) == Some(&batch.last_offset());
        let none_left = if is_last { Fate::KeepEmpty } else { Fate::Drop };
        if self.walk.on_data(batch) {
            return Ok(if batch.record_count() == 0 && is_last {
                Fate::Keep
            } else {
                none_left
            });
        }
        if batch.record_count() == 0 {
            return Ok(if is_last { Fate::Keep } else { Fate::Drop });
        }
        let horizon_passed = batch
            .delete_horizon_ms()
            .is_some_and(|horizon| self.options.now >= horizon);
        let mut offsets = Vec::with_capacity(batch.record_count());
        let mut tombstones = false;
        for record in batch.decode()?.iter() {
            let record = record?;
            let past_map = record.offset >= self.map.end();
            let Some(key) = record.key else {
                // A compacted topic refuses records without a key; one from before the policy changed has nothing to be replaced by.
                if past_map {
                    offsets.push(record.offset);
                }
                continue;
            };
            if past_map {
                offsets.push(record.offset);
                tombstones |= record.value.is_none();
                continue;
            }
            if !self.map.is_newest(key, record.offset) {
                continue;
            }
            if record.value.is_none() {
                if horizon_passed && record.offset < self.options.tombstones_kept_from {
                    self.tombstones_removed_below = self.tombstones_removed_below.max(record.offset.next());
                    continue;
                }
                tombstones = true;
            }
            offsets.push(record.offset);
        }
        let new_horizon = (tombstones && batch.delete_horizon_ms().is_none()).then_some(self.horizon());
        if offsets.is_empty() {
            return Ok(none_left);
        }
        if offsets.len() == batch.record_count() && new_horizon.is_none() {
            return Ok(Fate::Keep);
        }
        Ok(Fate::Rewrite {
            offsets,
            delete_horizon_ms: new_horizon.or(batch.delete_horizon_ms()),
        })
    }

    fn marker_fate(&mut self, batch: &RecordBatch) -> Result<Fate, BatchError> {
        let without_data = self.walk.on_marker(batch)?;
        if !without_data {
            return Ok(Fate::Keep);
        }
        let offset = batch.last_offset();
        match batch.delete_horizon_ms() {
            None => Ok(Fate::Rewrite {
                offsets: vec![batch.base_offset()],
                delete_horizon_ms: Some(self.horizon()),
            }),
            Some(horizon) if self.options.now < horizon || offset >= self.options.tombstones_kept_from => {
                Ok(Fate::Keep)
            }
            Some(_) if self.last_batches.get(&batch.producer_id()) == Some(&offset) => Ok(Fate::Keep),
            Some(_) => Ok(Fate::Drop),
        }
    }

    fn horizon(&self) -> Timestamp {
        self.options.now.saturating_add(self.options.delete_retention_ms)
    }
}

/// Bytes of one batch after its fate; `None` if it goes.
pub fn apply_fate(batch: &RecordBatch, fate: &Fate) -> Result<Option<Bytes>, BatchError> {
    match fate {
        Fate::Drop => Ok(None),
        Fate::Keep => Ok(Some(batch.bytes().clone())),
        Fate::KeepEmpty => rewrite(batch, &[], None).map(Some),
        Fate::Rewrite {
            offsets,
            delete_horizon_ms,
        } => rewrite(batch, offsets, *delete_horizon_ms).map(Some),
    }
}

/// The batch with only the records at `offsets` (ascending). Offsets, sequences, producer and the range of the batch stay.
fn rewrite(
    batch: &RecordBatch,
    offsets: &[Offset],
    delete_horizon_ms: Option<Timestamp>,
) -> Result<Bytes, BatchError> {
    let options = BatchOptions {
        delete_horizon_ms,
        ..BatchOptions::rewrite_of(batch.header())
    };
    let mut builder = BatchBuilder::new(options);
    let mut wanted = offsets.iter().peekable();
    for record in batch.decode()?.iter() {
        let record = record?;
        if wanted.next_if(|o| **o == record.offset).is_some() {
            builder.append_ref(&record)?;
        }
    }
    Ok(builder.build())
}
