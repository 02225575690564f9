//! Values on their way into the store: added up in memory, written in the order of their keys.
//!
//! Always true: a value counts for DISTINCT while its weight is above 0; the sums of such calls change when a weight crosses that line, and only
//! here.

use datafusion::arrow::array::RecordBatch;
use millpond_streams::processor::ProcessContext;

use super::super::group_table::GroupTable;
use super::calls::CallKind;
use super::value_set::{weight_from, weights_of};
use super::{GroupChanges, Result, SqlError};

/// By how much weights changed since they were last written.
#[derive(Default)]
pub(super) struct ChangedValues {
    /// Keys of the store; slot of the group and number of the set stand in place of the pane.
    table: GroupTable,
    weights: Vec<i64>,
    scratch: Vec<u8>,
}

impl ChangedValues {
    fn add(&mut self, group: (u32, &[u8]), set: usize, row: &[u8], weight: i64) {
        let (slot, key) = group;
        self.scratch.clear();
        self.scratch.extend_from_slice(key);
        self.scratch.push(set as u8);
        self.scratch.extend_from_slice(row);
        let (value, is_new) = self
            .table
            .intern((i64::from(slot) << 8) | set as i64, &self.scratch);
        if is_new {
            self.weights.push(0);
        }
        self.weights[value as usize] += weight;
    }

    /// The slot of the group and the number of the set.
    fn owner(&self, value: u32) -> (u32, usize) {
        let owner = self.table.pane(value);
        ((owner >> 8) as u32, (owner & 0xff) as usize)
    }

    /// About how many bytes are waiting.
    pub(super) fn bytes(&self) -> usize {
        self.table.bytes() + self.weights.len() * 8
    }

    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.weights.clear();
    }
}

impl GroupChanges {
    /// Notes the values of rows.
    pub(super) fn change_values(
        &mut self,
        batch: &RecordBatch,
        slots: &[u32],
        weights: &[i64],
    ) -> Result<()> {
        for (number, set) in self.sets.iter().enumerate() {
            let columns = set.spec.columns.iter().map(|(column, _)| *column);
            let present = columns.filter(|_| set.spec.skips_nulls);
            let weights = weights_of(weights, batch, set.spec.filter, present)?;
            let rows = set
                .converter
                .convert_columns(&set.columns(batch))
                .map_err(|e| SqlError::runtime("encoding values", e))?;
            for (row, (slot, weight)) in slots.iter().zip(&weights).enumerate() {
                if *weight != 0 {
                    let group = (*slot, self.groups.table.key(*slot));
                    self.changed.add(group, number, rows.row(row).data(), *weight);
                }
            }
        }
        Ok(())
    }

    /// Writes the values that changed.
    pub(super) fn write_values(&mut self, context: &mut ProcessContext<'_>) -> Result<()> {
        let Some(store) = self.stores()?.values else {
            return Ok(());
        };
        let mut order: Vec<u32> = (0..self.changed.weights.len() as u32)
            .filter(|value| self.changed.weights[*value as usize] != 0)
            .collect();
        let table = &self.changed.table;
        order.sort_unstable_by(|a, b| table.key(*a).cmp(table.key(*b)));
        let counts: Vec<bool> = (0..self.sets.len())
            .map(|set| self.counts_values_of(set))
            .collect();
        for chunk in order.chunks(self.limits.chunk) {
            let keys: Vec<&[u8]> = chunk.iter().map(|value| self.changed.table.key(*value)).collect();
            let mut handle = context.store(store);
            let before = handle
                .multi_get(&keys)
                .map_err(|e| SqlError::runtime("reading values", e))?;
            let mut crossings = vec![Vec::new(); self.sets.len()];
            for ((value, key), before) in chunk.iter().zip(&keys).zip(before) {
                let before = before.map_or(Ok(0), |before| weight_from(&before))?;
                let after = before + self.changed.weights[*value as usize];
                if after == 0 {
                    handle.delete(key);
                } else {
                    handle.put(key, after.to_le_bytes());
                }
                let crossing = i64::from(after > 0) - i64::from(before > 0);
                let (_, set) = self.changed.owner(*value);
                if crossing != 0 && counts[set] {
                    crossings[set].push((*value, crossing));
                }
            }
            drop(handle);
            for (set, crossings) in crossings.iter().enumerate() {
                self.count_values(set, crossings)?;
            }
        }
        self.changed.clear();
        Ok(())
    }

    fn counts_values_of(&self, set: usize) -> bool {
        let mut calls = self.calls.iter();
        calls.any(|call| matches!(call.kind, CallKind::Distinct(of, _) if of == set))
    }

    /// Adds values that came (weight 1) and went (weight -1) to the sums over distinct values.
    fn count_values(&mut self, set: usize, crossings: &[(u32, i64)]) -> Result<()> {
        if crossings.is_empty() {
            return Ok(());
        }
        let slots: Vec<u32> = crossings
            .iter()
            .map(|(value, _)| self.changed.owner(*value).0)
            .collect();
        let weights: Vec<i64> = crossings.iter().map(|(_, weight)| *weight).collect();
        let rows = crossings.iter().zip(&slots).map(|((value, _), slot)| {
            let prefix = self.groups.table.key(*slot).len() + 1;
            &self.changed.table.key(*value)[prefix..]
        });
        let columns = self.sets[set].decode(rows)?;
        let spec = &self.sets[set].spec;
        for call in &mut self.calls {
            if let CallKind::Distinct(of, sums) = &mut call.kind
                && *of == set
            {
                let place = spec
                    .columns
                    .iter()
                    .position(|(column, _)| Some(*column) == call.argument);
                sums.add(&slots, place.map(|place| &columns[place]), &weights)?;
            }
        }
        Ok(())
    }
}
