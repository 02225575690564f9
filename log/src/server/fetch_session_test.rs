//! Scripts of fetch sessions.

use std::time::Duration;

use uuid::Uuid;

use super::*;

const NOW: Duration = Duration::from_secs(1000);

fn partition(index: i32) -> SessionPartition {
    SessionPartition {
        name: "orders".into(),
        id: Uuid::nil(),
        index,
    }
}

fn wanted(fetch_offset: i64) -> Wanted {
    Wanted {
        current_leader_epoch: -1,
        fetch_offset,
        max_bytes: 1000,
    }
}

fn told(high_watermark: i64) -> Option<Told> {
    Some(Told {
        high_watermark,
        log_start_offset: 0,
    })
}

fn begun(sessions: &mut FetchSessions) -> i32 {
    assert_eq!(sessions.open(0, 0, false, &[], &[], NOW), Ok(Opened::Full));
    let partitions = (0..3)
        .map(|index| (partition(index), wanted(0), told(5)))
        .collect();
    sessions.begin(false, partitions, 42, NOW)
}

fn indexes(opened: Result<Opened, ErrorCode>) -> Vec<i32> {
    match opened {
        Ok(Opened::Incremental { partitions, .. }) => {
            partitions.iter().map(|(partition, _)| partition.index).collect()
        }
        other => panic!("not incremental: {other:?}"),
    }
}

fn sessions() -> FetchSessions {
    FetchSessions::new(2, Duration::from_secs(120))
}

#[test]
fn epoch_minus_one_is_no_session_and_ends_the_one_it_names() {
    let mut sessions = sessions();
    let id = begun(&mut sessions);
    assert_eq!(
        sessions.open(id, -1, false, &[], &[], NOW),
        Ok(Opened::Sessionless)
    );
    assert_eq!(sessions.len(), 0);
    assert_eq!(
        sessions.open(id, 1, false, &[], &[], NOW),
        Err(ErrorCode::FetchSessionIdNotFound)
    );
}

#[test]
fn an_incremental_request_reads_what_was_named_before() {
    let mut sessions = sessions();
    let id = begun(&mut sessions);
    assert_eq!(indexes(sessions.open(id, 1, false, &[], &[], NOW)), [0, 1, 2]);
    let changed = [(partition(1), wanted(9)), (partition(7), wanted(0))];
    let opened = sessions.open(id, 2, false, &changed, &[partition(0)], NOW);
    match &opened {
        Ok(Opened::Incremental { partitions, .. }) => {
            let one = partitions.iter().find(|(partition, _)| partition.index == 1);
            assert_eq!(one.unwrap().1.fetch_offset, 9);
        }
        other => panic!("not incremental: {other:?}"),
    }
    assert_eq!(indexes(opened), [1, 2, 7]);
}

#[test]
fn an_epoch_out_of_order_is_refused_and_changes_nothing() {
    let mut sessions = sessions();
    let id = begun(&mut sessions);
    let wrong = sessions.open(id, 2, false, &[(partition(9), wanted(0))], &[], NOW);
    assert_eq!(wrong, Err(ErrorCode::InvalidFetchSessionEpoch));
    assert_eq!(indexes(sessions.open(id, 1, false, &[], &[], NOW)), [0, 1, 2]);
}

#[test]
fn names_and_ids_are_not_mixed() {
    let mut sessions = sessions();
    let id = begun(&mut sessions);
    let mixed = sessions.open(id, 1, true, &[], &[], NOW);
    assert_eq!(mixed, Err(ErrorCode::FetchSessionTopicIdError));
}

#[test]
fn only_news_is_told_and_errors_are_told_again() {
    let mut sessions = sessions();
    let id = begun(&mut sessions);
    assert!(!sessions.tell(id, &partition(0), told(5), false), "known");
    assert!(
        sessions.tell(id, &partition(0), told(6), false),
        "watermark moved"
    );
    assert!(sessions.tell(id, &partition(0), told(6), true), "data");
    assert!(sessions.tell(id, &partition(0), None, false), "error");
    assert!(sessions.tell(id, &partition(0), told(6), false), "well again");
    assert!(!sessions.tell(id, &partition(0), told(6), false));
}

#[test]
fn who_was_answered_goes_to_the_end_of_the_line() {
    let mut sessions = sessions();
    let id = begun(&mut sessions);
    sessions.tell(id, &partition(0), told(6), true);
    assert_eq!(indexes(sessions.open(id, 1, false, &[], &[], NOW)), [1, 2, 0]);
}

#[test]
fn a_full_cache_gives_a_place_only_for_a_session_long_unused() {
    let mut sessions = sessions();
    let (first, second) = (begun(&mut sessions), begun(&mut sessions));
    assert!(first != 0 && second != 0 && first != second);
    assert_eq!(begun(&mut sessions), 0);
    let later = NOW + Duration::from_secs(120);
    assert_eq!(
        indexes(sessions.open(second, 1, false, &[], &[], later)),
        [0, 1, 2]
    );
    let third = sessions.begin(false, vec![(partition(0), wanted(0), None)], 77, later);
    assert!(third != 0);
    assert_eq!(
        sessions.open(first, 1, false, &[], &[], later),
        Err(ErrorCode::FetchSessionIdNotFound)
    );
}

#[test]
fn epochs_wrap_past_zero() {
    assert_eq!(next_epoch(i32::MAX), 1);
}
