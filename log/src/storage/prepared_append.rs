//! An append, checked as far as that needs nothing the owner loop alone knows.
//!
//! Reading the batches, their checksums, a client's records (`record_rules.rs`), packing them as the topic asks and, if somebody else still holds the bytes,
//! the copy that offsets can be written into: that is most of the work of an append but for the write itself. It happens in the task that appends, so that the owner loop, through which all appends of
//! its partitions go, is left with what has to be done in order. Pure but for memory. Next: `partition_log.rs`.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::append::{AppendOrigin, AppendRequest, Verification};
use super::batch_facts::facts_of_slice;
use super::producer_state::BatchFacts;
use super::record_rules::{BatchRefusal, RecordRules};
use super::settings::{TimestampSource, TopicConfig};
use super::storage_error::StorageError;
use crate::record::{
    BatchBytes, BatchError, BatchSlice, Compression, TimestampType, batches_of, checksum_holds, patch,
    recompressed,
};
use crate::types::{Offset, Timestamp, TopicPartition};

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
    pub(super) facts: Facts,
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
        let mut facts = Facts::new();
        let rules = (request.origin == AppendOrigin::Client).then(|| RecordRules::of(config, now));
        // Where a batch begins whose header does not say the latest of its timestamps, and that one.
        let mut mistimed: SmallVec<[(usize, Timestamp); 1]> = SmallVec::new();
        let mut at = 0;
        for batch in batches_of(&request.batches) {
            let batch = batch.map_err(|source| unreadable(partition, source, &request.batches[at..]))?;
            check(partition, config, &request, &batch)?;
            let mut known = facts_of_slice(&batch).map_err(|source| invalid(partition, source))?;
            if let Some(rules) = &rules {
                let seen = request.batches.records_seen();
                let latest = match seen.and_then(|seen| rules.passes_unseen(&batch, seen)) {
                    Some(latest) => latest,
                    None => rules
                        .check(&batch)
                        .map_err(|r| refused_for_records(partition, r))?,
                };
                let says = (batch.header.timestamp_type(), batch.header.max_timestamp());
                // Kafka mends that too. Where the broker stamps, it does so when it knows the time.
                if says != (TimestampType::CreateTime, latest)
                    && config.timestamp_source == TimestampSource::CreateTime
                {
                    known.max_timestamp = latest;
                    mistimed.push((at, latest));
                }
            }
            at += batch.bytes.len();
            facts.push(known);
        }
        if facts.is_empty() {
            return Err(refused(partition, "the request holds no batch"));
        }
        let payload = match request.origin {
            AppendOrigin::Replication => Payload::Verbatim(request.batches.into_shared()),
            AppendOrigin::Client | AppendOrigin::Coordinator => {
                let mut bytes = request.batches.into_own();
                for (at, latest) in mistimed {
                    patch::set_create_time(&mut bytes[at..], latest)
                        .map_err(|source| invalid(partition, source))?;
                }
                if let Some(codec) = request.stored_as {
                    (bytes, facts) = repacked(partition, config, bytes, codec)?;
                }
                Payload::Own(bytes)
            }
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

/// What is known of each batch of an append.
type Facts = SmallVec<[BatchFacts; 2]>;

/// The batches in the codec the topic asks for, and their facts anew: their sizes are others.
fn repacked(
    partition: &TopicPartition,
    config: &TopicConfig,
    bytes: BytesMut,
    codec: Compression,
) -> Result<(BytesMut, Facts), StorageError> {
    let packed = recompressed(bytes.freeze(), codec).map_err(|source| invalid(partition, source))?;
    let mut facts = Facts::new();
    for batch in batches_of(&packed) {
        let batch = batch.map_err(|source| invalid(partition, source))?;
        check_size(partition, config, &batch)?;
        facts.push(facts_of_slice(&batch).map_err(|source| invalid(partition, source))?);
    }
    Ok((BatchBytes::from(packed).into_own(), facts))
}

fn check(
    partition: &TopicPartition,
    config: &TopicConfig,
    request: &AppendRequest,
    batch: &BatchSlice<'_>,
) -> Result<(), StorageError> {
    let header = &batch.header;
    if request.origin != AppendOrigin::Replication {
        check_size(partition, config, batch)?;
    }
    if request.verify == Verification::Checksum {
        batch.check_crc().map_err(|source| invalid(partition, source))?;
    }
    if request.origin != AppendOrigin::Replication
        && (header.record_count() == 0
            || header.record_count() as i64 != i64::from(header.last_offset_delta()) + 1)
    {
        return Err(refused(
            partition,
            "record count does not match the offsets of the batch",
        ));
    }
    if request.origin == AppendOrigin::Client {
        if header.is_control() {
            return Err(refused(partition, "clients may not write control batches"));
        }
        if header.producer_id().is_some() && header.base_sequence().get() < 0 {
            return Err(refused(
                partition,
                "batch of an idempotent producer has no sequence number",
            ));
        }
    }
    Ok(())
}

fn check_size(
    partition: &TopicPartition,
    config: &TopicConfig,
    batch: &BatchSlice<'_>,
) -> Result<(), StorageError> {
    let size_bytes = batch.header.size_bytes();
    if size_bytes <= config.max_message_bytes as usize {
        return Ok(());
    }
    Err(StorageError::BatchTooLarge {
        partition: partition.clone(),
        size_bytes,
        limit_bytes: config.max_message_bytes,
    })
}

fn refused(partition: &TopicPartition, reason: &'static str) -> StorageError {
    StorageError::InvalidRecord {
        partition: partition.clone(),
        reason,
    }
}

fn refused_for_records(partition: &TopicPartition, refusal: BatchRefusal) -> StorageError {
    let partition = partition.clone();
    match refusal {
        BatchRefusal::Records(refused) => StorageError::InvalidRecords {
            partition,
            refused: Arc::new(refused),
        },
        BatchRefusal::Packing(source) => StorageError::InvalidContent { partition, source },
    }
}

/// `rest` begins with a batch whose header cannot be. If the checksum holds it was built so, and is no accident of the way.
fn unreadable(partition: &TopicPartition, source: BatchError, rest: &[u8]) -> StorageError {
    let partition = partition.clone();
    match source {
        BatchError::InvalidHeader { .. } if checksum_holds(rest) => {
            StorageError::InvalidContent { partition, source }
        }
        _ => StorageError::InvalidBatch { partition, source },
    }
}

fn invalid(partition: &TopicPartition, source: BatchError) -> StorageError {
    StorageError::InvalidBatch {
        partition: partition.clone(),
        source,
    }
}

#[cfg(test)]
#[path = "prepared_append_test.rs"]
mod prepared_append_test;
