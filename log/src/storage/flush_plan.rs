//! How one flush cycle makes its bytes durable: sync the segments themselves, or one append to the shared journal. Pure.
//!
//! Syncing costs per file, the journal costs per byte. The constants come from measurements on ext4, where a sync of a file that has grown waits
//! for the file system's own journal, and 64 such files synced eight at a time take 7 to 10 ms on a busy disk; one frame of the same 4 MiB takes 2 to
//! 6 ms. Only their ratio matters.

/// What a cycle has to make durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirtySummary {
    /// Segment files with unsynced bytes.
    pub files: usize,
    /// Unsynced bytes in them.
    pub bytes: u64,
    /// Directories that gained or lost a name.
    pub directories: usize,
    /// Every unsynced byte is still in memory, so that it can be journalled.
    pub in_memory: bool,
    /// Bytes the journal can take now; 0 if it is off or waits for its checkpoint.
    pub journal_room: u64,
}

/// What the cycle does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushPlan {
    /// Sync the segments (and directories), several at a time.
    SyncSegments,
    /// Append to the journal and sync that; segments catch up in the background.
    Journal,
}

/// Cost of the sync of one file that has grown, in nanoseconds, without that of its bytes: they go to the medium either way.
const SYNC_FIXED_NS: u64 = 200_000;
/// Cost of each further file when several are synced at a time.
const SYNC_FILE_NS: u64 = 150_000;
/// Cost of one journal append and sync.
const JOURNAL_FIXED_NS: u64 = 250_000;
/// What it costs to write a byte a second time later, in picoseconds: about a quarter of what the disk needs for it. The segments catch up when
/// many cycles have gone into each of them, and when they fall behind, the journal has no room and the segments are synced at once.
const BYTE_AGAIN_PS: u64 = 400;
/// Above this a batch of bytes never goes through the journal: it would be written twice for nothing.
const JOURNAL_BYTES_MAX: u64 = 32 << 20;

/// Picks the cheaper way.
pub fn choose(dirty: &DirtySummary) -> FlushPlan {
    if !dirty.in_memory || dirty.bytes > dirty.journal_room || dirty.bytes > JOURNAL_BYTES_MAX {
        return FlushPlan::SyncSegments;
    }
    let names = (dirty.files + dirty.directories) as u64;
    let sync = SYNC_FIXED_NS + names.saturating_sub(1) * SYNC_FILE_NS;
    let journal = JOURNAL_FIXED_NS + dirty.bytes * BYTE_AGAIN_PS / 1000;
    if journal < sync {
        FlushPlan::Journal
    } else {
        FlushPlan::SyncSegments
    }
}
