//! Helpers of the storage tests: a store on a disk that is easy to crash, and batches that are easy to tell apart.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::disk::Disk;
use super::disk_sim::SimDisk;
use super::{
    AppendAck, AppendRequest, Isolation, LogStore, LogStoreOptions, PartitionHandle, StorageConfig,
    StorageError, TopicConfig,
};
use crate::clock::SimClock;
use crate::faults::Faults;
use crate::record::{BatchBuilder, BatchIter, BatchOptions, ControlRecord};
use crate::rng::SeededRng;
use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence, TopicId, TopicName, TopicPartition};

/// Settings small enough that a short test crosses every limit.
pub(super) fn small_config() -> StorageConfig {
    StorageConfig {
        owner_loops: 1,
        reserved_disk_bytes: 0,
        tail_cache_bytes: 4096,
        open_files_max: 16,
        journal_bytes: 64 << 10,
        checkpoint_interval: Duration::from_millis(100),
        ..StorageConfig::default()
    }
}

pub(super) fn options(disk: &SimDisk, faults: Faults) -> LogStoreOptions {
    options_on(disk.shared(), PathBuf::from("/data"), faults)
}

pub(super) fn options_on(disk: Arc<dyn Disk>, data_dir: PathBuf, faults: Faults) -> LogStoreOptions {
    LogStoreOptions {
        data_dir,
        disk,
        clock: Arc::new(SimClock::new(1_700_000_000_000)),
        rng: Arc::new(SeededRng::new(1)),
        faults,
        config: small_config(),
    }
}

pub(super) async fn open(disk: &SimDisk) -> LogStore {
    match LogStore::open(options(disk, Faults::none())).await {
        Ok(store) => store,
        Err(error) => panic!("the store does not open: {error}"),
    }
}

pub(super) fn partition(n: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new("orders").expect("a sound name"), n)
}

pub(super) fn topic_id() -> TopicId {
    TopicId::new(uuid::Uuid::from_u128(42))
}

pub(super) async fn create(store: &LogStore, n: i32, config: TopicConfig) -> PartitionHandle {
    store
        .create_partition(partition(n), topic_id(), config)
        .await
        .expect("created")
}

/// A batch of one record per value.
pub(super) fn batch(
    producer: Option<(i64, i16, i32)>,
    transactional: bool,
    records: &[(&str, Option<&str>)],
) -> Bytes {
    batch_at(producer, transactional, 1_700_000_000_000, records)
}

pub(super) fn batch_at(
    producer: Option<(i64, i16, i32)>,
    transactional: bool,
    timestamp: i64,
    records: &[(&str, Option<&str>)],
) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer: producer.map(|(id, epoch, sequence)| {
            (
                ProducerId::new(id),
                ProducerEpoch::new(epoch),
                Sequence::new(sequence),
            )
        }),
        transactional,
        ..BatchOptions::default()
    });
    for (i, (key, value)) in records.iter().enumerate() {
        builder
            .append(
                timestamp + i as i64,
                Some(key.as_bytes()),
                value.map(str::as_bytes),
                &[],
            )
            .expect("fits");
    }
    builder.build()
}

pub(super) async fn append(handle: &PartitionHandle, bytes: Bytes) -> Result<AppendAck, StorageError> {
    handle.append(AppendRequest::client(bytes)).await
}

pub(super) async fn marker(
    handle: &PartitionHandle,
    producer: i64,
    epoch: i16,
    commit: bool,
) -> Result<AppendAck, StorageError> {
    let record = if commit {
        ControlRecord::Commit { coordinator_epoch: 0 }
    } else {
        ControlRecord::Abort { coordinator_epoch: 0 }
    };
    handle
        .append_control(ProducerId::new(producer), ProducerEpoch::new(epoch), record)
        .await
}

/// A record as a consumer sees it.
pub(super) type Seen = (i64, String, Option<String>);

/// Everything from `from` on as a consumer of this isolation sees it, in reads of `max_bytes`.
pub(super) fn consume(
    handle: &PartitionHandle,
    from: i64,
    isolation: Isolation,
    max_bytes: usize,
) -> Result<Vec<Seen>, StorageError> {
    let mut seen = Vec::new();
    let mut next = Offset::new(from);
    loop {
        let result = handle.read(next, max_bytes, isolation)?;
        if result.batches.is_empty() {
            return Ok(seen);
        }
        let mut aborted = result.aborted.clone();
        let mut skipping: Vec<ProducerId> = Vec::new();
        for run in &result.batches {
            for batch in BatchIter::new(run.clone()) {
                let batch = batch.expect("a sound batch");
                batch.check_crc().expect("a sound batch");
                aborted.retain(|txn| {
                    let begins = txn.first_offset <= batch.last_offset();
                    if begins {
                        skipping.push(txn.producer_id);
                    }
                    !begins
                });
                if batch.is_control() {
                    let decoded = batch.decode().expect("decodes");
                    let record = decoded.iter().next().expect("one record").expect("sound");
                    let kind = ControlRecord::parse(record.key, record.value)
                        .expect("sound")
                        .expect("known");
                    if !kind.is_commit() {
                        skipping.retain(|p| *p != batch.producer_id());
                    }
                } else if !(batch.is_transactional() && skipping.contains(&batch.producer_id())) {
                    for record in batch.decode().expect("decodes").iter() {
                        let record = record.expect("sound");
                        if record.offset >= next {
                            let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                            seen.push((
                                record.offset.get(),
                                record.key.map(text).unwrap_or_default(),
                                record.value.map(text),
                            ));
                        }
                    }
                }
                next = batch.next_offset();
            }
        }
    }
}
