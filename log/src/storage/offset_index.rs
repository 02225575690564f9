//! `.index`: where in a segment a batch begins. Entries of 8 bytes: offset relative to the segment's base i32, position i32.
//!
//! Always true: both columns ascend strictly; an entry stands for the batch that *contains* its offset as last or first one
//! and begins at its position. Entries are hints a few KiB apart: a reader goes on from there batch by batch, and a
//! position beyond the log is a reason to rebuild, not to trust.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file_cache::FileCache;
use super::index_file::{EntryFile, IndexResult, field};
use crate::types::Offset;

const ENTRY_SIZE: usize = 8;

/// An offset and where its batch begins in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetPosition {
    /// The offset of the entry.
    pub offset: Offset,
    /// Byte position in the log file.
    pub position: u32,
}

/// The offset index of one segment. One appender; any number of readers beside it.
#[derive(Debug)]
pub struct OffsetIndex {
    entries: EntryFile<ENTRY_SIZE>,
    base: Offset,
}

impl OffsetIndex {
    /// The index at `path` of the segment that begins at `base`. Touches no file yet; a missing one is an empty index.
    pub fn new(files: Arc<FileCache>, path: impl Into<PathBuf>, base: Offset) -> OffsetIndex {
        OffsetIndex {
            entries: EntryFile::new(files, path.into()),
            base,
        }
    }

    /// Adds an entry. Refused if offset or position do not ascend or do not fit 31 bits.
    pub fn append(&self, offset: Offset, position: u32) -> IndexResult<()> {
        let relative = i32::try_from(offset.distance_from(self.base))
            .ok()
            .filter(|&relative| relative >= 0);
        let (Some(relative), Ok(position)) = (relative, i32::try_from(position)) else {
            return Err(self
                .entries
                .refused(format!("offset {offset} at {position}, base {}", self.base)));
        };
        let mut entry = [0; ENTRY_SIZE];
        entry[..4].copy_from_slice(&relative.to_be_bytes());
        entry[4..].copy_from_slice(&position.to_be_bytes());
        self.entries.append(entry, |last| match last.map(parse) {
            Some((last_relative, last_position))
                if relative <= last_relative || position <= last_position =>
            {
                Err(self.entries.refused(format!(
                    "offset {offset} at {position} after offset {} at {last_position}",
                    self.base.plus(i64::from(last_relative))
                )))
            }
            _ => Ok(true),
        })?;
        Ok(())
    }

    /// The last entry at or below `target`; the start of the segment if there is none.
    pub fn lookup(&self, target: Offset) -> IndexResult<OffsetPosition> {
        let wanted = target.distance_from(self.base);
        let (_, found) = self.entries.search(|entry| i64::from(parse(entry).0) <= wanted)?;
        match found {
            None => Ok(OffsetPosition {
                offset: self.base,
                position: 0,
            }),
            Some(entry) => self.checked(&entry),
        }
    }

    /// How many entries it has.
    pub fn len(&self) -> IndexResult<u64> {
        self.entries.len()
    }

    /// True if it has none.
    pub fn is_empty(&self) -> IndexResult<bool> {
        Ok(self.len()? == 0)
    }

    /// The last entry.
    pub fn last(&self) -> IndexResult<Option<OffsetPosition>> {
        self.entries.last()?.map(|entry| self.checked(&entry)).transpose()
    }

    /// All entries, for tools that compare; errs where they do not ascend.
    pub fn entries(&self) -> IndexResult<Vec<OffsetPosition>> {
        let mut all: Vec<OffsetPosition> = Vec::new();
        self.entries.for_each_from(0, |entry| {
            let entry = self.checked(entry)?;
            if let Some(last) = all.last()
                && (entry.offset <= last.offset || entry.position <= last.position)
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
        let (count, _) = self.entries.search(|entry| i64::from(parse(entry).0) < kept)?;
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

    fn checked(&self, entry: &[u8; ENTRY_SIZE]) -> IndexResult<OffsetPosition> {
        let (relative, position) = parse(entry);
        if relative < 0 || position < 0 {
            return Err(self
                .entries
                .corrupt(format!("relative offset {relative} at {position}")));
        }
        Ok(OffsetPosition {
            offset: self.base.plus(i64::from(relative)),
            position: position as u32,
        })
    }
}

fn parse(entry: &[u8; ENTRY_SIZE]) -> (i32, i32) {
    (
        i32::from_be_bytes(field(entry, 0)),
        i32::from_be_bytes(field(entry, 4)),
    )
}
