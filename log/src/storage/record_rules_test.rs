//! What a client may store: batches whose checksum holds and whose records lie.

use bytes::Bytes;

use super::disk_sim::SimDisk;
use super::record_rules::{REFUSED_RECORDS_TOLD, RecordFault, RefusedRecords};
use super::store_testing::{append, batch, create, open};
use super::*;
use crate::record::{BatchBuilder, BatchIter, BatchOptions, Compression, RecordBatch, TimestampType, patch};
use crate::types::Offset;

const NOW: i64 = 1_700_000_000_000;

/// One record: attributes, timestamp delta, offset delta, null key, value `v`, no headers.
fn record(offset_delta: u8) -> Vec<u8> {
    vec![7 << 1, 0, 0, offset_delta << 1, 1, 1 << 1, b'v', 0]
}

/// A batch with a sound checksum of these bytes as its records, `count` by its header.
fn of_records(count: i32, records: &[Vec<u8>]) -> Bytes {
    let mut batch = BatchBuilder::new(BatchOptions::default()).build().to_vec();
    batch.extend(records.concat());
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    batch[27..35].copy_from_slice(&NOW.to_be_bytes());
    batch[57..61].copy_from_slice(&count.to_be_bytes());
    patch::set_create_time(&mut batch, NOW).expect("a whole batch");
    batch.into()
}

fn keyless(records: usize) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for number in 0..records {
        let key = (number % 2 == 0).then_some(&b"k"[..]);
        builder.append(NOW, key, Some(b"v"), &[]).expect("fits");
    }
    builder.build()
}

fn refused(outcome: Result<AppendAck, StorageError>) -> std::sync::Arc<RefusedRecords> {
    match outcome {
        Err(StorageError::InvalidRecords { refused, .. }) => refused,
        other => panic!("{other:?}"),
    }
}

fn places(refused: &RefusedRecords) -> Vec<usize> {
    refused.told.iter().map(|record| record.index).collect()
}

fn compacted() -> TopicConfig {
    TopicConfig {
        cleanup_policy: CleanupPolicy {
            delete: false,
            compact: true,
        },
        ..TopicConfig::default()
    }
}

/// Everything in the partition.
fn stored(handle: &PartitionHandle) -> Vec<RecordBatch> {
    let read = handle.read(Offset::ZERO, 1 << 20, Isolation::ReadUncommitted);
    let runs = read.expect("readable").batches;
    let batches = runs.into_iter().flat_map(BatchIter::new);
    batches.map(|batch| batch.expect("a sound batch")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_records_cannot_be_read_is_refused_and_leaves_nothing() {
    let store = open(&SimDisk::new(71)).await;
    let handle = create(&store, 0, TopicConfig::default()).await;
    append(&handle, of_records(2, &[record(0), record(1)]))
        .await
        .expect("sound");
    for (lie, place) in [
        (of_records(2, &[record(0), record(0)]), 1),
        (of_records(2, &[record(0)]), 1),
        (of_records(1, &[record(0), record(1)]), 1),
        (of_records(1, &[vec![7 << 1, 0, 0, 0, 1, 99 << 1, b'v', 0]]), 0),
        (
            of_records(1, &[vec![7 << 1, 0, 0, 0, 1, 1 << 1, b'v', 1 << 1]]),
            0,
        ),
    ] {
        let refused = refused(append(&handle, lie).await);
        assert_eq!(places(&refused), [place], "{refused}");
        assert!(
            matches!(refused.told[0].reason, RecordFault::Malformed(_)),
            "{refused}"
        );
    }
    assert_eq!(handle.offsets().log_end_offset, Offset::new(2));
}

#[tokio::test(start_paused = true)]
async fn packed_records_are_unpacked_to_be_judged() {
    let store = open(&SimDisk::new(72)).await;
    let handle = create(&store, 0, compacted()).await;
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(BatchOptions {
            compression: codec,
            ..BatchOptions::default()
        });
        for key in [Some(&b"k"[..]), None, Some(b"l"), None] {
            builder.append(NOW, key, Some(&[7; 50]), &[]).expect("fits");
        }
        let refused = refused(append(&handle, builder.build()).await);
        assert_eq!(places(&refused), [1, 3], "{codec}");
        assert!(!refused.is_about_time());
    }
    let mut torn = BatchBuilder::new(BatchOptions {
        compression: Compression::Zstd,
        ..BatchOptions::default()
    });
    torn.append(NOW, Some(b"k"), Some(&[7; 50]), &[]).expect("fits");
    let mut torn = torn.build().to_vec();
    let last = torn.len() - 1;
    torn[last] ^= 0xff;
    torn[61] ^= 0xff;
    patch::set_create_time(&mut torn, NOW).expect("a whole batch");
    let error = append(&handle, torn.into()).await.unwrap_err();
    assert!(matches!(error, StorageError::InvalidContent { .. }), "{error}");
    assert_eq!(handle.offsets().log_end_offset, Offset::ZERO);
}

#[tokio::test(start_paused = true)]
async fn of_very_many_refused_records_the_first_are_told() {
    let store = open(&SimDisk::new(73)).await;
    let handle = create(&store, 0, compacted()).await;
    let refused = refused(append(&handle, keyless(5_000)).await);
    assert_eq!((refused.count, refused.told.len()), (2_500, REFUSED_RECORDS_TOLD));
    assert_eq!(places(&refused)[..3], [1, 3, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_header_that_says_another_latest_time_is_mended() {
    let store = open(&SimDisk::new(74)).await;
    let handle = create(&store, 0, TopicConfig::default()).await;
    for wrong in [0, NOW - 1, NOW + 1, i64::MAX] {
        let mut batch = batch(None, false, &[("a", Some("1")), ("b", Some("2"))]).to_vec();
        patch::set_create_time(&mut batch, wrong).expect("a whole batch");
        append(&handle, batch.into()).await.expect("mended");
    }
    // A client that stamps its own time as the broker's.
    let mut stamped = batch(None, false, &[("a", Some("1")), ("b", Some("2"))]).to_vec();
    patch::set_log_append_time(&mut stamped, NOW + 9).expect("a whole batch");
    append(&handle, stamped.into()).await.expect("mended");
    let stored = stored(&handle);
    assert_eq!(stored.len(), 5);
    for batch in &stored {
        batch.check_crc().expect("a checksum of the mended header");
        let says = (batch.timestamp_type(), batch.max_timestamp());
        assert_eq!(says, (TimestampType::CreateTime, NOW + 1));
    }
    let latest = handle.max_timestamp_offset().await.expect("found");
    assert_eq!(latest, Some((Offset::new(1), NOW + 1)));
}

#[tokio::test(start_paused = true)]
async fn a_client_may_not_stamp_where_the_broker_does() {
    let store = open(&SimDisk::new(75)).await;
    let config = TopicConfig {
        timestamp_source: TimestampSource::LogAppendTime,
        ..TopicConfig::default()
    };
    let handle = create(&store, 0, config).await;
    let mut stamped = batch(None, false, &[("a", Some("1")), ("b", Some("2"))]).to_vec();
    patch::set_log_append_time(&mut stamped, NOW).expect("a whole batch");
    let refused = refused(append(&handle, stamped.into()).await);
    assert_eq!((places(&refused), refused.is_about_time()), (vec![0, 1], true));
}

#[tokio::test(start_paused = true)]
async fn a_header_that_cannot_be_is_no_accident_if_its_checksum_holds() {
    let store = open(&SimDisk::new(76)).await;
    let handle = create(&store, 0, TopicConfig::default()).await;
    // More records than offsets; the checksum is that of these bytes.
    let mut lie = of_records(1, &[record(0)]).to_vec();
    lie[57..61].copy_from_slice(&2i32.to_be_bytes());
    let crc = crc32c::crc32c(&lie[21..]);
    lie[17..21].copy_from_slice(&crc.to_be_bytes());
    let meant = append(&handle, lie.clone().into()).await.unwrap_err();
    assert!(matches!(meant, StorageError::InvalidContent { .. }), "{meant}");
    lie[17] ^= 1;
    let accident = append(&handle, lie.into()).await.unwrap_err();
    assert!(
        matches!(accident, StorageError::InvalidBatch { .. }),
        "{accident}"
    );
}

#[tokio::test(start_paused = true)]
async fn batches_are_judged_before_they_are_packed_as_the_topic_asks() {
    let store = open(&SimDisk::new(77)).await;
    let handle = create(&store, 0, compacted()).await;
    let packed = |batches| AppendRequest {
        stored_as: Some(Compression::Lz4),
        ..AppendRequest::client(batches)
    };
    let lie = handle.append(packed(of_records(2, &[record(0), record(0)])));
    assert_eq!(places(&refused(lie.await)), [1]);
    let mut wrong_time = batch(None, false, &[("a", Some("1")), ("b", Some("2"))]).to_vec();
    patch::set_create_time(&mut wrong_time, 0).expect("a whole batch");
    handle
        .append(packed(wrong_time.into()))
        .await
        .expect("mended and packed");
    let stored = stored(&handle);
    assert_eq!(stored.len(), 1);
    assert_eq!(
        (stored[0].compression(), stored[0].max_timestamp()),
        (Compression::Lz4, NOW + 1)
    );
}
