//! What can go wrong with task state.
//!
//! Each variant is a sentence the operator of a job can act on. A broken invariant (two frozen transactions, a
//! position going backwards) is an assertion, not one of these.

use std::path::PathBuf;

/// Why task state could not be opened, read or written.
///
/// None of these is answered by deleting state: the caller stops the task and reports.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process, or another task in this one, holds the directory.
    #[error("state directory {} is in use by {}; stop it, or give this one its own state directory", dir.display(), holder(*pid))]
    Locked {
        /// The state directory of the application or the task.
        dir: PathBuf,
        /// Who has it, as far as is known.
        pid: Option<u32>,
    },
    /// The directory was written by a version this one does not know.
    #[error("state directory {} has format {found:?}, this version reads {known:?}", dir.display())]
    UnknownFormat {
        /// The task's state directory.
        dir: PathBuf,
        /// What the format file says.
        found: String,
        /// What this version writes.
        known: &'static str,
    },
    /// The store on disk has another shape than the topology asks for.
    #[error(
        "store {store} of task {task} was written as {stored} and the topology now wants {wanted}; \
         give the operator a new name, or reset the application's state on purpose"
    )]
    StoreChanged {
        /// The store's name.
        store: String,
        /// The task it belongs to.
        task: String,
        /// Shape on disk.
        stored: String,
        /// Shape in the topology.
        wanted: String,
    },
    /// Two stores of one task have the same name.
    #[error("store {0} is declared twice in one task")]
    DuplicateStore(String),
    /// No store of that name in this task.
    #[error("task {task} has no store {store}")]
    UnknownStore {
        /// The name asked for.
        store: String,
        /// The task asked.
        task: String,
    },
    /// The file system refused.
    #[error("{what} {}", path.display())]
    Io {
        /// What was being done: "creating directory".
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The store host (RocksDB) refused. It stays as it was: a batch is written whole or not at all.
    #[error("{what} of task {task} failed: {message}")]
    Host {
        /// What was being done: "writing a batch".
        what: &'static str,
        /// The task it belongs to.
        task: String,
        /// What the host said.
        message: String,
    },
    /// Bytes we wrote ourselves do not decode.
    #[error("{what} of task {task} is damaged: {detail}")]
    Damaged {
        /// Which bytes.
        what: &'static str,
        /// The task they belong to.
        task: String,
        /// What is wrong with them.
        detail: String,
    },
    /// The task that owned this state has closed it.
    #[error("task {task} is not open here any more")]
    Closed {
        /// The task that was asked.
        task: String,
    },
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) if pid == std::process::id() => "this process".to_owned(),
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}
