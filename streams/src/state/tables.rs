//! What a task and its readers share: the in-memory layers of all its stores, and the host.
//!
//! The task takes the lock for writing, readers for reading; a reader never holds it while it asks the host, except to
//! begin a snapshot. The host itself needs no lock.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use super::host::StoreHost;
use super::hot_table::HotTable;
use super::position::StoredPosition;
use super::store_table::StoreTable;
use super::{StateError, StoreIndex, StoreSpec, TaskId};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) task: TaskId,
    pub(super) specs: Vec<StoreSpec>,
    pub(super) host: Arc<dyn StoreHost>,
    pub(super) tables: RwLock<Tables>,
}

impl Shared {
    pub(super) fn index_of(&self, store: &str) -> Result<StoreIndex, StateError> {
        let place = self.specs.iter().position(|spec| spec.name == store);
        place
            .map(|place| StoreIndex::new(place as u32))
            .ok_or_else(|| StateError::UnknownStore {
                store: store.to_owned(),
                task: self.task.to_string(),
            })
    }
}

/// What a changelog adds to a key and its value, at most: lengths, differences of time and offset, no headers.
pub(super) const RECORD_WRAPPING: usize = 20;
/// What a changelog adds to the changes of one store in one transaction: the header of their batch (61 bytes).
const BATCH_WRAPPING: usize = 64;

/// The in-memory layers of all stores of a task.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) stores: Vec<StoreTable>,
    /// What the committed layer reflects.
    pub(super) committed: StoredPosition,
    pub(super) scratch: Scratch,
    /// Reads that had to ask the host.
    pub(super) host_reads: u64,
}

/// Buffers that calls reuse.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) value: Vec<u8>,
    pub(super) hashes: Vec<u64>,
    pub(super) places: Vec<super::store_table::Place>,
}

impl Tables {
    pub(super) fn store(&self, index: StoreIndex) -> &StoreTable {
        &self.stores[index.as_usize()]
    }

    pub(super) fn store_mut(&mut self, index: StoreIndex) -> &mut StoreTable {
        &mut self.stores[index.as_usize()]
    }

    /// What the frozen transaction takes in the changelogs, uncompressed; never less.
    pub(super) fn frozen_changelog_bytes(&self) -> usize {
        let of_store = |store: &StoreTable| {
            let changed = store.tables().filter(|table| !table.frozen.is_empty());
            let bytes: usize = changed
                .map(|table| table.frozen_bytes + table.frozen.len() * RECORD_WRAPPING)
                .sum();
            if bytes == 0 { 0 } else { bytes + BATCH_WRAPPING }
        };
        self.stores.iter().map(of_store).sum()
    }

    pub(super) fn sum(&self, of: impl Fn(&HotTable) -> usize) -> usize {
        self.stores.iter().flat_map(StoreTable::tables).map(of).sum()
    }
}

/// Smallest and largest key.
pub(super) type KeyBounds = (Vec<u8>, Vec<u8>);

/// Bounds of a host's store as the tables keep them.
pub(super) fn bounds_of(host: &dyn StoreHost, store: StoreIndex) -> Result<Option<KeyBounds>, StateError> {
    let owned = |key: Bytes| Vec::from(key);
    Ok(host
        .bounds(store)?
        .map(|(first, last)| (owned(first), owned(last))))
}
