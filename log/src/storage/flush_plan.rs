//! How one flush cycle makes its bytes durable: sync the segments themselves, or one append to the shared journal. Pure.
//!
//! Syncing costs per file, the journal costs per byte. The constants come from measurements on ext4 with eight threads
//! (16 × 64 KiB: 1.6 ms, 64 × 16 KiB: 4.0 ms, 256 × 4 KiB: 16 ms against 0.6 ms for one journal of 1 MiB); only their ratio matters.

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

/// Fixed cost of one sync, in nanoseconds.
const SYNC_FIXED_NS: u64 = 200_000;
/// Cost of each further file when eight are synced at a time.
const SYNC_FILE_NS: u64 = 65_000;
/// Cost of one journal append and sync.
const JOURNAL_FIXED_NS: u64 = 400_000;
/// Nanoseconds per byte to the medium, at 0.67 GB/s.
const BYTE_PS: u64 = 1_500;
/// Above this a batch of bytes never goes through the journal: it would be written twice for nothing.
const JOURNAL_BYTES_MAX: u64 = 32 << 20;

/// Picks the cheaper way.
pub fn choose(dirty: &DirtySummary) -> FlushPlan {
    if !dirty.in_memory || dirty.bytes > dirty.journal_room || dirty.bytes > JOURNAL_BYTES_MAX {
        return FlushPlan::SyncSegments;
    }
    let sync = SYNC_FIXED_NS
        + (dirty.files + dirty.directories) as u64 * SYNC_FILE_NS
        + dirty.bytes * BYTE_PS / 1000;
    // Twice the bytes: once in the journal, once in the segments later.
    let journal = JOURNAL_FIXED_NS + 2 * dirty.bytes * BYTE_PS / 1000;
    if journal < sync {
        FlushPlan::Journal
    } else {
        FlushPlan::SyncSegments
    }
}
