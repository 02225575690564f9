//! An open file of the simulated disk.
//!
//! Always true: a handle counts itself in its node, so that the content outlives its name while somebody has it open; after
//! a crash every operation on it fails.

use std::io::{self, ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::{DiskError, DiskFile, DiskOp, DiskResult};
use super::disk_sim::io_error;
use super::disk_sim_node::{FileNode, Node, NodeId};
use super::disk_sim_tree::State;

pub(super) struct SimFile {
    disk: Arc<Mutex<State>>,
    node: NodeId,
    generation: u64,
    path: PathBuf,
    writable: bool,
}

impl std::fmt::Debug for SimFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SimFile").field(&self.path).finish()
    }
}

impl SimFile {
    /// A handle that was already counted in the node.
    pub(super) fn new(
        disk: Arc<Mutex<State>>,
        node: NodeId,
        generation: u64,
        path: &Path,
        writable: bool,
    ) -> SimFile {
        SimFile {
            disk,
            node,
            generation,
            path: path.to_owned(),
            writable,
        }
    }

    /// Runs `act` on the disk and this file, out of which the file is taken for the time: both may be changed.
    fn act<T>(
        &self,
        op: DiskOp,
        act: impl FnOnce(&mut State, &mut FileNode) -> io::Result<T>,
    ) -> DiskResult<T> {
        let mut state = self.disk.lock();
        let done = if state.generation != self.generation {
            Err(io::Error::other("the machine crashed since this file was opened"))
        } else if matches!(op, DiskOp::Write | DiskOp::Truncate) && !self.writable {
            Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "the file is open to read only",
            ))
        } else {
            match state.nodes.remove(&self.node) {
                Some(Node::File(mut file)) => {
                    let done = act(&mut state, &mut file);
                    state.nodes.insert(self.node, Node::File(file));
                    done
                }
                _ => Err(ErrorKind::NotFound.into()),
            }
        };
        done.map_err(|source| DiskError::new(op, &self.path, source))
    }

    fn sync(&self) -> DiskResult<()> {
        self.act(DiskOp::Sync, |state, file| {
            if state.fails(DiskOp::Sync, &self.path) {
                file.drop_pending();
                return Err(io_error());
            }
            file.sync();
            state.stats.syncs += 1;
            Ok(())
        })
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.lock();
        if state.generation != self.generation {
            return;
        }
        if let Some(Node::File(file)) = state.nodes.get_mut(&self.node) {
            file.handles -= 1;
        }
    }
}

impl DiskFile for SimFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> DiskResult<usize> {
        self.act(DiskOp::Read, |state, file| {
            if state.fails(DiskOp::Read, &self.path) {
                return Err(io_error());
            }
            state.stats.reads += 1;
            let start = (position as usize).min(file.current.len());
            let read = buf.len().min(file.current.len() - start);
            buf[..read].copy_from_slice(&file.current[start..start + read]);
            Ok(read)
        })
    }

    fn write_vectored_at(&self, pieces: &[IoSlice<'_>], position: u64) -> DiskResult<()> {
        let bytes = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect::<Vec<u8>>();
        self.act(DiskOp::Write, |state, file| {
            let mut allowed = bytes.len();
            let mut outcome = Ok(());
            if state.fails(DiskOp::Write, &self.path) {
                allowed = state.rng.usize(..=allowed);
                outcome = Err(io_error());
            }
            let length = file.current.len() as u64;
            let free = state.capacity.saturating_sub(state.used);
            if file.linked && (position + allowed as u64).saturating_sub(length) > free {
                // As write(2) does, part of it may fit.
                allowed = (length + free).saturating_sub(position) as usize;
                outcome = Err(ErrorKind::StorageFull.into());
            }
            if allowed > 0 {
                file.write(position, &bytes[..allowed]);
                state.stats.writes += 1;
                state.stats.written_bytes += allowed as u64;
                if file.linked {
                    state.used += file.current.len() as u64 - length;
                }
            }
            outcome
        })
    }

    fn len(&self) -> DiskResult<u64> {
        self.act(DiskOp::Stat, |_, file| Ok(file.current.len() as u64))
    }

    fn truncate(&self, length: u64) -> DiskResult<()> {
        self.act(DiskOp::Truncate, |state, file| {
            let before = file.current.len() as u64;
            if file.linked && length.saturating_sub(before) > state.capacity.saturating_sub(state.used) {
                return Err(ErrorKind::StorageFull.into());
            }
            file.truncate(length);
            if file.linked {
                state.used = state.used - before + length;
            }
            Ok(())
        })
    }

    fn sync_data(&self) -> DiskResult<()> {
        self.sync()
    }

    fn sync_all(&self) -> DiskResult<()> {
        self.sync()
    }
}
