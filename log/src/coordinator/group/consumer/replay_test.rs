//! The records' bytes: Kafka's, byte for byte, and the same facts after a round trip.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::log_format::{decode, encode};
use super::partitions::{OwnedPartitions, PartitionSet, TopicIdPartition};
use super::record::{
    ClassicMemberMetadata, ConsumerGroupRecord, CurrentAssignment, GroupMetadata, MemberMetadata,
    MemberState, ResolvedPattern, TargetMetadata,
};
use crate::types::{GroupId, MemberId, TopicId};

fn bytes(record: &ConsumerGroupRecord) -> (Bytes, Option<Bytes>) {
    encode(&GroupId::new("g"), record)
}

fn topic() -> TopicId {
    TopicId::new(Uuid::from_bytes(*b"0123456789abcdef"))
}

#[test]
fn the_epoch_of_a_group_is_stored_as_kafka_stores_it() {
    let metadata = GroupMetadata {
        epoch: 7,
        metadata_hash: 0x0102_0304_0506_0708,
    };
    let (key, value) = bytes(&ConsumerGroupRecord::Metadata(Some(metadata)));
    assert_eq!(&key[..], b"\x00\x03\x00\x01g");
    assert_eq!(
        &value.unwrap()[..],
        b"\x00\x00\x00\x00\x00\x07\x01\x00\x08\x01\x02\x03\x04\x05\x06\x07\x08"
    );
    // Kafka 4.0 knew no hash.
    let old = decode(b"\x00\x03\x00\x01g", Some(b"\x00\x00\x00\x00\x00\x07\x00"))
        .unwrap()
        .unwrap()
        .1;
    let metadata = GroupMetadata {
        epoch: 7,
        metadata_hash: 0,
    };
    assert_eq!(old, ConsumerGroupRecord::Metadata(Some(metadata)));
}

#[test]
fn a_member_is_stored_as_kafka_stores_it() {
    let member = MemberMetadata {
        instance_id: Some("i".to_owned()),
        rack_id: None,
        client_id: "c".to_owned(),
        client_host: "h".to_owned(),
        rebalance_timeout_ms: 5,
        subscribed_names: BTreeSet::from(["t".to_owned()]),
        subscribed_pattern: Some("p".to_owned()),
        server_assignor: Some("a".to_owned()),
        classic: Some(ClassicMemberMetadata {
            session_timeout_ms: 6,
            protocols: vec![("range".to_owned(), Bytes::from_static(b"xy"))],
        }),
    };
    let (key, value) = bytes(&ConsumerGroupRecord::Member(
        MemberId::new("m"),
        Some(Arc::new(member)),
    ));
    assert_eq!(&key[..], b"\x00\x05\x00\x01g\x00\x01m");
    assert_eq!(
        &value.unwrap()[..],
        b"\x00\x00\x02i\x00\x02c\x02h\x02\x02t\x02p\x00\x00\x00\x05\x02a\
          \x01\x00\x11\x01\x00\x00\x00\x06\x02\x06range\x03xy\x00\x00"
    );
}

#[test]
fn what_a_member_owns_is_stored_with_the_epochs_it_got_it_at() {
    let owned = OwnedPartitions::from([(TopicIdPartition::new(topic(), 2), 3)]);
    let current = CurrentAssignment {
        epoch: 4,
        previous_epoch: 3,
        state: MemberState::UnrevokedPartitions,
        assigned: owned,
        revoking: OwnedPartitions::new(),
    };
    let (key, value) = bytes(&ConsumerGroupRecord::Current(
        MemberId::new("m"),
        Some(Arc::new(current)),
    ));
    assert_eq!(&key[..], b"\x00\x08\x00\x01g\x00\x01m");
    assert_eq!(
        &value.unwrap()[..],
        b"\x00\x00\x00\x00\x00\x04\x00\x00\x00\x03\x01\
          \x020123456789abcdef\x02\x00\x00\x00\x02\x01\x00\x05\x02\x00\x00\x00\x03\x01\x00"
    );
}

#[test]
fn without_epochs_partitions_count_as_got_with_the_members() {
    let value =
        b"\x00\x00\x00\x00\x00\x04\x00\x00\x00\x03\x00\x020123456789abcdef\x02\x00\x00\x00\x02\x00\x01\x00";
    let decoded = decode(b"\x00\x08\x00\x01g\x00\x01m", Some(value))
        .unwrap()
        .unwrap()
        .1;
    let ConsumerGroupRecord::Current(_, Some(current)) = decoded else {
        panic!("{decoded:?}");
    };
    assert_eq!(current.assigned.values().copied().collect::<Vec<_>>(), [4]);
}

#[test]
fn the_other_keys_are_kafkas() {
    let keys = [
        ConsumerGroupRecord::PartitionMetadata(None),
        ConsumerGroupRecord::TargetMetadata(None),
        ConsumerGroupRecord::Target(MemberId::new("m"), None),
        ConsumerGroupRecord::Pattern("p.*".to_owned(), None),
    ]
    .map(|record| bytes(&record));
    assert_eq!(&keys[0].0[..], b"\x00\x04\x00\x01g");
    assert_eq!(&keys[1].0[..], b"\x00\x06\x00\x01g");
    assert_eq!(&keys[2].0[..], b"\x00\x07\x00\x01g\x00\x01m");
    assert_eq!(&keys[3].0[..], b"\x00\x10\x00\x01g\x00\x03p.*");
    assert!(keys.iter().all(|(_, value)| value.is_none()));
}

#[test]
fn keys_of_other_kinds_are_passed_over_and_unknown_values_are_not() {
    for kind in [0u8, 1, 2, 9, 11, 15, 17] {
        assert_eq!(decode(&[0, kind, 0, 1, b'g'], None), Ok(None));
    }
    assert!(decode(b"\x00\x03\x00\x01g", Some(b"\x00\x01\x00\x00\x00\x07\x00")).is_err());
    assert!(decode(b"\x00\x05\x00\x01g", None).is_err());
}

fn name() -> impl Strategy<Value = String> {
    "[a-z.é]{0,12}"
}

fn partitions() -> impl Strategy<Value = OwnedPartitions> {
    let partition = (0u128..4, 0i32..50)
        .prop_map(|(topic, number)| TopicIdPartition::new(TopicId::new(Uuid::from_u128(topic)), number));
    proptest::collection::btree_map(partition, 0i32..100, 0..20)
}

fn classic() -> impl Strategy<Value = ClassicMemberMetadata> {
    let protocol = (
        name(),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from),
    );
    (any::<i32>(), proptest::collection::vec(protocol, 0..3)).prop_map(|(session_timeout_ms, protocols)| {
        ClassicMemberMetadata {
            session_timeout_ms,
            protocols,
        }
    })
}

fn member() -> impl Strategy<Value = MemberMetadata> {
    use proptest::option::of;
    let texts = (
        of(name()),
        of(name()),
        name(),
        name(),
        of("[a-z]{1,5}"),
        of(name()),
    );
    (
        texts,
        any::<i32>(),
        proptest::collection::btree_set(name(), 0..4),
        of(classic()),
    )
        .prop_map(
            |(
                (instance_id, rack_id, client_id, client_host, subscribed_pattern, server_assignor),
                timeout,
                names,
                classic,
            )| {
                MemberMetadata {
                    instance_id,
                    rack_id,
                    client_id,
                    client_host,
                    rebalance_timeout_ms: timeout,
                    subscribed_names: names,
                    subscribed_pattern,
                    server_assignor,
                    classic,
                }
            },
        )
}

fn record() -> impl Strategy<Value = ConsumerGroupRecord> {
    use ConsumerGroupRecord as R;
    use proptest::option::of;
    let metadata = (any::<i32>(), any::<i64>())
        .prop_map(|(epoch, metadata_hash)| GroupMetadata { epoch, metadata_hash });
    let target_metadata =
        (any::<i32>(), any::<i64>()).prop_map(|(epoch, computed_at)| TargetMetadata { epoch, computed_at });
    let state = prop_oneof![
        Just(MemberState::Stable),
        Just(MemberState::UnrevokedPartitions),
        Just(MemberState::UnreleasedPartitions),
        Just(MemberState::Unknown),
    ];
    let current = (any::<i32>(), any::<i32>(), state, partitions(), partitions()).prop_map(
        |(epoch, previous_epoch, state, assigned, revoking)| CurrentAssignment {
            epoch,
            previous_epoch,
            state,
            assigned,
            revoking,
        },
    );
    let pattern = (
        proptest::collection::btree_set(name(), 0..4),
        any::<i64>(),
        any::<i64>(),
    )
        .prop_map(|(topics, version, resolved_at)| ResolvedPattern {
            topics,
            version,
            resolved_at,
        });
    let target = partitions().prop_map(|owned| owned.into_keys().collect::<PartitionSet>());
    let id = || name().prop_map(MemberId::from);
    prop_oneof![
        of(metadata).prop_map(R::Metadata),
        of(target_metadata).prop_map(R::TargetMetadata),
        Just(R::PartitionMetadata(None)),
        (id(), of(member())).prop_map(|(id, value)| R::Member(id, value.map(Arc::new))),
        (id(), of(target)).prop_map(|(id, value)| R::Target(id, value.map(Arc::new))),
        (id(), of(current)).prop_map(|(id, value)| R::Current(id, value.map(Arc::new))),
        (name(), of(pattern)).prop_map(|(text, value)| R::Pattern(text, value.map(Arc::new))),
    ]
}

proptest! {
    #[test]
    fn every_record_survives_a_round_trip(record in record()) {
        let (key, value) = bytes(&record);
        prop_assert_eq!(decode(&key, value.as_deref()), Ok(Some((GroupId::new("g"), record))));
    }

    #[test]
    fn hostile_values_are_refused_without_panic(kind in 3u8..=8, value in proptest::collection::vec(any::<u8>(), 0..80)) {
        let key = [0, kind, 0, 1, b'g', 0, 1, b'm'];
        let value = [&[0, 0][..], &value].concat();
        let Ok(Some((group, record))) = decode(&key, Some(&value)) else {
            return Ok(());
        };
        // Old topic metadata is only known to be there.
        if kind != 4 {
            let (key, value) = encode(&group, &record);
            prop_assert_eq!(decode(&key, value.as_deref()), Ok(Some((group, record))));
        }
    }
}
