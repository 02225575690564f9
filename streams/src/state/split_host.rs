//! A host that keeps some stores on disk and others in memory only.
//!
//! Always true: the disk never holds anything of a store in memory, and the position written there never speaks of it, so such a store begins empty and is read
//! from its changelog at every start. Within a run both sides take each batch together: the disk first, since only it can fail.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::host::{HostBatch, HostScan, HostSnapshot, StoreHost, StoreHostFactory};
use super::memory_host::MemoryHosts;
use super::{KeyRange, StateError, StoreIndex, StoreSize, StoreSpec, TaskId};

/// Opens the host of a task; one of its own for the stores that are in memory, if there are any.
pub(super) fn open(
    durable: &dyn StoreHostFactory,
    dir: &Path,
    task: TaskId,
    stores: &[StoreSpec],
) -> Result<Arc<dyn StoreHost>, StateError> {
    if stores.iter().all(|store| store.persistent) {
        return durable.open(dir, task, stores);
    }
    let (on_disk, in_memory): (Vec<StoreSpec>, Vec<StoreSpec>) =
        stores.iter().cloned().partition(|store| store.persistent);
    let (mut next_on_disk, mut next_in_memory) = (0, 0);
    let places = stores.iter().map(|store| {
        let (side, next) = match store.persistent {
            true => (Side::Disk, &mut next_on_disk),
            false => (Side::Memory, &mut next_in_memory),
        };
        let place = StoreIndex::new(*next);
        *next += 1;
        (side, place)
    });
    Ok(Arc::new(SplitHost {
        places: places.collect(),
        disk: durable.open(dir, task, &on_disk)?,
        memory: MemoryHosts::new().open(dir, task, &in_memory)?,
    }))
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Disk,
    Memory,
}

#[derive(Debug)]
struct SplitHost {
    /// Where each store is, and its place there.
    places: Vec<(Side, StoreIndex)>,
    disk: Arc<dyn StoreHost>,
    memory: Arc<dyn StoreHost>,
}

impl SplitHost {
    fn side(&self, store: StoreIndex) -> (&dyn StoreHost, StoreIndex) {
        match self.places[store.as_usize()] {
            (Side::Disk, place) => (&*self.disk, place),
            (Side::Memory, place) => (&*self.memory, place),
        }
    }
}

impl StoreHost for SplitHost {
    fn stored_position(&self) -> Result<Option<Bytes>, StateError> {
        self.disk.stored_position()
    }

    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        let (host, store) = self.side(store);
        host.get(store, key)
    }

    fn multi_get_sorted(
        &self,
        store: StoreIndex,
        keys: &[&[u8]],
        found: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), StateError> {
        let (host, store) = self.side(store);
        host.multi_get_sorted(store, keys, found)
    }

    fn scan<'a>(&'a self, store: StoreIndex, range: &KeyRange) -> Result<Box<dyn HostScan + 'a>, StateError> {
        let (host, store) = self.side(store);
        host.scan(store, range)
    }

    fn bounds(&self, store: StoreIndex) -> Result<Option<(Bytes, Bytes)>, StateError> {
        let (host, store) = self.side(store);
        host.bounds(store)
    }

    fn approximate_entries(&self, store: StoreIndex) -> Result<u64, StateError> {
        let (host, store) = self.side(store);
        host.approximate_entries(store)
    }

    fn size(&self, store: StoreIndex) -> Result<StoreSize, StateError> {
        let (host, store) = self.side(store);
        host.size(store)
    }

    fn write(&self, fill: &mut dyn FnMut(&mut dyn HostBatch), position: &[u8]) -> Result<usize, StateError> {
        let mut in_memory = Vec::new();
        let written = self.disk.write(
            &mut |batch| {
                in_memory.clear();
                fill(&mut SplitBatch {
                    places: &self.places,
                    disk: batch,
                    memory: &mut in_memory,
                });
            },
            position,
        )?;
        self.memory.write(
            &mut |batch| in_memory.iter().for_each(|change| change.put_into(batch)),
            position,
        )?;
        // Nothing of it can be lost alone, so there is no use in keeping what came before.
        self.memory.flush()?;
        Ok(written)
    }

    fn flush(&self) -> Result<(), StateError> {
        self.disk.flush()
    }

    fn snapshot<'a>(&'a self) -> Result<Box<dyn HostSnapshot + 'a>, StateError> {
        Ok(Box::new(SplitSnapshot {
            places: &self.places,
            disk: self.disk.snapshot()?,
            memory: self.memory.snapshot()?,
        }))
    }
}

/// A change of a store in memory, kept until the disk has taken its part of the batch.
enum Change {
    Put(StoreIndex, Vec<u8>, Vec<u8>),
    Delete(StoreIndex, Vec<u8>),
    DeleteRange(StoreIndex, Vec<u8>, Vec<u8>),
}

impl Change {
    fn put_into(&self, batch: &mut dyn HostBatch) {
        match self {
            Change::Put(store, key, value) => batch.put(*store, key, value),
            Change::Delete(store, key) => batch.delete(*store, key),
            Change::DeleteRange(store, from, to) => batch.delete_range(*store, from, to),
        }
    }
}

struct SplitBatch<'a> {
    places: &'a [(Side, StoreIndex)],
    disk: &'a mut dyn HostBatch,
    memory: &'a mut Vec<Change>,
}

impl HostBatch for SplitBatch<'_> {
    fn put(&mut self, store: StoreIndex, key: &[u8], value: &[u8]) {
        match self.places[store.as_usize()] {
            (Side::Disk, store) => self.disk.put(store, key, value),
            (Side::Memory, store) => self.memory.push(Change::Put(store, key.to_vec(), value.to_vec())),
        }
    }

    fn delete(&mut self, store: StoreIndex, key: &[u8]) {
        match self.places[store.as_usize()] {
            (Side::Disk, store) => self.disk.delete(store, key),
            (Side::Memory, store) => self.memory.push(Change::Delete(store, key.to_vec())),
        }
    }

    fn delete_range(&mut self, store: StoreIndex, from: &[u8], to: &[u8]) {
        match self.places[store.as_usize()] {
            (Side::Disk, store) => self.disk.delete_range(store, from, to),
            (Side::Memory, store) => {
                self.memory
                    .push(Change::DeleteRange(store, from.to_vec(), to.to_vec()));
            }
        }
    }
}

struct SplitSnapshot<'a> {
    places: &'a [(Side, StoreIndex)],
    disk: Box<dyn HostSnapshot + 'a>,
    memory: Box<dyn HostSnapshot + 'a>,
}

impl SplitSnapshot<'_> {
    fn side(&self, store: StoreIndex) -> (&dyn HostSnapshot, StoreIndex) {
        match self.places[store.as_usize()] {
            (Side::Disk, place) => (&*self.disk, place),
            (Side::Memory, place) => (&*self.memory, place),
        }
    }
}

impl HostSnapshot for SplitSnapshot<'_> {
    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        let (snapshot, store) = self.side(store);
        snapshot.get(store, key)
    }

    fn scan<'a>(&'a self, store: StoreIndex, range: &KeyRange) -> Result<Box<dyn HostScan + 'a>, StateError> {
        let (snapshot, store) = self.side(store);
        snapshot.scan(store, range)
    }
}
