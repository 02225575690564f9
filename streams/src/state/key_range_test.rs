//! Ranges hold what they say; sets of them hold the union, merged.

use proptest::prelude::*;

use super::*;

#[test]
fn a_prefix_of_the_largest_byte_has_no_end() {
    assert_eq!(KeyRange::prefix(&[255, 255]).to, None);
    assert_eq!(KeyRange::prefix(&[1, 255]).to, Some(vec![2]));
    assert!(KeyRange::prefix(&[1, 255]).contains(&[1, 255, 255, 9]));
    assert!(!KeyRange::prefix(&[1, 255]).contains(&[2]));
}

proptest! {
    #[test]
    fn a_set_holds_the_union_and_keeps_ranges_apart(
        ranges in proptest::collection::vec((0u8..40, 0u8..40), 0..8),
        key in 0u8..45,
    ) {
        let mut set = RangeSet::default();
        for (from, to) in &ranges {
            set.insert(KeyRange::between([*from], [*to]));
        }
        let expected = ranges.iter().any(|(from, to)| (*from..*to).contains(&key));
        prop_assert_eq!(set.contains(&[key]), expected);
        let kept: Vec<_> = set.iter().collect();
        for pair in kept.windows(2) {
            prop_assert!(pair[0].to.as_ref().unwrap() < &pair[1].from);
        }
    }
}
