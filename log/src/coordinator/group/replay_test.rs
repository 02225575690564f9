//! Loading is replay: of the whole log or of what compaction left of it, the outcome is the same (KAFKA-17306).

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use crate::broker::OffsetAndMetadata;
use crate::coordinator::log_io::build_batch;
use crate::record::{RecordBatch, patch};
use crate::types::{GroupId, MemberId, Offset, PartitionId, TopicName, TopicPartition};

use super::classic::{GroupMetadata, StoredMember, encode_group_key, encode_group_value};
use super::coordinator::replay_batch;
use super::{CommittedOffset, Groups, OffsetsState, encode_key, encode_value};

type Record = (Bytes, Option<Bytes>);

fn group(number: u8) -> GroupId {
    GroupId::from(format!("group-{number}"))
}

fn metadata(generation: i32, members: u8) -> GroupMetadata {
    let member = |number: u8| StoredMember {
        member_id: MemberId::from(format!("member-{number}")),
        instance_id: None,
        client_id: "reader".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        rebalance_timeout_ms: 60_000,
        session_timeout_ms: 10_000,
        subscription: Bytes::new(),
        assignment: Bytes::copy_from_slice(&[number]),
    };
    GroupMetadata {
        protocol_type: "consumer".to_owned(),
        generation,
        protocol: (members > 0).then(|| "range".to_owned()),
        leader: (members > 0).then(|| MemberId::new("member-0")),
        state_since: 5,
        members: (0..members).map(member).collect(),
    }
}

fn group_record() -> impl Strategy<Value = Record> {
    let value = proptest::option::weighted(0.8, (0i32..5, 0u8..4));
    (0u8..3, value).prop_map(|(id, value)| {
        let value = value.map(|(generation, members)| encode_group_value(&metadata(generation, members)));
        (encode_group_key(&group(id)), value)
    })
}

fn offset_record() -> impl Strategy<Value = Record> {
    let value = proptest::option::weighted(0.8, 0i64..100);
    (0u8..3, 0i32..3, value).prop_map(|(id, partition, value)| {
        let orders = TopicName::new("orders").expect("legal name");
        let partition = TopicPartition::new(orders, PartitionId::new(partition));
        let value = value.map(|offset| {
            encode_value(&CommittedOffset {
                offset: OffsetAndMetadata::new(Offset::new(offset)),
                committed_at: 0,
                expires_at: None,
            })
        });
        (encode_key(&group(id), &partition), value)
    })
}

/// What the cleaner leaves: the last record of each key, where it was; tombstones or not.
fn compacted(log: &[Record], keeps_tombstones: bool) -> Vec<(usize, Record)> {
    let last: BTreeMap<&Bytes, usize> = log.iter().enumerate().map(|(at, (key, _))| (key, at)).collect();
    let kept = log
        .iter()
        .enumerate()
        .filter(|(at, (key, value))| last.get(key) == Some(at) && (keeps_tombstones || value.is_some()));
    kept.map(|(at, record)| (at, record.clone())).collect()
}

fn replayed(log: impl IntoIterator<Item = (usize, Record)>) -> (Groups, OffsetsState) {
    let (mut groups, mut offsets) = (Groups::default(), OffsetsState::default());
    for (at, (key, value)) in log {
        let mut batch = build_batch(0, None, [(Some(key), value)]).expect("fits").to_vec();
        patch::set_base_offset(&mut batch, Offset::new(at as i64));
        let batch = RecordBatch::parse(batch.into()).expect("our own batch");
        replay_batch(&mut groups, &mut offsets, &batch).expect("our own records");
    }
    offsets.forget_all_removed();
    (groups, offsets)
}

proptest! {
    #[test]
    fn a_compacted_log_gives_the_same_groups_and_offsets(
        log in proptest::collection::vec(prop_oneof![group_record(), offset_record()], 1..60),
        dirty in 0usize..60,
        keeps_tombstones: bool,
    ) {
        // The cleaner never touches the newest part of the log.
        let (clean, dirty) = log.split_at(log.len().saturating_sub(dirty));
        let tail = dirty.iter().enumerate().map(|(at, record)| (clean.len() + at, record.clone()));
        let after = replayed(compacted(clean, keeps_tombstones).into_iter().chain(tail));
        let before = replayed(log.iter().cloned().enumerate());
        prop_assert_eq!(after, before);
    }

    #[test]
    fn replaying_twice_changes_nothing(log in proptest::collection::vec(group_record(), 1..40)) {
        let once = replayed(log.iter().cloned().enumerate());
        let twice = log.iter().chain(&log).cloned().enumerate();
        prop_assert_eq!(replayed(twice).0, once.0);
    }
}
