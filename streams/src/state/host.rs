//! The seam to what keeps committed state on disk: a host holds the stores of one task.
//!
//! Always true of a host: a batch and the position it reflects appear together or not at all; after a crash it is as
//! it was after some batch not older than the last flush. It never sees uncommitted data, and it never deletes
//! anything it was not told to. Implementations: `rocksdb/` for real, `memory_host.rs` for simulation; the suite in
//! `host_contract.rs` runs against both.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use millpond_log::types::{Offset, TopicPartition};

use super::position::StoredPosition;
use super::{KeyRange, StateError, StoreIndex, StoreSize, StoreSpec, TaskId};

/// Opens the hosts of tasks. One per process, so that all tasks share its memory budget.
pub trait StoreHostFactory: Send + Sync + Debug {
    /// Opens the state of `task` below `dir`, creating what is missing. `stores` are the ones it must serve; others
    /// that are on disk stay there untouched.
    ///
    /// Errs when the task is open elsewhere, the format is unknown, or a store was written in another shape.
    fn open(&self, dir: &Path, task: TaskId, stores: &[StoreSpec]) -> Result<Arc<dyn StoreHost>, StateError>;

    /// The tasks that have state below `dir`, in order. A factory that cannot tell names none: then a sub-topology finds its state by its number only.
    fn stored_tasks(&self, dir: &Path) -> Result<Vec<TaskId>, StateError> {
        let _ = dir;
        Ok(Vec::new())
    }

    /// What the state of `task` below `dir` holds, without opening it for writing: also while it is open, then as of its last flush. `None` when
    /// there is none.
    fn inspect(&self, dir: &Path, task: TaskId) -> Result<Option<StoredTask>, StateError> {
        let _ = (dir, task);
        Ok(None)
    }

    /// Puts the state of `task` aside under another name, for it to begin anew; nothing of it is deleted. Returns where it is now. The task must not be open.
    fn set_aside(&self, dir: &Path, task: TaskId) -> Result<PathBuf, StateError> {
        Err(StateError::Host {
            what: "setting state aside",
            task: task.to_string(),
            message: format!(
                "this kind of host cannot; move it out of {} by hand",
                dir.display()
            ),
        })
    }

    /// Takes all of `dir` for this application until what comes back is dropped; tasks lock their own directories besides.
    ///
    /// Errs with [`StateError::Locked`] when another one has it.
    fn lock(&self, dir: &Path) -> Result<DirectoryLock, StateError> {
        let _ = dir;
        Ok(Box::new(()))
    }
}

/// Holds a directory until it is dropped.
pub type DirectoryLock = Box<dyn Debug + Send + Sync>;

/// What is on disk of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredTask {
    /// Every store that is there, used by the topology of now or not, with its shape in words.
    pub shapes: BTreeMap<String, String>,
    /// Next changelog offset of every store for which one is known.
    pub changelogs: BTreeMap<String, Offset>,
    /// Position of every input that was ever read.
    pub inputs: Vec<(TopicPartition, Offset)>,
}

impl StoredTask {
    /// From the shapes and the encoded position of a host.
    pub(super) fn new(
        task: TaskId,
        shapes: BTreeMap<String, String>,
        position: Option<Bytes>,
    ) -> Result<StoredTask, StateError> {
        let stored = match position {
            None => StoredPosition::default(),
            Some(bytes) => StoredPosition::decode(bytes, &[]).map_err(|detail| StateError::Damaged {
                what: "stored position",
                task: task.to_string(),
                detail,
            })?,
        };
        Ok(StoredTask {
            shapes,
            changelogs: stored.unused,
            inputs: stored.position.inputs,
        })
    }
}

/// Committed state of one task.
pub trait StoreHost: Send + Sync + Debug {
    /// The position written with the last batch; `None` before the first.
    fn stored_position(&self) -> Result<Option<Bytes>, StateError>;

    /// The value of `key`.
    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Bytes>, StateError>;

    /// Looks up `keys`, which are in ascending order, and calls `found` once for each with its place in `keys`.
    fn multi_get_sorted(
        &self,
        store: StoreIndex,
        keys: &[&[u8]],
        found: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), StateError>;

    /// Walks `range` in key order, as of now.
    fn scan<'a>(&'a self, store: StoreIndex, range: &KeyRange) -> Result<Box<dyn HostScan + 'a>, StateError>;

    /// Smallest and largest key of `store`; `None` when it is empty.
    fn bounds(&self, store: StoreIndex) -> Result<Option<(Bytes, Bytes)>, StateError>;

    /// Roughly how many keys `store` has; may count overwritten ones twice.
    fn approximate_entries(&self, store: StoreIndex) -> Result<u64, StateError>;

    /// How large `store` is. A host that does not know its bytes tells the entries only.
    fn size(&self, store: StoreIndex) -> Result<StoreSize, StateError> {
        Ok(StoreSize {
            entries: self.approximate_entries(store)?,
            ..StoreSize::default()
        })
    }

    /// Writes what `fill` puts into the batch, in that order, and `position`, all or nothing. Returns its size in bytes.
    ///
    /// Not durable before the next [`flush`](Self::flush).
    fn write(&self, fill: &mut dyn FnMut(&mut dyn HostBatch), position: &[u8]) -> Result<usize, StateError>;

    /// Makes every batch written so far durable, over all stores at one point.
    fn flush(&self) -> Result<(), StateError>;

    /// A view of all stores as of now.
    fn snapshot<'a>(&'a self) -> Result<Box<dyn HostSnapshot + 'a>, StateError>;
}

/// What one atomic write consists of. A later call wins over an earlier one on the same key.
pub trait HostBatch {
    /// Sets `key` to `value`.
    fn put(&mut self, store: StoreIndex, key: &[u8], value: &[u8]);
    /// Removes `key`; a no-op when it is not there.
    fn delete(&mut self, store: StoreIndex, key: &[u8]);
    /// Removes every key in `[from, to)`.
    fn delete_range(&mut self, store: StoreIndex, from: &[u8], to: &[u8]);
}

/// A host as it was at one moment.
pub trait HostSnapshot: Send {
    /// The value of `key` at that moment.
    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Bytes>, StateError>;
    /// Walks `range` in key order, as of that moment.
    fn scan<'a>(&'a self, store: StoreIndex, range: &KeyRange) -> Result<Box<dyn HostScan + 'a>, StateError>;
}

/// A walk over a range in key order. Starts at its first entry.
pub trait HostScan {
    /// The entry it stands on; `None` behind the last.
    fn entry(&self) -> Option<(&[u8], &[u8])>;
    /// Goes to the next entry.
    fn advance(&mut self) -> Result<(), StateError>;
}
