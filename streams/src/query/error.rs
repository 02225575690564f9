//! Why a query has no answer.

use crate::serde::SerdeError;
use crate::state::{StateError, TaskId};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The topology has no such store.
    #[error("there is no store {name:?}; the application has {known}")]
    UnknownStore {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A task with this store was not opened yet: its worker is only starting. Ask again later.
    #[error("store {name:?} is not complete: {open} of {all} tasks are open, task {task} not yet")]
    NotReady {
        /// The store.
        name: String,
        /// Tasks that are open.
        open: usize,
        /// Tasks that hold a part of it.
        all: usize,
        /// The first that is not.
        task: TaskId,
    },
    /// A task with this store reads its state from the changelog. Ask again later.
    #[error("store {name:?} is not complete: {open} of {all} tasks are open, task {task} is being restored")]
    Restoring {
        /// The store.
        name: String,
        /// Tasks that are open.
        open: usize,
        /// Tasks that hold a part of it.
        all: usize,
        /// The first that is being restored.
        task: TaskId,
    },
    /// A task with this store is not here: its worker ended, failed, or is about to begin anew; the application's state tells which.
    #[error(
        "store {name:?} is not complete: {open} of {all} tasks are open, task {task} was closed; see the application's state"
    )]
    NotHere {
        /// The store.
        name: String,
        /// Tasks that are open.
        open: usize,
        /// Tasks that hold a part of it.
        all: usize,
        /// The first that was closed.
        task: TaskId,
    },
    /// The store has another kind than the query needs.
    #[error("store {name:?} is {actual}, which has no {operation}")]
    WrongKind {
        /// The store.
        name: String,
        /// What it is.
        actual: &'static str,
        /// What was asked.
        operation: &'static str,
    },
    /// State could not be read.
    #[error("state could not be read")]
    State(#[from] StateError),
    /// A key or value does not have the type asked for.
    #[error("store {name:?} does not hold this type")]
    Serde {
        /// The store.
        name: String,
        /// What the serde said.
        #[source]
        cause: SerdeError,
    },
    /// Stored bytes are not in the form this crate writes.
    #[error("store {name:?} holds bytes that are not an entry")]
    Damaged {
        /// The store.
        name: String,
    },
}
