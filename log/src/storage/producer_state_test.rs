//! Idempotence, fencing and open transactions, as facts of batches go by.

use proptest::prelude::*;

use super::producer_state::*;
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};

const P: ProducerId = ProducerId::new(7);

fn data(base: i64, epoch: i16, sequence: i32, count: i32, transactional: bool) -> BatchFacts {
    BatchFacts {
        base_offset: Offset::new(base),
        last_offset: Offset::new(base + i64::from(count) - 1),
        max_timestamp: base,
        producer_id: P,
        producer_epoch: ProducerEpoch::new(epoch),
        base_sequence: Sequence::new(sequence),
        last_sequence: Sequence::new(sequence).plus(count - 1),
        is_transactional: transactional,
        marker: None,
        size_bytes: 100,
        leader_epoch: LeaderEpoch::ZERO,
    }
}

fn marker(offset: i64, epoch: i16, commit: bool) -> BatchFacts {
    BatchFacts {
        base_sequence: Sequence::NONE,
        last_sequence: Sequence::NONE,
        marker: Some(Marker {
            commit,
            coordinator_epoch: 0,
        }),
        ..data(offset, epoch, 0, 1, true)
    }
}

#[test]
fn answers_a_duplicate_of_the_last_five_batches_with_its_first_offsets() {
    let mut state = ProducerState::default();
    for i in 0..6 {
        state.apply(&data(i64::from(i) * 10, 0, i * 10, 10, false), 0);
    }
    for i in 1..6 {
        let again = data(1000, 0, i * 10, 10, false);
        let offset = i64::from(i) * 10;
        assert_eq!(
            state.check(&again, false),
            Ok(Verdict::Duplicate(Offset::new(offset), Offset::new(offset + 9)))
        );
    }
    assert_eq!(
        state.check(&data(1000, 0, 0, 10, false), false),
        Err(ProducerRefusal::TooOldDuplicate)
    );
}

#[test]
fn refuses_a_gap_and_names_the_sequence_that_fits() {
    let mut state = ProducerState::default();
    state.apply(&data(0, 0, 0, 10, false), 0);
    assert_eq!(
        state.check(&data(10, 0, 11, 1, false), false),
        Err(ProducerRefusal::OutOfOrder {
            expected: Sequence::new(10)
        })
    );
    assert_eq!(
        state.check(&data(10, 0, 10, 1, false), false),
        Ok(Verdict::Accept)
    );
    assert_eq!(
        state.check(&data(10, 0, 11, 1, false), true),
        Ok(Verdict::Accept),
        "the planted bug lets it through"
    );
}

#[test]
fn sequences_go_on_after_they_wrap() {
    let mut state = ProducerState::default();
    state.apply(&data(0, 0, i32::MAX - 1, 4, false), 0);
    assert_eq!(state.check(&data(4, 0, 2, 1, false), false), Ok(Verdict::Accept));
    assert_eq!(
        state.check(&data(4, 0, i32::MAX - 3, 1, false), false),
        Err(ProducerRefusal::TooOldDuplicate)
    );
}

#[test]
fn fences_older_epochs_and_starts_newer_ones_at_zero() {
    let mut state = ProducerState::default();
    state.apply(&data(0, 3, 0, 1, false), 0);
    assert_eq!(
        state.check(&data(1, 2, 1, 1, false), false),
        Err(ProducerRefusal::Fenced {
            current: ProducerEpoch::new(3)
        })
    );
    assert_eq!(
        state.check(&data(1, 4, 1, 1, false), false),
        Err(ProducerRefusal::OutOfOrder {
            expected: Sequence::ZERO
        })
    );
    assert_eq!(state.check(&data(1, 4, 0, 1, false), false), Ok(Verdict::Accept));
}

#[test]
fn a_marker_with_a_bumped_epoch_fences_the_epoch_of_its_transaction() {
    let mut state = ProducerState::default();
    assert_eq!(
        state.apply(&data(0, 0, 0, 2, true), 0),
        TxnChange::Opened(Offset::ZERO)
    );
    let closed = state.apply(&marker(2, 1, true), 0);
    assert_eq!(
        closed,
        TxnChange::Closed(ClosedTxn {
            producer_id: P,
            first_offset: Offset::ZERO,
            marker_offset: Offset::new(2),
            committed: true,
            last_stable_offset: Offset::new(3),
        })
    );
    assert_eq!(
        state.check(&data(3, 0, 2, 1, true), false),
        Err(ProducerRefusal::Fenced {
            current: ProducerEpoch::new(1)
        })
    );
    assert_eq!(state.check(&data(3, 1, 0, 1, true), false), Ok(Verdict::Accept));
    assert_eq!(state.first_open(), None);
}

#[test]
fn a_plain_batch_inside_a_transaction_is_refused() {
    let mut state = ProducerState::default();
    state.apply(&data(0, 0, 0, 1, true), 0);
    assert_eq!(
        state.check(&data(1, 0, 1, 1, false), false),
        Err(ProducerRefusal::PlainInsideTxn)
    );
}

#[test]
fn expiry_spares_open_transactions_and_ignores_record_timestamps() {
    let mut state = ProducerState::default();
    state.apply(&data(0, 0, 0, 1, true), 1_000);
    assert_eq!(state.expire(5_000), 0, "open transaction");
    state.apply(&marker(1, 0, false), 4_000);
    assert_eq!(
        state.expire(4_000),
        0,
        "heard of at 4000, though its records are stamped 0 and 1"
    );
    assert_eq!(state.expire(4_001), 1);
}

proptest! {
    #[test]
    fn snapshot_and_rest_of_the_log_equal_the_fold_over_all_of_it(steps in prop::collection::vec((0i64..3, 0u8..4, 1i32..5), 1..60), cut in 0usize..60) {
        let mut log = Vec::new();
        let mut offset = 0;
        let mut sequences = [0i32; 3];
        for (id, kind, count) in steps {
            let mut batch = match kind {
                0 => marker(offset, 0, true),
                1 => marker(offset, 0, false),
                _ => {
                    let b = data(offset, 0, sequences[id as usize], count, kind == 2);
                    sequences[id as usize] += count;
                    b
                }
            };
            batch.producer_id = ProducerId::new(id);
            offset = batch.last_offset.get() + 1;
            log.push(batch);
        }
        let cut = cut.min(log.len());
        let mut whole = ProducerState::default();
        let mut first = ProducerState::default();
        for (i, batch) in log.iter().enumerate() {
            whole.apply(batch, 0);
            if i < cut {
                first.apply(batch, 0);
            }
        }
        let mut reloaded = ProducerState::from_entries(first.as_snapshotted().entries().map(|(id, e)| (id, e.clone())));
        for batch in &log[cut..] {
            reloaded.apply(batch, 0);
        }
        prop_assert_eq!(reloaded.as_snapshotted(), whole.as_snapshotted());
        prop_assert_eq!(reloaded.first_open(), whole.first_open());
    }
}
