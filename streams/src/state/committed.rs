//! The oldest version of an entry: committed, and either on its way to the host (*unapplied*) or equal to it (*clean*).
//!
//! Clean versions are a cache: a key that was read or written once is not read from the host again until it is evicted.

use super::hot_table::{EntryId, HotTable, Slot, TOUCHED, UNAPPLIED};
use super::key_range::KeyRange;

impl HotTable {
    /// Notes what the host answered for an entry of which nothing was known.
    pub(super) fn learn(&mut self, id: EntryId, value: Option<&[u8]>) {
        debug_assert!(
            self.entries[id as usize].committed.is_unknown(),
            "what is known is not read again"
        );
        let slot = self.replace(id, Slot::UNKNOWN, value);
        let entry = &mut self.entries[id as usize];
        entry.committed = slot;
        entry.set(TOUCHED);
    }

    /// Sets a committed version directly: replay of a changelog.
    pub(super) fn restore(&mut self, id: EntryId, value: Option<&[u8]>) {
        let old = std::mem::replace(&mut self.entries[id as usize].committed, Slot::UNKNOWN);
        let new = self.replace(id, old, value);
        let entry = &mut self.entries[id as usize];
        entry.committed = new;
        if !entry.is(UNAPPLIED) {
            entry.set(UNAPPLIED);
            self.unapplied.push(id);
        }
    }

    /// Forgets committed versions inside `range`: a committed range delete took them.
    pub(super) fn forget_committed(&mut self, range: &KeyRange) {
        for id in 0..self.entries.len() as EntryId {
            if !self.entries[id as usize].committed.is_unknown() && range.contains(self.key(id)) {
                let slot = std::mem::replace(&mut self.entries[id as usize].committed, Slot::UNKNOWN);
                self.release(slot);
            }
        }
    }

    /// Whether a transaction that is not committed yet says anything here.
    pub(super) fn has_uncommitted_writes(&self) -> bool {
        let writes = |id: &EntryId| !self.entries[*id as usize].overlay.is_unknown();
        let frozen = |id: &EntryId| !self.entries[*id as usize].frozen.is_unknown();
        self.overlay.iter().any(writes) || self.frozen.iter().any(frozen)
    }

    /// Drops all entries if a range delete left none of them with anything to say.
    pub(super) fn forget_removed(&mut self) {
        let is_silent = |id: EntryId| {
            let entry = &self.entries[id as usize];
            entry.overlay.is_unknown() && entry.frozen.is_unknown() && !entry.committed.is_value()
        };
        if (0..self.entries.len() as EntryId).all(is_silent) {
            *self = HotTable::new(true);
        }
    }

    /// What the host does not have yet, in key order.
    pub(super) fn unapplied_changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut ids = self.unapplied.clone();
        self.sort_by_key(&mut ids);
        ids.into_iter().filter_map(|id| {
            let slot = self.entries[id as usize].committed;
            // Unknown: a range delete came later; it is in the same batch.
            (!slot.is_unknown()).then(|| (self.key(id), self.value(id, slot)))
        })
    }

    /// The host has everything now.
    pub(super) fn mark_applied(&mut self) {
        for id in &self.unapplied {
            self.entries[*id as usize].unset(UNAPPLIED);
        }
        self.unapplied.clear();
    }
}
