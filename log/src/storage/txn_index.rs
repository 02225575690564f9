//! `.txnindex`: the aborted transactions of a segment. Entries of 34 bytes: version i16 (0), producer id i64, first offset
//! i64, last offset i64 (that of the abort marker), last stable offset i64 after it.
//!
//! Always true: last offsets ascend, one entry per abort marker in the segment. The file exists only once there is an entry,
//! for most segments have none. A reader of committed data that misses an entry would hand out aborted records, so unlike
//! the other indexes this one is no mere hint: recovery rebuilds it before anybody reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file_cache::FileCache;
use super::index_file::{EntryFile, IndexResult, field};
use crate::types::{Offset, ProducerId};

const ENTRY_SIZE: usize = 34;
const VERSION: i16 = 0;

/// One aborted transaction in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxnEntry {
    /// Whose transaction it was.
    pub producer_id: ProducerId,
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Offset of its abort marker.
    pub last_offset: Offset,
    /// The last stable offset once the marker was appended.
    pub last_stable_offset: Offset,
}

/// The aborted transactions a read must skip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AbortedInRange {
    /// Those that overlap the range, in the order of their markers.
    pub entries: Vec<AbortedTxnEntry>,
    /// True if no later segment can hold another one that overlaps.
    pub complete: bool,
}

/// The transaction index of one segment. One appender; any number of readers beside it.
#[derive(Debug)]
pub struct TxnIndex {
    entries: EntryFile<ENTRY_SIZE>,
}

impl TxnIndex {
    /// The index at `path`. Touches no file yet; a missing one is an empty index.
    pub fn new(files: Arc<FileCache>, path: impl Into<PathBuf>) -> TxnIndex {
        TxnIndex {
            entries: EntryFile::new(files, path.into()),
        }
    }

    /// Adds an entry. Refused if its marker does not come after the last one's.
    pub fn append(&self, aborted: AbortedTxnEntry) -> IndexResult<()> {
        if aborted.first_offset > aborted.last_offset {
            return Err(self.entries.refused(format!("{aborted:?} ends before it begins")));
        }
        self.entries
            .append(encode(&aborted), |last| match last.map(parse) {
                Some((_, last)) if aborted.last_offset <= last.last_offset => {
                    Err(self.entries.refused(format!("{aborted:?} after {last:?}")))
                }
                _ => Ok(true),
            })?;
        Ok(())
    }

    /// The transactions with records in `from..upper` (the end exclusive). Read on in the following segments until one
    /// says `complete`: the marker of a transaction may stand segments after its records.
    pub fn collect(&self, from: Offset, upper: Offset) -> IndexResult<AbortedInRange> {
        let mut range = AbortedInRange::default();
        // Markers ascend, so what ended before `from` is a prefix.
        let (first, _) = self.entries.search(|entry| parse(entry).1.last_offset < from)?;
        self.entries.for_each_from(first, |entry| {
            let aborted = self.checked(entry)?;
            if aborted.last_offset >= from && aborted.first_offset < upper {
                range.entries.push(aborted);
            }
            // Everything below this last stable offset was decided when the marker was appended.
            range.complete = aborted.last_stable_offset >= upper;
            Ok(!range.complete)
        })?;
        Ok(range)
    }

    /// How many entries it has.
    pub fn len(&self) -> IndexResult<u64> {
        self.entries.len()
    }

    /// True if it has none.
    pub fn is_empty(&self) -> IndexResult<bool> {
        Ok(self.len()? == 0)
    }

    /// All entries, for tools that compare; errs where they do not ascend or their version is unknown.
    pub fn entries(&self) -> IndexResult<Vec<AbortedTxnEntry>> {
        let mut all: Vec<AbortedTxnEntry> = Vec::new();
        self.entries.for_each_from(0, |entry| {
            let entry = self.checked(entry)?;
            if let Some(last) = all.last()
                && entry.last_offset <= last.last_offset
            {
                return Err(self.entries.corrupt(format!("{entry:?} follows {last:?}")));
            }
            all.push(entry);
            Ok(true)
        })?;
        Ok(all)
    }

    /// Removes the entries whose marker is at or above `offset`.
    pub fn truncate_to(&self, offset: Offset) -> IndexResult<()> {
        let (count, _) = self.entries.search(|entry| parse(entry).1.last_offset < offset)?;
        self.entries.truncate(count)
    }

    /// Empties it, whatever it held; the first step of a rebuild.
    pub fn reset(&self) -> IndexResult<()> {
        self.entries.reset()
    }

    /// Writes the entries that are only in memory.
    pub fn flush(&self) -> IndexResult<()> {
        self.entries.flush()
    }

    /// Writes them and makes the file durable. Without entries no file is created, but one that is there is made durable as empty: what it held before must
    /// not come back after a power cut, or it would hide what stands in the place of the aborted records by then.
    pub fn sync(&self) -> IndexResult<()> {
        if self.is_empty()? {
            return self.entries.sync_if_there();
        }
        self.entries.sync()
    }

    /// Looks at the file anew on next use; entries not flushed are lost.
    pub fn unload(&self) {
        self.entries.unload();
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.entries.path()
    }

    fn checked(&self, entry: &[u8; ENTRY_SIZE]) -> IndexResult<AbortedTxnEntry> {
        let (version, aborted) = parse(entry);
        if version != VERSION {
            return Err(self.entries.corrupt(format!("entry of version {version}")));
        }
        if aborted.first_offset < Offset::ZERO || aborted.first_offset > aborted.last_offset {
            return Err(self.entries.corrupt(format!("{aborted:?}")));
        }
        Ok(aborted)
    }
}

fn encode(aborted: &AbortedTxnEntry) -> [u8; ENTRY_SIZE] {
    let mut entry = [0; ENTRY_SIZE];
    entry[..2].copy_from_slice(&VERSION.to_be_bytes());
    entry[2..10].copy_from_slice(&aborted.producer_id.get().to_be_bytes());
    entry[10..18].copy_from_slice(&aborted.first_offset.get().to_be_bytes());
    entry[18..26].copy_from_slice(&aborted.last_offset.get().to_be_bytes());
    entry[26..].copy_from_slice(&aborted.last_stable_offset.get().to_be_bytes());
    entry
}

fn parse(entry: &[u8; ENTRY_SIZE]) -> (i16, AbortedTxnEntry) {
    let version = i16::from_be_bytes(field(entry, 0));
    let aborted = AbortedTxnEntry {
        producer_id: ProducerId::new(i64::from_be_bytes(field(entry, 2))),
        first_offset: Offset::new(i64::from_be_bytes(field(entry, 10))),
        last_offset: Offset::new(i64::from_be_bytes(field(entry, 18))),
        last_stable_offset: Offset::new(i64::from_be_bytes(field(entry, 26))),
    };
    (version, aborted)
}
