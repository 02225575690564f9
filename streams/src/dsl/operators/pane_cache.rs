//! The write-back cache of an aggregation: per pane (window start) a table from key bytes to a fixed-width slot.
//!
//! Always true: a slot, once loaded, equals what the store will hold after the next flush; `dirty` lists exactly the slots that differ from the store, in the order
//! they first did; a key is hashed once per record, whatever the number of panes. Keys of up to 22 bytes lie inside the slot, so that a
//! hit costs two cache misses (table, slot) and a new key no allocation.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use millpond_log::types::Timestamp;

use crate::processor::Headers;
use crate::serde::SerdeRef;
use crate::serde::held::{HeldBytes, is_flat};

const INLINE_KEY: usize = 22;

/// Bytes of a key, inside the slot when short (padded with zeros).
pub(super) enum SlotKey {
    Inline { len: u8, bytes: [u8; INLINE_KEY] },
    Heap(Box<[u8]>),
}

impl SlotKey {
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            SlotKey::Inline { len, bytes } => &bytes[..usize::from(*len)],
            SlotKey::Heap(bytes) => bytes,
        }
    }

    /// Compares whole words for short keys, without a call.
    #[inline]
    pub(super) fn is(&self, probe: ProbeKey<'_>) -> bool {
        match (self, probe) {
            (
                SlotKey::Inline { len, bytes },
                ProbeKey::Inline {
                    len: other,
                    bytes: others,
                },
            ) => len == other && bytes == others,
            (SlotKey::Heap(bytes), ProbeKey::Long(others)) => **bytes == *others,
            _ => false,
        }
    }
}

/// A key that is looked for.
#[derive(Clone, Copy)]
pub(super) enum ProbeKey<'a> {
    Inline {
        len: &'a u8,
        bytes: &'a [u8; INLINE_KEY],
    },
    Long(&'a [u8]),
}

impl ProbeKey<'_> {
    pub(super) fn to_slot_key(self) -> SlotKey {
        match self {
            ProbeKey::Inline { len, bytes } => SlotKey::Inline {
                len: *len,
                bytes: *bytes,
            },
            ProbeKey::Long(bytes) => SlotKey::Heap(bytes.into()),
        }
    }

    /// The key's bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            ProbeKey::Inline { len, bytes } => &bytes[..usize::from(**len)],
            ProbeKey::Long(bytes) => bytes,
        }
    }
}

/// The keys of a batch with their hashes, in memory that is used again for the next batch.
#[derive(Default)]
pub(super) struct ProbeKeys {
    keys: Vec<(u32, StoredKey)>,
    long: Vec<u8>,
}

enum StoredKey {
    Inline { len: u8, bytes: [u8; INLINE_KEY] },
    Long { start: usize, len: usize },
}

impl ProbeKeys {
    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.long.clear();
    }

    /// Adds a key; returns its number.
    pub(super) fn push(&mut self, key: &[u8]) -> u32 {
        let stored = if key.len() <= INLINE_KEY {
            let mut bytes = [0; INLINE_KEY];
            bytes[..key.len()].copy_from_slice(key);
            StoredKey::Inline {
                len: key.len() as u8,
                bytes,
            }
        } else {
            let start = self.long.len();
            self.long.extend_from_slice(key);
            StoredKey::Long {
                start,
                len: key.len(),
            }
        };
        self.keys.push((hash_key(key), stored));
        (self.keys.len() - 1) as u32
    }

    #[inline]
    pub(super) fn hash(&self, number: u32) -> u32 {
        self.keys[number as usize].0
    }

    #[inline]
    pub(super) fn key(&self, number: u32) -> ProbeKey<'_> {
        match &self.keys[number as usize].1 {
            StoredKey::Inline { len, bytes } => ProbeKey::Inline { len, bytes },
            StoredKey::Long { start, len } => ProbeKey::Long(&self.long[*start..*start + *len]),
        }
    }
}

/// One aggregate.
pub(super) struct Slot<A> {
    pub(super) key: SlotKey,
    /// The aggregate; none = no entry in the store.
    pub(super) value: Option<A>,
    /// Largest timestamp that contributed.
    pub(super) timestamp: Timestamp,
    /// Those of the last record that contributed, while the slot is dirty.
    pub(super) headers: Headers,
    /// What the value holds on the heap, as far as the pane counts it.
    held: HeldBytes,
    dirty: bool,
    /// The value may still share the batch it came in.
    is_fresh: bool,
    /// There was a value when the slot was last clean.
    pub(super) was_there: bool,
}

// A slot with a count in it is one cache line.
const _: () = assert!(size_of::<Slot<i64>>() == 64);

impl<A> Slot<A> {
    /// True when the slot differs from the store and from what was forwarded.
    #[inline]
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }
}

/// The aggregates of one pane.
pub(super) struct Pane<A> {
    pub(super) start_ms: Timestamp,
    /// (hash, slot): the hash is compared before the slot is touched.
    table: HashTable<(u32, u32)>,
    pub(super) slots: Vec<Slot<A>>,
    pub(super) dirty: Vec<u32>,
    /// The values before, one for each entry of `dirty`. Kept by the owner, and only when somebody wants them.
    pub(super) forwarded: Vec<Option<A>>,
    /// Of keys and values, and of the values before.
    heap_bytes: usize,
    forwarded_bytes: usize,
    /// What is known about entries of this pane that are in the store but not here.
    pub(super) beyond: Beyond,
}

/// Whether the store may hold entries of a pane that its cache does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// Not asked yet.
    Unknown,
    /// It may: new slots must be read.
    Maybe,
    /// It held none when the pane was made, and only this cache writes: new slots are new keys.
    Nothing,
}

/// No candidate.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// Hash of key bytes with a fixed seed: the same in every run.
fn hash_key(key: &[u8]) -> u32 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::fast::FixedState::with_seed(0).build_hasher();
    hasher.write(key);
    let hash = hasher.finish();
    (hash ^ (hash >> 32)) as u32
}

/// The table wants 64 bits: top bits for its tags, low bits for the place.
pub(super) fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl<A> Pane<A> {
    fn new(start_ms: Timestamp) -> Pane<A> {
        Pane {
            start_ms,
            table: HashTable::new(),
            slots: Vec::new(),
            dirty: Vec::new(),
            forwarded: Vec::new(),
            heap_bytes: 0,
            forwarded_bytes: 0,
            beyond: Beyond::Unknown,
        }
    }

    /// The slot that is the key's unless two keys share a hash. Touches the table only, so that a loop over it overlaps its cache misses.
    #[inline]
    pub(super) fn candidate(&self, hash: u32) -> u32 {
        self.table
            .find(spread(hash), |entry| entry.0 == hash)
            .map_or(NO_SLOT, |entry| entry.1)
    }

    /// The slot of a key, and whether it was just made (then its value is not known yet). `candidate` as above.
    #[inline]
    pub(super) fn slot(&mut self, candidate: u32, hash: u32, key: ProbeKey<'_>) -> (u32, bool) {
        match self.slots.get(candidate as usize) {
            Some(slot) if slot.key.is(key) => (candidate, false),
            _ => self.find_or_add(hash, key),
        }
    }

    fn find_or_add(&mut self, hash: u32, key: ProbeKey<'_>) -> (u32, bool) {
        let slots = &mut self.slots;
        let same = |entry: &(u32, u32)| entry.0 == hash && slots[entry.1 as usize].key.is(key);
        match self.table.entry(spread(hash), same, |entry| spread(entry.0)) {
            Entry::Occupied(entry) => (entry.get().1, false),
            Entry::Vacant(entry) => {
                let index = slots.len() as u32;
                if let ProbeKey::Long(bytes) = key {
                    self.heap_bytes += bytes.len();
                }
                slots.push(Slot {
                    key: key.to_slot_key(),
                    value: None,
                    timestamp: Timestamp::MIN,
                    headers: Headers::NONE,
                    held: HeldBytes::default(),
                    dirty: false,
                    is_fresh: true,
                    was_there: false,
                });
                entry.insert((hash, index));
                (index, true)
            }
        }
    }

    /// Adds the value a slot had before, the next of `forwarded`. Before it is changed.
    pub(super) fn keep_old(&mut self, index: u32, old: Option<A>) {
        if old.is_some() {
            self.forwarded_bytes += self.slots[index as usize].held.bytes();
        }
        self.forwarded.push(old);
    }

    /// The values before, one for each dirty slot.
    pub(super) fn take_forwarded(&mut self) -> Vec<Option<A>> {
        self.forwarded_bytes = 0;
        std::mem::take(&mut self.forwarded)
    }

    /// Sets what the value of a slot holds.
    pub(super) fn set_held(&mut self, index: u32, held: HeldBytes) {
        let slot = &mut self.slots[index as usize];
        self.heap_bytes = self.heap_bytes + held.bytes() - slot.held.bytes();
        slot.held = held;
    }

    /// The batch is through: from here on the value of the slot is its own, and what it holds counts. No-op for a slot that was not touched.
    #[inline]
    pub(super) fn settle(&mut self, index: u32, serde: &SerdeRef<A>, encoded: &mut Vec<u8>)
    where
        A: 'static,
    {
        let slot = &mut self.slots[index as usize];
        if is_flat::<A>() || !std::mem::replace(&mut slot.is_fresh, false) {
            return;
        }
        let held = match &mut slot.value {
            Some(value) => slot.held.settle(&**serde, value, encoded),
            None => HeldBytes::default(),
        };
        self.set_held(index, held);
    }

    /// Notes that the slot changed; true when it was clean before.
    #[inline]
    pub(super) fn touch(&mut self, index: u32) -> bool {
        let slot = &mut self.slots[index as usize];
        slot.is_fresh = true;
        let was_clean = !slot.dirty;
        if was_clean {
            slot.dirty = true;
            self.dirty.push(index);
        }
        was_clean
    }

    /// All slots equal the store again.
    pub(super) fn mark_clean(&mut self) {
        for index in self.dirty.drain(..) {
            let slot = &mut self.slots[index as usize];
            (slot.dirty, slot.was_there) = (false, slot.value.is_some());
            slot.headers.become_those_of(&Headers::NONE);
        }
    }

    fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot<A>>()
            + self.table.capacity() * 9
            + self.forwarded.len() * size_of::<Option<A>>()
            + self.heap_bytes
            + self.forwarded_bytes
    }
}

/// All panes, ascending by start.
pub(super) struct PaneCache<A> {
    pub(super) panes: Vec<Pane<A>>,
}

impl<A> PaneCache<A> {
    pub(super) fn new() -> PaneCache<A> {
        PaneCache { panes: Vec::new() }
    }

    /// Position of the pane starting at `start_ms`, made when it is missing. Positions hold until the next new pane or removal.
    pub(super) fn pane(&mut self, start_ms: Timestamp) -> usize {
        // The newest pane is asked for most.
        match self.panes.last() {
            Some(last) if last.start_ms == start_ms => return self.panes.len() - 1,
            Some(last) if last.start_ms < start_ms => {
                self.panes.push(Pane::new(start_ms));
                return self.panes.len() - 1;
            }
            _ => {}
        }
        match self.panes.binary_search_by_key(&start_ms, |pane| pane.start_ms) {
            Ok(position) => position,
            Err(position) => {
                self.panes.insert(position, Pane::new(start_ms));
                position
            }
        }
    }

    /// Memory used, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.panes.iter().map(Pane::bytes).sum()
    }

    pub(super) fn clear(&mut self) {
        self.panes.clear();
    }
}
