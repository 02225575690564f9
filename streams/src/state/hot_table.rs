//! The in-memory layers of one pane (or of a whole key-value store): one hash table, three versions per entry.
//!
//! ```text
//! index  hash → entry number          hashbrown table of u32
//! entry  hash, key, three slots       40 bytes, never moved while numbers to it are held
//! arena  bytes of keys and values
//! ```
//! A slot says *unknown* (this layer has nothing to say), *tombstone* (deleted) or where the value is. Entries are
//! only added; [`HotTable::evict`] builds a new table without those nobody needs. So entry numbers, and the lists of
//! them (`overlay`, `frozen`, `unapplied`, `sorted`), stay valid in between.
//!
//! Always true: an entry is in the `overlay` list iff its `LISTED` flag is set, in `unapplied` iff `UNAPPLIED` is; a
//! committed slot without `UNAPPLIED` equals what the host holds; when `complete`, the host holds no key of this table
//! that has no entry here.
//!
//! Range deletes are kept beside the tables (`store_table.rs`), because they may span several.
//! Next: `overlay.rs`, `frozen.rs` and `committed.rs`, what the three versions do; `lookup.rs`, how a read picks one.

use hashbrown::HashTable;

use super::arena::Arena;

/// Number of an entry in its table.
pub(super) type EntryId = u32;

const UNKNOWN: u32 = u32::MAX;
const TOMBSTONE: u32 = u32::MAX - 1;

/// What one layer says about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    offset: u32,
    len: u32,
}

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
}

/// In the overlay list.
pub(super) const LISTED: u32 = 1 << 31;
/// In the unapplied list.
pub(super) const UNAPPLIED: u32 = 1 << 30;
/// Used since the last eviction.
pub(super) const TOUCHED: u32 = 1 << 29;
const KEY_LEN: u32 = TOUCHED - 1;

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    hash: u64,
    key_offset: u32,
    key_len_and_flags: u32,
    pub(super) overlay: Slot,
    pub(super) frozen: Slot,
    pub(super) committed: Slot,
}

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

    fn is_needed(&self) -> bool {
        self.is(LISTED | UNAPPLIED) || !self.frozen.is_unknown()
    }
}

/// One pane's entries.
#[derive(Debug, Default)]
pub(super) struct HotTable {
    index: HashTable<EntryId>,
    pub(super) entries: Vec<Entry>,
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
    pub(super) unapplied_bytes: usize,
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
        let same = |&id: &EntryId| {
            let entry = &self.entries[id as usize];
            entry.hash == hash && self.key_of(entry) == key
        };
        self.index.find(hash, same).copied()
    }

    pub(super) fn find_or_add(&mut self, hash: u64, key: &[u8]) -> EntryId {
        if let Some(id) = self.find(hash, key) {
            return id;
        }
        let len = u32::try_from(key.len()).ok().filter(|len| *len <= KEY_LEN);
        let len = len.expect("a store key is shorter than 512 MiB");
        let key_offset = self.arena.add(key);
        self.add_entry(Entry {
            hash,
            key_offset,
            key_len_and_flags: len,
            overlay: Slot::UNKNOWN,
            frozen: Slot::UNKNOWN,
            committed: Slot::UNKNOWN,
        })
    }

    fn add_entry(&mut self, entry: Entry) -> EntryId {
        let id = u32::try_from(self.entries.len()).expect("a table has fewer than 2^32 entries");
        self.entries.push(entry);
        let entries = &self.entries;
        self.index
            .insert_unique(entry.hash, id, |&id| entries[id as usize].hash);
        id
    }

    pub(super) fn key(&self, id: EntryId) -> &[u8] {
        self.key_of(&self.entries[id as usize])
    }

    fn key_of(&self, entry: &Entry) -> &[u8] {
        self.arena
            .get(entry.key_offset, entry.key_len_and_flags & KEY_LEN)
    }

    /// The bytes a slot stands for; `None` for a tombstone or an unknown.
    pub(super) fn value(&self, slot: Slot) -> Option<&[u8]> {
        slot.is_value().then(|| self.arena.get(slot.offset, slot.len))
    }

    /// A slot for `value` that reuses the room of `old`, which is gone afterwards.
    pub(super) fn replace(&mut self, old: Slot, value: Option<&[u8]>) -> Slot {
        let Some(bytes) = value else {
            self.release(old);
            return Slot::TOMBSTONE;
        };
        let len = u32::try_from(bytes.len()).ok().filter(|len| *len < TOMBSTONE);
        let len = len.expect("a stored value is shorter than 4 GiB");
        if old.is_value() && self.arena.try_overwrite(old.offset, old.len, bytes) {
            return Slot {
                offset: old.offset,
                len,
            };
        }
        self.release(old);
        Slot {
            offset: self.arena.add(bytes),
            len,
        }
    }

    pub(super) fn release(&mut self, slot: Slot) {
        if slot.is_value() {
            self.arena.free(slot.offset, slot.len);
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
        const INDEX_BYTES_PER_ENTRY: usize = 8;
        let lists = self.overlay.len() + self.frozen.len() + self.unapplied.len() + self.sorted.len();
        self.arena.size_bytes()
            + self.entries.len() * (size_of::<Entry>() + INDEX_BYTES_PER_ENTRY)
            + lists * 4
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
            entry.key_offset = kept.arena.add(self.key_of(&entry));
            entry.unset(TOUCHED);
            for slot in [&mut entry.overlay, &mut entry.frozen, &mut entry.committed] {
                if let Some(bytes) = self.value(*slot) {
                    slot.offset = kept.arena.add(bytes);
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
        kept.unapplied_bytes = self.unapplied_bytes;
        *self = kept;
    }

    /// Whether it holds nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
