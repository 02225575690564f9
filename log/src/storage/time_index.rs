//! `.timeindex`: from which offset on records are newer. Entries of 12 bytes: timestamp i64, offset relative to the base i32.
//!
//! Always true: timestamps ascend strictly, offsets do not descend. An entry (t, o) says: no record of the segment before
//! or at offset o has a timestamp above t, and the record at o has t.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file_cache::FileCache;
use super::index_file::{EntryFile, IndexResult, field};
use crate::types::{Offset, Timestamp};

const ENTRY_SIZE: usize = 12;

/// The largest timestamp up to an offset, and that offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// In ms.
    pub timestamp: Timestamp,
    /// Offset of the record that has it.
    pub offset: Offset,
}

/// The time index of one segment. One appender; any number of readers beside it.
#[derive(Debug)]
pub struct TimeIndex {
    entries: EntryFile<ENTRY_SIZE>,
    base: Offset,
}

impl TimeIndex {
    /// The index at `path` of the segment that begins at `base`. Touches no file yet; a missing one is an empty index.
    pub fn new(files: Arc<FileCache>, path: impl Into<PathBuf>, base: Offset) -> TimeIndex {
        TimeIndex {
            entries: EntryFile::new(files, path.into()),
            base,
        }
    }

    /// Adds an entry if `timestamp` is above the last one, and says whether it did. Refused if the offset descends or does
    /// not fit 31 bits.
    pub fn maybe_append(&self, timestamp: Timestamp, offset: Offset) -> IndexResult<bool> {
        let relative = i32::try_from(offset.distance_from(self.base))
            .ok()
            .filter(|&relative| relative >= 0);
        let Some(relative) = relative else {
            return Err(self
                .entries
                .refused(format!("offset {offset}, base {}", self.base)));
        };
        let mut entry = [0; ENTRY_SIZE];
        entry[..8].copy_from_slice(&timestamp.to_be_bytes());
        entry[8..].copy_from_slice(&relative.to_be_bytes());
        self.entries.append(entry, |last| match last.map(parse) {
            // The maximum so far came earlier: nothing new to say, whatever the offset.
            Some((last_timestamp, _)) if timestamp <= last_timestamp => Ok(false),
            Some((_, last_relative)) if relative < last_relative => Err(self.entries.refused(format!(
                "offset {offset} after offset {}",
                self.base.plus(i64::from(last_relative))
            ))),
            _ => Ok(true),
        })
    }

    /// The last entry whose timestamp is at most `target`; everything up to its offset is at most that old. `None` if the
    /// search must begin at the start of the segment.
    pub fn lookup(&self, target: Timestamp) -> IndexResult<Option<TimestampOffset>> {
        let (_, found) = self.entries.search(|entry| parse(entry).0 <= target)?;
        found.map(|entry| self.checked(&entry)).transpose()
    }

    /// How many entries it has.
    pub fn len(&self) -> IndexResult<u64> {
        self.entries.len()
    }

    /// True if it has none.
    pub fn is_empty(&self) -> IndexResult<bool> {
        Ok(self.len()? == 0)
    }

    /// The last entry: the largest timestamp it knows of.
    pub fn last(&self) -> IndexResult<Option<TimestampOffset>> {
        self.entries.last()?.map(|entry| self.checked(&entry)).transpose()
    }

    /// All entries, for tools that compare; errs where they do not ascend.
    pub fn entries(&self) -> IndexResult<Vec<TimestampOffset>> {
        let mut all: Vec<TimestampOffset> = Vec::new();
        self.entries.for_each_from(0, |entry| {
            let entry = self.checked(entry)?;
            if let Some(last) = all.last()
                && (entry.timestamp <= last.timestamp || entry.offset < last.offset)
            {
                return Err(self.entries.corrupt(format!("{entry:?} follows {last:?}")));
            }
            all.push(entry);
            Ok(true)
        })?;
        Ok(all)
    }

    /// Removes the entries at or above `offset`.
    pub fn truncate_to(&self, offset: Offset) -> IndexResult<()> {
        let kept = offset.distance_from(self.base);
        let (count, _) = self.entries.search(|entry| i64::from(parse(entry).1) < kept)?;
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

    /// Writes them and makes the file durable.
    pub fn sync(&self) -> IndexResult<()> {
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

    fn checked(&self, entry: &[u8; ENTRY_SIZE]) -> IndexResult<TimestampOffset> {
        let (timestamp, relative) = parse(entry);
        if relative < 0 {
            return Err(self
                .entries
                .corrupt(format!("relative offset {relative} for timestamp {timestamp}")));
        }
        Ok(TimestampOffset {
            timestamp,
            offset: self.base.plus(i64::from(relative)),
        })
    }
}

fn parse(entry: &[u8; ENTRY_SIZE]) -> (i64, i32) {
    (
        i64::from_be_bytes(field(entry, 0)),
        i32::from_be_bytes(field(entry, 8)),
    )
}
