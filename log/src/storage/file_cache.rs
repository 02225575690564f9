//! A bounded set of open files over a disk: partitions open files on first use, the least recently used are closed.
//!
//! Always true: at most `open_max` handles are kept *here*; a handle in use lives on until its last user drops it, so
//! eviction never pulls a file from under a reader. Evicting a file that was written but not synced loses nothing: Linux
//! (4.17 and later) reports a failed write-back to the next handle that syncs the file, even one opened afterwards.
//!
//! A name must be forgotten ([`FileCache::forget`]) when it is renamed or removed: the cache knows names, not files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::disk::{Disk, DiskFile, DiskResult, OpenMode};

/// Open files by path, the least recently used closed first. Shared as `Arc<FileCache>`.
#[derive(Debug)]
pub struct FileCache {
    disk: Arc<dyn Disk>,
    open_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<Arc<OsStr>, Entry, foldhash::fast::FixedState>,
    /// Use numbers in ascending order: the first is the least recently used.
    by_use: BTreeMap<u64, Arc<OsStr>>,
    uses: u64,
    /// Counts `forget`s: a file opened before one must not enter the cache after it.
    forgets: u64,
}

#[derive(Debug)]
struct Entry {
    file: Arc<dyn DiskFile>,
    last_use: u64,
}

impl FileCache {
    /// Keeps at most `open_max` (at least one) files of `disk` open.
    pub fn new(disk: Arc<dyn Disk>, open_max: usize) -> FileCache {
        FileCache {
            disk,
            open_max: open_max.max(1),
            state: Mutex::new(State::default()),
        }
    }

    /// The disk below.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The existing file of that path, for reading and writing; for reading alone where writing is not allowed.
    pub fn get(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        self.get_or_open(path, || match self.disk.open(path, OpenMode::Write) {
            Err(error) if is_read_only(error.kind()) => self.disk.open(path, OpenMode::Read),
            opened => opened,
        })
    }

    /// The file of that path, for reading and writing; created empty if missing. The name is durable after a sync of its
    /// directory.
    pub fn get_or_create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        self.get_or_open(path, || self.disk.open(path, OpenMode::Create))
    }

    fn get_or_open(
        &self,
        path: &Path,
        open: impl FnOnce() -> DiskResult<Arc<dyn DiskFile>>,
    ) -> DiskResult<Arc<dyn DiskFile>> {
        let forgets = {
            let mut state = self.state.lock();
            if let Some(file) = state.touch(path.as_os_str()) {
                return Ok(file);
            }
            state.forgets
        };
        // Not under the lock: a slow open must not hold up every other partition.
        let file = open()?;
        let evicted = {
            let mut state = self.state.lock();
            if state.forgets != forgets {
                return Ok(file);
            }
            // Somebody else may have opened it meanwhile: one handle for all.
            if let Some(file) = state.touch(path.as_os_str()) {
                return Ok(file);
            }
            state.insert(Arc::from(path.as_os_str()), file.clone());
            state.evict_to(self.open_max)
        };
        // Closing may block, so it happens outside the lock.
        drop(evicted);
        Ok(file)
    }

    /// Closes the file of that path once its users are done. To be called before or after a rename or removal.
    pub fn forget(&self, path: &Path) {
        let mut state = self.state.lock();
        state.forgets += 1;
        let forgotten = state.remove(path.as_os_str());
        drop(state);
        drop(forgotten);
    }

    /// The same for every file below a directory.
    pub fn forget_dir(&self, dir: &Path) {
        let mut state = self.state.lock();
        state.forgets += 1;
        let below = state
            .files
            .keys()
            .filter(|path| Path::new(path).starts_with(dir))
            .cloned()
            .collect::<Vec<_>>();
        let forgotten = below.iter().map(|path| state.remove(path)).collect::<Vec<_>>();
        drop(state);
        drop(forgotten);
    }

    /// How many files are kept open.
    pub fn open_count(&self) -> usize {
        self.state.lock().files.len()
    }
}

impl State {
    fn touch(&mut self, path: &OsStr) -> Option<Arc<dyn DiskFile>> {
        let entry = self.files.get_mut(path)?;
        self.uses += 1;
        if let Some(key) = self.by_use.remove(&entry.last_use) {
            self.by_use.insert(self.uses, key);
        }
        entry.last_use = self.uses;
        Some(entry.file.clone())
    }

    fn insert(&mut self, path: Arc<OsStr>, file: Arc<dyn DiskFile>) {
        self.uses += 1;
        self.by_use.insert(self.uses, path.clone());
        self.files.insert(
            path,
            Entry {
                file,
                last_use: self.uses,
            },
        );
    }

    fn remove(&mut self, path: &OsStr) -> Option<Arc<dyn DiskFile>> {
        let entry = self.files.remove(path)?;
        self.by_use.remove(&entry.last_use);
        Some(entry.file)
    }

    fn evict_to(&mut self, open_max: usize) -> Vec<Arc<dyn DiskFile>> {
        let mut evicted = Vec::new();
        while self.files.len() > open_max {
            let Some((_, path)) = self.by_use.pop_first() else {
                break;
            };
            evicted.extend(self.files.remove(&path).map(|entry| entry.file));
        }
        evicted
    }
}

fn is_read_only(kind: std::io::ErrorKind) -> bool {
    matches!(
        kind,
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
    )
}

#[cfg(test)]
#[path = "file_cache_test.rs"]
mod file_cache_test;
