//! The newest version of an entry: writes of the transaction being filled.
//!
//! Nobody but the task sees them. They leave by [`HotTable::freeze`] or by [`HotTable::abort_overlay`].

use super::hot_table::{EntryId, HotTable, LISTED, Slot, TOUCHED};
use super::key_range::KeyRange;

impl HotTable {
    /// Sets (or, with `None`, deletes) an entry in the open transaction.
    pub(super) fn write(&mut self, id: EntryId, value: Option<&[u8]>) {
        let old = std::mem::replace(&mut self.entries[id as usize].overlay, Slot::UNKNOWN);
        let new = self.replace(id, old, value);
        let entry = &mut self.entries[id as usize];
        entry.overlay = new;
        entry.set(TOUCHED);
        if !entry.is(LISTED) {
            entry.set(LISTED);
            self.overlay.push(id);
            self.overlay_bytes += self.key(id).len();
        }
        self.overlay_bytes = (self.overlay_bytes + new.value_len()).saturating_sub(old.value_len());
    }

    /// Takes back what the open transaction wrote inside `range`; the range delete itself is noted by the store.
    pub(super) fn forget_overlay(&mut self, range: &KeyRange) {
        for place in 0..self.overlay.len() {
            let id = self.overlay[place];
            if range.contains(self.key(id)) {
                let slot = std::mem::replace(&mut self.entries[id as usize].overlay, Slot::UNKNOWN);
                self.overlay_bytes = self.overlay_bytes.saturating_sub(slot.value_len());
                self.release(slot);
            }
        }
    }

    /// Drops the open transaction's writes.
    pub(super) fn abort_overlay(&mut self) {
        for id in std::mem::take(&mut self.overlay) {
            let entry = &mut self.entries[id as usize];
            let slot = std::mem::replace(&mut entry.overlay, Slot::UNKNOWN);
            entry.unset(LISTED);
            self.release(slot);
        }
        self.overlay_bytes = 0;
    }
}
