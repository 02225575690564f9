//! What owner loops hand to the flusher: partitions with bytes that are not durable yet.
//!
//! One entry per partition and cycle, however many appends went into it; the more load, the bigger the group.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::disk::{DiskFile, DiskResult};
use super::journal_format::JournalPiece;
use super::partition::Partition;
use crate::types::Offset;

/// Bytes kept for the journal before a cycle has to sync the segments instead.
const JOURNAL_MEMORY_MAX: u64 = 64 << 20;

/// A segment file with bytes that are not durable, and the handle they were written through: another handle might not be told of a
/// write-back error.
#[derive(Clone, Debug)]
pub(super) struct DirtyFile {
    pub(super) base_offset: Offset,
    pub(super) file: Arc<dyn DiskFile>,
}

/// One partition's share of a cycle.
#[derive(Debug)]
pub(super) struct Dirty {
    pub(super) partition: Arc<Partition>,
    /// Everything below is covered by `files`.
    pub(super) end: Offset,
    pub(super) files: SmallVec<[DirtyFile; 1]>,
    pub(super) bytes: u64,
    /// The bytes themselves, while they fit in memory.
    pub(super) pieces: Vec<JournalPiece>,
    pub(super) in_memory: bool,
    /// The directory got or lost a name.
    pub(super) directory: bool,
}

/// Work that may wait and may block: snapshots, for instance.
pub(super) type Chore = Box<dyn FnOnce() -> DiskResult<()> + Send>;

/// The queue of one log directory.
#[derive(Default)]
pub(super) struct FlushQueue {
    state: Mutex<State>,
    pub(super) wake: Notify,
}

#[derive(Default)]
struct State {
    dirty: BTreeMap<u64, Dirty>,
    memory_bytes: u64,
    /// Syncs nobody waits for: closed segments of page-cache topics.
    unhurried: BTreeMap<u64, Dirty>,
    chores: Vec<Chore>,
}

impl std::fmt::Debug for FlushQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        f.debug_struct("FlushQueue")
            .field("dirty", &state.dirty.len())
            .field("chores", &state.chores.len())
            .finish()
    }
}

impl FlushQueue {
    /// Adds bytes that must become durable soon. `end` is published as durable once they are.
    pub(super) fn push(
        &self,
        partition: &Arc<Partition>,
        end: Offset,
        file: DirtyFile,
        bytes: u64,
        piece: Option<JournalPiece>,
        directory: bool,
    ) {
        {
            let mut state = self.state.lock();
            let State {
                dirty, memory_bytes, ..
            } = &mut *state;
            let entry = dirty
                .entry(partition.key)
                .or_insert_with(|| Dirty::new(partition));
            entry.add(end, file, bytes, directory);
            match piece {
                Some(piece) if entry.in_memory && *memory_bytes + bytes <= JOURNAL_MEMORY_MAX => {
                    *memory_bytes += bytes;
                    entry.pieces.push(piece);
                }
                _ => entry.in_memory = false,
            }
        }
        self.wake.notify_one();
    }

    /// Adds a closed segment that should become durable some time, and the chore that must be done before a recovery point passes it. Both
    /// at once: a catch-up between the two would store the point without the chore.
    pub(super) fn push_closed(&self, partition: &Arc<Partition>, end: Offset, file: DirtyFile, chore: Chore) {
        {
            let mut state = self.state.lock();
            let entry = state
                .unhurried
                .entry(partition.key)
                .or_insert_with(|| Dirty::new(partition));
            entry.add(end, file, 0, true);
            state.chores.push(chore);
        }
        self.wake.notify_one();
    }

    /// Adds a chore.
    pub(super) fn push_chore(&self, chore: Chore) {
        self.state.lock().chores.push(chore);
        self.wake.notify_one();
    }

    /// Takes everything that must become durable.
    pub(super) fn take(&self) -> Vec<Dirty> {
        let mut state = self.state.lock();
        state.memory_bytes = 0;
        std::mem::take(&mut state.dirty).into_values().collect()
    }

    /// True if something waits that may wait.
    pub(super) fn has_unhurried(&self) -> bool {
        let state = self.state.lock();
        !state.unhurried.is_empty() || !state.chores.is_empty()
    }

    /// Takes what may wait.
    pub(super) fn take_unhurried(&self) -> (Vec<Dirty>, Vec<Chore>) {
        let mut state = self.state.lock();
        (
            std::mem::take(&mut state.unhurried).into_values().collect(),
            std::mem::take(&mut state.chores),
        )
    }
}

impl Dirty {
    pub(super) fn new(partition: &Arc<Partition>) -> Self {
        Self {
            partition: Arc::clone(partition),
            end: Offset::ZERO,
            files: SmallVec::new(),
            bytes: 0,
            pieces: Vec::new(),
            in_memory: true,
            directory: false,
        }
    }

    fn add(&mut self, end: Offset, file: DirtyFile, bytes: u64, directory: bool) {
        self.end = self.end.max(end);
        self.bytes += bytes;
        self.directory |= directory;
        if self
            .files
            .last()
            .is_none_or(|last| last.base_offset != file.base_offset)
        {
            self.files.push(file);
        }
    }

    /// Takes over the files of a later cycle.
    pub(super) fn merge(&mut self, later: Dirty) {
        for file in later.files {
            self.add(later.end, file, 0, later.directory);
        }
    }
}
