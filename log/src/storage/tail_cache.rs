//! The newest batches of every partition, in memory, within one byte budget for the node.
//!
//! Always: what a partition's tail holds is a gapless run that ends at its written end; the oldest batch of the whole node goes first.
//! Batches are the very `Bytes` that were written, shared, never copied. Readers bound what they take by the published ends.
//! A batch costs its bytes and [`ENTRY_BYTES`]: many small ones, of transactions of a few records, take no more memory than few large ones.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::types::Offset;

/// What keeping a batch takes beside its bytes: its places in the two queues, which grow by doubling, and the allocation it lives in.
pub(super) const ENTRY_BYTES: usize = 160;

/// So many entries of batches that are gone are not worth looking for.
const GONE_FEW: usize = 1_024;

/// One whole batch.
#[derive(Clone, Debug)]
pub(super) struct CachedBatch {
    pub(super) base_offset: Offset,
    pub(super) next_offset: Offset,
    pub(super) bytes: Bytes,
}

impl CachedBatch {
    fn cost_bytes(&self) -> usize {
        self.bytes.len() + ENTRY_BYTES
    }
}

/// The tail of one partition; empty while idle.
#[derive(Debug, Default)]
pub(super) struct PartitionTail {
    batches: Mutex<VecDeque<CachedBatch>>,
}

/// The budget all tails share.
#[derive(Debug)]
pub(super) struct TailCache {
    budget_bytes: usize,
    used_bytes: AtomicUsize,
    batches: AtomicUsize,
    /// One entry per cached batch, oldest first, and some of batches that went with a whole tail: never more than there are of the others, but for a few.
    order: Mutex<VecDeque<Entry>>,
}

/// A batch and whose it is.
#[derive(Debug)]
struct Entry {
    tail: Weak<PartitionTail>,
    base_offset: Offset,
}

impl Entry {
    /// Takes its batch out, if that is still cached.
    fn take(&self) -> Option<CachedBatch> {
        let tail = self.tail.upgrade()?;
        let mut held = tail.batches.lock();
        held.pop_front_if(|first| first.base_offset == self.base_offset)
    }

    /// Whether its batch is still cached: a tail loses its oldest batches first.
    fn is_cached(&self) -> bool {
        let Some(tail) = self.tail.upgrade() else {
            return false;
        };
        let held = tail.batches.lock();
        held.front()
            .is_some_and(|first| first.base_offset <= self.base_offset)
    }
}

impl TailCache {
    /// A cache of `budget_bytes`; 0 caches nothing.
    pub(super) fn new(budget_bytes: usize) -> Self {
        Self {
            budget_bytes,
            used_bytes: AtomicUsize::new(0),
            batches: AtomicUsize::new(0),
            order: Mutex::new(VecDeque::new()),
        }
    }

    /// Bytes taken now.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Adds batches that were just written at the end of `tail`'s partition, then evicts down to the budget.
    pub(super) fn push(&self, tail: &Arc<PartitionTail>, batches: impl IntoIterator<Item = CachedBatch>) {
        if self.budget_bytes == 0 {
            return;
        }
        let mut added = 0;
        // Locked first, so that the batches of one tail stand here in the order they stand there.
        let mut order = self.order.lock();
        let before = order.len();
        {
            let mut held = tail.batches.lock();
            for batch in batches {
                debug_assert!(
                    held.back()
                        .is_none_or(|last| last.next_offset <= batch.base_offset)
                );
                added += batch.cost_bytes();
                order.push_back(Entry {
                    tail: Arc::downgrade(tail),
                    base_offset: batch.base_offset,
                });
                held.push_back(batch);
            }
        }
        let count = order.len() - before;
        let cached = self.batches.fetch_add(count, Ordering::Relaxed) + count;
        let mut used = self.used_bytes.fetch_add(added, Ordering::Relaxed) + added;
        while used > self.budget_bytes {
            let Some(oldest) = order.pop_front() else { break };
            if let Some(batch) = oldest.take() {
                let freed = batch.cost_bytes();
                self.batches.fetch_sub(1, Ordering::Relaxed);
                used = self.used_bytes.fetch_sub(freed, Ordering::Relaxed) - freed;
            }
        }
        if order.len() > 2 * cached + GONE_FEW {
            order.retain(Entry::is_cached);
        }
    }

    /// Forgets a partition's tail: it was deleted, or its log start passed the tail.
    pub(super) fn clear(&self, tail: &PartitionTail) {
        let mut held = tail.batches.lock();
        self.batches.fetch_sub(held.len(), Ordering::Relaxed);
        let bytes: usize = held.drain(..).map(|batch| batch.cost_bytes()).sum();
        held.shrink_to_fit();
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl PartitionTail {
    /// Whole batches from the one that holds `from` up to `limit` (exclusive) and about `max_bytes` (the first always);
    /// `None` if `from` is older than the tail.
    pub(super) fn read(&self, from: Offset, limit: Offset, max_bytes: usize) -> Option<Vec<Bytes>> {
        let held = self.batches.lock();
        let first = held.front()?;
        if from < first.base_offset {
            return None;
        }
        let start = held.partition_point(|b| b.next_offset <= from);
        if start == held.len() {
            return None;
        }
        let mut taken = Vec::new();
        let mut size = 0;
        for batch in held.range(start..) {
            if batch.next_offset > limit || (size > 0 && size + batch.bytes.len() > max_bytes) {
                break;
            }
            size += batch.bytes.len();
            taken.push(batch.bytes.clone());
        }
        Some(taken)
    }
}

#[cfg(test)]
#[path = "tail_cache_test.rs"]
mod tail_cache_test;
