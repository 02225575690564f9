//! The deal is even and does not depend on the order of the input.

use super::assign;

#[test]
fn deals_evenly_and_in_a_fixed_order() {
    let tasks = vec![(1, 1), (0, 2), (0, 0), (1, 0), (0, 1)];
    let mut shuffled = tasks.clone();
    shuffled.reverse();
    let piles = assign(tasks, 2);
    assert_eq!(piles, assign(shuffled, 2));
    assert_eq!(piles, [vec![(0, 0), (0, 2), (1, 1)], vec![(0, 1), (1, 0)]]);
}

#[test]
fn more_workers_than_tasks_leaves_piles_empty() {
    assert_eq!(assign(vec![7], 3), [vec![7], vec![], vec![]]);
}
