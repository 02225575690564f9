//! One side of a join: its window store, and what of it the batch in hand needs.
//!
//! A batch goes through in passes: `want` every bucket that a record of the other side may look into; `load` them all with two reads; `partners` hands out
//! what lies in a window; `keep` notes the records of this side; `write` puts them into the store. Always true between batches: nothing is held here
//! but the largest timestamp put, which is in the store since the last commit.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use millpond_log::types::Timestamp;

use super::layout::{Layout, fixed_key};
use crate::processor::{BoxError, ProcessContext, ProcessError};
use crate::serde::{Data, Serde, SerdeRef};
use crate::state::{KeyBatch, StoreIndex, Update, ValueEnvelope};

/// Bytes of the count in front of a bucket's first record.
const COUNT_LEN: usize = 4;
const TIME: &str = "time";

/// A record of this side.
pub(super) struct Element<V> {
    pub(super) timestamp: Timestamp,
    /// Number among the records of the join that may have to wait; 0 when this side never waits.
    pub(super) sequence: u64,
    pub(super) value: V,
}

/// The records of one key in one bucket.
struct Slot<V> {
    bucket: i64,
    /// Place of the key's bytes in `key_bytes`.
    key: (usize, usize),
    /// What of it can be asked for; other records are not decoded.
    from: Timestamp,
    to: Timestamp,
    /// By time, and by arrival where times are equal.
    elements: Vec<Element<V>>,
}

/// See the module's text.
pub(super) struct JoinSide<V> {
    layout: Layout,
    serde: SerdeRef<V>,
    /// Records of this side may have to wait, so each has a sequence number.
    waits: bool,
    pub(super) store: StoreIndex,
    /// Largest timestamp that was put; -1 before the first.
    observed: Option<Timestamp>,
    observed_saved: Timestamp,
    expired_before: Timestamp,
    slots: Vec<Slot<V>>,
    index: HashTable<u32>,
    key_bytes: Vec<u8>,
    puts: Puts,
}

/// Records to be written at the end of the batch, in order.
#[derive(Default)]
struct Puts {
    heads: KeyBatch,
    /// Bucket and key of each, to make the key of a further record of.
    places: Vec<(i64, usize, usize)>,
    keys: Vec<u8>,
    values: Vec<u8>,
    value_ends: Vec<usize>,
}

impl Puts {
    fn value(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).map_or(0, |before| self.value_ends[before]);
        &self.values[start..self.value_ends[number]]
    }

    fn clear(&mut self) {
        self.heads.clear();
        self.places.clear();
        self.keys.clear();
        self.values.clear();
        self.value_ends.clear();
    }
}

/// Stored bytes that are no record of a join.
#[derive(Debug, thiserror::Error)]
#[error("a stored record of the join is cut short")]
struct CutShort;

impl<V: Data> JoinSide<V> {
    pub(super) fn new(layout: Layout, serde: SerdeRef<V>, waits: bool) -> Self {
        JoinSide {
            layout,
            serde,
            waits,
            store: StoreIndex::new(0),
            observed: None,
            observed_saved: -1,
            expired_before: 0,
            slots: Vec::new(),
            index: HashTable::new(),
            key_bytes: Vec::new(),
            puts: Puts::default(),
        }
    }

    pub(super) fn is_null(&self, value: &V) -> bool {
        self.serde.is_null(value)
    }

    pub(super) fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(self.serde.serialize(value, out)?)
    }

    /// Largest timestamp put so far, once [`open`](Self::open) was called; -1 before the first record.
    pub(super) fn observed(&self) -> Timestamp {
        self.observed.unwrap_or(-1)
    }

    /// Reads what the last commit left, unless that is known.
    pub(super) fn open(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if self.observed.is_none() {
            let stored = context.store(self.store).get(&fixed_key(TIME))?;
            let time = match stored {
                Some(bytes) => Timestamp::from_be_bytes(
                    bytes[..]
                        .try_into()
                        .map_err(|_| ProcessError::node(context.node(), CutShort))?,
                ),
                None => -1,
            };
            self.observed = Some(time);
            self.observed_saved = time;
        }
        Ok(())
    }

    /// Somebody will ask for the records of `key` between `from` and `to`, both included.
    pub(super) fn want(&mut self, key: &[u8], hash: u64, from: Timestamp, to: Timestamp) {
        for bucket in self.layout.bucket(from)..=self.layout.bucket(to) {
            let slot = self.find_or_add(bucket, key, hash, from, to);
            slot.from = slot.from.min(from);
            slot.to = slot.to.max(to);
        }
    }

    fn find_or_add(
        &mut self,
        bucket: i64,
        key: &[u8],
        hash: u64,
        from: Timestamp,
        to: Timestamp,
    ) -> &mut Slot<V> {
        let (slots, bytes) = (&mut self.slots, &mut self.key_bytes);
        let same = |slot: &u32| {
            let slot = &slots[*slot as usize];
            slot.bucket == bucket && bytes[slot.key.0..slot.key.1] == *key
        };
        let rehash = |slot: &u32| {
            let slot = &slots[*slot as usize];
            slot_hash(slot.bucket, hash_key(&bytes[slot.key.0..slot.key.1]))
        };
        let number = match self.index.entry(slot_hash(bucket, hash), same, rehash) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let number = slots.len() as u32;
                entry.insert(number);
                let start = bytes.len();
                bytes.extend_from_slice(key);
                slots.push(Slot {
                    bucket,
                    key: (start, bytes.len()),
                    from,
                    to,
                    elements: Vec::new(),
                });
                number
            }
        };
        &mut slots[number as usize]
    }

    fn find(&self, bucket: i64, key: &[u8], hash: u64) -> Option<usize> {
        let same = |slot: &u32| {
            let slot = &self.slots[*slot as usize];
            slot.bucket == bucket && self.key_bytes[slot.key.0..slot.key.1] == *key
        };
        self.index
            .find(slot_hash(bucket, hash), same)
            .map(|slot| *slot as usize)
    }

    /// Reads everything that is wanted: the first record of each bucket, then all further ones.
    pub(super) fn load(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if self.slots.is_empty() {
            return Ok(());
        }
        let mut keys = KeyBatch::new();
        for slot in &self.slots {
            let key = &self.key_bytes[slot.key.0..slot.key.1];
            keys.push_with(|out| self.layout.append_head(slot.bucket, key, out));
        }
        let (slots, serde, waits) = (&mut self.slots, &*self.serde, self.waits);
        let mut more: Vec<(u32, u32)> = Vec::new();
        let mut failed: Option<BoxError> = None;
        context.store(self.store).find_many(&keys, |number, stored| {
            let slot = &mut slots[number];
            match split_head(stored).and_then(|(count, record)| {
                slot.elements.extend(slot.decode(serde, waits, record)?);
                Ok(count)
            }) {
                Ok(count) => more.extend((1..count).map(|place| (number as u32, place))),
                Err(cause) => failed = Some(cause),
            }
        })?;
        if !more.is_empty() {
            // Hosts answer in key order, arrivals are in number order.
            more.sort_unstable();
            keys.clear();
            for (slot, place) in &more {
                let slot = &self.slots[*slot as usize];
                let key = &self.key_bytes[slot.key.0..slot.key.1];
                keys.push_with(|out| self.layout.append_more(slot.bucket, key, *place, out));
            }
            let (slots, serde) = (&self.slots, &*self.serde);
            let mut found: Vec<(u32, u32, Element<V>)> = Vec::new();
            context.store(self.store).find_many(&keys, |number, stored| {
                let (slot, place) = more[number];
                match slots[slot as usize].decode(serde, waits, stored) {
                    Ok(Some(element)) => found.push((slot, place, element)),
                    Ok(None) => {}
                    Err(cause) => failed = Some(cause),
                }
            })?;
            found.sort_unstable_by_key(|(slot, place, _)| (*slot, *place));
            for (slot, _, element) in found {
                self.slots[slot as usize].elements.push(element);
            }
            // Stable: arrival decides where times are equal.
            for slot in &mut self.slots {
                slot.elements.sort_by_key(|element| element.timestamp);
            }
        }
        failed.map_or(Ok(()), |cause| Err(ProcessError::node(context.node(), cause)))
    }

    /// The records of `key` between `from` and `to`, both included, by time. They must have been wanted.
    pub(super) fn partners<'a>(
        &'a self,
        key: &'a [u8],
        hash: u64,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = &'a Element<V>> + 'a {
        let buckets = self.layout.bucket(from)..=self.layout.bucket(to);
        buckets
            .filter_map(move |bucket| self.find(bucket, key, hash))
            .flat_map(move |slot| {
                let elements = &self.slots[slot].elements;
                let start = elements.partition_point(|element| element.timestamp < from);
                elements[start..]
                    .iter()
                    .take_while(move |element| element.timestamp <= to)
            })
    }

    /// A record of this side was processed: remembers its time, and the record itself unless it is older than `visible_from`, which is
    /// worked out of the new time.
    pub(super) fn keep(
        &mut self,
        key: &[u8],
        hash: u64,
        encoded: &[u8],
        element: Element<V>,
        is_visible: impl FnOnce(Timestamp) -> bool,
    ) {
        let timestamp = element.timestamp;
        let observed = self.observed().max(timestamp);
        self.observed = Some(observed);
        if !is_visible(observed) {
            return;
        }
        let bucket = self.layout.bucket(timestamp);
        let puts = &mut self.puts;
        puts.heads
            .push_with(|out| self.layout.append_head(bucket, key, out));
        let start = puts.keys.len();
        puts.keys.extend_from_slice(key);
        puts.places.push((bucket, start, puts.keys.len()));
        if self.waits {
            puts.values.extend_from_slice(&element.sequence.to_be_bytes());
        }
        ValueEnvelope::append_plain(timestamp, encoded, &mut puts.values);
        puts.value_ends.push(puts.values.len());
        // Rows of the other side in the same batch may come after it.
        if let Some(slot) = self.find(bucket, key, hash) {
            let elements = &mut self.slots[slot].elements;
            let place = elements.partition_point(|known| known.timestamp <= timestamp);
            elements.insert(place, element);
        }
    }

    /// Writes what was kept and forgets the batch.
    pub(super) fn write(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let puts = &self.puts;
        if !puts.places.is_empty() {
            let mut more: Vec<(usize, u32)> = Vec::new();
            let mut store = context.store(self.store);
            store.update_many(&puts.heads, |number, stored, out| {
                match stored.and_then(<[u8]>::split_first_chunk::<COUNT_LEN>) {
                    None => {
                        out.extend_from_slice(&1_u32.to_be_bytes());
                        out.extend_from_slice(puts.value(number));
                    }
                    Some((count, first)) => {
                        let count = u32::from_be_bytes(*count);
                        more.push((number, count));
                        out.extend_from_slice(&(count + 1).to_be_bytes());
                        out.extend_from_slice(first);
                    }
                }
                Update::Put
            })?;
            if !more.is_empty() {
                let mut keys = KeyBatch::new();
                for (number, place) in &more {
                    let (bucket, start, end) = puts.places[*number];
                    let key = &puts.keys[start..end];
                    keys.push_with(|out| self.layout.append_more(bucket, key, *place, out));
                }
                store.put_many(&keys, |place| puts.value(more[place].0));
            }
        }
        self.forget_batch();
        Ok(())
    }

    /// Saves the time with the commit and deletes what nobody can see any more: panes before `horizon`.
    pub(super) fn on_commit(&mut self, horizon: Timestamp, context: &mut ProcessContext<'_>) {
        if let Some(observed) = self.observed
            && observed != self.observed_saved
        {
            context
                .store(self.store)
                .put(&fixed_key(TIME), observed.to_be_bytes());
            self.observed_saved = observed;
        }
        let horizon = self.layout.pane_of(horizon.max(0));
        if horizon > self.expired_before {
            let (from, to) = self.layout.panes_before(horizon);
            context.store(self.store).delete_range(&from, &to);
            self.expired_before = horizon;
        }
    }

    pub(super) fn on_abort(&mut self) {
        self.observed = None;
        self.expired_before = 0;
        self.forget_batch();
    }

    fn forget_batch(&mut self) {
        self.slots.clear();
        self.index.clear();
        self.key_bytes.clear();
        self.puts.clear();
    }
}

impl<V: Data> Slot<V> {
    /// The record, if somebody may ask for it.
    fn decode(
        &self,
        serde: &dyn Serde<V>,
        waits: bool,
        record: &[u8],
    ) -> Result<Option<Element<V>>, BoxError> {
        let (sequence, envelope) = if waits {
            let (sequence, envelope) = record.split_first_chunk::<8>().ok_or(CutShort)?;
            (u64::from_be_bytes(*sequence), envelope)
        } else {
            (0, record)
        };
        let envelope = ValueEnvelope::parse(envelope)?;
        if envelope.timestamp < self.from || envelope.timestamp > self.to {
            return Ok(None);
        }
        Ok(Some(Element {
            timestamp: envelope.timestamp,
            sequence,
            value: serde.deserialize(envelope.value)?,
        }))
    }
}

fn split_head(stored: &[u8]) -> Result<(u32, &[u8]), BoxError> {
    let (count, record) = stored.split_first_chunk::<COUNT_LEN>().ok_or(CutShort)?;
    Ok((u32::from_be_bytes(*count), record))
}

/// Hash of a key's bytes: the same in every run.
pub(super) fn hash_key(key: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(key);
    hasher.finish()
}

fn slot_hash(bucket: i64, key: u64) -> u64 {
    key ^ (bucket as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
