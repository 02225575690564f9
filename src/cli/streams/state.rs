//! The local state of an application: the one place that deletes it, behind a command and a confirmation.
//!
//! What is always true: a directory that is in use is not touched; while it is deleted its lock is held, so that no application starts on half of it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::failure::Failure;

/// A state directory that nobody uses.
#[derive(Debug)]
pub(super) struct LocalState {
    path: PathBuf,
    /// Held until the directory is gone.
    _lock: Option<File>,
}

impl LocalState {
    /// Takes the directory of `application` below `state_dir`; `None` when there is none.
    ///
    /// Errs when an application runs on it.
    pub(super) fn take(state_dir: &Path, application: &str) -> anyhow::Result<Option<LocalState>> {
        let path = state_dir.join(application);
        if !path.is_dir() {
            return Ok(None);
        }
        let lock_path = path.join("LOCK");
        if !lock_path.exists() {
            return Ok(Some(LocalState { path, _lock: None }));
        }
        let lock = File::open(&lock_path).with_context(|| format!("cannot open {}", lock_path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(LocalState {
                path,
                _lock: Some(lock),
            })),
            Err(TryLockError::WouldBlock) => {
                let pid = std::fs::read_to_string(&lock_path).unwrap_or_default();
                let who = match pid.trim() {
                    "" => "another process".to_owned(),
                    pid => format!("process {pid}"),
                };
                let place = path.display();
                Err(
                    Failure::failed(format!("application {application} is running: {who} has {place}"))
                        .hint("stop it first")
                        .into(),
                )
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", lock_path.display()))
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes it.
    pub(super) fn delete(self) -> anyhow::Result<()> {
        std::fs::remove_dir_all(&self.path).with_context(|| format!("cannot delete {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_is_refused_with_the_process_that_has_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(
            LocalState::take(dir.path(), "app")
                .expect("no directory")
                .is_none()
        );
        let path = dir.path().join("app");
        std::fs::create_dir(&path).expect("a directory");
        std::fs::write(path.join("LOCK"), "4711\n").expect("a lock file");
        let held = File::open(path.join("LOCK")).expect("a lock file");
        held.lock().expect("it is free");
        let error = LocalState::take(dir.path(), "app")
            .expect_err("in use")
            .to_string();
        assert!(
            error.starts_with("application app is running: process 4711 has "),
            "{error}"
        );
        drop(held);
        let state = LocalState::take(dir.path(), "app")
            .expect("free")
            .expect("it is there");
        state.delete().expect("it goes");
        assert!(!path.exists());
    }
}
