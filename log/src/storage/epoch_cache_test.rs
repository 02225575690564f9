//! Behaviour of the leader-epoch history.

use super::*;

fn cache(entries: &[(i32, i64)]) -> EpochCache {
    let entries = entries.iter().map(|&(epoch, start)| EpochEntry {
        epoch: LeaderEpoch::new(epoch),
        start_offset: Offset::new(start),
    });
    EpochCache::from_entries(entries.collect()).expect("ascending")
}

#[test]
fn assigning_appends_news_and_drops_what_it_contradicts() {
    let mut epochs = EpochCache::new();
    assert!(epochs.assign(LeaderEpoch::new(1), Offset::new(0)));
    assert!(
        !epochs.assign(LeaderEpoch::new(1), Offset::new(9)),
        "the latest epoch again is no news"
    );
    assert!(epochs.assign(LeaderEpoch::new(4), Offset::new(10)));
    assert_eq!(epochs, cache(&[(1, 0), (4, 10)]));
    assert!(
        epochs.assign(LeaderEpoch::new(5), Offset::new(10)),
        "epoch 4 wrote nothing"
    );
    assert_eq!(epochs, cache(&[(1, 0), (5, 10)]));
    assert!(epochs.assign(LeaderEpoch::new(3), Offset::new(6)));
    assert_eq!(epochs, cache(&[(1, 0), (3, 6)]));
    assert!(!epochs.assign(LeaderEpoch::NONE, Offset::new(20)));
}

#[test]
fn the_end_of_an_epoch_is_the_start_of_the_next_known_one() {
    let epochs = cache(&[(2, 5), (4, 10), (7, 20)]);
    let end = |epoch| epochs.end_offset_for(LeaderEpoch::new(epoch), Offset::new(33));
    let answer = |epoch, offset| Some((LeaderEpoch::new(epoch), Offset::new(offset)));
    assert_eq!(end(7), answer(7, 33));
    assert_eq!(end(4), answer(4, 20));
    assert_eq!(end(6), answer(4, 20));
    assert_eq!(end(2), answer(2, 10));
    assert_eq!(end(1), answer(1, 5));
    assert_eq!(end(8), None);
    assert_eq!(end(-1), None);
    assert_eq!(
        EpochCache::new().end_offset_for(LeaderEpoch::ZERO, Offset::ZERO),
        None
    );
}

#[test]
fn the_epoch_of_an_offset_is_the_last_that_began_at_or_before_it() {
    let epochs = cache(&[(2, 5), (4, 10)]);
    let at = |offset| epochs.epoch_at(Offset::new(offset)).map(LeaderEpoch::get);
    assert_eq!(
        [at(4), at(5), at(9), at(10), at(99)],
        [None, Some(2), Some(2), Some(4), Some(4)]
    );
}

#[test]
fn truncation_from_both_ends() {
    let mut epochs = cache(&[(2, 5), (4, 10), (7, 20)]);
    assert!(!epochs.truncate_from_end(Offset::new(21)));
    assert!(
        epochs.truncate_from_end(Offset::new(20)),
        "an epoch beginning at the new end has no record"
    );
    assert_eq!(epochs, cache(&[(2, 5), (4, 10)]));
    assert!(!epochs.truncate_from_start(Offset::new(5)));
    assert!(epochs.truncate_from_start(Offset::new(7)));
    assert_eq!(epochs, cache(&[(2, 7), (4, 10)]));
    assert!(epochs.truncate_from_start(Offset::new(10)));
    assert_eq!(epochs, cache(&[(4, 10)]));
    assert!(
        !epochs.truncate_from_start(Offset::new(3)),
        "the start never moves back"
    );
    assert!(epochs.truncate_from_end(Offset::ZERO));
    assert_eq!(epochs.latest(), None);
}

#[test]
fn histories_that_do_not_ascend_are_refused() {
    for bad in [
        &[(1, 5), (1, 6)][..],
        &[(1, 5), (2, 5)],
        &[(2, 5), (1, 9)],
        &[(-1, 0)],
        &[(0, -1)],
    ] {
        let entries = bad.iter().map(|&(epoch, start)| EpochEntry {
            epoch: LeaderEpoch::new(epoch),
            start_offset: Offset::new(start),
        });
        assert!(EpochCache::from_entries(entries.collect()).is_err(), "{bad:?}");
    }
}
