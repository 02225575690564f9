//! Kafka's bytes, and damage to them.

use proptest::prelude::*;

use super::*;

fn entry(producer_id: i64) -> ProducerSnapshotEntry {
    ProducerSnapshotEntry {
        producer_id: ProducerId::new(producer_id),
        producer_epoch: ProducerEpoch::new(2),
        last_sequence: Sequence::new(9),
        last_offset: Offset::new(100),
        offset_delta: 4,
        timestamp: 1_700_000_000_000,
        coordinator_epoch: 3,
        current_txn_first_offset: None,
    }
}

#[test]
fn the_bytes_are_kafkas() {
    let open = ProducerSnapshotEntry {
        current_txn_first_offset: Some(Offset::new(96)),
        ..entry(7)
    };
    let bytes = encode(&[open]);
    let expected = [
        &[0u8, 1][..],
        &crc32c::crc32c(&bytes[6..]).to_be_bytes(),
        &[0, 0, 0, 1],
        &[0, 0, 0, 0, 0, 0, 0, 7],
        &[0, 2],
        &[0, 0, 0, 9],
        &[0, 0, 0, 0, 0, 0, 0, 100],
        &[0, 0, 0, 4],
        &[0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00],
        &[0, 0, 0, 3],
        &[0, 0, 0, 0, 0, 0, 0, 96],
    ]
    .concat();
    assert_eq!(bytes, expected);
    assert_eq!(
        encode(&[entry(7)])[48..],
        [0xff; 8],
        "no open transaction is written as -1"
    );
    assert_eq!(
        encode(&[]),
        [&[0, 1][..], &crc32c::crc32c(&[0; 4]).to_be_bytes(), &[0; 4]].concat()
    );
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let sound = encode(&[entry(1), entry(2)]);
    for bit in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&bytes).is_err(), "bit {bit}");
    }
    for length in 0..sound.len() {
        assert!(decode(&sound[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_count_that_does_not_match_is_refused_even_with_a_valid_checksum() {
    for count in [0i32, 2, -1, i32::MAX, i32::MIN] {
        let mut bytes = encode(&[entry(1)]);
        bytes[6..10].copy_from_slice(&count.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[6..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        assert!(
            matches!(decode(&bytes), Err(SnapshotError::Length { .. })),
            "{count}"
        );
    }
}

proptest! {
    #[test]
    fn snapshots_round_trip(ids: Vec<(i64, i16, i32, i64, Option<u32>)>) {
        let entries = ids
            .into_iter()
            .map(|(id, epoch, sequence, offset, txn)| ProducerSnapshotEntry {
                producer_epoch: ProducerEpoch::new(epoch),
                last_sequence: Sequence::new(sequence),
                last_offset: Offset::new(offset),
                current_txn_first_offset: txn.map(|at| Offset::new(i64::from(at))),
                ..entry(id)
            })
            .collect::<Vec<_>>();
        prop_assert_eq!(decode(&encode(&entries)), Ok(entries));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        decode(&bytes).ok();
    }
}
