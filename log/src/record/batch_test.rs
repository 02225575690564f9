//! Batches built and read back, bytes written elsewhere, changes in place.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};

/// A batch in the form other Kafka clients write and test against: one record with a header, no compression.
/// Its checksum was computed there.
#[rustfmt::skip]
const FROZEN: [u8; 82] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 70, 0, 0, 0, 0, 2, 84, 121, 97, 253, 0, 0, 0, 0, 0, 0,
    0, 0, 1, 88, 141, 205, 89, 56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    40, 0, 10, 0, 8, 1, 2, 3, 4, 6, 5, 6, 7, 2, 6, 8, 9, 10, 4, 11, 12,
];

fn builder() -> BatchBuilder {
    BatchBuilder::new(BatchOptions::default())
}

fn parse(bytes: Bytes) -> RecordBatch {
    let batch = RecordBatch::parse(bytes).expect("sound structure");
    batch.check_crc().expect("sound checksum");
    batch
}

fn records(batch: &RecordBatch) -> Vec<Record> {
    let decoded = batch.decode().expect("unpacks");
    decoded
        .iter()
        .map(|record| decoded.to_record(&record.expect("sound record")))
        .collect()
}

#[test]
fn a_batch_written_elsewhere_is_read() {
    let batch = parse(Bytes::from_static(&FROZEN));
    assert_eq!(batch.base_timestamp(), 1_479_847_795_000);
    assert_eq!((batch.record_count(), batch.size_bytes()), (1, 82));
    assert_eq!(
        (batch.base_offset(), batch.next_offset()),
        (Offset::ZERO, Offset::new(1))
    );
    let expected = Record {
        offset: Offset::ZERO,
        timestamp: 1_479_847_795_005,
        key: Some(Bytes::from_static(&[1, 2, 3, 4])),
        value: Some(Bytes::from_static(&[5, 6, 7])),
        headers: vec![Header::new(vec![8u8, 9, 10], vec![11u8, 12])],
    };
    assert_eq!(records(&batch), [expected]);
}

#[test]
fn a_batch_is_cut_between_its_records() {
    let mut builder = builder();
    for number in 0..6_u8 {
        let value = vec![number; usize::from(number) * 40];
        builder
            .append(1_000 + i64::from(number), Some(&[number]), Some(&value), &[])
            .expect("a small record");
    }
    let batch = parse(builder.build());
    let whole = batch.decode().expect("unpacks");
    let mut walk = whole.iter();
    let mut ends = vec![0];
    while let Some(record) = walk.next() {
        record.expect("sound record");
        ends.push(whole.records().len() - walk.bytes_left());
    }
    let all = records(&batch);
    for first in 0..all.len() {
        for end in first + 1..=all.len() {
            let piece = whole.cut(end - first, ends[first]..ends[end]);
            let found: Vec<Record> = piece
                .iter()
                .map(|record| piece.to_record(&record.expect("sound record")))
                .collect();
            assert_eq!(found, all[first..end]);
            assert_eq!(piece.record_count(), end - first);
        }
    }
    let torn = whole.cut(1, 0..ends[2]);
    assert!(
        torn.iter().any(|record| record.is_err()),
        "bytes of two records are not one"
    );
}

#[test]
fn the_builders_bytes_are_frozen() {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: Offset::new(5),
        leader_epoch: LeaderEpoch::new(7),
        producer: Some((ProducerId::new(9), ProducerEpoch::new(1), Sequence::new(3))),
        transactional: true,
        ..BatchOptions::default()
    });
    builder.append(1_000, Some(b"k"), Some(b"v"), &[]).unwrap();
    builder.append(1_002, None, None, &[Header::null("h")]).unwrap();
    #[rustfmt::skip]
    let expected = [
        0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 68, 0, 0, 0, 7, 2, 0x82, 0x90, 0xfc, 0x42, 0, 0x10, 0, 0, 0, 1,
        0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 0, 0, 0, 3, 0xea, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2,
        16, 0, 0, 0, 2, b'k', 2, b'v', 0,
        18, 0, 4, 2, 1, 1, 2, 2, b'h', 1,
    ];
    assert_eq!(builder.build()[..], expected);
}

#[test]
fn an_empty_value_differs_from_none() {
    let mut builder = builder();
    builder.append(0, Some(b""), Some(b""), &[]).unwrap();
    builder.append(0, None, None, &[]).unwrap();
    let read = records(&parse(builder.build()));
    assert_eq!(
        (read[0].key.clone(), read[0].value.clone()),
        (Some(Bytes::new()), Some(Bytes::new()))
    );
    assert_eq!((read[1].key.clone(), read[1].value.clone()), (None, None));
}

#[test]
fn reading_an_uncompressed_batch_copies_nothing() {
    let mut builder = builder();
    builder.append(0, Some(b"key"), Some(b"value"), &[]).unwrap();
    let bytes = builder.build();
    let range = bytes.as_ptr_range();
    let decoded = parse(bytes.clone()).decode().unwrap();
    let record = decoded.iter().next().unwrap().unwrap();
    let value = decoded.slice_of(record.value.unwrap());
    assert!(range.contains(&record.key.unwrap().as_ptr()));
    assert!(range.contains(&value.as_ptr()));
}

#[test]
fn offset_and_epoch_are_patched_without_touching_the_checksum() {
    let mut builder = builder();
    builder.append(7, None, Some(b"v"), &[]).unwrap();
    let mut bytes = builder.build().to_vec();
    patch::set_base_offset(&mut bytes, Offset::new(1 << 40));
    patch::set_leader_epoch(&mut bytes, LeaderEpoch::new(12));
    let batch = parse(Bytes::from(bytes));
    assert_eq!(
        (batch.base_offset(), batch.leader_epoch()),
        (Offset::new(1 << 40), LeaderEpoch::new(12))
    );
    assert_eq!(records(&batch)[0].offset, Offset::new(1 << 40));
}

#[test]
fn a_run_is_numbered_as_a_whole_or_not_at_all() {
    let batch = |count| {
        let mut builder = builder();
        (0..count).for_each(|_| builder.append(7, None, Some(b"v"), &[]).unwrap());
        builder.build()
    };
    let mut run = [batch(3), batch(1), batch(2)].concat();
    let next = patch::assign_offsets(&mut run, Offset::new(100), LeaderEpoch::new(2)).unwrap();
    assert_eq!(next, Offset::new(106));
    let bases = BatchIter::new(Bytes::from(run.clone())).map(|batch| batch.unwrap().base_offset().get());
    assert_eq!(bases.collect::<Vec<_>>(), [100, 103, 104]);

    let before = run.clone();
    assert!(patch::assign_offsets(&mut run[..before.len() - 1], Offset::ZERO, LeaderEpoch::ZERO).is_err());
    assert!(patch::assign_offsets(&mut run, Offset::new(i64::MAX - 4), LeaderEpoch::ZERO).is_err());
    assert_eq!(run, before);
}

#[test]
fn append_time_replaces_every_timestamp_and_keeps_the_checksum_right() {
    let mut builder = builder();
    builder.append(7, None, Some(b"a"), &[]).unwrap();
    builder.append(9, None, Some(b"b"), &[]).unwrap();
    let mut bytes = builder.build().to_vec();
    patch::set_log_append_time(&mut bytes, 5_000).unwrap();
    let batch = parse(Bytes::from(bytes));
    assert_eq!(
        (batch.timestamp_type(), batch.max_timestamp()),
        (TimestampType::LogAppendTime, 5_000)
    );
    assert_eq!(
        records(&batch)
            .iter()
            .map(|record| record.timestamp)
            .collect::<Vec<_>>(),
        [5_000, 5_000]
    );
}

#[test]
fn markers_round_trip_and_unknown_ones_are_skipped() {
    for marker in [
        ControlRecord::Commit { coordinator_epoch: 4 },
        ControlRecord::Abort {
            coordinator_epoch: i32::MAX,
        },
    ] {
        let batch = parse(marker.to_batch(ProducerId::new(77), ProducerEpoch::new(3), 1_234));
        assert!(batch.is_control() && batch.is_transactional());
        assert_eq!(
            (batch.producer_id(), batch.producer_epoch()),
            (ProducerId::new(77), ProducerEpoch::new(3))
        );
        assert_eq!(
            (batch.base_sequence(), batch.last_sequence()),
            (Sequence::NONE, Sequence::NONE)
        );
        let record = &records(&batch)[0];
        assert_eq!(record.timestamp, 1_234);
        assert_eq!(
            ControlRecord::parse(record.key.as_deref(), record.value.as_deref()),
            Ok(Some(marker))
        );
    }
    let commit = ControlRecord::Commit { coordinator_epoch: 1 };
    assert_eq!(commit.key(), [0, 0, 0, 1]);
    assert_eq!(commit.value(), [0, 0, 0, 0, 0, 1]);
    assert_eq!(ControlRecord::parse(Some(&[0, 0, 0, 9]), None), Ok(None));
    for (key, value) in [
        (None, None),
        (Some(&[0, 0, 0][..]), None),
        (Some(&[0, 0, 0, 1]), Some(&[0, 0, 0][..])),
        (Some(&[255, 0, 0, 1]), None),
    ] {
        assert!(ControlRecord::parse(key, value).is_err(), "{key:?} {value:?}");
    }
}

#[test]
fn a_compacted_copy_keeps_identity_offsets_and_gaps() {
    let mut original = BatchBuilder::new(BatchOptions {
        base_offset: Offset::new(50),
        producer: Some((ProducerId::new(1), ProducerEpoch::ZERO, Sequence::new(10))),
        ..BatchOptions::default()
    });
    for number in 0..5u8 {
        original
            .append(
                i64::from(number),
                Some(&[number]),
                Some(b"v"),
                &[Header::new("h", vec![number])],
            )
            .unwrap();
    }
    let original = parse(original.build());
    let decoded = original.decode().unwrap();
    let mut options = BatchOptions::rewrite_of(&original);
    options.delete_horizon_ms = Some(9_000);
    let mut copy = BatchBuilder::new(options);
    for record in decoded
        .iter()
        .map(Result::unwrap)
        .filter(|record| [51, 53].contains(&record.offset.get()))
    {
        copy.append_ref(&record).unwrap();
        assert!(
            matches!(copy.append_ref(&record), Err(BatchError::OffsetOrder { .. })),
            "offsets ascend"
        );
    }
    let copy = parse(copy.build());
    assert_eq!(
        (copy.base_offset(), copy.last_offset()),
        (Offset::new(50), Offset::new(54))
    );
    assert_eq!(
        (copy.last_sequence(), copy.record_count()),
        (Sequence::new(14), 2)
    );
    assert_eq!((copy.delete_horizon_ms(), copy.max_timestamp()), (Some(9_000), 3));
    let all = records(&original);
    assert_eq!(records(&copy), [all[1].clone(), all[3].clone()]);

    let empty = parse(BatchBuilder::new(BatchOptions::rewrite_of(&original)).build());
    assert_eq!(
        (empty.record_count(), empty.next_offset()),
        (0, Offset::new(55)),
        "an empty batch still moves readers on"
    );
    assert_eq!(records(&empty), []);
}

#[test]
fn a_run_is_cut_into_batches_up_to_the_first_unsound_one() {
    let mut run = [&FROZEN[..], &FROZEN, &FROZEN[..40]].concat();
    let cut = BatchIter::new(Bytes::from(run.clone())).collect::<Vec<_>>();
    assert_eq!(cut.len(), 3);
    assert_eq!(
        cut[2],
        Err(BatchError::Truncated {
            needed: 61,
            available: 40
        })
    );
    run[82 + 16] = 1;
    let cut = BatchIter::new(Bytes::from(run)).collect::<Vec<_>>();
    assert_eq!(cut[1..], [Err(BatchError::UnsupportedMagic(1))]);
    assert_eq!(BatchIter::new(Bytes::new()).next(), None);
}

fn any_header() -> impl Strategy<Value = Header> {
    (".{0,8}", any::<Option<Vec<u8>>>()).prop_map(|(key, value)| Header {
        key: Bytes::from(key),
        value: value.map(Bytes::from),
    })
}

type Parts = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<Header>);

fn any_parts() -> impl Strategy<Value = Parts> {
    let piece = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    (
        -1..i64::MAX / 2,
        piece(),
        piece(),
        proptest::collection::vec(any_header(), 0..3),
    )
}

proptest! {
    #[test]
    fn records_round_trip_through_every_codec(
        parts in proptest::collection::vec(any_parts(), 1..40),
        base in 0..i64::MAX / 2,
    ) {
        for compression in Compression::ALL {
            let mut builder = BatchBuilder::new(BatchOptions { compression, base_offset: Offset::new(base), ..BatchOptions::default() });
            for (timestamp, key, value, headers) in &parts {
                builder.append(*timestamp, key.as_deref(), value.as_deref(), headers).unwrap();
            }
            prop_assert_eq!(builder.len(), parts.len());
            let estimate = builder.estimated_size_bytes();
            let batch = parse(builder.build());
            if compression == Compression::None {
                prop_assert_eq!(batch.size_bytes(), estimate);
            }
            prop_assert_eq!(batch.compression(), compression);
            prop_assert_eq!(batch.max_timestamp(), parts.iter().map(|part| part.0).max().unwrap());
            let read = records(&batch);
            prop_assert_eq!(read.len(), parts.len());
            for (index, (record, (timestamp, key, value, headers))) in read.iter().zip(&parts).enumerate() {
                prop_assert_eq!(record.offset.get(), base + index as i64);
                prop_assert_eq!(record.timestamp, *timestamp);
                prop_assert_eq!(record.key.as_deref(), key.as_deref());
                prop_assert_eq!(record.value.as_deref(), value.as_deref());
                prop_assert_eq!(&record.headers, headers);
            }
        }
    }

    #[test]
    fn every_change_of_one_bit_under_the_checksum_is_noticed(bit in 21 * 8..82 * 8usize) {
        let mut bytes = FROZEN.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(batch) = RecordBatch::parse(Bytes::from(bytes)) {
            let noticed = matches!(batch.check_crc(), Err(BatchError::Crc { .. }));
            prop_assert!(noticed);
        }
    }
}
