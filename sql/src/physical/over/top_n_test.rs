//! The walk beside lists that are made whole, for drawn weights and changes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Bounds, Walk};

/// (row, number) to how often it is shown.
fn shown(weights: &[i64], bounds: Bounds, numbered: bool) -> BTreeMap<(usize, u64), i64> {
    let copies = weights
        .iter()
        .enumerate()
        .flat_map(|(row, weight)| std::iter::repeat_n(row, usize::try_from(*weight).unwrap_or(0)));
    let mut shown = BTreeMap::new();
    for (row, number) in copies.zip(1..) {
        if (bounds.first..=bounds.last).contains(&number) {
            *shown.entry((row, if numbered { number } else { 0 })).or_default() += 1;
        }
    }
    shown
}

proptest! {
    #[test]
    fn a_walk_turns_what_was_shown_into_what_is(
        rows in prop::collection::vec((-2..4_i64, -3..4_i64), 0..10),
        first in 1..5_u64,
        length in 0..6_u64,
        numbered: bool,
    ) {
        let bounds = Bounds { first, last: first + length - 1 };
        let before: Vec<i64> = rows.iter().map(|(weight, _)| *weight).collect();
        let after: Vec<i64> = rows.iter().map(|(weight, change)| weight + change).collect();
        let mut relation = shown(&before, bounds, numbered);
        let mut walk = Walk::new(bounds, numbered);
        for (row, (weight, change)) in rows.iter().enumerate() {
            if walk.is_done() {
                break;
            }
            walk.step(*weight, *change, |change| {
                *relation.entry((row, change.number)).or_default() += change.weight;
            });
        }
        relation.retain(|_, weight| *weight != 0);
        prop_assert_eq!(relation, shown(&after, bounds, numbered));
    }
}
