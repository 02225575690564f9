//! What a frozen transaction changed: the records its changelogs get.

use parking_lot::RwLockReadGuard;

use super::StoreIndex;
use super::tables::Tables;

/// The changes of the frozen transaction, each key of each logged store once: full value, last writer wins (I6).
///
/// Holds the task's lock for reading; queries go on meanwhile, the task itself does not.
#[derive(Debug)]
pub struct FrozenChanges<'a> {
    pub(super) tables: RwLockReadGuard<'a, Tables>,
}

/// One changed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The store it is in.
    pub store: StoreIndex,
    /// The key as the store has it.
    pub key: &'a [u8],
    /// The new value; `None` when the key was deleted.
    pub value: Option<&'a [u8]>,
}

impl FrozenChanges<'_> {
    /// The changes, store by store, in the order keys were first written.
    pub fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        let stores = self
            .tables
            .stores
            .iter()
            .enumerate()
            .filter(|(_, store)| store.is_logged);
        stores.flat_map(|(index, store)| {
            let changes = store.tables().flat_map(|table| table.frozen_changes());
            changes.map(move |(key, value)| Change {
                store: StoreIndex::new(index as u32),
                key,
                value,
            })
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Bytes of keys and values, about: what to reserve for encoding them.
    pub fn size_bytes(&self) -> usize {
        self.tables.sum(|table| table.frozen_bytes)
    }
}
