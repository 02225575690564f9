//! The walk beside the reader that hands records out, and records that lie.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::{
    BatchBuilder, BatchError, BatchOptions, Compression, DecodeLimits, Header, RecordBatch, batches_of,
};
use super::*;

fn sound(codec: Compression, records: u8, value_bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions {
        compression: codec,
        ..BatchOptions::default()
    });
    for number in 0..records {
        let headers = [Header::new("name", vec![number; 3]), Header::null("n")];
        let name = [number];
        let key = (number % 3 != 0).then_some(&name[..]);
        let value = vec![number; value_bytes];
        let headers = &headers[..usize::from(number % 3)];
        builder
            .append(1_000 + i64::from(number), key, Some(&value), headers)
            .unwrap();
    }
    builder.build().to_vec()
}

/// A batch of these bytes as its records, `count` by its header.
fn of_records(count: i32, records: &[u8]) -> Vec<u8> {
    let mut batch = sound(Compression::None, 0, 0);
    batch.extend_from_slice(records);
    batch[8..12].copy_from_slice(&(49 + records.len() as i32).to_be_bytes());
    batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    batch[57..61].copy_from_slice(&count.to_be_bytes());
    batch
}

fn walk(batch: &[u8]) -> Result<Vec<WalkedRecord>, BatchError> {
    let mut walked = Vec::new();
    let batch = batches_of(batch).next().unwrap()?;
    batch.walk_records(DecodeLimits::default(), |index, record| {
        assert_eq!(index, walked.len());
        walked.push(record);
    })?;
    Ok(walked)
}

/// The same by way of the records themselves.
fn read(batch: &[u8]) -> Result<Vec<WalkedRecord>, BatchError> {
    let batch = RecordBatch::parse(Bytes::copy_from_slice(batch))?;
    let decoded = batch.decode()?;
    let mut read = Vec::new();
    for (place, record) in (0..).zip(decoded.iter()) {
        let record = record?;
        assert_eq!(record.offset, batch.base_offset().plus(place));
        read.push(WalkedRecord {
            has_key: record.key.is_some(),
            timestamp: record.timestamp,
        });
    }
    Ok(read)
}

#[test]
fn sound_batches_of_every_codec_are_walked_as_they_are_read() {
    // Values beyond the buffer, and varints at every place of its end.
    for value_bytes in [0, 1, 63, 5_000, 32_700, 32_761, 70_000] {
        for codec in Compression::ALL {
            let batch = sound(codec, 20, value_bytes);
            let walked = walk(&batch).unwrap();
            assert_eq!(walked.len(), 20, "{codec}, {value_bytes} bytes");
            assert_eq!(Ok(walked), read(&batch), "{codec}, {value_bytes} bytes");
        }
    }
}

#[test]
fn every_lie_of_a_record_is_named_with_its_place() {
    // Length 6: attributes, timestamp delta, offset delta, null key, null value, no headers.
    let record = |delta: u8| vec![6 << 1, 0, 0, delta << 1, 1, 1, 0];
    let refused = |count, records: Vec<Vec<u8>>| match walk(&of_records(count, &records.concat())) {
        Err(BatchError::InvalidRecord { index, reason }) => (index, reason),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        walk(&of_records(2, &[record(0), record(1)].concat()))
            .unwrap()
            .len(),
        2
    );
    let delta = "offset delta is not its place in the batch";
    assert_eq!(refused(2, vec![record(0), record(0)]), (1, delta));
    assert_eq!(refused(2, vec![record(1), record(2)]), (0, delta));
    assert_eq!(refused(3, vec![record(0), record(2)]), (1, delta));
    let more = "more follows than the batch counts";
    assert_eq!(refused(1, vec![record(0), record(1)]), (1, more));
    let missing = "length is missing or no length";
    assert_eq!(refused(3, vec![record(0), record(1)]), (2, missing));
    assert_eq!(refused(1, vec![vec![1]]), (0, missing), "length -1");
    let fill = "fields do not fill its length";
    assert_eq!(refused(1, vec![vec![7 << 1, 0, 0, 0, 1, 1, 0, 0]]), (0, fill));
    assert_eq!(refused(1, vec![vec![5 << 1, 0, 0, 0, 1, 1, 0]]), (0, fill));
    let key = "key passes the end of the batch";
    assert_eq!(refused(1, vec![vec![6 << 1, 0, 0, 0, 9 << 1, 1, 0]]), (0, key));
    assert_eq!(refused(1, vec![vec![6 << 1, 0, 0, 0, 3, 1, 0]]), (0, key), "-2");
    let value = "value passes the end of the batch";
    assert_eq!(refused(1, vec![vec![6 << 1, 0, 0, 0, 1, 9 << 1, 0]]), (0, value));
    let count = "header count is missing or no count";
    assert_eq!(refused(1, vec![vec![6 << 1, 0, 0, 0, 1, 1, 1]]), (0, count));
    assert_eq!(refused(1, vec![vec![5 << 1, 0, 0, 0, 1, 1]]), (0, count));
    let header = "header has no name, or passes the end of the batch";
    let with_headers = |bytes: &[u8]| {
        let mut record = vec![(5 + bytes.len() as u8) << 1, 0, 0, 0, 1, 1];
        record.extend_from_slice(bytes);
        vec![record]
    };
    assert_eq!(
        refused(1, with_headers(&[1 << 1, 1, 1])),
        (0, header),
        "null name"
    );
    assert_eq!(
        refused(1, with_headers(&[1 << 1, 1 << 1, b'n', 8 << 1])),
        (0, header)
    );
    // A count of 2^31 - 1 ends with the bytes.
    let many = [0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    assert_eq!(refused(1, with_headers(&many)), (0, header));
    let time = "timestamp delta is no varint, or leads out of time";
    let mut late = of_records(1, &[vec![6 << 1, 0, 2, 0, 1, 1, 0]].concat());
    late[27..35].copy_from_slice(&i64::MAX.to_be_bytes());
    assert_eq!(
        walk(&late),
        Err(BatchError::InvalidRecord {
            index: 0,
            reason: time
        })
    );
}

#[test]
fn a_bomb_ends_at_the_cap_whatever_its_records_say() {
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let bomb = sound(codec, 1, 4 << 20);
        let batch = batches_of(&bomb).next().unwrap().unwrap();
        let limits = DecodeLimits {
            unpacked_bytes_max: 1 << 20,
            ..DecodeLimits::default()
        };
        let walked = batch.walk_records(limits, |_, _| {});
        let limit = 1 << 20;
        let expected = BatchError::TooLargeUnpacked {
            codec: codec.name(),
            limit,
        };
        assert_eq!(walked, Err(expected), "{codec}");
    }
}

proptest! {
    #[test]
    fn what_the_walk_takes_can_be_read(
        codec in 0..5usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut batch = sound(Compression::ALL[codec], 12, 9);
        for (at, value) in damage {
            // Behind the checksum; what lies before it is the header's to judge.
            let at = 57 + at.index(batch.len() - 57);
            batch[at] = value;
        }
        let header_holds = batches_of(&batch).next().unwrap().is_ok();
        if header_holds && let Ok(walked) = walk(&batch) {
            prop_assert_eq!(Ok(walked), read(&batch));
        }
    }

    #[test]
    fn arbitrary_records_are_walked_only_if_they_can_be_read(
        records in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(12), any::<u8>()], 0..60),
        count in 1..4i32,
    ) {
        let batch = of_records(count, &records);
        if let Ok(walked) = walk(&batch) {
            prop_assert_eq!(Ok(walked), read(&batch));
        }
    }
}
