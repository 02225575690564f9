//! Positions come back as they went in, whatever the topology does meanwhile.

use super::*;

fn stores(names: &[&str]) -> Vec<StoreSpec> {
    names.iter().map(|name| StoreSpec::key_value(*name)).collect()
}

fn input(partition: i32) -> TopicPartition {
    TopicPartition {
        topic: TopicName::new("flights").unwrap(),
        partition: PartitionId::new(partition),
    }
}

fn sample() -> CommitPosition {
    CommitPosition {
        changelog: vec![
            (StoreIndex::new(0), Offset::new(10)),
            (StoreIndex::new(1), Offset::new(20)),
        ],
        inputs: vec![(input(3), Offset::new(7))],
        stream_time: -5,
        extra: Bytes::from_static(b"clock"),
        producer_epoch: ProducerEpoch::new(9),
        txn_seq: 11,
    }
}

#[test]
fn decodes_what_was_encoded() {
    let specs = stores(&["a", "b"]);
    let stored = StoredPosition {
        position: sample(),
        unused: BTreeMap::new(),
    };
    assert_eq!(StoredPosition::decode(stored.encode(&specs), &specs), Ok(stored));
}

#[test]
fn offsets_follow_the_store_name_when_the_topology_is_reordered() {
    let stored = StoredPosition {
        position: sample(),
        unused: BTreeMap::new(),
    };
    let bytes = stored.encode(&stores(&["a", "b"]));
    let reordered = StoredPosition::decode(bytes, &stores(&["new", "b", "a"])).unwrap();
    assert_eq!(
        reordered.position.changelog_offset(StoreIndex::new(1)),
        Some(Offset::new(20))
    );
    assert_eq!(
        reordered.position.changelog_offset(StoreIndex::new(2)),
        Some(Offset::new(10))
    );
    assert_eq!(reordered.position.changelog_offset(StoreIndex::new(0)), None);
}

#[test]
fn a_store_that_is_dropped_and_comes_back_keeps_its_offset() {
    let stored = StoredPosition {
        position: sample(),
        unused: BTreeMap::new(),
    };
    let without_b = StoredPosition::decode(stored.encode(&stores(&["a", "b"])), &stores(&["a"])).unwrap();
    assert_eq!(without_b.unused.get("b"), Some(&Offset::new(20)));
    let back = StoredPosition::decode(without_b.encode(&stores(&["a"])), &stores(&["b", "a"])).unwrap();
    assert_eq!(
        back.position.changelog_offset(StoreIndex::new(0)),
        Some(Offset::new(20))
    );
    assert!(back.unused.is_empty());
}

#[test]
fn every_cut_and_every_excess_byte_is_refused() {
    let specs = stores(&["a", "b"]);
    let bytes = StoredPosition {
        position: sample(),
        unused: BTreeMap::new(),
    }
    .encode(&specs);
    for len in 0..bytes.len() {
        assert!(
            StoredPosition::decode(bytes.slice(..len), &specs).is_err(),
            "cut at {len}"
        );
    }
    let longer = [bytes.as_ref(), b"x"].concat();
    assert!(StoredPosition::decode(Bytes::from(longer), &specs).is_err());
}

#[test]
fn an_unknown_version_is_refused() {
    let specs = stores(&["a", "b"]);
    let mut bytes = StoredPosition {
        position: sample(),
        unused: BTreeMap::new(),
    }
    .encode(&specs)
    .to_vec();
    bytes[0] = 2;
    let error = StoredPosition::decode(Bytes::from(bytes), &specs).unwrap_err();
    assert!(error.contains("version 2"), "{error}");
}

#[test]
fn advancing_keeps_the_offsets_the_next_position_does_not_name() {
    let mut position = sample();
    position.advance(CommitPosition {
        changelog: vec![(StoreIndex::new(1), Offset::new(25))],
        inputs: vec![(input(4), Offset::new(1))],
        txn_seq: 12,
        ..CommitPosition::default()
    });
    assert_eq!(
        position.changelog_offset(StoreIndex::new(0)),
        Some(Offset::new(10))
    );
    assert_eq!(
        position.changelog_offset(StoreIndex::new(1)),
        Some(Offset::new(25))
    );
    assert_eq!(position.input_offset(&input(3)), Some(Offset::new(7)));
    assert_eq!(position.input_offset(&input(4)), Some(Offset::new(1)));
    assert_eq!(position.txn_seq, 12);
}

#[test]
#[should_panic(expected = "went back")]
fn a_changelog_never_goes_back() {
    sample().advance_changelog(StoreIndex::new(0), Offset::new(9));
}
