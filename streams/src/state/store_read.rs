//! Reads of a whole batch of keys, most of which may not be there.
//!
//! [`StoreRef::multi_get_with`] remembers a key it did not find, because it is read in order to be written next. A join asks for keys of the other side, of
//! which many will never exist: remembering each would fill memory with absences. So here a key that is nowhere leaves no trace.
//! What the host has is remembered, like everywhere.

use super::lookup::{Lookup, View};
use super::{KeyBatch, StateError, StoreRef};

/// Keys worked on at a time.
const RUN_LEN: usize = 512;

impl StoreRef<'_> {
    /// Shows `look` the number and the value of every key that has one. Not in order: keys the host was asked for come last in each run.
    ///
    /// Errs when the host cannot be read.
    pub fn find_many(
        &mut self,
        keys: &KeyBatch,
        mut look: impl FnMut(usize, &[u8]),
    ) -> Result<(), StateError> {
        let mut missing: Vec<usize> = Vec::new();
        let mut hashes = std::mem::take(&mut self.tables.scratch.hashes);
        for from in (0..keys.len()).step_by(RUN_LEN) {
            let run = from..(from + RUN_LEN).min(keys.len());
            let store = self.tables.store(self.index);
            hashes.clear();
            hashes.extend(run.clone().map(|number| store.hash(keys.get(number))));
            for (number, hash) in run.zip(&hashes) {
                let key = keys.get(number);
                match store.look_up_key(*hash, key, View::Task) {
                    (Some(place), Lookup::Value(slot)) => {
                        if let Some(value) = store.table(place).value(place.id, slot) {
                            look(number, value);
                        }
                    }
                    (_, Lookup::AskHost) if !store.host_lacks(key) => missing.push(number),
                    _ => {}
                }
            }
            self.find_in_host(keys, &mut missing, &mut look)?;
        }
        self.tables.scratch.hashes = hashes;
        Ok(())
    }

    fn find_in_host(
        &mut self,
        keys: &KeyBatch,
        missing: &mut Vec<usize>,
        look: &mut impl FnMut(usize, &[u8]),
    ) -> Result<(), StateError> {
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable_by(|a, b| keys.get(*a).cmp(keys.get(*b)));
        let wanted: Vec<&[u8]> = missing.iter().map(|number| keys.get(*number)).collect();
        let (index, tables) = (self.index, &mut *self.tables);
        tables.host_reads += wanted.len() as u64;
        self.host.multi_get_sorted(index, &wanted, &mut |number, value| {
            let Some(value) = value else { return };
            let store = tables.store_mut(index);
            let hash = store.hash(wanted[number]);
            let place = store.find_or_add(hash, wanted[number]);
            // A key that was asked for twice is known by now.
            if store.look_up(place, View::Task) == Lookup::AskHost {
                store.table_mut(place).learn(place.id, Some(value));
            }
            look(missing[number], value);
        })?;
        missing.clear();
        Ok(())
    }
}

#[cfg(test)]
#[path = "store_read_test.rs"]
mod store_read_test;
