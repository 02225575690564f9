//! [`StoreHost`] on RocksDB.
//!
//! A column family per store: a store has its own bounds, its own range deletes and its own key estimate, and a store
//! the topology drops can be left alone. Per store *class* would be fewer memtables, at the price of a prefix on every
//! key and of range tombstones that every store's reads have to pass. The position and the stores' shapes are in the
//! default column family and written in the same batch as the data.
//!
//! The write-ahead log is off. What the disk surely has is what [`StoreHost::flush`] last flushed; RocksDB may have
//! flushed more by itself, atomically over all stores, so a reopened database is always at some batch's position.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ::rocksdb::{
    BoundColumnFamily, ColumnFamilyDescriptor, DB, DBRawIterator, Error, FlushOptions, Options, ReadOptions,
    Snapshot, WriteBatch,
};
use bytes::Bytes;

use super::budget::{EmptyBuffers, HoldsBuffers};
use super::directory::{self, TaskDirectory};
use super::{RocksBudget, options};
use crate::state::host::{
    DirectoryLock, HostBatch, HostScan, HostSnapshot, StoreHost, StoreHostFactory, StoredTask,
};
use crate::state::{KeyRange, StateError, StoreIndex, StoreSize, StoreSpec, TaskId};

const META: &str = "default";
const POSITION_KEY: &[u8] = b"position";
const SHAPE_KEY_PREFIX: &str = "shape/";
const ESTIMATED_KEYS: &str = "rocksdb.estimate-num-keys";
const BUFFER_BYTES: &str = "rocksdb.size-all-mem-tables";
const FILE_BYTES: &str = "rocksdb.total-sst-files-size";
/// As many keys as RocksDB looks up together in any case. The block of each stays in memory, whatever the limit, until its value was taken: of more keys that would be more blocks.
const KEYS_AT_ONCE: usize = 32;

/// Opens tasks' databases under one memory budget.
#[derive(Clone, Debug)]
pub struct RocksHosts {
    budget: RocksBudget,
}

impl RocksHosts {
    /// Databases under a budget of their own.
    pub fn new(budget: RocksBudget) -> Self {
        Self { budget }
    }

    /// Databases under the budget that all applications of this process share.
    pub fn process_wide() -> Self {
        static BUDGET: OnceLock<RocksBudget> = OnceLock::new();
        let new = || {
            RocksBudget::new(
                RocksBudget::DEFAULT_CACHE_BYTES,
                RocksBudget::DEFAULT_WRITE_BUFFER_BYTES,
            )
        };
        Self::new(BUDGET.get_or_init(new).clone())
    }

    /// The budget they share.
    pub fn budget(&self) -> &RocksBudget {
        &self.budget
    }
}

impl StoreHostFactory for RocksHosts {
    fn open(&self, dir: &Path, task: TaskId, stores: &[StoreSpec]) -> Result<Arc<dyn StoreHost>, StateError> {
        let directory = TaskDirectory::open(dir, task)?;
        let path = directory.database();
        let failed = |what| move |error: Error| host_error(task, what, &error);
        let options = options::database(&self.budget);
        // Every column family on disk has to be opened, also those no operator uses now.
        let mut names: Vec<String> = match path.join("CURRENT").exists() {
            true => DB::list_cf(&options, &path).map_err(failed("listing the stores"))?,
            false => Vec::new(),
        };
        let wanted = std::iter::once(META).chain(stores.iter().map(|store| store.name.as_str()));
        for name in wanted {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let empty_bytes = names.len() * options::EMPTY_STORE_BYTES;
        let families = names.iter();
        let families = families.map(|name| ColumnFamilyDescriptor::new(name, options::store(&self.budget)));
        let db =
            DB::open_cf_descriptors(&options, &path, families).map_err(failed("opening the database"))?;
        let stores_by_index = stores.iter().map(|store| store.name.clone()).collect();
        let mut host = RocksHost {
            task,
            stores: stores_by_index,
            budget: self.budget.clone(),
            unflushed_when_empty: 0,
            _empty: self.budget.add_empty(empty_bytes),
            db,
            _directory: directory,
        };
        host.check_shapes(stores)?;
        host.unflushed_when_empty = host.unflushed_bytes();
        let host = Arc::new(host);
        self.budget.join(&host);
        Ok(host)
    }

    fn stored_tasks(&self, dir: &Path) -> Result<Vec<TaskId>, StateError> {
        directory::tasks(dir)
    }

    fn inspect(&self, dir: &Path, task: TaskId) -> Result<Option<StoredTask>, StateError> {
        let path = directory::database_of(dir, task);
        if !path.join("CURRENT").exists() {
            return Ok(None);
        }
        let failed = |what| move |error: Error| host_error(task, what, &error);
        // Only what is needed to read a few small entries: this is no database of the budget.
        let db = DB::open_cf_for_read_only(&Options::default(), &path, [META], false)
            .map_err(failed("opening the database for reading"))?;
        let position = db.get(POSITION_KEY).map_err(failed("reading the position"))?;
        let mut shapes = BTreeMap::new();
        let mut walk = db.raw_iterator();
        walk.seek(SHAPE_KEY_PREFIX);
        while let Some((key, shape)) = walk.item() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let Some(name) = text(key).strip_prefix(SHAPE_KEY_PREFIX).map(str::to_owned) else {
                break;
            };
            shapes.insert(name, text(shape));
            walk.next();
        }
        walk.status().map_err(failed("reading the stores' shapes"))?;
        StoredTask::new(task, shapes, position.map(Bytes::from)).map(Some)
    }

    fn set_aside(&self, dir: &Path, task: TaskId) -> Result<PathBuf, StateError> {
        directory::set_aside(dir, task)
    }

    fn lock(&self, dir: &Path) -> Result<DirectoryLock, StateError> {
        Ok(Box::new(directory::lock(dir)?))
    }
}

/// One task's database.
struct RocksHost {
    task: TaskId,
    /// Names of the stores by their index.
    stores: Vec<String>,
    budget: RocksBudget,
    /// What it called unflushed when it was opened, and there was nothing to flush.
    unflushed_when_empty: usize,
    /// Counted while it is open.
    _empty: EmptyBuffers,
    /// Before the directory: it is closed first, then the lock goes.
    db: DB,
    _directory: TaskDirectory,
}

impl RocksHost {
    /// Refuses a store that was written in another shape; notes the shape of a new one.
    fn check_shapes(&self, stores: &[StoreSpec]) -> Result<(), StateError> {
        let mut batch = WriteBatch::default();
        for store in stores {
            let key = format!("{SHAPE_KEY_PREFIX}{}", store.name);
            match self
                .db
                .get(&key)
                .map_err(self.failed("reading a store's shape"))?
            {
                Some(stored) if stored == store.shape().as_bytes() => {}
                Some(stored) => {
                    return Err(StateError::StoreChanged {
                        store: store.name.clone(),
                        task: self.task.to_string(),
                        stored: String::from_utf8_lossy(&stored).into_owned(),
                        wanted: store.shape(),
                    });
                }
                None => batch.put(&key, store.shape()),
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.db
            .write_opt(batch, &options::write())
            .map_err(self.failed("noting a store's shape"))?;
        self.flush()
    }

    fn family(&self, store: StoreIndex) -> Arc<BoundColumnFamily<'_>> {
        self.family_of(&self.stores[store.as_usize()])
    }

    fn family_of(&self, name: &str) -> Arc<BoundColumnFamily<'_>> {
        self.db
            .cf_handle(name)
            .expect("every store's column family was opened with the database")
    }

    fn failed(&self, what: &'static str) -> impl FnOnce(Error) -> StateError + use<> {
        let task = self.task;
        move |error| host_error(task, what, &error)
    }
}

fn host_error(task: TaskId, what: &'static str, error: &Error) -> StateError {
    StateError::Host {
        what,
        task: task.to_string(),
        message: error.to_string(),
    }
}

impl StoreHost for RocksHost {
    fn stored_position(&self) -> Result<Option<Bytes>, StateError> {
        let position = self
            .db
            .get(POSITION_KEY)
            .map_err(self.failed("reading the position"))?;
        Ok(position.map(Bytes::from))
    }

    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        let value = self
            .db
            .get_pinned_cf(&self.family(store), key)
            .map_err(self.failed("reading a key"))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn multi_get_sorted(
        &self,
        store: StoreIndex,
        keys: &[&[u8]],
        found: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), StateError> {
        let family = self.family(store);
        for (number, some) in keys.chunks(KEYS_AT_ONCE).enumerate() {
            let values = self.db.batched_multi_get_cf(&family, some.iter().copied(), true);
            for (place, value) in values.into_iter().enumerate() {
                let value = value.map_err(self.failed("reading keys"))?;
                found(number * KEYS_AT_ONCE + place, value.as_deref());
            }
        }
        Ok(())
    }

    fn scan<'a>(&'a self, store: StoreIndex, range: &KeyRange) -> Result<Box<dyn HostScan + 'a>, StateError> {
        let walk = self.db.raw_iterator_cf_opt(&self.family(store), within(range));
        RocksScan::start(self.task, walk)
    }

    fn bounds(&self, store: StoreIndex) -> Result<Option<(Bytes, Bytes)>, StateError> {
        let mut walk = self.db.raw_iterator_cf(&self.family(store));
        walk.seek_to_first();
        let first = walk.key().map(Bytes::copy_from_slice);
        walk.status().map_err(self.failed("finding the first key"))?;
        walk.seek_to_last();
        let last = walk.key().map(Bytes::copy_from_slice);
        walk.status().map_err(self.failed("finding the last key"))?;
        Ok(first.zip(last))
    }

    fn approximate_entries(&self, store: StoreIndex) -> Result<u64, StateError> {
        let estimate = self.db.property_int_value_cf(&self.family(store), ESTIMATED_KEYS);
        Ok(estimate.map_err(self.failed("estimating entries"))?.unwrap_or(0))
    }

    fn size(&self, store: StoreIndex) -> Result<StoreSize, StateError> {
        let family = self.family(store);
        let property = |name| {
            let value = self.db.property_int_value_cf(&family, name);
            value.map_err(self.failed("asking for the size of a store"))
        };
        Ok(StoreSize {
            entries: property(ESTIMATED_KEYS)?.unwrap_or(0),
            disk_bytes: property(FILE_BYTES)?,
            buffer_bytes: property(BUFFER_BYTES)?,
        })
    }

    fn write(&self, fill: &mut dyn FnMut(&mut dyn HostBatch), position: &[u8]) -> Result<usize, StateError> {
        let families = self.stores.iter().map(|name| self.family_of(name)).collect();
        let mut batch = RocksBatch {
            batch: WriteBatch::default(),
            families,
        };
        fill(&mut batch);
        let RocksBatch { mut batch, .. } = batch;
        batch.put(POSITION_KEY, position);
        let size_bytes = batch.size_in_bytes();
        let _room = self.budget.make_room(size_bytes);
        self.db
            .write_opt(batch, &options::write())
            .map_err(self.failed("writing a batch"))?;
        Ok(size_bytes)
    }

    fn flush(&self) -> Result<(), StateError> {
        // All of them by name: a flush of one would be atomic with itself only.
        let names = std::iter::once(META).chain(self.stores.iter().map(String::as_str));
        let families: Vec<_> = names.map(|name| self.family_of(name)).collect();
        let families: Vec<_> = families.iter().collect();
        self.db
            .flush_cfs_opt(&families, &FlushOptions::default())
            .map_err(self.failed("flushing the stores"))
    }

    fn snapshot<'a>(&'a self) -> Result<Box<dyn HostSnapshot + 'a>, StateError> {
        Ok(Box::new(RocksSnapshot {
            host: self,
            snapshot: self.db.snapshot(),
        }))
    }
}

impl HoldsBuffers for RocksHost {
    fn unflushed_bytes(&self) -> usize {
        let names = std::iter::once(META).chain(self.stores.iter().map(String::as_str));
        let sizes = names.map(|name| self.db.property_int_value_cf(&self.family_of(name), BUFFER_BYTES));
        // What cannot be asked is not counted: it is flushed by its own task.
        sizes.filter_map(|size| usize::try_from(size.ok()??).ok()).sum()
    }

    fn buffer_bytes(&self) -> usize {
        self.unflushed_bytes().saturating_sub(self.unflushed_when_empty)
    }

    fn release(&self) -> Result<(), StateError> {
        self.flush()
    }
}

impl std::fmt::Debug for RocksHost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RocksHost")
            .field("task", &self.task)
            .field("stores", &self.stores)
            .finish_non_exhaustive()
    }
}

/// Reads inside `range` only; an iterator stops at its end instead of walking over what was deleted behind it.
fn within(range: &KeyRange) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(range.from.clone());
    if let Some(to) = &range.to {
        options.set_iterate_upper_bound(to.clone());
    }
    options
}

struct RocksBatch<'a> {
    batch: WriteBatch,
    families: Vec<Arc<BoundColumnFamily<'a>>>,
}

impl HostBatch for RocksBatch<'_> {
    fn put(&mut self, store: StoreIndex, key: &[u8], value: &[u8]) {
        self.batch.put_cf(&self.families[store.as_usize()], key, value);
    }

    fn delete(&mut self, store: StoreIndex, key: &[u8]) {
        self.batch.delete_cf(&self.families[store.as_usize()], key);
    }

    fn delete_range(&mut self, store: StoreIndex, from: &[u8], to: &[u8]) {
        self.batch
            .delete_range_cf(&self.families[store.as_usize()], from, to);
    }
}

struct RocksSnapshot<'a> {
    host: &'a RocksHost,
    snapshot: Snapshot<'a>,
}

impl HostSnapshot for RocksSnapshot<'_> {
    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        let value = self.snapshot.get_pinned_cf(&self.host.family(store), key);
        let value = value.map_err(self.host.failed("reading a key of a snapshot"))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan<'a>(&'a self, store: StoreIndex, range: &KeyRange) -> Result<Box<dyn HostScan + 'a>, StateError> {
        let walk = self
            .snapshot
            .raw_iterator_cf_opt(&self.host.family(store), within(range));
        RocksScan::start(self.host.task, walk)
    }
}

struct RocksScan<'a> {
    task: TaskId,
    walk: DBRawIterator<'a>,
}

impl<'a> RocksScan<'a> {
    fn start(task: TaskId, mut walk: DBRawIterator<'a>) -> Result<Box<dyn HostScan + 'a>, StateError> {
        walk.seek_to_first();
        let scan = Self { task, walk };
        scan.check()?;
        Ok(Box::new(scan))
    }

    /// An iterator that stops may have stopped at an error.
    fn check(&self) -> Result<(), StateError> {
        self.walk
            .status()
            .map_err(|error| host_error(self.task, "scanning a store", &error))
    }
}

impl HostScan for RocksScan<'_> {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.walk.item()
    }

    fn advance(&mut self) -> Result<(), StateError> {
        self.walk.next();
        self.check()
    }
}
