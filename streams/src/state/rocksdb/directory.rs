//! A task's directory: who may use it and what version wrote it.
//!
//! ```text
//! <state dir>/LOCK             held while the application runs, with its process id
//! <state dir>/<task>/LOCK      held while the task is open
//!                    FORMAT    one line
//!                    db/       RocksDB
//! ```
//! Nothing here removes anything. A directory of an unknown format is refused and left as it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::state::{StateError, TaskId};

/// The format this version reads and writes.
const FORMAT: &str = "millpond-state 1";

/// A task's directory, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct TaskDirectory {
    path: PathBuf,
    _lock: Lock,
}

impl TaskDirectory {
    pub(super) fn open(state_dir: &Path, task: TaskId) -> Result<Self, StateError> {
        let path = state_dir.join(task.to_string());
        let lock = lock(&path)?;
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

/// Where the database of a task is.
pub(super) fn database_of(state_dir: &Path, task: TaskId) -> PathBuf {
    state_dir.join(task.to_string()).join("db")
}

/// The tasks that have a directory below `state_dir`, in order; none when there is no such directory.
pub(super) fn tasks(state_dir: &Path) -> Result<Vec<TaskId>, StateError> {
    let entries = match std::fs::read_dir(state_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("listing state directory", state_dir)(error)),
    };
    let mut tasks: Vec<TaskId> = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io("listing state directory", state_dir))?;
        let name = entry.file_name();
        tasks.extend(name.to_str().and_then(|name| name.parse::<TaskId>().ok()));
    }
    tasks.sort();
    Ok(tasks)
}

/// Renames the directory of a task, so that it begins anew; returns the new name.
pub(super) fn set_aside(state_dir: &Path, task: TaskId) -> Result<PathBuf, StateError> {
    let from = state_dir.join(task.to_string());
    let names = (0..).map(|number: u32| state_dir.join(format!("{task}.stale-{number}")));
    let aside = names.into_iter().find(|path| !path.exists());
    let aside = aside.expect("there are more names than directories");
    std::fs::rename(&from, &aside).map_err(io("setting state aside", &from))?;
    Ok(aside)
}

/// A directory that is taken. The kernel lets go of it when this is dropped, however the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Takes `dir`, creating it when it is missing, and leaves the process id in its lock file for whoever comes next.
pub(super) fn lock(dir: &Path) -> Result<Lock, StateError> {
    std::fs::create_dir_all(dir).map_err(io("creating state directory", dir))?;
    let path = dir.join("LOCK");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path);
    let mut file = file.map_err(io("opening lock file", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who holds it is told as far as it can be read; that somebody does is certain.
            let read = file.read_to_string(&mut text);
            let pid = read.ok().and_then(|_| text.trim().parse().ok());
            return Err(StateError::Locked {
                dir: dir.to_owned(),
                pid,
            });
        }
        Err(TryLockError::Error(error)) => return Err(io("locking", &path)(error)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(io("writing lock file", &path))?;
    Ok(Lock { _file: file })
}

fn io<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> StateError + 'a {
    move |source| StateError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}
