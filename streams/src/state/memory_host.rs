//! A host in memory with RocksDB's commit and crash model: for simulation and for the test driver.
//!
//! [`MemoryHosts`] is the "disk": it outlives the hosts opened on it. Each task has an image that was flushed and the
//! images after every batch since; [`MemoryHosts::crash`] falls back to the flushed one, or to any later one, because
//! RocksDB may flush by itself when its buffers fill. Images are persistent maps, so a copy costs nothing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;
use parking_lot::Mutex;

use super::host::{HostBatch, HostScan, HostSnapshot, StoreHost, StoreHostFactory, StoredTask};
use super::{KeyRange, StateError, StoreIndex, StoreSpec, TaskId};

type Entries = OrdMap<Bytes, Bytes>;

/// The state of every task of a simulated machine.
#[derive(Clone, Debug, Default)]
pub struct MemoryHosts {
    tasks: Arc<Mutex<BTreeMap<PathBuf, Arc<TaskDisk>>>>,
}

/// Which of the unflushed batches survive a crash of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// None: nothing was flushed since the last explicit flush.
    None,
    /// This many of the oldest (all, if there are fewer), as when the host had flushed by itself meanwhile.
    Oldest(usize),
}

impl MemoryHosts {
    /// An empty machine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes every task back to what survives. Hosts that are still open keep working on what is left, as a real
    /// process would not: drop them first.
    pub fn crash(&self, survivors: Survivors) {
        for disk in self.tasks.lock().values() {
            let mut images = disk.images.lock();
            let kept = match survivors {
                Survivors::None => 0,
                Survivors::Oldest(count) => count.min(images.unflushed.len()),
            };
            if kept > 0 {
                images.flushed = images.unflushed[kept - 1].clone();
            }
            images.unflushed.clear();
        }
    }

    /// Batches of `task` that a crash may lose.
    pub fn unflushed_batches(&self, dir: &Path, task: TaskId) -> usize {
        let tasks = self.tasks.lock();
        tasks
            .get(&dir.join(task.to_string()))
            .map_or(0, |disk| disk.images.lock().unflushed.len())
    }
}

#[derive(Debug, Default)]
struct TaskDisk {
    images: Mutex<Images>,
    open: Mutex<bool>,
}

#[derive(Debug, Default)]
struct Images {
    flushed: Image,
    /// The image after each batch since, oldest first.
    unflushed: Vec<Image>,
}

impl Images {
    fn newest(&self) -> &Image {
        self.unflushed.last().unwrap_or(&self.flushed)
    }
}

#[derive(Clone, Debug, Default)]
struct Image {
    stores: BTreeMap<String, Entries>,
    shapes: BTreeMap<String, String>,
    position: Option<Bytes>,
}

impl StoreHostFactory for MemoryHosts {
    fn open(&self, dir: &Path, task: TaskId, stores: &[StoreSpec]) -> Result<Arc<dyn StoreHost>, StateError> {
        let path = dir.join(task.to_string());
        let disk = Arc::clone(self.tasks.lock().entry(path.clone()).or_default());
        {
            let mut open = disk.open.lock();
            if *open {
                return Err(StateError::Locked { dir: path, pid: None });
            }
            let mut images = disk.images.lock();
            let mut image = images.newest().clone();
            for store in stores {
                let stored = image
                    .shapes
                    .entry(store.name.clone())
                    .or_insert_with(|| store.shape());
                if *stored != store.shape() {
                    return Err(StateError::StoreChanged {
                        store: store.name.clone(),
                        task: task.to_string(),
                        stored: stored.clone(),
                        wanted: store.shape(),
                    });
                }
                image.stores.entry(store.name.clone()).or_default();
            }
            // Creating stores is durable at once, as creating a column family is.
            images.flushed = image;
            images.unflushed.clear();
            *open = true;
        }
        Ok(Arc::new(MemoryHost {
            disk,
            names: stores.iter().map(|store| store.name.clone()).collect(),
        }))
    }

    fn stored_tasks(&self, dir: &Path) -> Result<Vec<TaskId>, StateError> {
        let tasks = self.tasks.lock();
        let below = tasks.keys().filter_map(|path| path.strip_prefix(dir).ok());
        let mut tasks: Vec<TaskId> = below.filter_map(|name| name.to_str()?.parse().ok()).collect();
        tasks.sort();
        Ok(tasks)
    }

    fn set_aside(&self, dir: &Path, task: TaskId) -> Result<PathBuf, StateError> {
        let mut tasks = self.tasks.lock();
        let aside = (0..).map(|number| dir.join(format!("{task}.stale-{number}")));
        let aside = aside.into_iter().find(|path| !tasks.contains_key(path));
        let aside = aside.expect("there are more names than states");
        if let Some(disk) = tasks.remove(&dir.join(task.to_string())) {
            tasks.insert(aside.clone(), disk);
        }
        Ok(aside)
    }

    fn inspect(&self, dir: &Path, task: TaskId) -> Result<Option<StoredTask>, StateError> {
        let Some(disk) = self.tasks.lock().get(&dir.join(task.to_string())).cloned() else {
            return Ok(None);
        };
        let image = disk.images.lock().newest().clone();
        StoredTask::new(task, image.shapes, image.position).map(Some)
    }
}

/// One task's state in memory.
#[derive(Debug)]
struct MemoryHost {
    disk: Arc<TaskDisk>,
    names: Vec<String>,
}

impl Drop for MemoryHost {
    fn drop(&mut self) {
        *self.disk.open.lock() = false;
    }
}

impl MemoryHost {
    fn entries(&self, store: StoreIndex) -> Entries {
        self.disk.images.lock().newest().stores[&self.names[store.as_usize()]].clone()
    }
}

impl StoreHost for MemoryHost {
    fn stored_position(&self) -> Result<Option<Bytes>, StateError> {
        Ok(self.disk.images.lock().newest().position.clone())
    }

    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        Ok(self.entries(store).get(key).cloned())
    }

    fn multi_get_sorted(
        &self,
        store: StoreIndex,
        keys: &[&[u8]],
        found: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), StateError> {
        let entries = self.entries(store);
        for (place, key) in keys.iter().enumerate() {
            found(place, entries.get(*key).map(Bytes::as_ref));
        }
        Ok(())
    }

    fn scan<'a>(&'a self, store: StoreIndex, range: &KeyRange) -> Result<Box<dyn HostScan + 'a>, StateError> {
        Ok(Box::new(MemoryScan::new(self.entries(store), range)))
    }

    fn bounds(&self, store: StoreIndex) -> Result<Option<(Bytes, Bytes)>, StateError> {
        let entries = self.entries(store);
        let ends = entries.get_min().zip(entries.get_max());
        Ok(ends.map(|((first, _), (last, _))| (first.clone(), last.clone())))
    }

    fn approximate_entries(&self, store: StoreIndex) -> Result<u64, StateError> {
        Ok(self.entries(store).len() as u64)
    }

    fn write(&self, fill: &mut dyn FnMut(&mut dyn HostBatch), position: &[u8]) -> Result<usize, StateError> {
        let image = self.disk.images.lock().newest().clone();
        let mut batch = MemoryBatch {
            image,
            names: &self.names,
            size_bytes: position.len(),
        };
        fill(&mut batch);
        let MemoryBatch {
            mut image,
            size_bytes,
            ..
        } = batch;
        image.position = Some(Bytes::copy_from_slice(position));
        self.disk.images.lock().unflushed.push(image);
        Ok(size_bytes)
    }

    fn flush(&self) -> Result<(), StateError> {
        let mut images = self.disk.images.lock();
        if let Some(newest) = images.unflushed.pop() {
            images.flushed = newest;
            images.unflushed.clear();
        }
        Ok(())
    }

    fn snapshot<'a>(&'a self) -> Result<Box<dyn HostSnapshot + 'a>, StateError> {
        let image = self.disk.images.lock().newest().clone();
        Ok(Box::new(MemorySnapshot {
            image,
            names: &self.names,
        }))
    }
}

struct MemoryBatch<'a> {
    image: Image,
    names: &'a [String],
    size_bytes: usize,
}

impl MemoryBatch<'_> {
    fn entries(&mut self, store: StoreIndex) -> &mut Entries {
        self.image
            .stores
            .entry(self.names[store.as_usize()].clone())
            .or_default()
    }
}

impl HostBatch for MemoryBatch<'_> {
    fn put(&mut self, store: StoreIndex, key: &[u8], value: &[u8]) {
        self.size_bytes += key.len() + value.len();
        self.entries(store)
            .insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    }

    fn delete(&mut self, store: StoreIndex, key: &[u8]) {
        self.size_bytes += key.len();
        self.entries(store).remove(key);
    }

    fn delete_range(&mut self, store: StoreIndex, from: &[u8], to: &[u8]) {
        self.size_bytes += from.len() + to.len();
        let doomed = MemoryScan::new(self.entries(store).clone(), &KeyRange::between(from, to));
        for (key, _) in doomed.current.into_iter().chain(doomed.rest) {
            self.entries(store).remove(&key);
        }
    }
}

struct MemorySnapshot<'a> {
    image: Image,
    names: &'a [String],
}

impl MemorySnapshot<'_> {
    fn entries(&self, store: StoreIndex) -> &Entries {
        &self.image.stores[&self.names[store.as_usize()]]
    }
}

impl HostSnapshot for MemorySnapshot<'_> {
    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        Ok(self.entries(store).get(key).cloned())
    }

    fn scan<'a>(&'a self, store: StoreIndex, range: &KeyRange) -> Result<Box<dyn HostScan + 'a>, StateError> {
        Ok(Box::new(MemoryScan::new(self.entries(store).clone(), range)))
    }
}

struct MemoryScan {
    current: Option<(Bytes, Bytes)>,
    rest: std::vec::IntoIter<(Bytes, Bytes)>,
}

impl MemoryScan {
    fn new(entries: Entries, range: &KeyRange) -> Self {
        let mut rest = Vec::new();
        if !range.is_empty() {
            let to = range.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let inside = entries.range::<_, [u8]>((Bound::Included(range.from.as_slice()), to));
            rest.extend(inside.map(|(key, value)| (key.clone(), value.clone())));
        }
        let mut rest = rest.into_iter();
        Self {
            current: rest.next(),
            rest,
        }
    }
}

impl HostScan for MemoryScan {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.current
            .as_ref()
            .map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    fn advance(&mut self) -> Result<(), StateError> {
        self.current = self.rest.next();
        Ok(())
    }
}
