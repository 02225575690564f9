//! Where each leader epoch began in a partition: what `leader-epoch-checkpoint` holds, in memory.
//!
//! Always true: epochs and start offsets both ascend strictly from entry to entry. Pure: changes happen in memory, the
//! caller writes [`EpochCache::entries`] with `checkpoint::write_epochs`. An *assignment* must be durable before records
//! of that epoch are acknowledged: without it a follower could later truncate by the wrong epoch. A *truncation* may be
//! written late: recovery removes entries beyond the log's end again.
//!
//! Source: KIP-101, KIP-279.

use thiserror::Error;

use crate::types::{LeaderEpoch, Offset};

/// The first offset a leader epoch wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Offset of its first record.
    pub start_offset: Offset,
}

/// Entries that cannot be the history of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("leader epoch {epoch} from offset {start_offset} cannot follow what stands before it", epoch = .0.epoch, start_offset = .0.start_offset)]
pub struct EpochOrderError(pub EpochEntry);

/// The leader epochs of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochCache {
    entries: Vec<EpochEntry>,
}

impl EpochCache {
    /// A partition without records.
    pub fn new() -> EpochCache {
        EpochCache::default()
    }

    /// As read from the checkpoint; refused if epochs or offsets do not ascend or are negative.
    pub fn from_entries(entries: Vec<EpochEntry>) -> Result<EpochCache, EpochOrderError> {
        let mut previous: Option<EpochEntry> = None;
        for &entry in &entries {
            let follows =
                previous.is_none_or(|p| entry.epoch > p.epoch && entry.start_offset > p.start_offset);
            if !follows || entry.epoch < LeaderEpoch::ZERO || entry.start_offset < Offset::ZERO {
                return Err(EpochOrderError(entry));
            }
            previous = Some(entry);
        }
        Ok(EpochCache { entries })
    }

    /// The entries in ascending order.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The newest epoch.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// Notes that `epoch` begins at `start_offset`; true if that is news (then it must be made durable). An epoch that is
    /// already the latest changes nothing. Entries that conflict, of a newer epoch or a later start, are dropped: they
    /// describe records that a newer leader replaced.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch < LeaderEpoch::ZERO || start_offset < Offset::ZERO || self.latest() == Some(epoch) {
            return false;
        }
        self.entries
            .retain(|entry| entry.epoch < epoch && entry.start_offset < start_offset);
        self.entries.push(EpochEntry { epoch, start_offset });
        true
    }

    /// The epoch that wrote the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        after.checked_sub(1).map(|index| self.entries[index].epoch)
    }

    /// The largest epoch at or below `epoch` that has records, and where it ended (exclusive): the answer to
    /// OffsetsForLeaderEpoch. `None` if the epoch is newer than all we know. One older than all we know is said to end where
    /// the oldest known one begins, as in Kafka: a follower that has it must drop everything from there on.
    pub fn end_offset_for(
        &self,
        epoch: LeaderEpoch,
        log_end_offset: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        let latest = self.latest()?;
        if epoch == latest {
            return Some((epoch, log_end_offset));
        }
        if epoch > latest || epoch < LeaderEpoch::ZERO {
            return None;
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let floor = above
            .checked_sub(1)
            .map_or(epoch, |floor| self.entries[floor].epoch);
        Some((floor, self.entries[above].start_offset))
    }

    /// Forgets epochs that began at or above `end`, the log's new end; true if any did.
    pub fn truncate_from_end(&mut self, end: Offset) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.start_offset < end);
        self.entries.len() != before
    }

    /// Forgets epochs that ended below `start`, the log's new start; the one that covers `start` now begins there. True if
    /// anything changed.
    pub fn truncate_from_start(&mut self, start: Offset) -> bool {
        let covering = self.entries.partition_point(|entry| entry.start_offset <= start);
        let Some(index) = covering.checked_sub(1) else {
            return false;
        };
        if index == 0 && self.entries[0].start_offset == start {
            return false;
        }
        self.entries.drain(..index);
        self.entries[0].start_offset = start;
        true
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
#[path = "epoch_cache_test.rs"]
mod epoch_cache_test;
