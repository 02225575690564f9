//! The disk as the storage code sees it: a small synchronous trait with a real and a simulated implementation.
//!
//! What holds for both, and `disk_contract_test.rs` checks on both:
//! - Written bytes are visible to every reader at once, but durable only after [`DiskFile::sync_data`] of the file; a new,
//!   renamed or removed *name* is durable only after [`Disk::sync_dir`] of its directory.
//! - A failed write or sync is final: the pages it concerned are gone from memory's care, and a second sync would succeed
//!   without them (Linux drops dirty pages after a failed write-back). Whoever sees such an error stops writing.
//! - A rename stays within one directory: no single directory sync could make a move between two durable.
//!
//! Deliberately absent: any async. Calls that may block for long go through [`DiskExt::blocking`].
//!
//! Next: `disk_fs.rs` (real), `disk_sim.rs` (simulated), `file_cache.rs` (bounded open files).

use std::any::Any;
use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use thiserror::Error;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// To read; it must exist.
    Read,
    /// To read and write; it must exist.
    Write,
    /// To read and write; created empty if it does not exist.
    Create,
    /// To read and write; it must not exist yet.
    CreateNew,
    /// To read and write; created, or emptied if it exists.
    Truncate,
}

/// What was attempted when an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOp {
    /// Opening or creating a file.
    Open,
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Making bytes or names durable.
    Sync,
    /// Setting the length.
    Truncate,
    /// Reading length or existence.
    Stat,
    /// Creating a directory.
    CreateDir,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
    /// Listing a directory.
    List,
    /// Asking for free space.
    FreeSpace,
    /// Locking a directory.
    Lock,
}

impl std::fmt::Display for DiskOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DiskOp::Open => "open",
            DiskOp::Read => "read",
            DiskOp::Write => "write",
            DiskOp::Sync => "sync",
            DiskOp::Truncate => "truncate",
            DiskOp::Stat => "look at",
            DiskOp::CreateDir => "create directory",
            DiskOp::Rename => "rename",
            DiskOp::Remove => "remove",
            DiskOp::List => "list",
            DiskOp::FreeSpace => "ask for free space at",
            DiskOp::Lock => "lock",
        })
    }
}

/// A failed operation: what, on which path, and the system's reason as source.
#[derive(Debug, Error)]
#[error("cannot {op} {path}: {source}", path = path.display())]
pub struct DiskError {
    /// What was attempted.
    pub op: DiskOp,
    /// On what.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl DiskError {
    /// An operation that failed for `source`.
    pub fn new(op: DiskOp, path: &Path, source: io::Error) -> DiskError {
        DiskError {
            op,
            path: path.to_owned(),
            source,
        }
    }

    /// The kind of the system's reason.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// True if the file or directory does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// True if the disk or the quota is full.
    pub fn is_out_of_space(&self) -> bool {
        matches!(
            self.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

/// Shorthand of this module.
pub type DiskResult<T> = Result<T, DiskError>;

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name, without its directory.
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
}

/// Why a directory could not be locked.
#[derive(Debug, Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error(
        "directory {path} is in use by {holder}; only one process may use it at a time",
        path = path.display(),
        holder = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Its process id, if it could be read from the lock file.
        holder: Option<u32>,
    },
    /// The lock file itself could not be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Holds a directory for this process until dropped. The kernel releases it when the process dies, however it dies.
#[derive(Debug)]
pub struct DirLock {
    path: PathBuf,
    _guard: Box<dyn LockGuard>,
}

/// Whatever releases the lock when dropped.
pub(super) trait LockGuard: Any + Debug + Send + Sync {}

impl DirLock {
    pub(super) fn new(path: &Path, guard: impl LockGuard) -> DirLock {
        DirLock {
            path: path.to_owned(),
            _guard: Box::new(guard),
        }
    }

    /// The locked directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A file system. Shared as `Arc<dyn Disk>`.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file. A name created by it is durable after [`Disk::sync_dir`].
    fn open(&self, path: &Path, mode: OpenMode) -> DiskResult<Arc<dyn DiskFile>>;

    /// Creates a directory and its missing parents; fine if it exists. Durable once each parent is synced.
    fn create_dir_all(&self, path: &Path) -> DiskResult<()>;

    /// Renames a file or directory within its directory, replacing a file of the new name atomically. A rename to
    /// another directory is refused (`InvalidInput`).
    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> DiskResult<()>;

    /// Removes a directory with everything in it.
    fn remove_dir_all(&self, path: &Path) -> DiskResult<()>;

    /// The names in a directory, in ascending order. Names that are not UTF-8 are left out: none of ours are.
    fn list(&self, path: &Path) -> DiskResult<Vec<DirEntry>>;

    /// True if a file or directory of that name exists.
    fn exists(&self, path: &Path) -> DiskResult<bool>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> DiskResult<()>;

    /// Makes `made`, directories in `parent` that nobody else writes to yet, durable with everything in them, at the cost of about one sync however
    /// many they are. May make other files durable too. Their own names are durable after [`Disk::sync_dir`] of `parent`.
    fn sync_new(&self, parent: &Path, made: &[PathBuf]) -> DiskResult<()>;

    /// Size of the file system that holds `path`, in bytes.
    fn total_bytes(&self, path: &Path) -> DiskResult<u64>;

    /// Bytes this process may still write to the file system that holds `path`.
    fn free_bytes(&self, path: &Path) -> DiskResult<u64>;

    /// Takes a directory for this process alone, by a lock on the file `.lock` in it. Does not wait.
    fn lock(&self, dir: &Path) -> Result<DirLock, LockError>;

    /// Runs a job that may block: on a thread made for that, or inline where time is simulated (so that a simulation
    /// stays deterministic). See [`DiskExt::blocking`] for jobs that return something.
    fn run_blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()>;
}

/// What address, position and length must be multiples of for [`DiskFile::write_direct_at`] to pass by the page cache: a page, which is at
/// least a block on every disk.
pub const DIRECT_ALIGN: usize = 4096;

/// An open file. All positions are absolute; there is no cursor, so handles are shared freely.
pub trait DiskFile: Debug + Send + Sync {
    /// The path it was opened under (a rename does not change it).
    fn path(&self) -> &Path;

    /// Reads up to `buf.len()` bytes at `position`; fewer only at the end of the file.
    fn read_at(&self, buf: &mut [u8], position: u64) -> DiskResult<usize>;

    /// Fills `buf` from `position`; `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> DiskResult<()> {
        let read = self.read_at(buf, position)?;
        if read == buf.len() {
            return Ok(());
        }
        let reason = format!("{} bytes wanted at {position}, {read} are there", buf.len());
        Err(DiskError::new(
            DiskOp::Read,
            self.path(),
            io::Error::new(io::ErrorKind::UnexpectedEof, reason),
        ))
    }

    /// Up to `length` bytes at `position` as shared bytes; fewer only at the end of the file.
    fn read_bytes_at(&self, position: u64, length: usize) -> DiskResult<Bytes> {
        let mut buf = vec![0; length];
        let read = self.read_at(&mut buf, position)?;
        buf.truncate(read);
        Ok(Bytes::from(buf))
    }

    /// Writes all pieces one after another from `position` on. After an error any part of them may have been written.
    fn write_vectored_at(&self, pieces: &[IoSlice<'_>], position: u64) -> DiskResult<()>;

    /// Writes all of `bytes` at `position`.
    fn write_at(&self, bytes: &[u8], position: u64) -> DiskResult<()> {
        self.write_vectored_at(&[IoSlice::new(bytes)], position)
    }

    /// As [`DiskFile::write_at`], for bytes that nobody will read soon: past the page cache if address, length and position are multiples of
    /// [`DIRECT_ALIGN`] and the file system can do it. Durable, as ever, after [`DiskFile::sync_data`].
    fn write_direct_at(&self, bytes: &[u8], position: u64) -> DiskResult<()> {
        self.write_at(bytes, position)
    }

    /// Writes all pieces at the end of the file and returns where they begin. For a single writer: two at once would
    /// overwrite each other.
    fn append(&self, pieces: &[IoSlice<'_>]) -> DiskResult<u64> {
        let position = self.len()?;
        self.write_vectored_at(pieces, position)?;
        Ok(position)
    }

    /// Length in bytes.
    fn len(&self) -> DiskResult<u64>;

    /// True if it holds nothing.
    fn is_empty(&self) -> DiskResult<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file to `length`, or extends it with zeros.
    fn truncate(&self, length: u64) -> DiskResult<()>;

    /// Makes the content and the length durable (fdatasync).
    fn sync_data(&self) -> DiskResult<()>;

    /// Makes the content and all metadata durable (fsync).
    fn sync_all(&self) -> DiskResult<()>;
}

/// Conveniences over any [`Disk`].
pub trait DiskExt {
    /// Runs a blocking job off the reactor and returns what it returned.
    ///
    /// # Panics
    /// If the job panicked.
    fn blocking<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> BoxFuture<'static, T>;

    /// The whole content of a file, at most `bytes_max` of it; a longer file is an error (`FileTooLarge`).
    fn read_file(&self, path: &Path, bytes_max: u64) -> DiskResult<Bytes>;

    /// Replaces a file so that a crash leaves either the old or the new content: writes `NAME.tmp`, syncs it, renames it
    /// over `NAME`, syncs the directory.
    fn replace_file(&self, path: &Path, content: &[u8]) -> DiskResult<()>;
}

impl DiskExt for dyn Disk + '_ {
    fn blocking<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> BoxFuture<'static, T> {
        let (give, mut take) = futures::channel::oneshot::channel();
        let ran = self.run_blocking(Box::new(move || {
            // Nobody waits for the result any more if the future was dropped; the job itself is done.
            give.send(job()).ok();
        }));
        Box::pin(async move {
            ran.await;
            match take.try_recv() {
                Ok(Some(result)) => result,
                lost => panic!(
                    "a blocking job ended without its result (cancelled: {})",
                    lost.is_err()
                ),
            }
        })
    }

    fn read_file(&self, path: &Path, bytes_max: u64) -> DiskResult<Bytes> {
        let file = self.open(path, OpenMode::Read)?;
        let length = file.len()?;
        if length > bytes_max {
            let reason = format!("{length} bytes are there, at most {bytes_max} are expected");
            return Err(DiskError::new(
                DiskOp::Read,
                path,
                io::Error::new(io::ErrorKind::FileTooLarge, reason),
            ));
        }
        file.read_bytes_at(0, length as usize)
    }

    fn replace_file(&self, path: &Path, content: &[u8]) -> DiskResult<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = self.open(&temporary, OpenMode::Truncate)?;
        file.write_at(content, 0)?;
        // Without this sync the rename may become durable before the bytes: an empty file after a power cut (B5).
        file.sync_all()?;
        self.rename(&temporary, path)?;
        self.sync_dir(parent_of(path))
    }
}

/// The directory a path stands in; `.` for a bare name.
pub fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}
