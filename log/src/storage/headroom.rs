//! Disk space kept in reserve, so that writes are refused with a clear error before the file system is full.
//!
//! A full file system fails in the middle of a write, and a failed write stops the whole directory. Asking the file system costs a
//! system call, so it is asked once per `RECHECK_BYTES` written or `RECHECK_AFTER`; in between what was written is counted as used.
//! Reads and deletes of files never ask. What the log itself has to write to delete a topic or to end a transaction may use the upper half of
//! the reserve, or a full disk would keep out just what frees it; the lower half stays untouched.

use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;

use super::disk::Disk;
use super::storage_error::StorageError;
use crate::clock::Clock;

const RECHECK_BYTES: u64 = 8 << 20;
const RECHECK_AFTER: Duration = Duration::from_secs(1);

/// Who asks for space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Data of clients: stays out of the reserve.
    Data,
    /// Metadata, coordinator records, transaction markers and the node's own topics: may use the upper half of the reserve.
    Upkeep,
}

/// Free space of one log directory, as last seen.
#[derive(Debug)]
pub(super) struct Headroom {
    reserved_bytes: u64,
    seen: Mutex<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Duration,
    free_bytes: u64,
    written_bytes: u64,
}

impl Headroom {
    pub(super) fn new(reserved_bytes: u64) -> Self {
        Self {
            reserved_bytes,
            seen: Mutex::new(None),
        }
    }

    /// Takes `bytes` out of the free space, or refuses if that would touch the part of the reserve which is closed to this need.
    pub(super) fn take(
        &self,
        bytes: u64,
        need: Need,
        dir: &Path,
        disk: &dyn Disk,
        clock: &dyn Clock,
    ) -> Result<(), StorageError> {
        if self.reserved_bytes == 0 {
            return Ok(());
        }
        let now = clock.monotonic();
        let mut seen = self.seen.lock();
        let fresh = seen.filter(|s| {
            let left = s.free_bytes.saturating_sub(s.written_bytes);
            // Close to the reserve the count is too coarse: ask every time.
            s.written_bytes < RECHECK_BYTES
                && now.saturating_sub(s.at) < RECHECK_AFTER
                && left > self.reserved_bytes + 2 * RECHECK_BYTES
        });
        let mut current = match fresh {
            Some(current) => current,
            None => {
                let free_bytes = disk.free_bytes(dir)?;
                Seen {
                    at: now,
                    free_bytes,
                    written_bytes: 0,
                }
            }
        };
        let left = current.free_bytes.saturating_sub(current.written_bytes);
        let floor = match need {
            Need::Data => self.reserved_bytes,
            Need::Upkeep => self.reserved_bytes / 2,
        };
        let enough = left >= floor.saturating_add(bytes);
        if enough {
            current.written_bytes += bytes;
        }
        *seen = Some(current);
        if enough {
            Ok(())
        } else {
            Err(StorageError::DiskFull {
                dir: dir.to_path_buf(),
                free_bytes: left,
                reserved_bytes: self.reserved_bytes,
            })
        }
    }
}
