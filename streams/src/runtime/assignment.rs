//! Which worker runs which task: static and deterministic, so that a restart with the same number of workers gives every task the same
//! transactional id again.
//!
//! Tasks are dealt out in the order (sub-topology, partition), one after another, so that the partitions of one sub-topology spread over the workers.

/// Deals `tasks` (already unique) to `workers` piles. No pile is more than one task larger than another; piles may be empty when there are
/// more workers than tasks.
#[must_use]
pub fn assign<T: Ord>(mut tasks: Vec<T>, workers: usize) -> Vec<Vec<T>> {
    assert!(workers > 0, "an application has at least one worker");
    tasks.sort();
    let mut piles: Vec<Vec<T>> = (0..workers).map(|_| Vec::new()).collect();
    for (index, task) in tasks.into_iter().enumerate() {
        piles[index % workers].push(task);
    }
    piles
}

#[cfg(test)]
#[path = "assignment_test.rs"]
mod assignment_test;
