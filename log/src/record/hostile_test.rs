//! Bytes from an enemy: never a panic, never more memory than was paid for.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::types::Offset;

const UNPACKED_MAX: usize = 1 << 20;

fn sound(compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions {
        compression,
        ..BatchOptions::default()
    });
    for number in 0..20u8 {
        let headers = [Header::new("name", vec![number; 3]), Header::null("n")];
        builder
            .append(i64::from(number), Some(&[number]), Some(&[number; 40]), &headers)
            .unwrap();
    }
    builder.build().to_vec()
}

/// Reads everything there is to read and checks what is promised of whatever comes out.
fn read_all(bytes: Bytes) {
    for batch in BatchIter::new(bytes) {
        let Ok(batch) = batch else { continue };
        batch.check_crc().ok();
        assert!(batch.base_offset() <= batch.last_offset() && batch.last_offset() < Offset::MAX);
        batch.last_sequence();
        let Ok(decoded) = batch.decode_within(DecodeLimits {
            unpacked_bytes_max: UNPACKED_MAX,
            ..DecodeLimits::default()
        }) else {
            continue;
        };
        assert!(decoded.record_count() <= decoded.records().len());
        let mut last = None;
        for record in &decoded {
            let Ok(record) = record else { continue };
            assert!(last < Some(record.offset) && record.offset <= batch.last_offset());
            last = Some(record.offset);
            assert_eq!(record.headers.iter().count(), record.headers.len());
            decoded.to_record(&record);
            ControlRecord::parse(record.key, record.value).ok();
        }
    }
}

#[test]
fn counts_and_lengths_that_lie_are_refused() {
    let lie = |at: usize, bytes: &[u8]| {
        let mut batch = sound(Compression::None);
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        RecordBatch::parse(Bytes::from(batch)).and_then(|batch| {
            batch
                .decode()
                .map(|decoded| decoded.iter().last().map(|read| read.map(|record| record.offset)))
        })
    };
    for length in [-1i32, 0, 48, i32::MAX] {
        assert!(lie(8, &length.to_be_bytes()).is_err(), "length {length}");
    }
    for base in [-1i64, i64::MAX, i64::MAX - 19] {
        assert!(lie(0, &base.to_be_bytes()).is_err(), "base offset {base}");
    }
    for delta in [-1i32, 5] {
        assert!(
            lie(23, &delta.to_be_bytes()).is_err(),
            "last offset delta {delta}"
        );
    }
    for count in [-1i32, 21, i32::MAX] {
        assert!(lie(57, &count.to_be_bytes()).is_err(), "record count {count}");
    }
    assert_eq!(
        lie(57, &19i32.to_be_bytes()),
        Ok(Some(Err(BatchError::TrailingBytes { extra: 60 })))
    );
    for codec in [5u8, 6, 7] {
        assert!(lie(22, &[codec]).is_err(), "codec {codec}");
    }
}

#[test]
fn a_header_count_beyond_the_bytes_ends_at_once() {
    // One record whose header count says 2^31 - 1.
    let record = [
        &[11u8 << 1, 0, 0, 0, 1, 1][..],
        &[0xfe, 0xff, 0xff, 0xff, 0x0f],
        &[0],
    ]
    .concat();
    let mut batch = BatchBuilder::new(BatchOptions {
        last_offset: Some(Offset::ZERO),
        ..BatchOptions::default()
    })
    .build()
    .to_vec();
    batch[57..61].copy_from_slice(&1i32.to_be_bytes());
    batch[8..12].copy_from_slice(&(49 + record.len() as i32).to_be_bytes());
    batch.extend_from_slice(&record);
    let decoded = RecordBatch::parse(Bytes::from(batch)).unwrap().decode().unwrap();
    let read = decoded.iter().collect::<Vec<_>>();
    assert_eq!(
        read,
        [Err(BatchError::InvalidRecord {
            index: 0,
            reason: "header passes the end of the record"
        })]
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all(Bytes::from(bytes));
    }

    #[test]
    fn arbitrary_payloads_behind_a_sound_header_never_panic(
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        codec in 0..5u8,
        count in 0..20i32,
    ) {
        let mut batch = sound(Compression::None);
        batch.truncate(BATCH_HEADER_SIZE);
        batch[22] = codec;
        batch[57..61].copy_from_slice(&count.to_be_bytes());
        batch[8..12].copy_from_slice(&(49 + payload.len() as i32).to_be_bytes());
        batch.extend_from_slice(&payload);
        read_all(Bytes::from(batch));
    }

    #[test]
    fn damaged_batches_of_every_codec_never_panic(
        codec in 0..5usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut: prop::sample::Index,
    ) {
        let mut batch = sound(Compression::ALL[codec]);
        for (at, value) in damage {
            let at = at.index(batch.len());
            batch[at] = value;
        }
        read_all(Bytes::from(batch.clone()));
        batch.truncate(cut.index(batch.len()));
        read_all(Bytes::from(batch));
    }
}
