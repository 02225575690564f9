//! One side of a join: its store, how its rows lie in it, and what is known of it in memory.
//!
//! Always true: whatever is written to the store is told to the cache.

use millpond_streams::processor::ProcessContext;
use millpond_streams::state::{KeyBatch, StoreIndex, Update};

use super::block::Block;
use super::delta::{Delta, add};
use super::key_cache::{KeyCache, StoredRow};
use super::kind::Shown;
use super::side_codec::SideCodec;
use crate::error::{Result, SqlError};

/// A side.
pub(super) struct Side {
    pub(super) codec: SideCodec,
    pub(super) shown: Shown,
    pub(super) cache: KeyCache,
    pub(super) store_name: String,
    pub(super) index: Option<StoreIndex>,
}

impl Side {
    /// The store.
    pub(super) fn store(&self) -> Result<StoreIndex> {
        self.index
            .ok_or_else(|| SqlError::invalid("the join was not initialised"))
    }

    /// Writes what a batch of this side changed; `matches` of each entry are as they are now.
    pub(super) fn write_delta(
        &mut self,
        delta: &Delta,
        matches: &[i64],
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        let codec = &self.codec;
        let mut weights: Vec<i64> = Vec::with_capacity(delta.len());
        let mut damage = None;
        let index = self.store()?;
        context
            .store(index)
            .update_many(&delta.keys, |entry, stored, out| {
                let before = stored.map_or(Ok((0, 0)), |value| codec.read_value(value));
                match before.and_then(|(weight, _)| add(weight, delta.weight(entry))) {
                    Ok(weight) => {
                        weights.push(weight);
                        if weight == 0 {
                            return Update::Delete;
                        }
                        codec.write_value(weight, matches[entry], out);
                        Update::Put
                    }
                    Err(e) => {
                        damage.get_or_insert(e);
                        Update::Keep
                    }
                }
            })
            .map_err(|e| SqlError::runtime("writing the rows of a join", e))?;
        if let Some(e) = damage {
            return Err(e);
        }
        for (entry, weight) in weights.into_iter().enumerate() {
            let row = StoredRow {
                row: delta.row(entry),
                weight,
                matches: matches[entry],
            };
            self.cache.wrote(delta.key(entry), row);
        }
        Ok(())
    }

    /// Writes the matches of rows that a batch of the other side changed.
    pub(super) fn write_matches(
        &mut self,
        delta: &Delta,
        block: &Block,
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        let mut keys = KeyBatch::new();
        let mut values = Vec::new();
        let mut ends = vec![0];
        for (group, rows) in &block.segments {
            let key = delta.group_key(*group);
            for row in rows.clone().filter(|row| block.changes[*row] != 0) {
                let stored = StoredRow {
                    row: block.rows.get(row),
                    weight: block.weights[row],
                    matches: add(block.matches[row], block.changes[row])?,
                };
                keys.push_with(|buffer| {
                    buffer.extend_from_slice(key);
                    buffer.extend_from_slice(stored.row);
                });
                self.codec.write_value(stored.weight, stored.matches, &mut values);
                ends.push(values.len());
                self.cache.wrote(key, stored);
            }
        }
        context
            .store(self.store()?)
            .put_many(&keys, |number| &values[ends[number]..ends[number + 1]]);
        Ok(())
    }
}
