//! Produce (API key 0).
//!
//! The batches a producer built are appended verbatim. A transactional batch adds its partition to the transaction by itself (KIP-890,
//! TV2), durably and before the batch is written: a partition with open transactional data is always known to the coordinator. One of an
//! older client must find its partition added; in both cases the append is refused if the transaction was ended in between.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, ErrorCode, ProducerIdentity};
use crate::coordinator::txn::not_in_txn;
use crate::record::{BatchBytes, batches_of};
use crate::storage::{AppendAck, AppendRequest, QueuedAppend};
use crate::types::{Offset, Timestamp, TopicPartition, TransactionVersion, TransactionalId};

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
    pub batches: BatchBytes,
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
    /// The transaction protocol of the client; only TV2, the default, adds partitions to the transaction.
    pub transaction_version: TransactionVersion,
}

/// What the coordinator said about the transactional batches of a request.
#[derive(Debug, Default)]
struct Admission {
    /// Log ends from before it was asked, of the partitions with transactional batches.
    verified_from: BTreeMap<TopicPartition, Offset>,
    /// Partitions that are not in the transaction, or do not exist.
    refused: BTreeMap<TopicPartition, BrokerError>,
}

impl Admission {
    /// Whether a partition may be written, and from which log end on it was verified.
    fn of(&self, partition: &TopicPartition) -> Result<Option<Offset>, BrokerError> {
        match self.refused.get(partition) {
            Some(refused) => Err(refused.clone()),
            None => Ok(self.verified_from.get(partition).copied()),
        }
    }
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
    /// Errs per partition: `UnknownTopicOrPartition`, `CorruptMessage`, `MessageTooLarge`, `InvalidRecord` and `InvalidTimestamp` (which tell the records to
    /// blame), `OutOfOrderSequenceNumber`, `DuplicateSequenceNumber`, `InvalidProducerEpoch` (fenced), `InvalidTxnState`,
    /// `KafkaStorageError`. Cancel-safe: a dropped call may or may not have appended; sending the same batches again is answered right.
    pub fn produce(&self, request: ProduceRequest) -> BoxFuture<'_, Vec<Result<ProduceAck, BrokerError>>> {
        async move { self.begin_produce(request).await.finish().await }.boxed()
    }

    /// The first half of `produce`: when it returns, every batch is in its partition's queue, in request order. A connection that calls it for
    /// one request after the other, and waits for the second halves later, keeps the order its client sent.
    pub async fn begin_produce(&self, request: ProduceRequest) -> Producing {
        let ProduceRequest {
            transactional_id,
            acks,
            partitions,
            transaction_version,
        } = request;
        let admission = self
            .admit(transactional_id.as_ref(), &partitions, transaction_version)
            .await;
        let mut appends = Vec::with_capacity(partitions.len());
        for ProducePartition { partition, batches } in partitions {
            let admitted = admission
                .as_ref()
                .map_err(BrokerError::clone)
                .and_then(|admission| admission.of(&partition));
            appends.push(match admitted {
                Ok(verified_from) => self.enqueue(&partition, batches, acks, verified_from).await,
                Err(refused) => Err(refused),
            });
        }
        Producing { appends }
    }

    /// Makes sure that every partition with transactional batches is in the open transaction of their producer.
    async fn admit(
        &self,
        id: Option<&TransactionalId>,
        partitions: &[ProducePartition],
        version: TransactionVersion,
    ) -> Result<Admission, BrokerError> {
        let mut producer = None;
        let mut touched = BTreeSet::new();
        for ProducePartition { partition, batches } in partitions {
            // A batch that is none is refused where it would be appended, and the other partitions with it are not.
            for batch in batches_of(batches).map_while(Result::ok) {
                let batch = batch.header;
                if !batch.is_transactional() {
                    continue;
                }
                let this = (batch.producer_id(), batch.producer_epoch());
                if *producer.get_or_insert(this) != this {
                    return Err(BrokerError::new(
                        ErrorCode::InvalidRequest,
                        "batches of two producers in one request",
                    ));
                }
                touched.insert(partition.clone());
            }
        }
        match (id, producer) {
            (_, None) => Ok(Admission::default()),
            (None, Some((producer_id, _))) => {
                let message =
                    format!("transactional batch of producer {producer_id} without a transactional id");
                Err(BrokerError::new(ErrorCode::InvalidTxnState, message))
            }
            (Some(id), Some((producer_id, producer_epoch))) => {
                let mut admission = Admission::default();
                for partition in touched {
                    match self.node().writable_partition(&partition) {
                        Ok(log) => {
                            let end = log.offsets().log_end_offset;
                            admission.verified_from.insert(partition, end);
                        }
                        // It would stay in the transaction for nothing. Refused once it stays refused: if it is created until its turn comes, a
                        // batch would be written that no transaction knows of.
                        Err(absent) => {
                            admission.refused.insert(partition, absent);
                        }
                    }
                }
                let touched = admission.verified_from.keys().cloned().collect();
                let producer = ProducerIdentity {
                    producer_id,
                    producer_epoch,
                };
                if version.is_v2() {
                    self.transactions()
                        .add_partitions(id, producer, touched, version)
                        .await
                        .map_err(fenced_as_produce_says)?;
                } else {
                    let missing = self.transactions().missing(id, producer, &touched);
                    for partition in missing.map_err(fenced_as_produce_says)? {
                        let refused = not_in_txn(producer_id, partition.clone());
                        admission.refused.insert(partition, refused);
                    }
                }
                Ok(admission)
            }
        }
    }

    async fn enqueue(
        &self,
        partition: &TopicPartition,
        batches: BatchBytes,
        acks: Acks,
        verified_from: Option<Offset>,
    ) -> Result<QueuedAppend, BrokerError> {
        let log = self.node().writable_partition(partition)?;
        let request = AppendRequest {
            acks_durable: acks != Acks::None,
            verified_from,
            stored_as: self.node().stored_compression(&partition.topic),
            ..AppendRequest::client(batches)
        };
        Ok(log.enqueue(request).await?)
    }
}

/// Appends that have their place in the log, and wait to be as durable as was asked.
#[derive(Debug)]
pub struct Producing {
    appends: Vec<Result<QueuedAppend, BrokerError>>,
}

impl Producing {
    /// One answer per partition, in request order. Dropping the future takes nothing back.
    pub async fn finish(self) -> Vec<Result<ProduceAck, BrokerError>> {
        let mut answers = Vec::with_capacity(self.appends.len());
        // One after the other: they wait for the same flush, and whichever is last decides.
        for append in self.appends {
            answers.push(match append {
                Ok(queued) => queued
                    .acknowledged()
                    .await
                    .map(ProduceAck::from)
                    .map_err(BrokerError::from),
                Err(refused) => Err(refused),
            });
        }
        answers
    }
}

impl From<AppendAck> for ProduceAck {
    fn from(ack: AppendAck) -> Self {
        Self {
            base_offset: ack.base_offset,
            log_append_time: ack.log_append_time,
            log_start_offset: ack.log_start_offset,
        }
    }
}

/// Produce has always called a fenced producer's epoch invalid, whoever finds out.
fn fenced_as_produce_says(error: BrokerError) -> BrokerError {
    match error.code() {
        ErrorCode::ProducerFenced => BrokerError::new(ErrorCode::InvalidProducerEpoch, error.message()),
        _ => error,
    }
}
