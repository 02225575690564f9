//! A file of fixed-size entries in ascending order: the common body of the offset, time and transaction indexes.
//!
//! Always true: entries are appended to a tail in memory of at most one page and written page by page, so the file lags
//! behind by less than a page until [`EntryFile::flush`]; an index that nobody uses holds no entries in memory and no
//! open file. Everything in it can be rebuilt from the log, so it is synced lazily and checked before it is believed.
//!
//! Next: `offset_index.rs`, `time_index.rs`, `txn_index.rs` for what the entries mean.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use thiserror::Error;

use super::disk::DiskError;
use super::file_cache::FileCache;

/// Why an index cannot be read or extended.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its content cannot be what was written; rebuild it from the log.
    #[error("index {path} is corrupt: {reason}", path = path.display())]
    Corrupt {
        /// The index file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An entry that does not follow the last one, or does not fit the format. Nothing was written.
    #[error("index {path} cannot take this entry: {reason}", path = path.display())]
    Refused {
        /// The index file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// Shorthand of the index modules.
pub type IndexResult<T> = Result<T, IndexError>;

/// Bytes per step of a search, and of entries held in memory before they are written.
const PAGE_BYTES: usize = 4096;

#[derive(Debug)]
pub(super) struct EntryFile<const N: usize> {
    files: Arc<FileCache>,
    path: PathBuf,
    state: RwLock<Option<State<N>>>,
}

#[derive(Debug)]
struct State<const N: usize> {
    /// Entries in the file.
    written: u64,
    /// Entries after them, not yet in the file.
    tail: Vec<[u8; N]>,
    last: Option<[u8; N]>,
}

impl<const N: usize> EntryFile<N> {
    const PAGE_ENTRIES: u64 = (PAGE_BYTES / N) as u64;

    /// Touches nothing: the file is looked at on first use, and created by the first flush.
    pub(super) fn new(files: Arc<FileCache>, path: PathBuf) -> EntryFile<N> {
        EntryFile {
            files,
            path,
            state: RwLock::new(None),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn corrupt(&self, reason: impl Into<String>) -> IndexError {
        IndexError::Corrupt {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    pub(super) fn refused(&self, reason: impl Into<String>) -> IndexError {
        IndexError::Refused {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    fn load(&self) -> IndexResult<State<N>> {
        let file = match self.files.get(&self.path) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => {
                return Ok(State {
                    written: 0,
                    tail: Vec::new(),
                    last: None,
                });
            }
            Err(error) => return Err(error.into()),
        };
        let length = file.len()?;
        if length % N as u64 != 0 {
            return Err(self.corrupt(format!(
                "{length} bytes are not a whole number of {N}-byte entries"
            )));
        }
        let written = length / N as u64;
        let mut last = None;
        if written > 0 {
            let mut entry = [0; N];
            file.read_exact_at(&mut entry, length - N as u64)?;
            last = Some(entry);
        }
        Ok(State {
            written,
            tail: Vec::new(),
            last,
        })
    }

    /// Runs `read` on the loaded state; many at once.
    fn with<T>(&self, read: impl FnOnce(&State<N>) -> IndexResult<T>) -> IndexResult<T> {
        if let Some(state) = &*self.state.read() {
            return read(state);
        }
        self.with_mut(|state| read(state))
    }

    /// Runs `change` on the loaded state, alone.
    fn with_mut<T>(&self, change: impl FnOnce(&mut State<N>) -> IndexResult<T>) -> IndexResult<T> {
        let mut guard = self.state.write();
        let state = match &mut *guard {
            Some(state) => state,
            empty => empty.insert(self.load()?),
        };
        change(state)
    }

    pub(super) fn len(&self) -> IndexResult<u64> {
        self.with(|state| Ok(state.len()))
    }

    pub(super) fn last(&self) -> IndexResult<Option<[u8; N]>> {
        self.with(|state| Ok(state.last))
    }

    /// Appends `entry` if `accept`, which sees the last one, agrees.
    pub(super) fn append(
        &self,
        entry: [u8; N],
        accept: impl FnOnce(Option<&[u8; N]>) -> IndexResult<bool>,
    ) -> IndexResult<bool> {
        self.with_mut(|state| {
            if !accept(state.last.as_ref())? {
                return Ok(false);
            }
            if state.tail.len() as u64 >= Self::PAGE_ENTRIES {
                self.write_tail(state)?;
            }
            state.tail.push(entry);
            state.last = Some(entry);
            Ok(true)
        })
    }

    fn write_tail(&self, state: &mut State<N>) -> IndexResult<()> {
        if state.tail.is_empty() {
            return Ok(());
        }
        let file = self.files.get_or_create(&self.path)?;
        file.write_at(state.tail.as_flattened(), state.written * N as u64)?;
        state.written += state.tail.len() as u64;
        state.tail.clear();
        Ok(())
    }

    /// Writes what is only in memory and lets go of that memory.
    pub(super) fn flush(&self) -> IndexResult<()> {
        let mut guard = self.state.write();
        let Some(state) = &mut *guard else { return Ok(()) };
        self.write_tail(state)?;
        state.tail = Vec::new();
        Ok(())
    }

    /// Flushes and makes the content durable; creates the file if there is none.
    pub(super) fn sync(&self) -> IndexResult<()> {
        self.flush()?;
        Ok(self.files.get_or_create(&self.path)?.sync_data()?)
    }

    /// Makes the content durable as it is, if there is a file.
    pub(super) fn sync_if_there(&self) -> IndexResult<()> {
        match self.files.get(&self.path) {
            Ok(file) => Ok(file.sync_data()?),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps the first `count` entries.
    pub(super) fn truncate(&self, count: u64) -> IndexResult<()> {
        self.with_mut(|state| {
            if count >= state.len() {
                return Ok(());
            }
            if count < state.written {
                let file = self.files.get(&self.path)?;
                let mut last = None;
                if count > 0 {
                    let mut entry = [0; N];
                    file.read_exact_at(&mut entry, (count - 1) * N as u64)?;
                    last = Some(entry);
                }
                file.truncate(count * N as u64)?;
                (state.written, state.last) = (count, last);
                state.tail.clear();
            } else {
                let keep = (count - state.written) as usize;
                state.tail.truncate(keep);
                state.last = match keep {
                    0 if count == 0 => None,
                    0 => Some(self.read_written(count - 1)?),
                    _ => state.tail.last().copied(),
                };
            }
            Ok(())
        })
    }

    /// Empties it, whatever it held: the way out of [`IndexError::Corrupt`].
    pub(super) fn reset(&self) -> IndexResult<()> {
        let mut guard = self.state.write();
        match self.files.get(&self.path) {
            Ok(file) => file.truncate(0)?,
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        *guard = Some(State {
            written: 0,
            tail: Vec::new(),
            last: None,
        });
        Ok(())
    }

    /// Looks at the file anew on next use; what was not flushed is lost.
    pub(super) fn unload(&self) {
        *self.state.write() = None;
    }

    fn read_written(&self, number: u64) -> IndexResult<[u8; N]> {
        let mut entry = [0; N];
        self.files
            .get(&self.path)?
            .read_exact_at(&mut entry, number * N as u64)?;
        Ok(entry)
    }

    /// How many entries from the front satisfy `below`, and the last of them. `below` must hold for a prefix of the
    /// entries; on a corrupt index, where it does not, some number is returned, never a panic.
    pub(super) fn search(&self, below: impl Fn(&[u8; N]) -> bool) -> IndexResult<(u64, Option<[u8; N]>)> {
        self.with(|state| {
            if state.tail.first().is_some_and(&below) {
                let in_tail = state.tail.partition_point(&below);
                return Ok((state.written + in_tail as u64, Some(state.tail[in_tail - 1])));
            }
            if state.written == 0 {
                return Ok((0, None));
            }
            let file = self.files.get(&self.path)?;
            // First the page, by the first entry of each, then within it: log₂ of the pages small reads and one large.
            let (mut low, mut high) = (0, state.written.div_ceil(Self::PAGE_ENTRIES));
            while low < high {
                let middle = low + (high - low) / 2;
                let mut entry = [0; N];
                file.read_exact_at(&mut entry, middle * Self::PAGE_ENTRIES * N as u64)?;
                if below(&entry) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            if low == 0 {
                return Ok((0, None));
            }
            let first = (low - 1) * Self::PAGE_ENTRIES;
            let entries = (state.written - first).min(Self::PAGE_ENTRIES) as usize;
            let mut page = [0; PAGE_BYTES];
            file.read_exact_at(&mut page[..entries * N], first * N as u64)?;
            let (page, _) = page[..entries * N].as_chunks::<N>();
            let within = page.partition_point(&below);
            Ok((
                first + within as u64,
                within.checked_sub(1).map(|last| page[last]),
            ))
        })
    }

    /// Visits the entries from number `from` on until `visit` returns false. Reads a page at a time.
    pub(super) fn for_each_from(
        &self,
        from: u64,
        mut visit: impl FnMut(&[u8; N]) -> IndexResult<bool>,
    ) -> IndexResult<()> {
        self.with(|state| {
            let mut next = from;
            if next < state.written {
                let file = self.files.get(&self.path)?;
                let mut page = [0; PAGE_BYTES];
                while next < state.written {
                    let entries = (state.written - next).min(Self::PAGE_ENTRIES) as usize;
                    file.read_exact_at(&mut page[..entries * N], next * N as u64)?;
                    for entry in page[..entries * N].as_chunks::<N>().0 {
                        if !visit(entry)? {
                            return Ok(());
                        }
                    }
                    next += entries as u64;
                }
            }
            for entry in state.tail.iter().skip((next - state.written) as usize) {
                if !visit(entry)? {
                    return Ok(());
                }
            }
            Ok(())
        })
    }
}

impl<const N: usize> State<N> {
    fn len(&self) -> u64 {
        self.written + self.tail.len() as u64
    }
}

/// The bytes of a field within an entry.
pub(super) fn field<const N: usize>(entry: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&entry[at..at + N]);
    out
}
