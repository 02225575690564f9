//! What an operator holds while it works on a store: reads through all layers, writes into the open transaction.
//!
//! Take it once per batch, not per record: it holds the task's lock, which queries also need. The batched calls
//! ([`StoreRef::update_many`], [`StoreRef::multi_get`]) are in `store_batch.rs`, walks in `scan.rs`.

use bytes::Bytes;
use millpond_log::types::Timestamp;
use parking_lot::RwLockWriteGuard;

use super::host::StoreHost;
use super::lookup::{Lookup, View};
use super::store_table::{Place, StoreTable};
use super::tables::Tables;
use super::{KeyRange, StateError, StoreIndex};

/// A store of a task, for as long as one batch is worked on.
#[derive(Debug)]
pub struct StoreRef<'a> {
    pub(super) tables: RwLockWriteGuard<'a, Tables>,
    pub(super) host: &'a dyn StoreHost,
    pub(super) index: StoreIndex,
}

/// What an update does with the entry it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Set it to what was written into the buffer.
    Put,
    /// Leave it as it is.
    Keep,
    /// Remove it.
    Delete,
}

impl StoreRef<'_> {
    /// The value of `key`, as the task sees it.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        self.get_with(key, |value| value.map(Bytes::copy_from_slice))
    }

    /// Shows `look` the value of `key` in place, without copying it.
    pub fn get_with<T>(
        &mut self,
        key: &[u8],
        look: impl FnOnce(Option<&[u8]>) -> T,
    ) -> Result<T, StateError> {
        let index = self.index;
        let store = self.tables.store_mut(index);
        let hash = store.hash(key);
        let (place, mut lookup) = store.look_up_key(hash, key, View::Task);
        let mut found = place;
        if lookup == Lookup::AskHost {
            let place = store.find_or_add(hash, key);
            lookup = self.ask_host(place, key)?;
            found = Some(place);
        }
        let store = self.tables.store(index);
        let value = match (lookup, found) {
            (Lookup::Value(slot), Some(place)) => store.table(place).value(place.id, slot),
            _ => None,
        };
        Ok(look(value))
    }

    /// Sets `key` to `value`. No read, no allocation.
    pub fn put(&mut self, key: &[u8], value: impl AsRef<[u8]>) {
        self.write(key, Some(value.as_ref()));
    }

    /// Removes `key`. No-op for readers of a key that is not there, but logged all the same.
    pub fn delete(&mut self, key: &[u8]) {
        self.write(key, None);
    }

    /// Removes every key in `[from, to)`. Not logged: meant for expiry, which a replay repeats by itself.
    ///
    /// Writes of this transaction that came before are gone, also from its changelog; later ones stay.
    pub fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        let range = KeyRange::between(from, to);
        if !range.is_empty() {
            self.store_mut().delete_range(&range);
        }
    }

    /// Reads, modifies and writes `key` in one probe: `change` sees the value in place and writes the new one into the
    /// empty buffer it is given.
    pub fn update(
        &mut self,
        key: &[u8],
        change: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Update,
    ) -> Result<(), StateError> {
        let store = self.store_mut();
        let hash = store.hash(key);
        let place = store.find_or_add(hash, key);
        let mut lookup = store.look_up(place, View::Task);
        if lookup == Lookup::AskHost {
            lookup = self.ask_host(place, key)?;
        }
        let mut scratch = std::mem::take(&mut self.tables.scratch.value);
        self.store_mut().change(place, lookup, &mut scratch, change);
        self.tables.scratch.value = scratch;
        Ok(())
    }

    /// Of a store whose keys begin with their pane: no key lies in a later pane than this one. It may be empty; `None` when the store is.
    pub fn last_pane(&self) -> Option<Timestamp> {
        self.tables.store(self.index).last_pane()
    }

    /// Roughly how many keys the store has: for plans and metrics, never for answers.
    pub fn approximate_entries(&self) -> Result<u64, StateError> {
        let store = self.tables.store(self.index);
        let unapplied: usize = store.tables().map(|table| table.unapplied.len()).sum();
        Ok(self.host.approximate_entries(self.index)? + unapplied as u64)
    }

    pub(super) fn store_mut(&mut self) -> &mut StoreTable {
        self.tables.store_mut(self.index)
    }

    fn write(&mut self, key: &[u8], value: Option<&[u8]>) {
        let store = self.store_mut();
        let hash = store.hash(key);
        let place = store.find_or_add(hash, key);
        store.table_mut(place).write(place.id, value);
    }

    /// Reads one key from the host and remembers the answer as committed and clean.
    fn ask_host(&mut self, place: Place, key: &[u8]) -> Result<Lookup, StateError> {
        let value = if self.tables.store(self.index).host_lacks(key) {
            None
        } else {
            self.tables.host_reads += 1;
            self.host.get(self.index, key)?
        };
        let store = self.store_mut();
        store.table_mut(place).learn(place.id, value.as_deref());
        Ok(store.look_up(place, View::Task))
    }
}

impl StoreTable {
    /// Lets `change` replace the value that `lookup` found at `place`.
    pub(super) fn change(
        &mut self,
        place: Place,
        lookup: Lookup,
        scratch: &mut Vec<u8>,
        change: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Update,
    ) {
        let table = self.table_mut(place);
        let value = match lookup {
            Lookup::Value(slot) => table.value(place.id, slot),
            Lookup::Absent | Lookup::AskHost => None,
        };
        scratch.clear();
        match change(value, scratch) {
            Update::Put => table.write(place.id, Some(scratch)),
            Update::Delete => table.write(place.id, None),
            Update::Keep => {}
        }
    }
}
