//! Reads and updates of a whole batch of keys at once.
//!
//! A run of keys at a time: hash them, find their entries (`StoreTable::find_or_add_all`), ask the host for all that
//! are missing in one sorted call. Then the caller's function runs over entries that are all in memory, and in cache:
//! a run is short enough for that.

use std::ops::Range;

use bytes::Bytes;

use super::lookup::{Lookup, View};
use super::store_table::Place;
use super::{KeyBatch, StateError, StoreRef, Update};

/// Keys worked on at a time: 128 bytes each, so 64 KiB of entries.
pub(super) const RUN_LEN: usize = 512;

impl StoreRef<'_> {
    /// Reads, modifies and writes every key in order: `change` gets the key's number, its value and an empty buffer for
    /// the new one. A key that occurs twice is seen the second time as the first left it.
    pub fn update_many(
        &mut self,
        keys: &KeyBatch,
        mut change: impl FnMut(usize, Option<&[u8]>, &mut Vec<u8>) -> Update,
    ) -> Result<(), StateError> {
        for run in runs(keys.len()) {
            let places = self.fetch(keys, run.clone())?;
            let mut scratch = std::mem::take(&mut self.tables.scratch.value);
            let store = self.store_mut();
            for (number, place) in run.zip(&places) {
                let lookup = store.look_up(*place, View::Task);
                store.change(*place, lookup, &mut scratch, |value, buffer| {
                    change(number, value, buffer)
                });
            }
            self.tables.scratch.value = scratch;
            self.tables.scratch.places = places;
        }
        Ok(())
    }

    /// The values of `keys`, in their order. `keys` need not be sorted.
    pub fn multi_get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StateError> {
        let mut values = Vec::with_capacity(keys.len());
        let keys = keys.iter().collect();
        self.multi_get_with(&keys, |_, value| values.push(value.map(Bytes::copy_from_slice)))?;
        Ok(values)
    }

    /// Shows `look` the number of every key and its value in place, in order.
    pub fn multi_get_with(
        &mut self,
        keys: &KeyBatch,
        mut look: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), StateError> {
        for run in runs(keys.len()) {
            let places = self.fetch(keys, run.clone())?;
            let store = self.tables.store(self.index);
            for (number, place) in run.zip(&places) {
                let value = match store.look_up(*place, View::Task) {
                    Lookup::Value(slot) => store.table(*place).value(place.id, slot),
                    Lookup::Absent | Lookup::AskHost => None,
                };
                look(number, value);
            }
            self.tables.scratch.places = places;
        }
        Ok(())
    }

    /// Puts every key in place, in order.
    pub fn put_many<'v>(&mut self, keys: &KeyBatch, mut value: impl FnMut(usize) -> &'v [u8]) {
        for run in runs(keys.len()) {
            let places = self.find_or_add(keys, run.clone());
            let store = self.store_mut();
            for (number, place) in run.zip(&places) {
                store.table_mut(*place).write(place.id, Some(value(number)));
            }
            self.tables.scratch.places = places;
        }
    }

    fn find_or_add(&mut self, keys: &KeyBatch, run: Range<usize>) -> Vec<Place> {
        let mut hashes = std::mem::take(&mut self.tables.scratch.hashes);
        let mut places = std::mem::take(&mut self.tables.scratch.places);
        let keys = run.map(|number| keys.get(number));
        self.store_mut().find_or_add_all(keys, &mut hashes, &mut places);
        self.tables.scratch.hashes = hashes;
        places
    }

    /// Makes sure the layers can answer for every key of the run.
    fn fetch(&mut self, keys: &KeyBatch, run: Range<usize>) -> Result<Vec<Place>, StateError> {
        let places = self.find_or_add(keys, run.clone());
        let store = self.store_mut();
        let mut missing: Vec<(usize, Place)> = Vec::new();
        for (number, place) in run.zip(&places) {
            if !store.table(*place).complete && store.look_up(*place, View::Task) == Lookup::AskHost {
                if store.host_lacks(keys.get(number)) {
                    store.table_mut(*place).learn(place.id, None);
                } else {
                    missing.push((number, *place));
                }
            }
        }
        if missing.is_empty() {
            return Ok(places);
        }
        missing.sort_unstable_by(|(a, _), (b, _)| keys.get(*a).cmp(keys.get(*b)));
        missing.dedup_by(|(_, a), (_, b)| a == b);
        let wanted: Vec<&[u8]> = missing.iter().map(|(number, _)| keys.get(*number)).collect();
        let (index, tables) = (self.index, &mut *self.tables);
        tables.host_reads += wanted.len() as u64;
        self.host.multi_get_sorted(index, &wanted, &mut |number, value| {
            let place = missing[number].1;
            tables.store_mut(index).table_mut(place).learn(place.id, value);
        })?;
        Ok(places)
    }
}

fn runs(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len)
        .step_by(RUN_LEN)
        .map(move |from| from..(from + RUN_LEN).min(len))
}
