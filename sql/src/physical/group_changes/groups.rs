//! Groups in memory, and how a group lies in the store.
//!
//! Always true: key = arrow-row of the key columns, one byte of 0 without any; value = version, number of rows (i64, little endian), the state of
//! each aggregate that has one outside the store of values, then 1 and the arrow-row bytes of the results that left last, or 0 when none did. A
//! group that is as new has no entry.

use millpond_streams::state::StoreRef;

use super::super::group_table::GroupTable;
use super::calls::Call;
use super::sums::{damaged, take};
use crate::error::{Result, SqlError};

const VERSION: u8 = 1;

/// Groups by slot.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) table: GroupTable,
    /// Sum of the weights of the group's rows.
    pub(super) rows: Vec<i64>,
    /// The results that left last.
    pub(super) shown: Vec<Option<Box<[u8]>>>,
    dirty: Vec<bool>,
    dirty_slots: Vec<u32>,
    /// About how many bytes of values the slots hold.
    pub(super) bytes: usize,
}

impl Groups {
    /// Makes room for the groups of the table.
    pub(super) fn resize(&mut self, calls: &mut [Call]) {
        let slots = self.table.len();
        self.rows.resize(slots, 0);
        self.shown.resize(slots, None);
        self.dirty.resize(slots, false);
        calls.iter_mut().for_each(|call| call.resize(slots));
    }

    /// Notes that a group changed.
    pub(super) fn touch(&mut self, slot: u32) {
        if !std::mem::replace(&mut self.dirty[slot as usize], true) {
            self.dirty_slots.push(slot);
        }
    }

    /// The groups that changed, in the order of their keys; they count as unchanged from here on.
    pub(super) fn take_touched(&mut self) -> Vec<u32> {
        let mut slots = std::mem::take(&mut self.dirty_slots);
        slots.sort_unstable_by(|a, b| self.table.key(*a).cmp(self.table.key(*b)));
        slots.iter().for_each(|slot| self.dirty[*slot as usize] = false);
        slots
    }

    /// Reads groups that are new to the table.
    pub(super) fn load(
        &mut self,
        calls: &mut [Call],
        mut missing: Vec<u32>,
        mut store: StoreRef<'_>,
    ) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable_by(|a, b| self.table.key(*a).cmp(self.table.key(*b)));
        let keys: Vec<&[u8]> = missing.iter().map(|slot| self.table.key(*slot)).collect();
        let found = store
            .multi_get(&keys)
            .map_err(|e| SqlError::runtime("reading groups", e))?;
        for (slot, value) in missing.iter().zip(found) {
            if let Some(value) = value {
                self.decode(calls, *slot as usize, &value)?;
            }
        }
        Ok(())
    }

    /// Sets what has left of a group.
    pub(super) fn show(&mut self, slot: usize, results: Option<Box<[u8]>>) {
        let length = |shown: &Option<Box<[u8]>>| shown.as_deref().map_or(0, <[u8]>::len);
        self.bytes = (self.bytes + length(&results)).saturating_sub(length(&self.shown[slot]));
        self.shown[slot] = results;
    }

    /// Whether a group is as new.
    pub(super) fn is_zero(&self, calls: &[Call], slot: usize) -> bool {
        self.rows[slot] == 0 && self.shown[slot].is_none() && calls.iter().all(|call| call.is_zero(slot))
    }

    /// Writes the value of a group.
    pub(super) fn encode(&self, calls: &[Call], slot: usize, out: &mut Vec<u8>) {
        out.clear();
        out.push(VERSION);
        out.extend_from_slice(&self.rows[slot].to_le_bytes());
        calls.iter().for_each(|call| call.encode(slot, out));
        out.push(u8::from(self.shown[slot].is_some()));
        out.extend_from_slice(self.shown[slot].as_deref().unwrap_or_default());
    }

    fn decode(&mut self, calls: &mut [Call], slot: usize, value: &[u8]) -> Result<()> {
        let [VERSION, rest @ ..] = value else {
            return Err(SqlError::invalid("a stored group has an unknown version"));
        };
        let mut rest = rest;
        self.rows[slot] = i64::from_le_bytes(take(&mut rest)?);
        for call in calls {
            call.decode(slot, &mut rest)?;
        }
        match take::<1>(&mut rest)? {
            [1] => self.show(slot, Some(rest.into())),
            [0] if rest.is_empty() => {}
            _ => return Err(damaged()),
        }
        Ok(())
    }

    /// About how many bytes the groups hold.
    pub(super) fn bytes(&self, calls: usize) -> usize {
        self.table.bytes() + self.bytes + self.table.len() * (32 + 64 * calls)
    }

    /// Forgets all groups.
    pub(super) fn clear(&mut self, calls: &mut [Call]) {
        self.table.clear();
        self.rows.clear();
        self.shown.clear();
        self.dirty.clear();
        self.dirty_slots.clear();
        self.bytes = 0;
        calls.iter_mut().for_each(|call| call.resize(0));
    }
}
