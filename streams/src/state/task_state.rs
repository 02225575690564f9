//! All stores of one task, and the life of a transaction over them.
//!
//! ```text
//! store().put … → freeze() → make_room() → changelog records, commit → commit_frozen(position) → maybe_apply(now)
//!                                            ↘ commit refused → abort_all()
//! ```
//! Always true: at most one transaction is frozen; nothing reaches the committed layer or the host before
//! [`TaskState::commit_frozen`], which the caller calls after the commit is acknowledged and not before (I1); the
//! host's batch carries the position it reflects (I2). Opening never deletes anything (I3).
//!
//! Next: `changes.rs` for what a freeze yields, `apply.rs` for the way to the host, `restore.rs` for replay.

use std::path::PathBuf;
use std::sync::Arc;

use millpond_log::faults::{Faults, Sabotage};
use parking_lot::RwLock;

use super::apply::ApplyState;
use super::position::StoredPosition;
use super::split_host;
use super::store_table::StoreTable;
use super::tables::{Scratch, Shared, Tables, bounds_of};
use super::{
    CommitPosition, FrozenChanges, PinnedState, StateError, StateLimits, StateMetrics, StateReader,
    StoreHostFactory, StoreIndex, StoreRef, StoreSpec, TaskId,
};

/// How to open a task's state.
#[derive(Clone, Debug)]
pub struct StateOptions {
    /// Directory of the application's state; the task gets a directory of its own in it.
    pub dir: PathBuf,
    /// The task.
    pub task: TaskId,
    /// What keeps its committed state; one factory per process.
    pub host: Arc<dyn StoreHostFactory>,
    /// Its stores; a [`StoreIndex`] is a place in this list.
    pub stores: Vec<StoreSpec>,
    /// Budgets.
    pub limits: StateLimits,
    /// Kill points and planted bugs.
    pub faults: Faults,
}

/// The state of one task. One owner; queries go through [`TaskState::reader`].
#[derive(Debug)]
pub struct TaskState {
    pub(super) shared: Arc<Shared>,
    pub(super) limits: StateLimits,
    pub(super) faults: Faults,
    pub(super) apply: ApplyState,
    pub(super) counters: StateMetrics,
    is_frozen: bool,
    globals: Option<PinnedState>,
}

impl TaskState {
    /// Opens (or creates) the state of a task. Where it stands is [`stored_position`](Self::stored_position); what is
    /// missing since then is the caller's to [`restore`](Self::restore).
    ///
    /// Errs when the directory is in use, has an unknown format, or holds a store of another shape. Deletes nothing.
    pub fn open(options: StateOptions) -> Result<TaskState, StateError> {
        let StateOptions {
            dir,
            task,
            host,
            stores: specs,
            limits,
            faults,
        } = options;
        for (place, spec) in specs.iter().enumerate() {
            if specs[..place].iter().any(|other| other.name == spec.name) {
                return Err(StateError::DuplicateStore(spec.name.clone()));
            }
        }
        let host = split_host::open(&*host, &dir, task, &specs)?;
        let committed = match host.stored_position()? {
            None => StoredPosition::default(),
            Some(bytes) => StoredPosition::decode(bytes, &specs).map_err(|detail| StateError::Damaged {
                what: "stored position",
                task: task.to_string(),
                detail,
            })?,
        };
        let mut stores = Vec::with_capacity(specs.len());
        for (place, spec) in specs.iter().enumerate() {
            stores.push(StoreTable::new(
                spec,
                bounds_of(host.as_ref(), StoreIndex::new(place as u32))?,
            ));
        }
        let stored = committed.position.clone();
        let tables = Tables {
            stores,
            committed,
            scratch: Scratch::default(),
            host_reads: 0,
        };
        Ok(TaskState {
            shared: Arc::new(Shared {
                task,
                specs,
                host,
                tables: RwLock::new(tables),
            }),
            limits,
            faults,
            apply: ApplyState::new(stored),
            counters: StateMetrics::default(),
            is_frozen: false,
            globals: None,
        })
    }

    /// The task this is the state of.
    pub fn task(&self) -> TaskId {
        self.shared.task
    }

    /// The stores it was opened with.
    pub fn specs(&self) -> &[StoreSpec] {
        &self.shared.specs
    }

    /// The place of the store called `name`.
    pub fn index_of(&self, name: &str) -> Result<StoreIndex, StateError> {
        self.shared.index_of(name)
    }

    /// Lets the task read the global tables of its instance, from before its graph is made.
    pub fn set_globals(&mut self, globals: PinnedState) {
        self.globals = Some(globals);
    }

    /// The global tables, if the task may read some.
    pub fn globals(&self) -> Option<&PinnedState> {
        self.globals.as_ref()
    }

    /// A store, to read and to write in the open transaction.
    ///
    /// # Panics
    /// On an index that is not a place in the list of stores.
    pub fn store(&mut self, index: StoreIndex) -> StoreRef<'_> {
        assert!(
            index.as_usize() < self.shared.specs.len(),
            "task {} has no store {index}",
            self.shared.task
        );
        StoreRef {
            tables: self.shared.tables.write(),
            host: self.shared.host.as_ref(),
            index,
        }
    }

    /// Whether the open transaction wrote anything, logged or not.
    pub fn has_uncommitted(&self) -> bool {
        let tables = self.shared.tables.read();
        tables.stores.iter().any(|store| !store.ranges.overlay.is_empty())
            || tables
                .stores
                .iter()
                .flat_map(StoreTable::tables)
                .any(|table| !table.overlay.is_empty())
    }

    /// Whether a transaction is being committed.
    pub fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    /// Ends the open transaction and opens the next one, which sees its writes (I7). What comes back is what the
    /// changelogs get.
    ///
    /// # Panics
    /// When the transaction before has neither been committed nor aborted.
    pub fn freeze(&mut self) -> FrozenChanges<'_> {
        assert!(
            !self.is_frozen,
            "task {}: a transaction is being committed already",
            self.shared.task
        );
        self.is_frozen = true;
        {
            let mut tables = self.shared.tables.write();
            tables.stores.iter_mut().for_each(StoreTable::freeze);
        }
        if self.faults.sabotaged(Sabotage::ApplyOverlayBeforeCommit) {
            self.apply_frozen_too_early();
        }
        self.frozen_changes()
    }

    /// The changes of the frozen transaction again; empty when none is frozen.
    pub fn frozen_changes(&self) -> FrozenChanges<'_> {
        FrozenChanges {
            tables: self.shared.tables.read(),
        }
    }

    /// The frozen transaction was committed and acknowledged: its writes become visible to queries, and `position` is
    /// what they reflect. O(what it wrote).
    ///
    /// # Panics
    /// When no transaction is frozen, or `position` takes a changelog back.
    pub fn commit_frozen(&mut self, position: CommitPosition) {
        assert!(
            self.is_frozen,
            "task {}: no transaction is being committed",
            self.shared.task
        );
        self.is_frozen = false;
        // Committed in the log, nothing of it in the host: replay must bring it back.
        self.faults.point("K19");
        let mut tables = self.shared.tables.write();
        let bytes = tables.frozen_changelog_bytes();
        tables.stores.iter_mut().for_each(StoreTable::commit_frozen);
        tables.committed.position.advance(position);
        self.apply.on_commit(bytes);
    }

    /// The frozen transaction was aborted. Drops the open one too: it was computed on top of it (I7).
    ///
    /// No-op when nothing was written.
    pub fn abort_all(&mut self) {
        let mut tables = self.shared.tables.write();
        for store in &mut tables.stores {
            store.abort_frozen();
            store.abort_overlay();
        }
        self.is_frozen = false;
    }

    /// Drops the open transaction only; the frozen one stays what it is.
    pub fn abort_overlay(&mut self) {
        self.shared
            .tables
            .write()
            .stores
            .iter_mut()
            .for_each(StoreTable::abort_overlay);
    }

    /// What the committed layer reflects: the newest committed position.
    pub fn committed_position(&self) -> CommitPosition {
        self.shared.tables.read().committed.position.clone()
    }

    /// A handle for queries from other threads: committed data only.
    pub fn reader(&self) -> StateReader {
        StateReader::new(&self.shared)
    }

    /// Figures of this moment.
    pub fn metrics(&self) -> StateMetrics {
        let tables = self.shared.tables.read();
        StateMetrics {
            overlay_bytes: tables.sum(|table| table.overlay_bytes),
            frozen_bytes: tables.sum(|table| table.frozen_bytes),
            applied_lag_bytes: self.apply.behind_bytes(),
            durable_lag_bytes: self.apply.lag_bytes(),
            memory_bytes: tables.sum(|table| table.size_bytes()),
            memory_entries: tables.sum(|table| table.entries.len()),
            host_reads: tables.host_reads,
            ..self.counters
        }
    }

    /// A planted bug (the harness must find it): the host gets what is not committed yet.
    fn apply_frozen_too_early(&mut self) {
        let shared = Arc::clone(&self.shared);
        let tables = shared.tables.read();
        let position = tables.committed.encode(&shared.specs);
        let written = shared.host.write(
            &mut |batch| {
                for (index, store) in tables.stores.iter().enumerate() {
                    let index = StoreIndex::new(index as u32);
                    for (key, value) in store.tables().flat_map(|table| table.frozen_changes()) {
                        match value {
                            Some(value) => batch.put(index, key, value),
                            None => batch.delete(index, key),
                        }
                    }
                }
            },
            &position,
        );
        written
            .and_then(|_| shared.host.flush())
            .expect("the planted bug takes a working host");
    }
}

#[cfg(test)]
#[path = "task_state_test.rs"]
mod task_state_test;
