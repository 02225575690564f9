//! A disk that is switched off under its store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;

use super::disk::{DirEntry, DirLock, Disk, DiskError, DiskFile, DiskOp, DiskResult, LockError, OpenMode};

/// The disk as one incarnation of the store sees it: after the crash nothing works any more, as for a dead process.
#[derive(Debug)]
pub(super) struct MortalDisk {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dead: Arc<AtomicBool>,
}

impl MortalDisk {
    fn alive(&self, op: DiskOp, path: &Path) -> DiskResult<()> {
        if self.dead.load(Ordering::SeqCst) {
            Err(DiskError::new(
                op,
                path,
                std::io::Error::other("the machine is off"),
            ))
        } else {
            Ok(())
        }
    }
}

impl Disk for MortalDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> DiskResult<Arc<dyn DiskFile>> {
        self.alive(DiskOp::Open, path)?;
        self.disk.open(path, mode)
    }
    fn create_dir_all(&self, path: &Path) -> DiskResult<()> {
        self.alive(DiskOp::CreateDir, path)?;
        self.disk.create_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.alive(DiskOp::Rename, from)?;
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> DiskResult<()> {
        self.alive(DiskOp::Remove, path)?;
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> DiskResult<()> {
        self.alive(DiskOp::Remove, path)?;
        self.disk.remove_dir_all(path)
    }
    fn list(&self, path: &Path) -> DiskResult<Vec<DirEntry>> {
        self.alive(DiskOp::List, path)?;
        self.disk.list(path)
    }
    fn exists(&self, path: &Path) -> DiskResult<bool> {
        self.alive(DiskOp::Stat, path)?;
        self.disk.exists(path)
    }
    fn sync_dir(&self, path: &Path) -> DiskResult<()> {
        self.alive(DiskOp::Sync, path)?;
        self.disk.sync_dir(path)
    }
    fn sync_new(&self, parent: &Path, made: &[PathBuf]) -> DiskResult<()> {
        self.alive(DiskOp::Sync, parent)?;
        self.disk.sync_new(parent, made)
    }
    fn total_bytes(&self, path: &Path) -> DiskResult<u64> {
        self.disk.total_bytes(path)
    }
    fn free_bytes(&self, path: &Path) -> DiskResult<u64> {
        self.disk.free_bytes(path)
    }
    fn lock(&self, dir: &Path) -> Result<DirLock, LockError> {
        self.disk.lock(dir)
    }
    fn run_blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        self.disk.run_blocking(job)
    }
}
