//! A disk in memory that can lose power, fill up, fail and rot, the same way every time for the same seed.
//!
//! Always true: only synced bytes under synced names survive [`CrashMode::LoseUnsynced`]: stricter than ext4, which makes a
//! new file's name durable along with its data, because other file systems do not. Handles opened before a crash fail
//! afterwards. Everything random comes from the seed, and names are kept in order, so a run can be replayed byte for byte.
//!
//! Next: `disk_sim_tree.rs` for the tree of names, `disk_sim_node.rs` for the split into visible, durable and pending; `disk_contract_test.rs` for what it shares
//! with the real disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::disk::{
    DirEntry, DirLock, Disk, DiskError, DiskFile, DiskOp, DiskResult, LockError, LockGuard, OpenMode,
    parent_of,
};
use super::disk_sim_file::SimFile;
use super::disk_sim_node::{DirNode, FileNode, Node, NodeId};
use super::disk_sim_tree::{ROOT, State, file_name, names};

/// What a crash leaves of the changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashMode {
    /// None of them: the worst power loss.
    LoseUnsynced,
    /// Of each file and each directory a random number of the oldest; the write after them may be torn.
    KeepRandomPrefix,
    /// Of each file random pages, in any order, with holes of zeros; of each directory a random number of the oldest.
    KeepRandomSubset,
    /// All of them: the process died, the machine did not.
    KeepAll,
}

/// How much a disk was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimStats {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// File syncs that succeeded.
    pub syncs: u64,
    /// Directory syncs that succeeded.
    pub dir_syncs: u64,
}

/// The simulated disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk without a limit, whose random choices follow from `seed`.
    pub fn new(seed: u64) -> SimDisk {
        let state = State {
            rng: fastrand::Rng::with_seed(seed),
            nodes: BTreeMap::from([(ROOT, Node::Dir(DirNode::default()))]),
            next_node: ROOT + 1,
            generation: 0,
            capacity: u64::MAX / 2,
            used: 0,
            locked: BTreeSet::new(),
            failures: Vec::new(),
            sweep_at: 1024,
            stats: SimStats::default(),
        };
        SimDisk {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The same disk, ready to be handed around.
    pub fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// Stops the machine (or, with [`CrashMode::KeepAll`], the process) and starts it again: open handles and locks die,
    /// unsynced changes survive as `mode` says.
    pub fn crash(&self, mode: CrashMode) {
        let state = &mut *self.state.lock();
        state.generation += 1;
        state.locked.clear();
        for node in state.nodes.values_mut() {
            match node {
                Node::File(file) => file.crash(mode, &mut state.rng),
                Node::Dir(dir) => dir.crash(mode, &mut state.rng),
            }
        }
        state.sweep();
        state.recount();
    }

    /// Sets how many bytes of content fit in all; more give "no space left". Nothing is cut if there is more already.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// The next write to a path that ends with `suffix` fails once; a random part of it is done.
    pub fn fail_next_write(&self, suffix: &str) {
        self.state
            .lock()
            .failures
            .push((DiskOp::Write, suffix.to_owned()));
    }

    /// The next sync of a file or directory whose path ends with `suffix` fails once. What it should have made durable
    /// stays visible but never becomes durable, and the sync after it succeeds: as on Linux.
    pub fn fail_next_sync(&self, suffix: &str) {
        self.state.lock().failures.push((DiskOp::Sync, suffix.to_owned()));
    }

    /// The next read of a path that ends with `suffix` fails once.
    pub fn fail_next_read(&self, suffix: &str) {
        self.state.lock().failures.push((DiskOp::Read, suffix.to_owned()));
    }

    /// Rot: flips bit `bit` of byte `position`, on the medium as in memory. Errs if the file is not that long.
    pub fn flip_bit(&self, path: &Path, position: u64, bit: u8) -> DiskResult<()> {
        let mut state = self.state.lock();
        let node = state
            .resolve(path)
            .map_err(|e| DiskError::new(DiskOp::Write, path, e))?;
        match state.nodes.get_mut(&node) {
            Some(Node::File(file)) if (position as usize) < file.current.len() => {
                file.flip(position as usize, bit);
                Ok(())
            }
            _ => Err(DiskError::new(
                DiskOp::Write,
                path,
                ErrorKind::UnexpectedEof.into(),
            )),
        }
    }

    /// Rot at a random place of a file; returns the byte and the bit. Errs if the file is empty.
    pub fn flip_random_bit(&self, path: &Path) -> DiskResult<(u64, u8)> {
        let length = self.open(path, OpenMode::Read)?.len()?;
        let (position, bit) = {
            let rng = &mut self.state.lock().rng;
            (rng.u64(..length.max(1)), rng.u8(..8))
        };
        self.flip_bit(path, position, bit)?;
        Ok((position, bit))
    }

    /// A fingerprint of all names and all bytes as visible now: equal runs give equal digests.
    pub fn digest(&self) -> u64 {
        let state = self.state.lock();
        // FNV-1a: simple, and the same on every machine and in every version.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut feed = |bytes: &[u8]| {
            for &byte in bytes.iter().chain(&(bytes.len() as u64).to_be_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        state.walk(ROOT, &mut PathBuf::from("/"), &mut |path, content| {
            feed(path.as_os_str().as_encoded_bytes());
            feed(content.unwrap_or(b"/"));
        });
        hash
    }

    /// How much the disk was used since it was made.
    pub fn stats(&self) -> SimStats {
        self.state.lock().stats
    }

    /// Bytes of content visible now.
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().used
    }
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        f.debug_struct("SimDisk")
            .field("nodes", &state.nodes.len())
            .field("used", &state.used)
            .finish_non_exhaustive()
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> DiskResult<Arc<dyn DiskFile>> {
        let opened = (|| {
            let mut state = self.state.lock();
            let node = match state.resolve(path) {
                Ok(_) if mode == OpenMode::CreateNew => return Err(ErrorKind::AlreadyExists.into()),
                Ok(node) => node,
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Err(error) if matches!(mode, OpenMode::Read | OpenMode::Write) => return Err(error),
                Err(_) => {
                    state.dir_mut(parent_of(path))?;
                    let node = state.add(Node::File(FileNode::linked()));
                    state.dir_mut(parent_of(path))?.link(file_name(path)?, node);
                    node
                }
            };
            let generation = state.generation;
            let Some(Node::File(file)) = state.nodes.get_mut(&node) else {
                return Err(ErrorKind::IsADirectory.into());
            };
            file.handles += 1;
            if mode == OpenMode::Truncate && !file.current.is_empty() {
                let freed = file.current.len() as u64;
                file.truncate(0);
                state.used -= freed;
            }
            Ok(SimFile::new(
                self.state.clone(),
                node,
                generation,
                path,
                mode != OpenMode::Read,
            ))
        })();
        match opened {
            Ok(file) => Ok(Arc::new(file)),
            Err(source) => Err(DiskError::new(DiskOp::Open, path, source)),
        }
    }

    fn create_dir_all(&self, path: &Path) -> DiskResult<()> {
        let create = || {
            let mut state = self.state.lock();
            let mut at = ROOT;
            for name in names(path)? {
                let child = match state.nodes.get(&at) {
                    Some(Node::Dir(dir)) => dir.current.get(name).copied(),
                    _ => return Err(ErrorKind::NotADirectory.into()),
                };
                let node = match child {
                    Some(node) => node,
                    None => {
                        let node = state.add(Node::Dir(DirNode::default()));
                        if let Some(Node::Dir(dir)) = state.nodes.get_mut(&at) {
                            dir.link(name, node);
                        }
                        node
                    }
                };
                at = node;
            }
            match state.nodes.get(&at) {
                Some(Node::Dir(_)) => Ok(()),
                _ => Err(ErrorKind::AlreadyExists.into()),
            }
        };
        create().map_err(|source| DiskError::new(DiskOp::CreateDir, path, source))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        let rename = || {
            if parent_of(from) != parent_of(to) {
                return Err(io::Error::new(
                    ErrorKind::InvalidInput,
                    format!("{} is in another directory", to.display()),
                ));
            }
            let mut state = self.state.lock();
            let node = state.resolve(from)?;
            let replaced = match state.resolve(to) {
                Ok(replaced) if replaced == node => return Ok(()),
                Ok(replaced) => match (&state.nodes[&node], &state.nodes[&replaced]) {
                    (Node::File(_), Node::Dir(_)) => return Err(ErrorKind::IsADirectory.into()),
                    (Node::Dir(_), Node::File(_)) => return Err(ErrorKind::NotADirectory.into()),
                    (_, Node::Dir(dir)) if !dir.current.is_empty() => {
                        return Err(ErrorKind::DirectoryNotEmpty.into());
                    }
                    _ => Some(replaced),
                },
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            let (old, new) = (file_name(from)?, file_name(to)?);
            state.dir_mut(parent_of(from))?.rename(old, new, node);
            if let Some(replaced) = replaced {
                state.unlinked(replaced);
            }
            Ok(())
        };
        rename().map_err(|source| DiskError::new(DiskOp::Rename, from, source))
    }

    fn remove_file(&self, path: &Path) -> DiskResult<()> {
        let remove = || {
            let mut state = self.state.lock();
            let node = state.resolve(path)?;
            if let Some(Node::Dir(_)) = state.nodes.get(&node) {
                return Err(ErrorKind::IsADirectory.into());
            }
            state.dir_mut(parent_of(path))?.unlink(file_name(path)?);
            state.unlinked(node);
            Ok(())
        };
        remove().map_err(|source| DiskError::new(DiskOp::Remove, path, source))
    }

    fn remove_dir_all(&self, path: &Path) -> DiskResult<()> {
        let remove = || {
            let mut state = self.state.lock();
            let node = state.resolve(path)?;
            if let Some(Node::File(_)) = state.nodes.get(&node) {
                return Err(ErrorKind::NotADirectory.into());
            }
            state.remove_tree(node);
            state.dir_mut(parent_of(path))?.unlink(file_name(path)?);
            state.unlinked(node);
            Ok(())
        };
        remove().map_err(|source| DiskError::new(DiskOp::Remove, path, source))
    }

    fn list(&self, path: &Path) -> DiskResult<Vec<DirEntry>> {
        let mut state = self.state.lock();
        let names = match state.dir_mut(path) {
            Ok(dir) => dir.current.clone(),
            Err(source) => return Err(DiskError::new(DiskOp::List, path, source)),
        };
        let is_dir = |node| matches!(state.nodes.get(&node), Some(Node::Dir(_)));
        Ok(names
            .into_iter()
            .map(|(name, node)| DirEntry {
                name,
                is_dir: is_dir(node),
            })
            .collect())
    }

    fn exists(&self, path: &Path) -> DiskResult<bool> {
        match self.state.lock().resolve(path) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            Err(source) => Err(DiskError::new(DiskOp::Stat, path, source)),
        }
    }

    fn sync_dir(&self, path: &Path) -> DiskResult<()> {
        let mut state = self.state.lock();
        let fails = state.fails(DiskOp::Sync, path);
        let synced = match state.dir_mut(path) {
            Ok(dir) if fails => {
                dir.drop_pending();
                Err(io_error())
            }
            Ok(dir) => {
                dir.sync();
                state.stats.dir_syncs += 1;
                Ok(())
            }
            Err(error) => Err(error),
        };
        synced.map_err(|source| DiskError::new(DiskOp::Sync, path, source))
    }

    fn sync_new(&self, _parent: &Path, made: &[PathBuf]) -> DiskResult<()> {
        for dir in made {
            for entry in self.list(dir)? {
                let path = dir.join(&entry.name);
                if entry.is_dir {
                    self.sync_new(dir, &[path])?;
                } else {
                    self.open(&path, OpenMode::Write)?.sync_all()?;
                }
            }
            self.sync_dir(dir)?;
        }
        Ok(())
    }

    fn total_bytes(&self, path: &Path) -> DiskResult<u64> {
        let state = self.state.lock();
        match state.resolve(path) {
            Ok(_) => Ok(state.capacity),
            Err(source) => Err(DiskError::new(DiskOp::FreeSpace, path, source)),
        }
    }

    fn free_bytes(&self, path: &Path) -> DiskResult<u64> {
        let state = self.state.lock();
        match state.resolve(path) {
            Ok(_) => Ok(state.capacity.saturating_sub(state.used)),
            Err(source) => Err(DiskError::new(DiskOp::FreeSpace, path, source)),
        }
    }

    fn lock(&self, dir: &Path) -> Result<DirLock, LockError> {
        // The file is there on the real disk too; it plays no part here.
        self.open(&dir.join(".lock"), OpenMode::Create)?;
        let mut state = self.state.lock();
        let node = state
            .resolve(dir)
            .map_err(|source| DiskError::new(DiskOp::Lock, dir, source))?;
        if !state.locked.insert(node) {
            return Err(LockError::Locked {
                path: dir.to_owned(),
                holder: Some(std::process::id()),
            });
        }
        let generation = state.generation;
        drop(state);
        Ok(DirLock::new(
            dir,
            SimLock {
                disk: self.state.clone(),
                node,
                generation,
            },
        ))
    }

    fn run_blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        Box::pin(async move { job() })
    }
}

pub(super) fn io_error() -> io::Error {
    io::Error::other("input/output error (simulated)")
}

#[derive(Debug)]
struct SimLock {
    disk: Arc<Mutex<State>>,
    node: NodeId,
    generation: u64,
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.lock();
        if state.generation == self.generation {
            state.locked.remove(&self.node);
        }
    }
}

#[cfg(test)]
#[path = "disk_sim_test.rs"]
mod disk_sim_test;
