//! What recovery decides from what a scan found: cut, keep, or call it damage.

use super::recovery::{RecoveryVerdict, ScannedSegment, decide};
use crate::types::Offset;

fn sound(base: i64, next: i64) -> ScannedSegment {
    ScannedSegment {
        base_offset: Offset::new(base),
        valid_bytes: 100,
        file_bytes: 100,
        next_offset: Offset::new(next),
        bad: None,
    }
}

fn torn(base: i64, next: i64) -> ScannedSegment {
    ScannedSegment {
        file_bytes: 120,
        bad: Some("checksum".to_owned()),
        ..sound(base, next)
    }
}

#[test]
fn a_torn_tail_above_the_recovery_point_is_cut_with_all_that_follows() {
    let verdict = decide(Offset::new(10), &[torn(0, 10), sound(20, 30)]);
    assert_eq!(
        verdict,
        RecoveryVerdict::CutTail {
            segment: Offset::ZERO,
            keep_bytes: 100,
            remove: vec![Offset::new(20)],
            log_end: Offset::new(10),
            reason: "checksum".to_owned(),
        }
    );
}

#[test]
fn a_bad_batch_below_the_recovery_point_is_never_cut() {
    let verdict = decide(Offset::new(11), &[torn(0, 10), sound(20, 30)]);
    assert_eq!(
        verdict,
        RecoveryVerdict::Damaged {
            segment: Offset::ZERO,
            offset: Offset::new(10),
            reason: "checksum".to_owned()
        }
    );
}

#[test]
fn a_log_that_ends_below_its_recovery_point_is_damaged() {
    let verdict = decide(Offset::new(31), &[sound(0, 20), sound(20, 30)]);
    assert!(
        matches!(verdict, RecoveryVerdict::Damaged { offset, .. } if offset == Offset::new(30)),
        "{verdict:?}"
    );
}

#[test]
fn segments_that_join_are_sound() {
    assert_eq!(
        decide(Offset::ZERO, &[sound(0, 20), sound(20, 30)]),
        RecoveryVerdict::Sound {
            log_end: Offset::new(30)
        }
    );
}

#[test]
fn segments_that_overlap_are_damage() {
    let verdict = decide(Offset::ZERO, &[sound(0, 21), sound(20, 30)]);
    assert!(matches!(verdict, RecoveryVerdict::Damaged { .. }), "{verdict:?}");
}

/// Seen on ext4 after a power cut: the names of rolled segments were on the medium, their bytes were not.
#[test]
fn a_gap_between_segments_ends_the_log_before_it() {
    let verdict = decide(Offset::ZERO, &[sound(0, 0), sound(19, 19), sound(39, 50)]);
    assert!(
        matches!(&verdict, RecoveryVerdict::CutTail { segment, remove, log_end, .. }
            if *segment == Offset::ZERO && remove.len() == 2 && *log_end == Offset::ZERO),
        "{verdict:?}"
    );
}

#[test]
fn a_gap_below_the_recovery_point_is_damage() {
    let verdict = decide(Offset::new(19), &[sound(0, 10), sound(20, 30)]);
    assert!(
        matches!(verdict, RecoveryVerdict::Damaged { offset, .. } if offset == Offset::new(10)),
        "{verdict:?}"
    );
}
