//! Pane-first keys sort by time, then by key, and come back as they went in.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn bytes_sort_as_pane_then_key(a in any::<(i64, Vec<u8>)>(), b in any::<(i64, Vec<u8>)>()) {
        let (left, right) = (encode(a.0, &a.1), encode(b.0, &b.1));
        prop_assert_eq!(left.cmp(&right), a.cmp(&b));
    }

    #[test]
    fn decodes_what_was_encoded(pane in any::<i64>(), key in any::<Vec<u8>>()) {
        let encoded = encode(pane, &key);
        prop_assert_eq!(decode(&encoded), Some((pane, key.as_slice())));
    }
}

#[test]
fn expiry_bounds_take_the_panes_before_the_horizon_and_no_other() {
    let (from, to) = panes_before(1_000);
    for (pane, inside) in [
        (i64::MIN, true),
        (-5, true),
        (999, true),
        (1_000, false),
        (i64::MAX, false),
    ] {
        let key = encode(pane, b"k");
        assert_eq!(
            from.as_slice() <= key.as_slice() && key.as_slice() < to.as_slice(),
            inside,
            "pane {pane}"
        );
    }
}

#[test]
fn panes_before_1970_round_down() {
    assert_eq!(pane_of(-1, 1_000), -1_000);
    assert_eq!(pane_of(1_999, 1_000), 1_000);
}

#[test]
fn a_key_shorter_than_a_pane_is_no_window_key() {
    assert_eq!(decode(b"short"), None);
}
