//! What the tail cache takes: batches of any size stay within its budget, and nothing is left of what went with a whole tail.

use std::sync::Arc;

use bytes::Bytes;

use super::{CachedBatch, ENTRY_BYTES, GONE_FEW, PartitionTail, TailCache};
use crate::types::Offset;

fn batch(base_offset: i64, size: usize) -> CachedBatch {
    CachedBatch {
        base_offset: Offset::new(base_offset),
        next_offset: Offset::new(base_offset + 1),
        bytes: Bytes::from(vec![0; size]),
    }
}

fn cached(tail: &PartitionTail) -> Vec<i64> {
    let held = tail.batches.lock();
    held.iter().map(|batch| batch.base_offset.get()).collect()
}

#[test]
fn small_batches_cost_their_entries_as_well() {
    let budget = 10 * (100 + ENTRY_BYTES);
    let cache = TailCache::new(budget);
    let tail = Arc::new(PartitionTail::default());
    for offset in 0..1_000 {
        cache.push(&tail, [batch(offset, 100)]);
        assert!(cache.used_bytes() <= budget);
    }
    assert_eq!(cached(&tail), (990..1_000).collect::<Vec<_>>());
    cache.clear(&tail);
    assert_eq!(cache.used_bytes(), 0);
}

#[test]
fn the_oldest_batch_of_all_tails_goes_first_also_after_a_tail_was_cleared() {
    let cache = TailCache::new(3 * (100 + ENTRY_BYTES));
    let (one, other) = (
        Arc::new(PartitionTail::default()),
        Arc::new(PartitionTail::default()),
    );
    cache.push(&one, [batch(0, 100), batch(1, 100)]);
    cache.clear(&one);
    cache.push(&other, [batch(0, 100)]);
    cache.push(&one, [batch(2, 100), batch(3, 100), batch(4, 100)]);
    assert_eq!((cached(&other), cached(&one)), (vec![], vec![2, 3, 4]));
}

/// A topic whose records are deleted as soon as they were read is cleared again and again while the budget is never used up.
#[test]
fn a_tail_that_is_cleared_all_the_time_leaves_nothing_behind() {
    let cache = TailCache::new(1 << 20);
    let (kept, purged) = (
        Arc::new(PartitionTail::default()),
        Arc::new(PartitionTail::default()),
    );
    cache.push(&kept, [batch(0, 100)]);
    for offset in 0..100_000 {
        cache.push(&purged, [batch(offset, 100)]);
        cache.clear(&purged);
    }
    assert!(cache.order.lock().len() <= GONE_FEW + 10);
    assert_eq!(cached(&kept), [0]);
}
