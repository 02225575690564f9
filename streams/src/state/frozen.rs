//! The middle version of an entry: writes of the transaction that is being committed (I7).
//!
//! Read-only from [`HotTable::freeze`] until the outcome is known: then they become committed, or they go.

use super::hot_table::{HotTable, LISTED, Slot, UNAPPLIED};

impl HotTable {
    /// Turns the overlay into the frozen version; the overlay is empty afterwards.
    pub(super) fn freeze(&mut self) {
        debug_assert!(self.frozen.is_empty(), "one transaction is frozen at a time");
        std::mem::swap(&mut self.overlay, &mut self.frozen);
        self.frozen_bytes = std::mem::take(&mut self.overlay_bytes);
        for id in &self.frozen {
            let entry = &mut self.entries[*id as usize];
            entry.frozen = std::mem::replace(&mut entry.overlay, Slot::UNKNOWN);
            entry.unset(LISTED);
        }
    }

    /// The frozen writes, each key once: its last value, or `None` when it was deleted.
    pub(super) fn frozen_changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.frozen.iter().filter_map(|id| {
            let slot = self.entries[*id as usize].frozen;
            // Unknown: written, then deleted with a range, which is not logged.
            (!slot.is_unknown()).then(|| (self.key(*id), self.value(*id, slot)))
        })
    }

    /// Makes the frozen writes committed. O(what the transaction wrote).
    pub(super) fn commit_frozen(&mut self) {
        let mut frozen = std::mem::take(&mut self.frozen);
        for id in &frozen {
            let slot = std::mem::replace(&mut self.entries[*id as usize].frozen, Slot::UNKNOWN);
            if slot.is_unknown() {
                continue;
            }
            let entry = &mut self.entries[*id as usize];
            let old = std::mem::replace(&mut entry.committed, slot);
            if !entry.is(UNAPPLIED) {
                entry.set(UNAPPLIED);
                self.unapplied.push(*id);
            }
            self.release(old);
        }
        frozen.clear();
        // Its room serves the next transaction.
        self.frozen = frozen;
        self.frozen_bytes = 0;
    }

    /// Drops the frozen writes.
    pub(super) fn abort_frozen(&mut self) {
        for id in std::mem::take(&mut self.frozen) {
            let slot = std::mem::replace(&mut self.entries[id as usize].frozen, Slot::UNKNOWN);
            self.release(slot);
        }
        self.frozen_bytes = 0;
    }
}
