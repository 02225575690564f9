//! Replay of a changelog into state.
//!
//! Replayed records are committed, so they go into the committed layer and from there to the host by the same road as
//! commits: sorted, coalesced, each batch with the offset it reaches. A kill in the middle (kill point K20) finds the
//! offset of the last flushed batch and goes on from there; memory stays inside the task's budget however long the
//! changelog is. Records carry full values, so replaying some of them twice changes nothing (I6).

use millpond_log::faults::Sabotage;
use millpond_log::types::Offset;

use super::store_batch::RUN_LEN;
use super::tables::RECORD_WRAPPING;
use super::{CommitPosition, StateError, StoreIndex, TaskState};

impl TaskState {
    /// The changelog offset replay of `store` starts at.
    pub fn restore_start(&self, store: StoreIndex) -> Offset {
        let known = self
            .shared
            .tables
            .read()
            .committed
            .position
            .changelog_offset(store);
        let start = known.unwrap_or(Offset::ZERO);
        match self.faults.sabotaged(Sabotage::RestoreFromWrongOffset) {
            true => start.plus(10),
            false => start,
        }
    }

    /// Replays records of `store`'s changelog, in their order; the last value of a key wins. `next_offset` is where the
    /// changelog goes on behind them, also when there were none (control records take offsets, too).
    ///
    /// Hand over a fetched batch at a time: memory is checked between calls.
    ///
    /// # Panics
    /// When a transaction is open or frozen: replay comes first.
    pub fn restore<'r>(
        &mut self,
        store: StoreIndex,
        records: impl IntoIterator<Item = (&'r [u8], Option<&'r [u8]>)>,
        next_offset: Offset,
    ) -> Result<(), StateError> {
        assert!(
            !self.is_frozen() && !self.has_uncommitted(),
            "task {} restores while it works",
            self.task()
        );
        let mut bytes = 0;
        let wrapping;
        {
            let mut tables = self.shared.tables.write();
            let table = tables.store_mut(store);
            let before = self.counters.restored_records;
            let (mut hashes, mut places) = (Vec::new(), Vec::new());
            let no_deletions = self.faults.sabotaged(Sabotage::RestoreWithoutDeletions);
            let mut records = records
                .into_iter()
                .filter(|(_, value)| !(no_deletions && value.is_none()));
            let mut run: Vec<(&[u8], Option<&[u8]>)> = Vec::new();
            loop {
                run.clear();
                run.extend(records.by_ref().take(RUN_LEN));
                if run.is_empty() {
                    break;
                }
                table.find_or_add_all(run.iter().map(|(key, _)| *key), &mut hashes, &mut places);
                for ((key, value), place) in run.iter().zip(&places) {
                    table.table_mut(*place).restore(place.id, *value);
                    bytes += key.len() + value.map_or(0, <[u8]>::len);
                }
                self.counters.restored_records += run.len() as u64;
            }
            self.counters.restored_bytes += bytes as u64;
            wrapping = (self.counters.restored_records - before) as usize * RECORD_WRAPPING;
            tables.committed.position.advance_changelog(store, next_offset);
        }
        self.apply.on_commit(bytes + wrapping);
        self.faults.point("K20");
        self.apply_when_full()
    }

    /// Replay is done and was checked: `position` is what the task's state reflects now (inputs, stream time, …).
    pub fn finish_restore(&mut self, position: CommitPosition) {
        self.shared.tables.write().committed.position.advance(position);
        self.apply.on_commit(0);
    }

    fn apply_when_full(&mut self) -> Result<(), StateError> {
        let is_full = {
            let tables = self.shared.tables.read();
            self.is_full() || tables.sum(|table| table.size_bytes()) > self.limits.memory_bytes_max
        };
        if is_full {
            self.apply_all()?;
            self.keep_inside_budget();
            self.flush_if_large()?;
        }
        Ok(())
    }
}
