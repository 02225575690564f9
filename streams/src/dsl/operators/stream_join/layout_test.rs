//! Keys sort by time, and panes and buckets follow from the windows.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn windows(difference_ms: u64, grace_ms: u64) -> JoinWindows {
    JoinWindows::of_time_difference_and_grace(
        Duration::from_millis(difference_ms),
        Duration::from_millis(grace_ms),
    )
}

#[test]
fn a_window_touches_two_buckets_at_most() {
    for difference in [0, 1, 7, 1000] {
        let windows = windows(difference, 0);
        let layout = Layout::of(&windows);
        for time in 0..5_000 {
            let (from, to) = windows.partners(time);
            assert!(layout.bucket(to) - layout.bucket(from) <= 1);
        }
    }
}

#[test]
fn without_grace_a_pane_is_a_bucket_and_with_a_long_one_there_are_not_too_many_panes() {
    assert_eq!(
        Layout::of(&windows(10, 0)),
        Layout {
            bucket_ms: 21,
            pane_ms: 21
        }
    );
    for (difference, grace) in [
        (0, 86_400_000),
        (1_000, 86_400_000),
        (60_000, 86_400_000),
        (0, 5_000),
    ] {
        let windows = windows(difference, grace);
        let layout = Layout::of(&windows);
        assert!(
            windows.retention_ms() / layout.pane_ms <= 2 * PANES_MIN,
            "{layout:?}"
        );
        assert!(layout.pane_ms / layout.bucket_ms <= 2 * BUCKETS_MAX, "{layout:?}");
    }
}

proptest! {
    #[test]
    fn waiting_keys_sort_by_time_then_side_and_can_be_read_back(
        difference in 0_u64..100, grace in 0_u64..1000,
        a in (0_i64..100_000, any::<bool>(), prop::collection::vec(any::<u8>(), 0..4), any::<u64>()),
        b in (0_i64..100_000, any::<bool>(), prop::collection::vec(any::<u8>(), 0..4), any::<u64>()),
    ) {
        let layout = Layout::of(&windows(difference, grace));
        let side = |is_left| if is_left { Side::Left } else { Side::Right };
        let key = |(time, is_left, key, sequence): &(i64, bool, Vec<u8>, u64)| layout.waiting_key(*time, side(*is_left), key, *sequence);
        if (a.0, side(a.1)) < (b.0, side(b.1)) {
            prop_assert!(key(&a) < key(&b));
        }
        let bytes = key(&a);
        let read = WaitingKey::parse(&bytes).unwrap();
        prop_assert_eq!((read.timestamp, read.side, read.key.to_vec(), read.sequence), (a.0, side(a.1), a.2.clone(), a.3));
        let (from, to) = layout.waiting_before(b.0);
        prop_assert_eq!(from <= bytes && bytes < to, a.0 < b.0);
    }
}
