//! Committed offsets: plain, in transactions, and replayed from any prefix of their topic.

use proptest::prelude::*;

use crate::broker::OffsetAndMetadata;
use crate::coordinator::log_io::build_batch;
use crate::record::{ControlRecord, RecordBatch, patch};
use crate::types::{
    GroupId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, TopicName, TopicPartition,
};

use super::coordinator::replay_batch;
use super::{
    CommittedOffset, Groups, NEVER, OffsetsState, decode_key, decode_value, encode_key, encode_value,
};

fn group() -> GroupId {
    GroupId::new("readers")
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new("orders").unwrap(), PartitionId::new(number))
}

fn at(offset: i64) -> CommittedOffset {
    committed(OffsetAndMetadata::new(Offset::new(offset)))
}

fn committed(offset: OffsetAndMetadata) -> CommittedOffset {
    CommittedOffset {
        offset,
        committed_at: 0,
        expires_at: None,
    }
}

fn fetched(state: &OffsetsState) -> Vec<(i32, i64)> {
    let offsets = state.fetch(&group(), None, false).unwrap();
    offsets
        .iter()
        .map(|(partition, offset)| (partition.partition.get(), offset.offset.get()))
        .collect()
}

#[test]
fn the_record_furthest_in_the_log_wins_whatever_order_they_are_taken_on() {
    let mut state = OffsetsState::default();
    state.on_record(group(), partition(0), Some(at(20)), Offset::new(5), None);
    state.on_record(group(), partition(0), Some(at(10)), Offset::new(4), None);
    assert_eq!(fetched(&state), [(0, 20)]);
    state.on_record(group(), partition(0), None, Offset::new(6), None);
    assert_eq!(fetched(&state), []);
}

#[test]
fn pending_offsets_of_a_deleted_topic_stay_removed_when_their_transaction_commits() {
    let producer = ProducerId::new(3);
    let mut state = OffsetsState::default();
    state.on_record(group(), partition(0), Some(at(7)), Offset::new(1), Some(producer));
    let doomed = state.offsets_on(&partition(0).topic);
    assert_eq!(doomed, [(group(), partition(0))]);
    for (group, partition) in doomed {
        state.on_record(group, partition, None, Offset::new(2), None);
    }
    state.on_marker(producer, true);
    assert_eq!(fetched(&state), []);
}

#[test]
fn offsets_of_a_transaction_count_from_its_commit_marker_on() {
    let producer = ProducerId::new(3);
    let mut state = OffsetsState::default();
    state.on_record(group(), partition(0), Some(at(1)), Offset::new(0), None);
    state.on_record(group(), partition(0), Some(at(7)), Offset::new(1), Some(producer));
    assert_eq!(fetched(&state), [(0, 1)]);
    let unstable = state.fetch(&group(), Some(&[partition(0)]), true).unwrap_err();
    assert_eq!(
        (unstable.producer_id, unstable.partition),
        (producer, partition(0))
    );
    assert!(
        state.fetch(&group(), Some(&[partition(1)]), true).is_ok(),
        "another partition is stable"
    );
    assert!(
        state.fetch(&GroupId::new("other"), None, true).is_ok(),
        "another group is stable"
    );
    state.on_marker(producer, true);
    assert_eq!(fetched(&state), [(0, 7)]);
    assert!(state.fetch(&group(), None, true).is_ok());
}

#[test]
fn offsets_of_an_aborted_transaction_vanish() {
    let mut state = OffsetsState::default();
    state.on_record(
        group(),
        partition(0),
        Some(at(7)),
        Offset::new(1),
        Some(ProducerId::new(3)),
    );
    state.on_marker(ProducerId::new(3), false);
    assert_eq!(fetched(&state), []);
    assert_eq!(state.pending_producers().count(), 0);
}

#[test]
fn a_plain_commit_after_a_pending_one_is_not_undone_by_its_marker() {
    let mut state = OffsetsState::default();
    state.on_record(
        group(),
        partition(0),
        Some(at(7)),
        Offset::new(1),
        Some(ProducerId::new(3)),
    );
    state.on_record(group(), partition(0), Some(at(9)), Offset::new(2), None);
    state.on_marker(ProducerId::new(3), true);
    assert_eq!(fetched(&state), [(0, 9)]);
}

#[test]
fn the_log_format_is_kafkas() {
    // OffsetCommitKey v1 and OffsetCommitValue v3, byte for byte.
    let key = encode_key(&group(), &partition(2));
    assert_eq!(&key[..], b"\x00\x01\x00\x07readers\x00\x06orders\x00\x00\x00\x02");
    assert_eq!(decode_key(&key), Ok(Some((group(), partition(2)))));
    let offset = CommittedOffset {
        committed_at: 5,
        ..committed(OffsetAndMetadata {
            leader_epoch: Some(LeaderEpoch::new(4)),
            ..OffsetAndMetadata::new(Offset::new(258)).with_metadata("note")
        })
    };
    let value = encode_value(&offset);
    assert_eq!(
        &value[..],
        b"\x00\x03\0\0\0\0\0\0\x01\x02\0\0\0\x04\x00\x04note\0\0\0\0\0\0\0\x05"
    );
    assert_eq!(decode_value(&value), Ok(offset));
}

#[test]
fn an_offset_that_says_when_it_expires_is_stored_as_kafka_does_it() {
    // OffsetCommitValue v1: no leader epoch, but the time of expiry.
    let offset = CommittedOffset {
        committed_at: 5,
        expires_at: Some(7),
        ..at(258)
    };
    let value = encode_value(&offset);
    assert_eq!(
        &value[..],
        b"\x00\x01\0\0\0\0\0\0\x01\x02\x00\x00\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x07"
    );
    assert_eq!(decode_value(&value), Ok(offset));
}

#[test]
fn an_offset_that_never_expires_says_so_in_a_field_that_kafka_skips() {
    let offset = CommittedOffset {
        expires_at: Some(NEVER),
        ..at(258)
    };
    let value = encode_value(&offset);
    // OffsetCommitValue v4, tag 10,000.
    assert_eq!(
        &value[..],
        b"\x00\x04\0\0\0\0\0\0\x01\x02\xff\xff\xff\xff\x01\0\0\0\0\0\0\0\0\x01\x90\x4e\x00"
    );
    assert_eq!(decode_value(&value), Ok(offset));
}

#[test]
fn removed_offsets_are_forgotten_unless_an_open_transaction_may_bring_them_back() {
    let producer = ProducerId::new(3);
    let mut state = OffsetsState::default();
    state.on_record(group(), partition(0), Some(at(7)), Offset::new(1), Some(producer));
    for number in 0..2 {
        state.on_record(group(), partition(number), None, Offset::new(2), None);
    }
    state.forget_removed(&group());
    assert_eq!(state.offsets_of(&group()), 1, "the one that is pending");
    state.on_marker(producer, true);
    assert_eq!(fetched(&state), []);
    state.forget_removed(&group());
    assert_eq!(state, OffsetsState::default());
}

#[test]
fn keys_of_group_membership_are_passed_over() {
    assert_eq!(decode_key(b"\x00\x02\x00\x07readers"), Ok(None));
    assert!(decode_key(b"\x00\x01\x00\x07read").is_err());
}

#[derive(Clone, Debug)]
enum Op {
    Commit {
        partition: i32,
        offset: i64,
        producer: Option<i64>,
    },
    Marker {
        producer: i64,
        commit: bool,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0i32..3, 0i64..100, proptest::option::of(0i64..3))
            .prop_map(|(partition, offset, producer)| Op::Commit { partition, offset, producer }),
        1 => (0i64..3, any::<bool>()).prop_map(|(producer, commit)| Op::Marker { producer, commit }),
    ]
}

proptest! {
    #[test]
    fn replaying_the_log_gives_the_live_state_at_every_prefix(ops in proptest::collection::vec(op(), 1..40)) {
        let mut live = OffsetsState::default();
        let mut log: Vec<RecordBatch> = Vec::new();
        for op in ops {
            let next = log.last().map_or(Offset::ZERO, |batch| batch.next_offset());
            let batch = match op {
                Op::Commit { partition: number, offset, producer } => {
                    let producer = producer.map(ProducerId::new);
                    live.on_record(group(), partition(number), Some(at(offset)), next, producer);
                    let record = (Some(encode_key(&group(), &partition(number))), Some(encode_value(&at(offset))));
                    build_batch(0, producer.map(|id| (id, ProducerEpoch::ZERO)), [record]).unwrap()
                }
                Op::Marker { producer, commit } => {
                    live.on_marker(ProducerId::new(producer), commit);
                    let record = if commit {
                        ControlRecord::Commit { coordinator_epoch: 0 }
                    } else {
                        ControlRecord::Abort { coordinator_epoch: 0 }
                    };
                    record.to_batch(ProducerId::new(producer), ProducerEpoch::ZERO, 0)
                }
            };
            let mut bytes = batch.to_vec();
            patch::set_base_offset(&mut bytes, next);
            log.push(RecordBatch::parse(bytes.into()).unwrap());
            let mut replayed = OffsetsState::default();
            for batch in &log {
                replay_batch(&mut Groups::default(), &mut replayed, batch).unwrap();
            }
            prop_assert_eq!(&replayed, &live);
        }
    }
}
