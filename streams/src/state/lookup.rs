//! How a read picks a version: newest layer first, and within a layer an entry's own word before a range delete.
//!
//! A write that comes after a range delete of the same transaction must win over it, one that came before must not.
//! [`HotTable::forget_overlay`] takes the earlier ones away at once, so whatever an entry says is the later word.

use super::hot_table::{EntryId, HotTable, Slot};
use super::key_range::RangeSet;

/// Whose eyes a read looks through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// The task itself: all layers.
    Task,
    /// Queries: committed versions only.
    Committed,
}

/// The answer of the in-memory layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// The key has this value.
    Value(Slot),
    /// The key does not exist.
    Absent,
    /// The host must be asked.
    AskHost,
}

/// Range deletes of a store, by layer.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    pub(super) overlay: RangeSet,
    pub(super) frozen: RangeSet,
    /// Committed, not in the host yet.
    pub(super) committed: RangeSet,
}

impl Ranges {
    fn uncommitted_hold(&self, key: &[u8]) -> bool {
        self.overlay.contains(key) || self.frozen.contains(key)
    }
}

impl HotTable {
    /// What the layers say about an entry.
    pub(super) fn look_up(&self, id: EntryId, view: View, ranges: &Ranges) -> Lookup {
        let entry = &self.entries[id as usize];
        if view == View::Task {
            if let Some(answer) = answer(entry.overlay) {
                return answer;
            }
            if ranges.overlay.contains(self.key(id)) {
                return Lookup::Absent;
            }
            if let Some(answer) = answer(entry.frozen) {
                return answer;
            }
            if ranges.frozen.contains(self.key(id)) {
                return Lookup::Absent;
            }
        }
        match answer(entry.committed) {
            Some(answer) => answer,
            None if self.complete || ranges.committed.contains(self.key(id)) => Lookup::Absent,
            None => Lookup::AskHost,
        }
    }

    /// What the layers say about a key that has no entry here.
    pub(super) fn look_up_missing(&self, key: &[u8], view: View, ranges: &Ranges) -> Lookup {
        let deleted = ranges.committed.contains(key) || view == View::Task && ranges.uncommitted_hold(key);
        if self.complete || deleted {
            Lookup::Absent
        } else {
            Lookup::AskHost
        }
    }
}

fn answer(slot: Slot) -> Option<Lookup> {
    if slot.is_value() {
        Some(Lookup::Value(slot))
    } else if slot.is_tombstone() {
        Some(Lookup::Absent)
    } else {
        None
    }
}
