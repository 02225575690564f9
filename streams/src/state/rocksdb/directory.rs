//! A task's directory: who may use it and what version wrote it.
//!
//! ```text
//! <state dir>/<task>/LOCK      held while the task is open
//!                    FORMAT    one line
//!                    db/       RocksDB
//! ```
//! Nothing here removes anything. A directory of an unknown format is refused and left as it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::state::{StateError, TaskId};

/// The format this version reads and writes.
const FORMAT: &str = "millpond-state 1";

/// A task's directory, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct TaskDirectory {
    path: PathBuf,
    /// The kernel lets go of the lock when the file is closed, however the process ends.
    _lock: File,
}

impl TaskDirectory {
    pub(super) fn open(state_dir: &Path, task: TaskId) -> Result<Self, StateError> {
        let path = state_dir.join(task.to_string());
        std::fs::create_dir_all(&path).map_err(io("creating state directory", &path))?;
        let lock_path = path.join("LOCK");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path);
        let lock = lock.map_err(io("opening lock file", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::Locked { dir: path }),
            Err(TryLockError::Error(error)) => return Err(io("locking", &lock_path)(error)),
        }
        let directory = Self { path, _lock: lock };
        directory.check_format()?;
        Ok(directory)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join("db")
    }

    fn check_format(&self) -> Result<(), StateError> {
        let path = self.path.join("FORMAT");
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim_end() == FORMAT => Ok(()),
            Ok(text) => Err(StateError::UnknownFormat {
                dir: self.path.clone(),
                found: text.trim_end().to_owned(),
                known: FORMAT,
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.write_format(&path),
            Err(error) => Err(io("reading format file", &path)(error)),
        }
    }

    /// Written under another name first: a crash leaves no half of it.
    fn write_format(&self, path: &Path) -> Result<(), StateError> {
        let draft = self.path.join("FORMAT.new");
        let mut file = File::create(&draft).map_err(io("creating format file", &draft))?;
        let written = file
            .write_all(format!("{FORMAT}\n").as_bytes())
            .and_then(|()| file.sync_all());
        written.map_err(io("writing format file", &draft))?;
        std::fs::rename(&draft, path).map_err(io("renaming format file", path))?;
        let directory = File::open(&self.path).and_then(|directory| directory.sync_all());
        directory.map_err(io("syncing state directory", &self.path))
    }
}

fn io<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> StateError + 'a {
    move |source| StateError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}
