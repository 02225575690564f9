//! Groups to slots: (pane, key bytes) probed by borrowed bytes, owned once in an arena.
//!
//! Always true: slots are given in the order of first sight and never move; the hash is foldhash with a fixed seed, so the same
//! input gives the same table everywhere. Nothing here outlives the process: `route` in `state_rows.rs` is the hash that does.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// The groups of a batch, of a commit, or of a task.
pub(super) struct GroupTable {
    slots: HashTable<u32>,
    hashes: Vec<u64>,
    panes: Vec<i64>,
    /// Ends of the keys in `arena`; a key starts where the one before ends.
    ends: Vec<usize>,
    arena: Vec<u8>,
    hasher: FixedState,
}

impl Default for GroupTable {
    fn default() -> GroupTable {
        GroupTable {
            slots: HashTable::new(),
            hashes: Vec::new(),
            panes: Vec::new(),
            ends: Vec::new(),
            arena: Vec::new(),
            hasher: FixedState::with_seed(0x6d69_6c6c_706f_6e64),
        }
    }
}

impl GroupTable {
    /// The slot of a group, and whether it is new.
    pub(super) fn intern(&mut self, pane: i64, key: &[u8]) -> (u32, bool) {
        let hash = self.hash(pane, key);
        let found = self.slots.find(hash, |slot| {
            let slot = *slot as usize;
            self.hashes[slot] == hash && self.panes[slot] == pane && self.key_at(slot) == key
        });
        if let Some(slot) = found {
            return (*slot, false);
        }
        let slot = self.panes.len() as u32;
        self.hashes.push(hash);
        self.panes.push(pane);
        self.arena.extend_from_slice(key);
        self.ends.push(self.arena.len());
        let hashes = &self.hashes;
        self.slots
            .insert_unique(hash, slot, |slot| hashes[*slot as usize]);
        (slot, true)
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.panes.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.panes.is_empty()
    }

    /// The pane of a slot.
    pub(super) fn pane(&self, slot: u32) -> i64 {
        self.panes[slot as usize]
    }

    /// The key of a slot.
    pub(super) fn key(&self, slot: u32) -> &[u8] {
        self.key_at(slot as usize)
    }

    /// About how many bytes the table holds.
    pub(super) fn bytes(&self) -> usize {
        self.arena.len() + self.panes.len() * 32
    }

    /// Forgets all groups and keeps the room.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.hashes.clear();
        self.panes.clear();
        self.ends.clear();
        self.arena.clear();
    }

    fn key_at(&self, slot: usize) -> &[u8] {
        let start = if slot == 0 { 0 } else { self.ends[slot - 1] };
        &self.arena[start..self.ends[slot]]
    }

    fn hash(&self, pane: i64, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_i64(pane);
        hasher.write(key);
        hasher.finish()
    }
}

#[cfg(test)]
#[path = "group_table_test.rs"]
mod group_table_test;
