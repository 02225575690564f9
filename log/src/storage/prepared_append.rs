//! An append, checked as far as that needs nothing the owner loop alone knows.
//!
//! Reading the batches, their checksums and, if somebody else still holds the bytes, the copy that offsets can be written into: that is most of
//! the work of an append but for the write itself. It happens in the task that appends, so that the owner loop, through which all appends of
//! its partitions go, is left with what has to be done in order. Pure but for memory. Next: `partition_log.rs`.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::append::{AppendOrigin, AppendRequest, Verification};
use super::batch_facts::facts_of_slice;
use super::producer_state::BatchFacts;
use super::settings::{TimestampSource, TopicConfig};
use super::storage_error::StorageError;
use crate::record::{BatchIter, BatchSlice, batches_of};
use crate::types::{NO_TIMESTAMP, Offset, Timestamp, TopicPartition};

/// The bytes of an append.
#[derive(Debug)]
pub(super) enum Payload {
    /// To be given their offsets in place: nobody else holds them.
    Own(BytesMut),
    /// A leader's copy, written as it is.
    Verbatim(Bytes),
}

/// An append that is sound by itself; sequences and offsets are the owner loop's to judge.
#[derive(Debug)]
pub(super) struct PreparedAppend {
    pub(super) payload: Payload,
    /// Of each batch, in order; at least one.
    pub(super) facts: SmallVec<[BatchFacts; 2]>,
    pub(super) origin: AppendOrigin,
    pub(super) acks_durable: bool,
    pub(super) verified_from: Option<Offset>,
}

impl PreparedAppend {
    /// Checks a request for `partition` at `now`. Bytes that are shared are copied once, the others are taken over.
    pub(super) fn new(
        partition: &TopicPartition,
        config: &TopicConfig,
        request: AppendRequest,
        now: Timestamp,
    ) -> Result<Self, StorageError> {
        let mut facts = SmallVec::new();
        for batch in batches_of(&request.batches) {
            let checked = batch.map_err(|source| invalid(partition, source));
            let batch = checked.and_then(|batch| {
                check(partition, config, &request, &batch)?;
                check_timestamps(partition, config, &request, &batch, now)?;
                facts_of_slice(&batch).map_err(|source| invalid(partition, source))
            })?;
            facts.push(batch);
        }
        if facts.is_empty() {
            return Err(refused(partition, "the request holds no batch"));
        }
        let payload = match request.origin {
            AppendOrigin::Replication => Payload::Verbatim(request.batches.into_shared()),
            AppendOrigin::Client | AppendOrigin::Coordinator => Payload::Own(request.batches.into_own()),
        };
        Ok(Self {
            payload,
            facts,
            origin: request.origin,
            acks_durable: request.acks_durable,
            verified_from: request.verified_from,
        })
    }
}

fn check(
    partition: &TopicPartition,
    config: &TopicConfig,
    request: &AppendRequest,
    batch: &BatchSlice<'_>,
) -> Result<(), StorageError> {
    let header = &batch.header;
    if request.origin != AppendOrigin::Replication {
        if header.size_bytes() > config.max_message_bytes as usize {
            return Err(StorageError::BatchTooLarge {
                partition: partition.clone(),
                size_bytes: header.size_bytes(),
                limit_bytes: config.max_message_bytes,
            });
        }
        if header.record_count() == 0
            || header.record_count() as i64 != i64::from(header.last_offset_delta()) + 1
        {
            return Err(refused(
                partition,
                "record count does not match the offsets of the batch",
            ));
        }
    }
    if request.origin == AppendOrigin::Client && header.is_control() {
        return Err(refused(partition, "clients may not write control batches"));
    }
    if request.verify == Verification::Checksum {
        batch.check_crc().map_err(|source| invalid(partition, source))?;
    }
    Ok(())
}

/// Only the producer's own timestamps are judged, and a record without one passes, as in Kafka.
fn check_timestamps(
    partition: &TopicPartition,
    config: &TopicConfig,
    request: &AppendRequest,
    batch: &BatchSlice<'_>,
    now: Timestamp,
) -> Result<(), StorageError> {
    if request.origin != AppendOrigin::Client || config.timestamp_source == TimestampSource::LogAppendTime {
        return Ok(());
    }
    let earliest = now.saturating_sub(config.timestamp_before_max_ms);
    let latest = now.saturating_add(config.timestamp_after_max_ms);
    let judge = |timestamp: Timestamp| {
        if timestamp == NO_TIMESTAMP || (earliest..=latest).contains(&timestamp) {
            return Ok(());
        }
        Err(StorageError::InvalidTimestamp {
            partition: partition.clone(),
            timestamp,
            earliest,
            latest,
        })
    };
    judge(batch.header.max_timestamp())?;
    if earliest >= 0 {
        // The header knows only the latest; for the earliest the records must be read, which is done only where a limit is set.
        for batch in BatchIter::new(Bytes::copy_from_slice(batch.bytes)) {
            let records = batch.and_then(|batch| batch.decode());
            for record in records.map_err(|source| invalid(partition, source))?.iter() {
                judge(record.map_err(|source| invalid(partition, source))?.timestamp)?;
            }
        }
    }
    Ok(())
}

fn refused(partition: &TopicPartition, reason: &'static str) -> StorageError {
    StorageError::InvalidRecord {
        partition: partition.clone(),
        reason,
    }
}

fn invalid(partition: &TopicPartition, source: crate::record::BatchError) -> StorageError {
    StorageError::InvalidBatch {
        partition: partition.clone(),
        source,
    }
}
