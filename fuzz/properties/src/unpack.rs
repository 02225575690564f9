//! Target 5: packed payloads: gzip, snappy (bare and in xerial's frames), LZ4 frames, zstd.
//!
//! Input: a byte for the codec, then the payload of a batch. Promised: never more comes out than the caps on output and on ratio allow; memory follows what
//! comes out, not what is claimed (zstd's own window is outside Rust's allocator and not counted), and not even that while records are only checked; what we
//! pack unpacks to the same.

use bytes::Bytes;
use fastrand::Rng;
use millpond_log::record::{
    BATCH_HEADER_SIZE, BATCH_LENGTH_PREFIX_SIZE, BatchBuilder, BatchError, BatchOptions, Compression,
    DecodeLimits, RecordBatch, batches_of,
};
use millpond_log::types::Offset;

use crate::peak;

const LIMITS: DecodeLimits = DecodeLimits {
    unpacked_bytes_max: 1 << 20,
    ratio_max: 256,
};
/// Tables and blocks of the codecs: LZ4 frames may have blocks of 8 MiB, held packed and unpacked.
const STATE_BYTES: usize = 17 << 20;
/// Where the number of the codec stands in a batch.
const AT_CODEC: usize = 22;
/// Where the number of records does.
const AT_RECORD_COUNT: usize = 57;

pub(crate) fn property(input: &[u8]) -> bool {
    let Some((&codec, payload)) = input.split_first() else {
        return false;
    };
    let codec = Compression::ALL[usize::from(codec) % Compression::ALL.len()];
    same_after(codec, payload);
    let batch = batch_of(codec, payload);
    let most = LIMITS.most_for(payload.len());
    check_takes_no_more_than_its_buffer(codec, payload, batch.bytes());
    let (decoded, memory) = peak(|| batch.decode_within(LIMITS));
    let out = match &decoded {
        Ok(decoded) if codec == Compression::None => {
            assert_eq!(decoded.records(), payload);
            0
        }
        Ok(decoded) => decoded.records().len(),
        Err(BatchError::TooLargeUnpacked { .. }) => most + 1,
        // How far it came is not known.
        Err(_) => most,
    };
    assert!(out <= most + 1, "{codec} gave {out} bytes for {}", payload.len());
    let allowed = STATE_BYTES + 4 * payload.len() + 3 * out;
    assert!(
        memory <= allowed,
        "{codec} took {memory} bytes for {} sent and {out} unpacked",
        payload.len()
    );
    decoded.is_ok()
}

/// Walks the payload as if it held one record.
fn check_takes_no_more_than_its_buffer(codec: Compression, payload: &[u8], empty: &[u8]) {
    let mut batch = empty.to_vec();
    batch[AT_RECORD_COUNT..AT_RECORD_COUNT + 4].copy_from_slice(&1i32.to_be_bytes());
    let batch = batches_of(&batch).next();
    let Some(Ok(batch)) = batch else {
        panic!("a sound header: {batch:?}");
    };
    let (_, memory) = peak(|| batch.walk_records(LIMITS, |_, _| {}));
    // A bare block of snappy is unpacked as a whole, to 32 times its size at most; the others pass through 32 KiB.
    let allowed = STATE_BYTES + 33 * payload.len();
    assert!(
        memory <= allowed,
        "checking {codec} took {memory} bytes for {} sent",
        payload.len()
    );
}

/// An empty batch with a payload put behind it.
fn batch_of(codec: Compression, payload: &[u8]) -> RecordBatch {
    let mut batch = BatchBuilder::new(BatchOptions {
        last_offset: Some(Offset::ZERO),
        ..BatchOptions::default()
    })
    .build()
    .to_vec();
    batch.truncate(BATCH_HEADER_SIZE);
    batch[AT_CODEC] = codec.id();
    batch.extend_from_slice(payload);
    let length = (batch.len() - BATCH_LENGTH_PREFIX_SIZE) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    RecordBatch::parse(Bytes::from(batch)).unwrap_or_else(|error| panic!("a sound header: {error}"))
}

fn same_after(codec: Compression, value: &[u8]) {
    let mut builder = BatchBuilder::new(BatchOptions {
        compression: codec,
        ..BatchOptions::default()
    });
    let appended = builder.append(0, None, Some(value), &[]);
    appended.unwrap_or_else(|error| panic!("{} bytes: {error}", value.len()));
    let batch = RecordBatch::parse(builder.build());
    let decoded = batch.and_then(|batch| batch.decode());
    let decoded = decoded.unwrap_or_else(|error| panic!("{codec} cannot read what it wrote: {error}"));
    let read: Vec<_> = decoded.iter().flatten().map(|record| record.value).collect();
    assert_eq!(read, [Some(value)], "{codec}");
}

pub(crate) fn sample(rng: &mut Rng) -> Vec<u8> {
    let id = rng.usize(..Compression::ALL.len());
    let mut builder = BatchBuilder::new(BatchOptions {
        compression: Compression::ALL[id],
        ..BatchOptions::default()
    });
    // Runs of one byte and noise, so that matches and literals come in turn.
    let mut value = Vec::new();
    for _ in 0..rng.usize(1..6) {
        let (byte, run) = (rng.u8(..), [8, 200, 70_000][rng.usize(..3)]);
        value.extend(std::iter::repeat_n(byte, rng.usize(..run)));
        let noise = rng.usize(..40);
        value.extend((0..noise).map(|_| rng.u8(..)));
    }
    let appended = builder.append(0, None, Some(&value), &[]);
    appended.unwrap_or_else(|error| panic!("a sound record: {error}"));
    let mut input = vec![id as u8];
    input.extend_from_slice(&builder.build()[BATCH_HEADER_SIZE..]);
    input
}
