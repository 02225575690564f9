//! The in-memory layers of one pane (or of a whole key-value store): one hash table, three versions per entry.
//!
//! ```text
//! index  hash → entry number                                  `index.rs`
//! entry  line 1: hash, three slots, a key of up to 24 bytes   never moved while numbers to it are held
//!        line 2: two values of up to 32 bytes
//! arena  longer keys, longer values, and a third version
//! ```
//! With a million keys every cache line touched is a miss, and misses are the cost. An entry whose key and values are
//! short is two adjacent lines, for the update, for the changelog and for the commit.
//!
//! A slot says *unknown* (this layer has nothing to say), *tombstone* (deleted) or where the value is. Entries are
//! only added; [`HotTable::evict`] builds a new table without those nobody needs. So entry numbers, and the lists of
//! them (`overlay`, `frozen`, `unapplied`, `sorted`), stay valid in between.
//!
//! Always true: an entry is in the `overlay` list iff its `LISTED` flag is set, in `unapplied` iff `UNAPPLIED` is; a
//! committed slot without `UNAPPLIED` equals what the host holds; when `complete`, the host holds no key of this table
//! that has no entry here; no two slots of an entry are in the same place.
//!
//! Range deletes are kept beside the tables (`store_table.rs`), because they may span several.
//! Next: `overlay.rs`, `frozen.rs` and `committed.rs`, what the three versions do; `lookup.rs`, how a read picks one.

use super::arena::Arena;
use super::entries::Entries;
use super::index::Index;

/// Number of an entry in its table.
pub(super) type EntryId = u32;

const UNKNOWN: u32 = u32::MAX;
const TOMBSTONE: u32 = u32::MAX - 1;

/// What one layer says about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Where in the arena; `ROOM` and above: in the entry itself.
    offset: u32,
    len: u32,
}

/// Offset that stands for the entry's first room; the second is one higher.
const ROOM: u32 = u32::MAX - 1;

impl Slot {
    pub(super) const UNKNOWN: Slot = Slot {
        offset: 0,
        len: UNKNOWN,
    };
    pub(super) const TOMBSTONE: Slot = Slot {
        offset: 0,
        len: TOMBSTONE,
    };

    pub(super) fn is_unknown(self) -> bool {
        self.len == UNKNOWN
    }

    pub(super) fn is_tombstone(self) -> bool {
        self.len == TOMBSTONE
    }

    pub(super) fn is_value(self) -> bool {
        self.len < TOMBSTONE
    }

    pub(super) fn value_len(self) -> usize {
        if self.is_value() { self.len as usize } else { 0 }
    }

    fn room(self) -> Option<usize> {
        (self.is_value() && self.offset >= ROOM).then(|| (self.offset - ROOM) as usize)
    }

    fn arena_offset(self) -> Option<u32> {
        (self.is_value() && self.offset < ROOM).then_some(self.offset)
    }
}

/// In the overlay list.
pub(super) const LISTED: u32 = 1 << 31;
/// In the unapplied list.
pub(super) const UNAPPLIED: u32 = 1 << 30;
/// Used since the last eviction.
pub(super) const TOUCHED: u32 = 1 << 29;
const KEY_LEN: u32 = TOUCHED - 1;

/// Keys up to this long are in the entry. A window key takes eight of it for its pane.
const SHORT_KEY: usize = 24;
/// Values up to this long are in the entry: nine bytes of envelope and up to 23 of state.
const SHORT_VALUE: usize = 32;

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Entry {
    hash: u64,
    key_offset: u32,
    key_len_and_flags: u32,
    pub(super) overlay: Slot,
    pub(super) frozen: Slot,
    pub(super) committed: Slot,
    short_key: [u8; SHORT_KEY],
    rooms: [[u8; SHORT_VALUE]; 2],
}

const _: () = assert!(size_of::<Entry>() == 128, "an entry is two cache lines");

impl Entry {
    pub(super) fn is(&self, flag: u32) -> bool {
        self.key_len_and_flags & flag != 0
    }

    pub(super) fn set(&mut self, flag: u32) {
        self.key_len_and_flags |= flag;
    }

    pub(super) fn unset(&mut self, flag: u32) {
        self.key_len_and_flags &= !flag;
    }

    fn key_len(&self) -> usize {
        (self.key_len_and_flags & KEY_LEN) as usize
    }

    fn is_needed(&self) -> bool {
        self.is(LISTED | UNAPPLIED) || !self.frozen.is_unknown()
    }

    /// A room none of the slots is in.
    fn free_room(&self) -> Option<usize> {
        let used = [self.overlay, self.frozen, self.committed].map(Slot::room);
        (0..self.rooms.len()).find(|room| !used.contains(&Some(*room)))
    }
}

/// One pane's entries.
#[derive(Debug, Default)]
pub(super) struct HotTable {
    index: Index,
    pub(super) entries: Entries,
    pub(super) arena: Arena,
    /// Entries the open transaction wrote.
    pub(super) overlay: Vec<EntryId>,
    /// Entries the transaction being committed wrote.
    pub(super) frozen: Vec<EntryId>,
    /// Entries whose committed version is not in the host yet.
    pub(super) unapplied: Vec<EntryId>,
    /// The first so many entries in key order; later ones are merged in when someone asks.
    sorted: Vec<EntryId>,
    /// Whether every key of this table that the host has is here too.
    pub(super) complete: bool,
    pub(super) overlay_bytes: usize,
    pub(super) frozen_bytes: usize,
}

impl HotTable {
    /// An empty table; `complete` when the host surely has none of its keys.
    pub(super) fn new(complete: bool) -> Self {
        Self {
            complete,
            ..Self::default()
        }
    }

    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<EntryId> {
        self.index
            .candidates(hash)
            .find(|id| self.is_entry_of(*id, hash, key))
    }

    /// The first of the two steps of a lookup: reads the index only. `NOTHING` when the key surely has no entry.
    pub(super) fn candidate(&self, hash: u64) -> EntryId {
        self.index.candidate(hash)
    }

    /// Whether the candidate is the entry of `key`: the second step.
    #[inline]
    pub(super) fn is_entry_of(&self, id: EntryId, hash: u64, key: &[u8]) -> bool {
        let entry = &self.entries[id as usize];
        entry.hash == hash && self.key_of(entry) == key
    }

    pub(super) fn find_or_add(&mut self, hash: u64, key: &[u8]) -> EntryId {
        if let Some(id) = self.find(hash, key) {
            return id;
        }
        let len = u32::try_from(key.len()).ok().filter(|len| *len <= KEY_LEN);
        let len = len.expect("a store key is shorter than 512 MiB");
        let mut entry = Entry {
            hash,
            key_offset: 0,
            key_len_and_flags: len,
            overlay: Slot::UNKNOWN,
            frozen: Slot::UNKNOWN,
            committed: Slot::UNKNOWN,
            short_key: [0; SHORT_KEY],
            rooms: [[0; SHORT_VALUE]; 2],
        };
        match entry.short_key.get_mut(..key.len()) {
            Some(room) => room.copy_from_slice(key),
            None => entry.key_offset = self.arena.add(key),
        }
        self.add_entry(entry)
    }

    fn add_entry(&mut self, entry: Entry) -> EntryId {
        let id = u32::try_from(self.entries.len()).expect("a table has fewer than 2^32 entries");
        self.entries.push(entry);
        self.index.insert(entry.hash, id);
        id
    }

    pub(super) fn key(&self, id: EntryId) -> &[u8] {
        self.key_of(&self.entries[id as usize])
    }

    #[inline]
    fn key_of<'a>(&'a self, entry: &'a Entry) -> &'a [u8] {
        let len = entry.key_len();
        entry
            .short_key
            .get(..len)
            .unwrap_or_else(|| self.arena.get(entry.key_offset, len as u32))
    }

    /// The bytes a slot of an entry stands for; `None` for a tombstone or an unknown.
    pub(super) fn value(&self, id: EntryId, slot: Slot) -> Option<&[u8]> {
        match slot.room() {
            Some(room) => Some(&self.entries[id as usize].rooms[room][..slot.len as usize]),
            None => slot.arena_offset().map(|offset| self.arena.get(offset, slot.len)),
        }
    }

    /// A slot for `value` that reuses the room of `old`, which was taken out of the entry and is gone afterwards.
    pub(super) fn replace(&mut self, id: EntryId, old: Slot, value: Option<&[u8]>) -> Slot {
        let Some(bytes) = value else {
            self.release(old);
            return Slot::TOMBSTONE;
        };
        let len = u32::try_from(bytes.len()).ok().filter(|len| *len < TOMBSTONE);
        let len = len.expect("a stored value is shorter than 4 GiB");
        if bytes.len() <= SHORT_VALUE {
            let entry = &mut self.entries[id as usize];
            if let Some(room) = old.room().or_else(|| entry.free_room()) {
                entry.rooms[room][..bytes.len()].copy_from_slice(bytes);
                self.release(old);
                return Slot {
                    offset: ROOM + room as u32,
                    len,
                };
            }
        }
        if let Some(offset) = old.arena_offset()
            && self.arena.try_overwrite(offset, old.len, bytes)
        {
            return Slot { offset, len };
        }
        self.release(old);
        Slot {
            offset: self.arena.add(bytes),
            len,
        }
    }

    pub(super) fn release(&mut self, slot: Slot) {
        if let Some(offset) = slot.arena_offset() {
            self.arena.free(offset, slot.len);
        }
    }

    /// Entry numbers in key order, as of the last [`sort`](Self::sort).
    pub(super) fn sorted_ids(&self) -> &[EntryId] {
        &self.sorted
    }

    /// Brings [`sorted_ids`](Self::sorted_ids) up to date: O(new entries), plus one pass when there are any.
    pub(super) fn sort(&mut self) {
        let known = self.sorted.len();
        if known < self.entries.len() {
            let mut ids: Vec<EntryId> = std::mem::take(&mut self.sorted);
            let mut added: Vec<EntryId> = (known as EntryId..self.entries.len() as EntryId).collect();
            self.sort_by_key(&mut added);
            // The standard sort finds the two runs and merges them.
            ids.extend_from_slice(&added);
            ids.sort_by(|a, b| self.key(*a).cmp(self.key(*b)));
            self.sorted = ids;
        }
    }

    /// Sorts entry numbers by their keys. Compares sixteen bytes held beside the number first: following every number
    /// to its key would be a cache miss per comparison.
    pub(super) fn sort_by_key(&self, ids: &mut [EntryId]) {
        // Keys of one pane share the pane, so what tells them apart comes after it.
        let shared = ids.first().map_or(0, |first| {
            let first = self.key(*first);
            let same = |id: &EntryId| {
                first
                    .iter()
                    .zip(self.key(*id))
                    .take_while(|(a, b)| a == b)
                    .count()
            };
            ids.iter().take(64).map(same).min().unwrap_or(0)
        });
        let head = |id: EntryId| {
            let key = self.key(id);
            let mut bytes = [0; 16];
            let tail = key.get(shared..).unwrap_or_default();
            let len = tail.len().min(16);
            bytes[..len].copy_from_slice(&tail[..len]);
            u128::from_be_bytes(bytes)
        };
        let prefix = ids
            .first()
            .map(|first| self.key(*first)[..shared].to_vec())
            .unwrap_or_default();
        let same_prefix = ids.iter().all(|id| self.key(*id).starts_with(&prefix));
        if !same_prefix {
            ids.sort_unstable_by(|a, b| self.key(*a).cmp(self.key(*b)));
            return;
        }
        let mut heads: Vec<(u128, EntryId)> = ids.iter().map(|id| (head(*id), *id)).collect();
        heads.sort_unstable_by(|(a, a_id), (b, b_id)| {
            a.cmp(b).then_with(|| self.key(*a_id).cmp(self.key(*b_id)))
        });
        for (place, (_, id)) in ids.iter_mut().zip(heads) {
            *place = id;
        }
    }

    /// Memory the table takes, about.
    pub(super) fn size_bytes(&self) -> usize {
        let lists = self.overlay.len() + self.frozen.len() + self.unapplied.len() + self.sorted.len();
        let entries = self.entries.len() * size_of::<Entry>() + lists * size_of::<EntryId>();
        self.arena.size_bytes() + self.index.size_bytes() + entries
    }

    pub(super) fn garbage_bytes(&self) -> usize {
        self.arena.garbage_bytes()
    }

    /// Forgets entries that the host can answer for; keeps those used since the last call when `keep_touched`.
    pub(super) fn evict(&mut self, keep_touched: bool) {
        const GONE: EntryId = EntryId::MAX;
        let mut kept = HotTable::new(self.complete);
        let mut moved = vec![GONE; self.entries.len()];
        for (old_id, entry) in self.entries.iter().enumerate() {
            if !(entry.is_needed() || keep_touched && entry.is(TOUCHED)) {
                if entry.committed.is_value() {
                    kept.complete = false;
                }
                continue;
            }
            let mut entry = *entry;
            if entry.key_len() > SHORT_KEY {
                entry.key_offset = kept.arena.add(self.key_of(&entry));
            }
            entry.unset(TOUCHED);
            for slot in [&mut entry.overlay, &mut entry.frozen, &mut entry.committed] {
                if let Some(offset) = slot.arena_offset() {
                    slot.offset = kept.arena.add(self.arena.get(offset, slot.len));
                }
            }
            moved[old_id] = kept.add_entry(entry);
        }
        let follow = |ids: &[EntryId]| -> Vec<EntryId> {
            let ids = ids.iter().map(|id| moved[*id as usize]);
            ids.inspect(|id| assert_ne!(*id, GONE, "a listed entry was evicted"))
                .collect()
        };
        kept.overlay = follow(&self.overlay);
        kept.unapplied = follow(&self.unapplied);
        // A frozen entry that a range delete emptied is not needed and may be gone.
        kept.frozen = self
            .frozen
            .iter()
            .map(|id| moved[*id as usize])
            .filter(|id| *id != GONE)
            .collect();
        kept.overlay_bytes = self.overlay_bytes;
        kept.frozen_bytes = self.frozen_bytes;
        *self = kept;
    }

    /// Whether it holds nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
