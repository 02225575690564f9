//! AddPartitionsToTxn (API key 24).
//!
//! Producing with TV2 adds partitions by itself; this is for clients that say so beforehand, and for brokers that only ask.

use std::collections::BTreeSet;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, ErrorCode, ProducerIdentity};
use crate::coordinator::txn::not_in_txn;
use crate::types::{ProducerEpoch, ProducerId, TopicPartition, TransactionVersion, TransactionalId};

impl Broker {
    /// Adds partitions to the open transaction, beginning one if there is none. No-op for partitions already in it.
    /// Errs with `ProducerFenced`, `InvalidProducerIdMapping`, `UnknownTopicOrPartition`. Cancel-safe.
    pub fn add_partitions_to_txn<'a>(
        &'a self,
        transactional_id: &'a TransactionalId,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        partitions: Vec<TopicPartition>,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            for partition in &partitions {
                self.node().writable_partition(partition)?;
            }
            let producer = ProducerIdentity {
                producer_id,
                producer_epoch,
            };
            let partitions = partitions.into_iter().collect();
            self.transactions()
                .add_partitions(transactional_id, producer, partitions, TransactionVersion::V0)
                .await
        }
        .boxed()
    }

    /// The same with one answer per partition, in order: if one cannot be added none is, and the others err with `OperationNotAttempted`.
    /// Cancel-safe.
    pub fn add_each_partition_to_txn<'a>(
        &'a self,
        transactional_id: &'a TransactionalId,
        producer: ProducerIdentity,
        partitions: Vec<TopicPartition>,
    ) -> BoxFuture<'a, Vec<Result<(), BrokerError>>> {
        async move {
            let mut found: Vec<_> = partitions
                .iter()
                .map(|partition| self.node().writable_partition(partition).map(drop))
                .collect();
            if found.iter().any(Result::is_err) {
                let untouched = found
                    .iter_mut()
                    .zip(&partitions)
                    .filter(|(found, _)| found.is_ok());
                for (found, partition) in untouched {
                    let message = format!(
                        "partition {partition} was not added because others of the request cannot be"
                    );
                    *found = Err(BrokerError::new(ErrorCode::OperationNotAttempted, message));
                }
                return found;
            }
            let count = partitions.len();
            let partitions = partitions.into_iter().collect();
            let added = self
                .transactions()
                .add_partitions(transactional_id, producer, partitions, TransactionVersion::V0)
                .await;
            vec![added; count]
        }
        .boxed()
    }

    /// Tells for each partition whether it is in the open transaction of the producer (`TransactionAbortable` if not); adds nothing. Errs as
    /// `add_partitions_to_txn` does, or with `ConcurrentTransactions` while the last transaction is being ended. Cancel-safe.
    pub fn verify_partitions_in_txn<'a>(
        &'a self,
        transactional_id: &'a TransactionalId,
        producer: ProducerIdentity,
        partitions: Vec<TopicPartition>,
    ) -> BoxFuture<'a, Vec<Result<(), BrokerError>>> {
        async move {
            let asked: BTreeSet<_> = partitions.iter().cloned().collect();
            let missing = self.transactions().missing(transactional_id, producer, &asked);
            let answer = |partition: TopicPartition| match &missing {
                Err(error) => Err(error.clone()),
                Ok(missing) if missing.contains(&partition) => {
                    Err(not_in_txn(producer.producer_id, partition))
                }
                Ok(_) => Ok(()),
            };
            partitions.into_iter().map(answer).collect()
        }
        .boxed()
    }
}
