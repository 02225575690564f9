//! Which stores an application has, and which of their parts can be read.
//!
//! Always true: a store is read whole or not at all; which task is missing, and why, is told.

use std::collections::BTreeMap;

use parking_lot::RwLock;

use super::QueryError;
use crate::state::{StateReader, StoreIndex, StoreKind, StoreSpec, TaskId, TaskState};

/// One task's part of a store.
#[derive(Clone, Debug)]
pub struct StorePart {
    /// The task.
    pub task: TaskId,
    /// Reads the task's committed state.
    pub reader: StateReader,
    /// The store within the task.
    pub index: StoreIndex,
}

/// Where a task that is not open stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Restoring,
    Closed,
}

#[derive(Debug)]
struct Registered {
    spec: StoreSpec,
    /// Tasks that hold a part, open or not.
    tasks: Vec<TaskId>,
    open: BTreeMap<TaskId, StorePart>,
}

/// Which stores an application has and which tasks are open. Filled by the workers.
#[derive(Debug, Default)]
pub struct StoreRegistry {
    stores: RwLock<BTreeMap<String, Registered>>,
    /// Tasks that are not open but were heard of.
    phases: RwLock<BTreeMap<TaskId, Phase>>,
}

impl StoreRegistry {
    /// Announces a store and the tasks that will hold it.
    pub(crate) fn announce(&self, spec: &StoreSpec, tasks: Vec<TaskId>) {
        let registered = Registered {
            spec: spec.clone(),
            tasks,
            open: BTreeMap::new(),
        };
        self.stores.write().insert(spec.name.clone(), registered);
    }

    /// A task is being opened: its state is read from the changelog.
    pub(crate) fn restoring(&self, task: TaskId) {
        self.phases.write().insert(task, Phase::Restoring);
    }

    /// A task with its stores was opened.
    pub(crate) fn register(&self, task: TaskId, stores: &[StoreSpec], state: &TaskState) {
        self.phases.write().remove(&task);
        let mut known = self.stores.write();
        for (index, spec) in stores.iter().enumerate() {
            if let Some(registered) = known.get_mut(&spec.name) {
                let index = StoreIndex::new(index as u32);
                registered.open.insert(
                    task,
                    StorePart {
                        task,
                        reader: state.reader(),
                        index,
                    },
                );
            }
        }
    }

    /// A task was closed.
    pub(crate) fn unregister(&self, task: TaskId) {
        self.phases.write().insert(task, Phase::Closed);
        for registered in self.stores.write().values_mut() {
            registered.open.remove(&task);
        }
    }

    /// Names and kinds of all stores.
    pub fn stores(&self) -> Vec<StoreSpec> {
        self.stores
            .read()
            .values()
            .map(|registered| registered.spec.clone())
            .collect()
    }

    /// The parts of a store, ordered by task. Errs when there is no such store or a part is missing.
    pub fn readers(&self, name: &str) -> Result<Vec<StorePart>, QueryError> {
        let stores = self.stores.read();
        let Some(registered) = stores.get(name) else {
            let known: Vec<&str> = stores.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            return Err(QueryError::UnknownStore {
                name: name.to_owned(),
                known,
            });
        };
        let mut missing = registered
            .tasks
            .iter()
            .filter(|task| !registered.open.contains_key(*task));
        match missing.next() {
            None => Ok(registered.open.values().cloned().collect()),
            Some(first) => Err(self.missing(name, registered, *first)),
        }
    }

    /// Every part that is open now, with the name of its store: whatever is missing.
    pub(crate) fn open_parts(&self) -> Vec<(String, StorePart)> {
        let stores = self.stores.read();
        let parts = stores.iter().flat_map(|(name, registered)| {
            let parts = registered.open.values();
            parts.map(move |part| (name.clone(), part.clone()))
        });
        parts.collect()
    }

    /// Why a store cannot be read of which `task` is not open.
    fn missing(&self, name: &str, registered: &Registered, task: TaskId) -> QueryError {
        let name = name.to_owned();
        let (open, all) = (registered.open.len(), registered.tasks.len());
        match self.phases.read().get(&task) {
            None => QueryError::NotReady {
                name,
                open,
                all,
                task,
            },
            Some(Phase::Restoring) => QueryError::Restoring {
                name,
                open,
                all,
                task,
            },
            Some(Phase::Closed) => QueryError::NotHere {
                name,
                open,
                all,
                task,
            },
        }
    }

    pub(super) fn kind(&self, name: &str) -> Option<StoreKind> {
        self.stores
            .read()
            .get(name)
            .map(|registered| registered.spec.kind)
    }
}
