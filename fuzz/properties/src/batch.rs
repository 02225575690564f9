//! Target 4: record batches of format 2: lengths, varints, counts, offset deltas.
//!
//! Input: a run of batches, as Produce brings it. Promised: offsets ascend and stay within their batch; a walk over records that are not packed takes
//! no memory; the walk that borrows and the one that shares agree; what the broker's own check takes can be read, with offsets that have no gap; what assigns offsets in place finds the batches sound or refuses the run.

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use millpond_log::record::{
    BatchBuilder, BatchIter, BatchOptions, BatchSlice, Compression, ControlRecord, DecodeLimits, Header,
    RecordBatch, batches_of, patch,
};
use millpond_log::types::{LeaderEpoch, Offset};

use crate::peak;

const LIMITS: DecodeLimits = DecodeLimits {
    unpacked_bytes_max: 1 << 20,
    ratio_max: 1_032,
};

pub(crate) fn property(input: &[u8]) -> bool {
    let run = Bytes::copy_from_slice(input);
    let mut sound = false;
    let mut borrowed = batches_of(input);
    for batch in BatchIter::new(run) {
        match (batch, borrowed.next()) {
            (Ok(batch), Some(Ok(slice))) => {
                assert_eq!((batch.header(), &batch.bytes()[..]), (&slice.header, slice.bytes));
                assert_eq!(batch.check_crc(), slice.check_crc());
                sound |= records(&batch);
                checked(&slice, &batch);
            }
            (Err(error), Some(Err(same))) => assert_eq!(error, same),
            (batch, slice) => panic!("one walk found {batch:?}, the other {slice:?}"),
        }
    }
    assert!(borrowed.next().is_none());
    assign(input);
    sound
}

/// What a produced batch has to pass: it may take no memory for records that are not packed, and pass nothing that a reader cannot take apart.
fn checked(slice: &BatchSlice<'_>, batch: &RecordBatch) {
    let mut places = 0;
    let (passed, memory) = peak(|| {
        slice.walk_records(LIMITS, |place, _| {
            assert_eq!(place, places);
            places += 1;
        })
    });
    if batch.compression() == Compression::None {
        assert_eq!(memory, 0, "the check of records took memory");
    }
    if passed.is_err() {
        return;
    }
    assert_eq!(places, batch.record_count());
    let decoded = batch.decode_within(LIMITS);
    let decoded = decoded.unwrap_or_else(|error| panic!("checked, but cannot be unpacked: {error}"));
    for (place, record) in (0..).zip(&decoded) {
        let record = record.unwrap_or_else(|error| panic!("checked, but cannot be read: {error}"));
        assert_eq!(record.offset, batch.base_offset().plus(place));
    }
}

/// Reads the records of a batch; true if all of them are sound.
fn records(batch: &RecordBatch) -> bool {
    assert!(batch.base_offset() <= batch.last_offset() && batch.last_offset() < Offset::MAX);
    batch.last_sequence();
    batch.delete_horizon_ms();
    let (decoded, memory) = peak(|| batch.decode_within(LIMITS));
    let Ok(decoded) = decoded else { return false };
    if batch.compression() == Compression::None {
        assert!(memory <= 128, "{memory} bytes to borrow records");
    }
    assert!(decoded.record_count() <= decoded.records().len());
    let (last, memory) = peak(|| {
        let mut last = Ok(None);
        for record in &decoded {
            let Ok(record) = record else { return Err(()) };
            assert!(last < Ok(Some(record.offset)) && record.offset >= batch.base_offset());
            assert_eq!(record.headers.iter().count(), record.headers.len());
            last = Ok(Some(record.offset));
        }
        last
    });
    assert_eq!(memory, 0, "a walk over records took memory");
    let Ok(last) = last else { return false };
    assert!(last.is_none_or(|last| last <= batch.last_offset()));
    for record in decoded.iter().take(64).flatten() {
        let own = decoded.to_record(&record);
        assert_eq!(
            (own.key.as_deref(), own.value.as_deref()),
            (record.key, record.value)
        );
        assert_eq!(own.headers.len(), record.headers.len());
        ControlRecord::parse(record.key, record.value).ok();
    }
    true
}

fn assign(input: &[u8]) {
    let mut run = BytesMut::from(input);
    let all_sound = batches_of(input).all(|batch| batch.is_ok());
    let Ok(next) = patch::assign_offsets(&mut run, Offset::new(1_000), LeaderEpoch::new(7)) else {
        return;
    };
    assert!(all_sound, "offsets were given to a run that is not sound");
    let mut expected = Offset::new(1_000);
    for (before, after) in batches_of(input).flatten().zip(batches_of(&run).flatten()) {
        assert_eq!(after.header.base_offset(), expected);
        assert_eq!(after.header.leader_epoch(), LeaderEpoch::new(7));
        assert_eq!(before.check_crc().is_ok(), after.check_crc().is_ok());
        expected = after.header.next_offset();
    }
    assert_eq!(next, expected);
}

pub(crate) fn sample(rng: &mut Rng) -> Vec<u8> {
    let mut run = Vec::new();
    for _ in 0..rng.usize(1..3) {
        let codec = [0, 0, 0, 1, 2, 3, 4][rng.usize(..7)];
        let mut builder = BatchBuilder::new(BatchOptions {
            compression: Compression::ALL[codec],
            transactional: rng.bool(),
            control: rng.u8(..8) == 0,
            ..BatchOptions::default()
        });
        for number in 0..rng.i64(1..8) {
            let bytes = |rng: &mut Rng, most| -> Vec<u8> {
                let length = rng.usize(..most);
                (0..length).map(|_| rng.u8(..)).collect()
            };
            let (key, value) = (bytes(rng, 12), bytes(rng, 80));
            let headers = [Header::new("name", bytes(rng, 5)), Header::null("n")];
            let key = rng.bool().then_some(&key[..]);
            let headers = &headers[rng.usize(..3)..];
            let appended = builder.append(1_700_000_000_000 + number, key, Some(&value), headers);
            appended.unwrap_or_else(|error| panic!("a sound record: {error}"));
        }
        run.extend_from_slice(&builder.build());
    }
    run
}
