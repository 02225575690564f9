//! The write-back cache of an aggregation: per pane (window start) a table from key bytes to a fixed-width slot.
//!
//! Always true: a slot, once loaded, equals what the store will hold after the next flush; `dirty` lists exactly the slots that differ from the store, in the order
//! they first did; a key is hashed once per record, whatever the number of panes. Keys of up to 22 bytes lie inside the slot, so that a
//! hit costs two cache misses (table, slot) and a new key no allocation.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use millpond_log::types::Timestamp;

const INLINE_KEY: usize = 22;

/// Bytes of a key, inside the slot when short.
pub(super) enum SlotKey {
    Inline { len: u8, bytes: [u8; INLINE_KEY] },
    Heap(Box<[u8]>),
}

impl SlotKey {
    fn new(key: &[u8]) -> SlotKey {
        if key.len() <= INLINE_KEY {
            let mut bytes = [0; INLINE_KEY];
            bytes[..key.len()].copy_from_slice(key);
            SlotKey::Inline {
                len: key.len() as u8,
                bytes,
            }
        } else {
            SlotKey::Heap(key.into())
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            SlotKey::Inline { len, bytes } => &bytes[..usize::from(*len)],
            SlotKey::Heap(bytes) => bytes,
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            SlotKey::Inline { .. } => 0,
            SlotKey::Heap(bytes) => bytes.len(),
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
    dirty: bool,
}

/// The aggregates of one pane.
pub(super) struct Pane<A> {
    pub(super) start_ms: Timestamp,
    /// (hash, slot): the hash is compared before the slot is touched.
    table: HashTable<(u32, u32)>,
    pub(super) slots: Vec<Slot<A>>,
    pub(super) dirty: Vec<u32>,
    heap_bytes: usize,
}

/// Hash of key bytes with a fixed seed: the same in every run.
pub(super) fn hash_key(key: &[u8]) -> u32 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::fast::FixedState::with_seed(0).build_hasher();
    hasher.write(key);
    let hash = hasher.finish();
    (hash ^ (hash >> 32)) as u32
}

/// The table wants 64 bits: top bits for its tags, low bits for the place.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl<A> Pane<A> {
    fn new(start_ms: Timestamp) -> Pane<A> {
        Pane {
            start_ms,
            table: HashTable::new(),
            slots: Vec::new(),
            dirty: Vec::new(),
            heap_bytes: 0,
        }
    }

    /// The slot of a key and whether it was just made (then its value is not known yet).
    pub(super) fn slot(&mut self, hash: u32, key: &[u8]) -> (u32, bool) {
        let slots = &mut self.slots;
        let same = |entry: &(u32, u32)| entry.0 == hash && slots[entry.1 as usize].key.as_bytes() == key;
        match self.table.entry(spread(hash), same, |entry| spread(entry.0)) {
            Entry::Occupied(entry) => (entry.get().1, false),
            Entry::Vacant(entry) => {
                let index = slots.len() as u32;
                let key = SlotKey::new(key);
                self.heap_bytes += key.heap_bytes();
                slots.push(Slot {
                    key,
                    value: None,
                    timestamp: Timestamp::MIN,
                    dirty: false,
                });
                entry.insert((hash, index));
                (index, true)
            }
        }
    }

    /// The slot, to be changed.
    pub(super) fn touch(&mut self, index: u32) -> &mut Slot<A> {
        let slot = &mut self.slots[index as usize];
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(index);
        }
        slot
    }

    /// All slots equal the store again.
    pub(super) fn mark_clean(&mut self) {
        for index in self.dirty.drain(..) {
            self.slots[index as usize].dirty = false;
        }
    }

    fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot<A>>() + self.table.capacity() * 9 + self.heap_bytes
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
