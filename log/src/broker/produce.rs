//! Produce (API key 0).
//!
//! The batches a producer built are appended verbatim. A transactional batch adds its partition to the transaction by itself (KIP-890,
//! TV2), durably and before the batch is written: a partition with open transactional data is always known to the coordinator.

use bytes::Bytes;

use super::{Broker, BrokerError};
use crate::types::{Offset, Timestamp, TopicPartition, TransactionalId};

/// When a produce is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Acks {
    /// As soon as the bytes are taken; errors are still told.
    None,
    /// When the leader has it as durable as the topic asks.
    Leader,
    /// When every in-sync replica has it; on one node the same as `Leader`.
    #[default]
    All,
}

/// Batches for one partition.
#[derive(Clone, Debug)]
pub struct ProducePartition {
    /// Where to.
    pub partition: TopicPartition,
    /// One or more record batches v2, back to back.
    pub batches: Bytes,
}

/// Batches for some partitions.
#[derive(Clone, Debug, Default)]
pub struct ProduceRequest {
    /// Whose transaction; required if the batches are transactional.
    pub transactional_id: Option<TransactionalId>,
    /// When to answer.
    pub acks: Acks,
    /// The batches.
    pub partitions: Vec<ProducePartition>,
}

/// Where batches landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceAck {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// The time the broker stamped on the records, if the topic asks for that.
    pub log_append_time: Option<Timestamp>,
    /// First readable offset of the partition.
    pub log_start_offset: Offset,
}

impl Broker {
    /// Appends batches; one answer per partition, in order. Partitions succeed and fail on their own. A batch seen before is answered with
    /// its first offset.
    ///
    /// Errs per partition: `UnknownTopicOrPartition`, `CorruptMessage`, `MessageTooLarge`, `InvalidRecord`,
    /// `OutOfOrderSequenceNumber`, `DuplicateSequenceNumber`, `InvalidProducerEpoch` (fenced), `InvalidTxnState`,
    /// `KafkaStorageError`. Cancel-safe: a dropped call may or may not have appended; sending the same batches again is answered right.
    pub async fn produce(&self, request: ProduceRequest) -> Vec<Result<ProduceAck, BrokerError>> {
        let _ = request;
        unimplemented!()
    }
}
