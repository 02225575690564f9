//! The way from the committed layer to the host: rarely, in large sorted steps, each with its position.
//!
//! Why not at every commit: with a million keys that cost four fifths of the time (`reference/performance.md`). What a
//! commit needs is the changelog; the host may lag, and a replay makes up for it. The lag is bounded by bytes and by
//! time, and so is what a crash of the machine may take from the host's unflushed buffers (I8).
//!
//! The lag is counted in bytes of changelog, not of what the host gets: a key that changes with every commit is one
//! entry for the host, but a replay reads each of its changes, and what the log wraps around it.
//!
//! Always true: what was committed and is not surely on disk, the transaction being committed included, is at most
//! [`StateLimits::flush_bytes`](super::StateLimits) or that transaction alone, whichever is more. At half of it a flush
//! begins beside the work; a commit that would go beyond waits for one ([`TaskState::make_room`]).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::host::StoreHost;
use super::store_table::StoreTable;
use super::{CommitPosition, StateError, StoreIndex, TaskState};

/// How far the host is.
#[derive(Debug)]
pub(super) struct ApplyState {
    /// Position of the last batch.
    stored: CommitPosition,
    /// What the last flush has made durable.
    durable: Arc<Mutex<Durable>>,
    /// Bytes of all commits since the state was opened.
    committed_bytes: u64,
    /// There are commits since the last batch, maybe without changes of state.
    is_behind: bool,
    /// Bytes of all changes of these commits.
    behind_bytes: usize,
    behind_since: Option<Duration>,
    /// There were batches since the last flush.
    is_unflushed: bool,
    /// Bytes of all changes that these batches brought up to date.
    unflushed_bytes: usize,
    unflushed_since: Option<Duration>,
}

/// What a crash cannot take.
#[derive(Debug)]
struct Durable {
    position: CommitPosition,
    /// Of [`ApplyState::committed_bytes`].
    bytes: u64,
}

impl ApplyState {
    pub(super) fn new(stored: CommitPosition) -> Self {
        Self {
            durable: Arc::new(Mutex::new(Durable {
                position: stored.clone(),
                bytes: 0,
            })),
            stored,
            committed_bytes: 0,
            is_behind: false,
            behind_bytes: 0,
            behind_since: None,
            is_unflushed: false,
            unflushed_bytes: 0,
            unflushed_since: None,
        }
    }

    /// A transaction with so many bytes of changes was committed.
    pub(super) fn on_commit(&mut self, bytes: usize) {
        self.is_behind = true;
        self.behind_bytes += bytes;
        self.committed_bytes += bytes as u64;
    }

    /// Bytes that a replay would read after a crash now.
    pub(super) fn lag_bytes(&self) -> usize {
        (self.committed_bytes - self.durable.lock().bytes) as usize
    }

    /// Bytes that no flush has been asked for yet.
    fn unclaimed_bytes(&self) -> usize {
        self.behind_bytes + self.unflushed_bytes
    }

    /// Bytes of committed changes that the host has not got.
    pub(super) fn behind_bytes(&self) -> usize {
        self.behind_bytes
    }
}

/// A flush that is due. Run it where blocking is allowed; the task goes on meanwhile.
#[derive(Debug)]
pub struct FlushJob {
    host: Arc<dyn StoreHost>,
    reached: Durable,
    durable: Arc<Mutex<Durable>>,
}

impl FlushJob {
    /// Makes what was written durable and publishes its position. Blocks for as long as the disk takes.
    pub fn run(self) -> Result<(), StateError> {
        // The host may have more by now; what is published is what it surely had.
        self.host.flush()?;
        let mut durable = self.durable.lock();
        // A commit that had to wait may have flushed more meanwhile.
        if self.reached.bytes >= durable.bytes {
            *durable = self.reached;
        }
        Ok(())
    }
}

impl TaskState {
    /// What the host holds now, flushed or not.
    pub fn stored_position(&self) -> &CommitPosition {
        &self.apply.stored
    }

    /// What the host holds after a crash of the process at the worst moment: the position of the last flush that ended.
    /// Its changelog offsets are the retention lease (I9).
    pub fn durable_position(&self) -> CommitPosition {
        self.apply.durable.lock().position.clone()
    }

    /// Writes committed changes to the host when there are many or they are old, forgets cached entries when memory is
    /// full, and flushes the host when that is due. Call it after every commit and now and then when idle; `now` is
    /// monotonic.
    pub fn maybe_apply(&mut self, now: Duration) -> Result<(), StateError> {
        match self.maybe_apply_deferring_flush(now)? {
            Some(flush) => flush.run(),
            None => Ok(()),
        }
    }

    /// Like [`maybe_apply`](Self::maybe_apply), but hands the flush back for the caller to run elsewhere. A next one
    /// may come before it ran; running them in order is enough.
    pub fn maybe_apply_deferring_flush(&mut self, now: Duration) -> Result<Option<FlushJob>, StateError> {
        if self.apply.is_behind {
            let since = *self.apply.behind_since.get_or_insert(now);
            let is_old = now.saturating_sub(since) >= self.limits.apply_interval;
            let is_far_behind =
                self.apply.behind_bytes >= self.limits.apply_bytes || self.is_flush_worth_while();
            let memory_bytes = self.shared.tables.read().sum(|table| table.size_bytes());
            if is_old || is_far_behind || memory_bytes > self.limits.memory_bytes_max {
                self.apply_all()?;
                self.keep_inside_budget();
            }
        }
        Ok(self.flush_due(now))
    }

    /// Before the frozen transaction is committed: flushes what was committed before it, when both together are more than
    /// [`StateLimits::flush_bytes`](super::StateLimits). Blocks for as long as the disk takes.
    ///
    /// No-op when nothing is frozen.
    pub fn make_room(&mut self) -> Result<(), StateError> {
        let frozen_bytes = match self.is_frozen() {
            true => self.shared.tables.read().frozen_changelog_bytes(),
            false => return Ok(()),
        };
        let lag_bytes = self.apply.lag_bytes();
        if lag_bytes == 0 || lag_bytes + frozen_bytes <= self.limits.flush_bytes {
            return Ok(());
        }
        self.flush()
    }

    /// Half of the lag that is allowed has come together since the last flush was asked for: while it runs, there is room
    /// for the other half.
    fn is_flush_worth_while(&self) -> bool {
        self.apply.unclaimed_bytes() >= self.limits.flush_bytes.div_ceil(2)
    }

    /// Writes all committed changes to the host: one atomic batch with the position they reflect.
    ///
    /// No-op when the host has everything. The open and the frozen transaction are not touched.
    pub fn apply_all(&mut self) -> Result<(), StateError> {
        if !self.apply.is_behind {
            return Ok(());
        }
        let (position, bounds) = self.write_batch()?;
        {
            let mut tables = self.shared.tables.write();
            for (store, written) in tables.stores.iter_mut().zip(bounds) {
                store.mark_applied(written);
            }
        }
        self.apply.stored = position;
        self.apply.is_behind = false;
        self.apply.behind_since = None;
        self.apply.is_unflushed = true;
        self.apply.unflushed_bytes += std::mem::take(&mut self.apply.behind_bytes);
        Ok(())
    }

    /// Applies and flushes everything committed: before a task is closed or moved.
    pub fn flush(&mut self) -> Result<(), StateError> {
        self.apply_all()?;
        self.flush_job().run()
    }

    /// Applies and flushes everything committed, and lets go of the directory. Uncommitted writes are dropped.
    ///
    /// A query that is running keeps the directory until it ends.
    pub fn close(mut self) -> Result<(), StateError> {
        self.abort_all();
        self.flush()
    }

    fn write_batch(&mut self) -> Result<(CommitPosition, Vec<Bounds>), StateError> {
        let tables = self.shared.tables.read();
        let encoded = tables.committed.encode(&self.shared.specs);
        let mut bounds: Vec<Bounds> = Vec::new();
        let bytes = self.shared.host.write(
            &mut |batch| {
                bounds.clear();
                for (index, store) in tables.stores.iter().enumerate() {
                    let index = StoreIndex::new(index as u32);
                    let mut written: Bounds = None;
                    // Ranges first: every entry below was written after the range deletes that cover it.
                    for range in store.unapplied_ranges() {
                        if let Some(to) = &range.to {
                            batch.delete_range(index, &range.from, to);
                        }
                    }
                    for (key, value) in store.tables().flat_map(|table| table.unapplied_changes()) {
                        match value {
                            Some(value) => {
                                batch.put(index, key, value);
                                extend(&mut written, key);
                            }
                            None if store.host_lacks(key) => {}
                            None => batch.delete(index, key),
                        }
                    }
                    bounds.push(written);
                }
            },
            &encoded,
        )?;
        self.counters.applied_bytes += bytes as u64;
        self.counters.applied_batches += 1;
        Ok((tables.committed.position.clone(), bounds))
    }

    /// Drops cached entries until memory is inside its budget: first those not used since the last time, then all.
    pub(super) fn keep_inside_budget(&mut self) {
        let mut tables = self.shared.tables.write();
        tables.stores.iter_mut().for_each(StoreTable::collect_garbage);
        // Half, so that the next commits have room and this does not run at each of them.
        let aim = self.limits.memory_bytes_max / 2;
        for keep_touched in [true, false] {
            let memory_bytes = tables.sum(|table| table.size_bytes());
            if memory_bytes <= self.limits.memory_bytes_max && (keep_touched || memory_bytes <= aim) {
                break;
            }
            tables
                .stores
                .iter_mut()
                .for_each(|store| store.evict(keep_touched));
            self.counters.evictions += 1;
        }
    }

    fn flush_due(&mut self, now: Duration) -> Option<FlushJob> {
        if !self.apply.is_unflushed {
            return None;
        }
        let since = *self.apply.unflushed_since.get_or_insert(now);
        let is_due = self.is_flush_worth_while() || now.saturating_sub(since) >= self.limits.flush_interval;
        is_due.then(|| self.flush_job())
    }

    /// Whether a replay has brought so much that the host should have it.
    pub(super) fn is_full(&self) -> bool {
        self.apply.behind_bytes >= self.limits.apply_bytes || self.is_flush_worth_while()
    }

    /// Flushes what a replay has written when it is much, whatever the time.
    pub(super) fn flush_if_large(&mut self) -> Result<(), StateError> {
        if !self.is_flush_worth_while() {
            return Ok(());
        }
        self.flush_job().run()
    }

    fn flush_job(&mut self) -> FlushJob {
        self.apply.is_unflushed = false;
        self.apply.unflushed_bytes = 0;
        self.apply.unflushed_since = None;
        self.counters.flushes += 1;
        FlushJob {
            host: Arc::clone(&self.shared.host),
            reached: Durable {
                position: self.apply.stored.clone(),
                bytes: self.apply.committed_bytes - self.apply.behind_bytes as u64,
            },
            durable: Arc::clone(&self.apply.durable),
        }
    }
}

/// Smallest and largest key put into a store by one batch.
type Bounds = Option<(Vec<u8>, Vec<u8>)>;

/// `key` is not smaller than those before: entries come in key order.
fn extend(bounds: &mut Bounds, key: &[u8]) {
    match bounds {
        None => *bounds = Some((key.to_vec(), key.to_vec())),
        Some((_, last)) => {
            last.clear();
            last.extend_from_slice(key);
        }
    }
}
