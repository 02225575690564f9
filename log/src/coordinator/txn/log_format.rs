//! Records of `__transaction_state`, in Kafka's format: TransactionLogKey v0, TransactionLogValue v0 and v1.
//!
//! Written as v1 (the first flexible version, KIP-890); both are read. A null value forgets the transactional id. A value that cannot be
//! understood is an error, never skipped: it decides whether data is visible.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::codec::{CodecError, Reader, Writer};
use crate::types::{
    PartitionId, ProducerEpoch, ProducerId, TopicName, TopicPartition, TransactionVersion, TransactionalId,
};

use super::state::{TxnMetadata, TxnState};

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 1;

const TAG_PREVIOUS_PRODUCER_ID: u32 = 0;
const TAG_NEXT_PRODUCER_ID: u32 = 1;
const TAG_CLIENT_TRANSACTION_VERSION: u32 = 2;
/// Ours, far above Kafka's own: `last_producer_epoch`, which Kafka keeps in memory only and forgets at a restart.
const TAG_LAST_PRODUCER_EPOCH: u32 = 10_000;

/// The key of a transactional id's records.
pub fn encode_key(id: &TransactionalId) -> Bytes {
    Writer::new().i16(KEY_VERSION).string(id.as_str()).finish()
}

/// The transactional id of a record.
pub fn decode_key(key: &[u8]) -> Result<TransactionalId, CodecError> {
    let mut reader = Reader::new(key);
    match reader.i16()? {
        KEY_VERSION => reader.string().map(TransactionalId::new),
        version => Err(CodecError::Unexpected {
            what: "version of a transaction key",
            value: version.into(),
        }),
    }
}

/// The value that stores this state.
pub fn encode_value(metadata: &TxnMetadata) -> Bytes {
    let mut by_topic: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for partition in &metadata.partitions {
        by_topic
            .entry(&partition.topic)
            .or_default()
            .push(partition.partition.get());
    }
    let mut writer = Writer::new();
    writer
        .i16(VALUE_VERSION)
        .i64(metadata.producer_id.get())
        .i16(metadata.producer_epoch.get())
        .i32(metadata.timeout_ms)
        .i8(metadata.state as i8);
    if metadata.state == TxnState::Empty {
        // Kafka writes null here: an empty list would mean a transaction without partitions.
        writer.uvarint(0);
    } else {
        writer.uvarint(by_topic.len() as u32 + 1);
        for (topic, partitions) in by_topic {
            writer
                .compact_string(topic.as_str())
                .compact_i32s(&partitions)
                .tagged(&[]);
        }
    }
    writer
        .i64(metadata.last_update)
        .i64(metadata.started_at.unwrap_or(-1));
    let mut tagged = Vec::new();
    if metadata.previous_producer_id.is_some() {
        tagged.push((
            TAG_PREVIOUS_PRODUCER_ID,
            Writer::new().i64(metadata.previous_producer_id.get()).finish(),
        ));
    }
    if metadata.next_producer_id.is_some() {
        tagged.push((
            TAG_NEXT_PRODUCER_ID,
            Writer::new().i64(metadata.next_producer_id.get()).finish(),
        ));
    }
    tagged.push((
        TAG_CLIENT_TRANSACTION_VERSION,
        Writer::new().i16(metadata.client_version.logged()).finish(),
    ));
    tagged.push((
        TAG_LAST_PRODUCER_EPOCH,
        Writer::new().i16(metadata.last_producer_epoch.get()).finish(),
    ));
    writer.tagged(&tagged).finish()
}

/// The state a value stores.
pub fn decode_value(value: &[u8]) -> Result<TxnMetadata, CodecError> {
    let mut reader = Reader::new(value);
    let version = reader.i16()?;
    if !(0..=1).contains(&version) {
        return Err(CodecError::Unexpected {
            what: "version of a transaction value",
            value: version.into(),
        });
    }
    let flexible = version >= 1;
    let producer_id = ProducerId::new(reader.i64()?);
    let producer_epoch = ProducerEpoch::new(reader.i16()?);
    let timeout_ms = reader.i32()?;
    let state = reader.i8()?;
    let state = TxnState::from_code(state).ok_or(CodecError::Unexpected {
        what: "transaction state",
        value: state.into(),
    })?;
    let partitions = if flexible {
        compact_partitions(&mut reader)?
    } else {
        plain_partitions(&mut reader)?
    };
    let last_update = reader.i64()?;
    let started_at = Some(reader.i64()?).filter(|at| *at >= 0);
    let (mut previous_producer_id, mut next_producer_id) = (ProducerId::NONE, ProducerId::NONE);
    let (mut client_version, mut last_producer_epoch) = (TransactionVersion::V0, None);
    if flexible {
        reader.tagged(|tag, field| {
            match tag {
                TAG_PREVIOUS_PRODUCER_ID => previous_producer_id = ProducerId::new(field.i64()?),
                TAG_NEXT_PRODUCER_ID => next_producer_id = ProducerId::new(field.i64()?),
                TAG_CLIENT_TRANSACTION_VERSION => {
                    client_version = TransactionVersion::from_logged(field.i16()?);
                }
                TAG_LAST_PRODUCER_EPOCH => last_producer_epoch = Some(ProducerEpoch::new(field.i16()?)),
                _ => {}
            }
            Ok(())
        })?;
    }
    let last_producer_epoch = last_producer_epoch
        .unwrap_or_else(|| epoch_before(state, client_version, producer_epoch, previous_producer_id));
    Ok(TxnMetadata {
        producer_id,
        previous_producer_id,
        next_producer_id,
        producer_epoch,
        last_producer_epoch,
        timeout_ms,
        state,
        partitions,
        last_update,
        started_at,
        client_version,
    })
}

/// The predecessor's epoch where the record does not tell (Kafka's own, or ours before it was stored): ending a transaction bumps it by one.
fn epoch_before(
    state: TxnState,
    client_version: TransactionVersion,
    producer_epoch: ProducerEpoch,
    previous_producer_id: ProducerId,
) -> ProducerEpoch {
    let ended = state.preparing().or(state.completed()).is_some();
    match producer_epoch.get() {
        _ if !ended || !client_version.is_v2() => ProducerEpoch::NONE,
        0 if previous_producer_id.is_some() => ProducerEpoch::new(i16::MAX - 1),
        0 => ProducerEpoch::NONE,
        epoch => ProducerEpoch::new(epoch - 1),
    }
}

fn topic_name(name: &str) -> Result<TopicName, CodecError> {
    TopicName::new(name).map_err(|_| CodecError::Unexpected {
        what: "topic name of length",
        value: name.len() as i64,
    })
}

fn compact_partitions(reader: &mut Reader<'_>) -> Result<BTreeSet<TopicPartition>, CodecError> {
    let mut partitions = BTreeSet::new();
    for _ in 0..reader.compact_array_len(3)? {
        let topic = topic_name(reader.compact_string()?)?;
        for partition in reader.compact_i32s()? {
            partitions.insert(TopicPartition::new(topic.clone(), PartitionId::new(partition)));
        }
        reader.tagged(|_, _| Ok(()))?;
    }
    Ok(partitions)
}

fn plain_partitions(reader: &mut Reader<'_>) -> Result<BTreeSet<TopicPartition>, CodecError> {
    let mut partitions = BTreeSet::new();
    for _ in 0..reader.array_len(6)? {
        let topic = topic_name(reader.string()?)?;
        for _ in 0..reader.array_len(4)? {
            partitions.insert(TopicPartition::new(
                topic.clone(),
                PartitionId::new(reader.i32()?),
            ));
        }
    }
    Ok(partitions)
}
