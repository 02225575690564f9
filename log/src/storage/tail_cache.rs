//! The newest batches of every partition, in memory, within one byte budget for the node.
//!
//! Always: what a partition's tail holds is a gapless run that ends at its written end; the oldest batch of the whole node goes first.
//! Batches are the very `Bytes` that were written, shared, never copied. Readers bound what they take by the published ends.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::types::Offset;

/// One whole batch.
#[derive(Clone, Debug)]
pub(super) struct CachedBatch {
    pub(super) base_offset: Offset,
    pub(super) next_offset: Offset,
    pub(super) bytes: Bytes,
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
    /// One entry per cached batch, oldest first.
    order: Mutex<VecDeque<Weak<PartitionTail>>>,
}

impl TailCache {
    /// A cache of `budget_bytes`; 0 caches nothing.
    pub(super) fn new(budget_bytes: usize) -> Self {
        Self {
            budget_bytes,
            used_bytes: AtomicUsize::new(0),
            order: Mutex::new(VecDeque::new()),
        }
    }

    /// Bytes held now.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Adds batches that were just written at the end of `tail`'s partition, then evicts down to the budget.
    pub(super) fn push(&self, tail: &Arc<PartitionTail>, batches: impl IntoIterator<Item = CachedBatch>) {
        if self.budget_bytes == 0 {
            return;
        }
        let mut added = 0;
        let mut count = 0;
        {
            let mut held = tail.batches.lock();
            for batch in batches {
                debug_assert!(
                    held.back()
                        .is_none_or(|last| last.next_offset <= batch.base_offset)
                );
                added += batch.bytes.len();
                count += 1;
                held.push_back(batch);
            }
        }
        let mut used = self.used_bytes.fetch_add(added, Ordering::Relaxed) + added;
        let mut order = self.order.lock();
        order.extend((0..count).map(|_| Arc::downgrade(tail)));
        while used > self.budget_bytes {
            let Some(oldest) = order.pop_front() else { break };
            let Some(oldest) = oldest.upgrade() else { continue };
            let evicted = oldest.batches.lock().pop_front();
            if let Some(batch) = evicted {
                used = self.used_bytes.fetch_sub(batch.bytes.len(), Ordering::Relaxed) - batch.bytes.len();
            }
        }
    }

    /// Forgets a partition's tail: it was deleted, or its log start passed the tail.
    pub(super) fn clear(&self, tail: &PartitionTail) {
        let mut held = tail.batches.lock();
        let bytes: usize = held.drain(..).map(|b| b.bytes.len()).sum();
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
