//! AddPartitionsToTxn (API key 24).
//!
//! Producing adds partitions by itself; this is for clients that say so beforehand.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError};
use crate::types::{ProducerEpoch, ProducerId, TopicPartition, TransactionalId};

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
            let partitions = partitions.into_iter().collect();
            self.transactions()
                .add_partitions(transactional_id, producer_id, producer_epoch, partitions)
                .await
        }
        .boxed()
    }
}
