//! The real disk: positional reads and writes, fdatasync, flock.
//!
//! Always true: no cursor is shared, so any number of threads may use one handle; nothing is mapped into memory (a
//! broker with many partitions would run into the kernel's limit on maps, and a failed page-in is a signal, not an error).
//!
//! Next: `disk.rs` for what callers may rely on, `disk_sim.rs` for the twin in memory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::future::BoxFuture;

use super::disk::{
    DIRECT_ALIGN, DirEntry, DirLock, Disk, DiskError, DiskFile, DiskOp, DiskResult, LockError, LockGuard,
    OpenMode, parent_of,
};

/// Name of the lock file in a locked directory, as in Kafka.
const LOCK_FILE: &str = ".lock";

/// The file systems of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct FsDisk;

impl FsDisk {
    /// The same, ready to be handed around.
    pub fn shared() -> Arc<dyn Disk> {
        Arc::new(FsDisk)
    }
}

/// Turns an I/O error of an operation on a path into ours.
fn failed(op: DiskOp, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    move |source| DiskError::new(op, path, source)
}

impl Disk for FsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> DiskResult<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::Write => options.write(true),
            OpenMode::Create => options.write(true).create(true).truncate(false),
            OpenMode::CreateNew => options.write(true).create_new(true),
            OpenMode::Truncate => options.write(true).create(true).truncate(true),
        };
        let file = options.open(path).map_err(failed(DiskOp::Open, path))?;
        // Opening a directory to read succeeds on Linux; it is no file of ours.
        if mode == OpenMode::Read && file.metadata().map_err(failed(DiskOp::Open, path))?.is_dir() {
            return Err(DiskError::new(
                DiskOp::Open,
                path,
                io::ErrorKind::IsADirectory.into(),
            ));
        }
        Ok(Arc::new(FsFile {
            file,
            path: path.to_owned(),
            direct: OnceLock::new(),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> DiskResult<()> {
        fs::create_dir_all(path).map_err(failed(DiskOp::CreateDir, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        if parent_of(from) != parent_of(to) {
            let reason = format!("{} is in another directory", to.display());
            return Err(DiskError::new(
                DiskOp::Rename,
                from,
                io::Error::new(io::ErrorKind::InvalidInput, reason),
            ));
        }
        fs::rename(from, to).map_err(failed(DiskOp::Rename, from))
    }

    fn remove_file(&self, path: &Path) -> DiskResult<()> {
        fs::remove_file(path).map_err(failed(DiskOp::Remove, path))
    }

    fn remove_dir_all(&self, path: &Path) -> DiskResult<()> {
        fs::remove_dir_all(path).map_err(failed(DiskOp::Remove, path))
    }

    fn list(&self, path: &Path) -> DiskResult<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(failed(DiskOp::List, path))? {
            let entry = entry.map_err(failed(DiskOp::List, path))?;
            let is_dir = entry.file_type().map_err(failed(DiskOp::List, path))?.is_dir();
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry { name, is_dir });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> DiskResult<bool> {
        match path.try_exists() {
            // A name below a file cannot exist; that is an answer, not a failure.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
            told => told.map_err(failed(DiskOp::Stat, path)),
        }
    }

    fn sync_dir(&self, path: &Path) -> DiskResult<()> {
        let directory = File::open(path).map_err(failed(DiskOp::Sync, path))?;
        directory.sync_all().map_err(failed(DiskOp::Sync, path))
    }

    fn sync_new(&self, parent: &Path, _made: &[PathBuf]) -> DiskResult<()> {
        // One call for the whole file system: a sync a file would take as long as a disk rotation each.
        let directory = File::open(parent).map_err(failed(DiskOp::Sync, parent))?;
        rustix::fs::syncfs(&directory).map_err(|e| DiskError::new(DiskOp::Sync, parent, e.into()))
    }

    fn total_bytes(&self, path: &Path) -> DiskResult<u64> {
        let stat =
            rustix::fs::statvfs(path).map_err(|e| DiskError::new(DiskOp::FreeSpace, path, e.into()))?;
        Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
    }

    fn free_bytes(&self, path: &Path) -> DiskResult<u64> {
        let stat =
            rustix::fs::statvfs(path).map_err(|e| DiskError::new(DiskOp::FreeSpace, path, e.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, dir: &Path) -> Result<DirLock, LockError> {
        let path = dir.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed(DiskOp::Lock, &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The number only helps the reader of the message; without it the message still holds.
                let holder = match file.read_to_string(&mut text) {
                    Ok(_) => text.trim().parse().ok(),
                    Err(_) => None,
                };
                return Err(LockError::Locked {
                    path: dir.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(DiskError::new(DiskOp::Lock, &path, source).into());
            }
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(failed(DiskOp::Lock, &path))?;
        Ok(DirLock::new(dir, FsLock { _file: file }))
    }

    fn run_blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let running = tokio::task::spawn_blocking(job);
        Box::pin(async move {
            match running.await {
                Ok(()) => {}
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // Only a runtime that shuts down cancels such a job, and it does so before the job began. Nobody polls
                // this future then; if somebody does, it must not look done.
                Err(_cancelled) => std::future::pending().await,
            }
        })
    }
}

/// Holds the locked file open; closing it releases the lock. The file itself stays: removing it would let two processes
/// lock two files of the same name.
#[derive(Debug)]
struct FsLock {
    _file: File,
}

impl LockGuard for FsLock {}

#[derive(Debug)]
struct FsFile {
    file: File,
    path: PathBuf,
    /// The same file opened again to pass by the page cache, on first use; `None` where that cannot be done.
    direct: OnceLock<Option<File>>,
}

impl FsFile {
    fn failed(&self, op: DiskOp) -> impl FnOnce(io::Error) -> DiskError + '_ {
        failed(op, &self.path)
    }

    fn direct(&self) -> Option<&File> {
        let open = || {
            let flags = rustix::fs::OFlags::DIRECT.bits() as i32;
            // By descriptor, not by name: the name may mean another file by now. A file system that knows no direct writes refuses, and then
            // the page cache serves.
            let same = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            OpenOptions::new().write(true).custom_flags(flags).open(same).ok()
        };
        self.direct.get_or_init(open).as_ref()
    }
}

/// True if a direct write of these bytes to that position is possible at all.
fn is_aligned(bytes: &[u8], position: u64) -> bool {
    bytes.as_ptr().align_offset(DIRECT_ALIGN) == 0
        && bytes.len().is_multiple_of(DIRECT_ALIGN)
        && position.is_multiple_of(DIRECT_ALIGN as u64)
}

impl DiskFile for FsFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> DiskResult<usize> {
        let mut read = 0;
        while read < buf.len() {
            match self.file.read_at(&mut buf[read..], position + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(DiskOp::Read)(error)),
            }
        }
        Ok(read)
    }

    fn read_bytes_at(&self, position: u64, length: usize) -> DiskResult<Bytes> {
        // Into spare capacity: clearing the buffer first would cost as much as the copy from the page cache.
        let mut buf = Vec::with_capacity(length);
        while buf.len() < length {
            let at = position + buf.len() as u64;
            match rustix::io::pread(&self.file, rustix::buffer::spare_capacity(&mut buf), at) {
                Ok(0) => break,
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(self.failed(DiskOp::Read)(error.into())),
            }
        }
        // The allocator may have given more room than asked for.
        buf.truncate(length);
        Ok(Bytes::from(buf))
    }

    fn write_vectored_at(&self, pieces: &[IoSlice<'_>], position: u64) -> DiskResult<()> {
        if let [only] = pieces {
            return self
                .file
                .write_all_at(only, position)
                .map_err(self.failed(DiskOp::Write));
        }
        let mut position = position;
        let mut pieces: smallvec::SmallVec<[IoSlice<'_>; 16]> = pieces.iter().copied().collect();
        let mut rest = &mut pieces[..];
        // Drops empty pieces at the front, so that a write of nothing is not taken for a full disk.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            // IOV_MAX is 1024 on Linux; more is refused as a whole.
            let now = rest.len().min(1024);
            match rustix::io::pwritev(&self.file, &rest[..now], position) {
                Ok(0) => return Err(self.failed(DiskOp::Write)(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    position += n as u64;
                    IoSlice::advance_slices(&mut rest, n);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(self.failed(DiskOp::Write)(error.into())),
            }
        }
        Ok(())
    }

    fn write_direct_at(&self, bytes: &[u8], position: u64) -> DiskResult<()> {
        if is_aligned(bytes, position)
            && let Some(direct) = self.direct()
        {
            match direct.write_all_at(bytes, position) {
                // A disk with larger blocks than ours. The page cache takes anything, and over what was already written too.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                written => return written.map_err(self.failed(DiskOp::Write)),
            }
        }
        self.write_at(bytes, position)
    }

    fn len(&self) -> DiskResult<u64> {
        Ok(self.file.metadata().map_err(self.failed(DiskOp::Stat))?.len())
    }

    fn truncate(&self, length: u64) -> DiskResult<()> {
        self.file.set_len(length).map_err(self.failed(DiskOp::Truncate))
    }

    fn sync_data(&self) -> DiskResult<()> {
        self.file.sync_data().map_err(self.failed(DiskOp::Sync))
    }

    fn sync_all(&self) -> DiskResult<()> {
        self.file.sync_all().map_err(self.failed(DiskOp::Sync))
    }
}
