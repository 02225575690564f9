//! AddPartitionsToTxn (API key 24).
//!
//! Producing adds partitions by itself; this is for clients that say so beforehand.

use super::{Broker, BrokerError};
use crate::types::{ProducerEpoch, ProducerId, TopicPartition, TransactionalId};

impl Broker {
    /// Adds partitions to the open transaction, beginning one if there is none. No-op for partitions already in it.
    /// Errs with `ProducerFenced`, `InvalidProducerIdMapping`, `UnknownTopicOrPartition`. Cancel-safe.
    pub async fn add_partitions_to_txn(
        &self,
        transactional_id: &TransactionalId,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        partitions: Vec<TopicPartition>,
    ) -> Result<(), BrokerError> {
        for partition in &partitions {
            self.node().writable_partition(partition)?;
        }
        let partitions = partitions.into_iter().collect();
        self.transactions()
            .add_partitions(transactional_id, producer_id, producer_epoch, partitions)
            .await
    }
}
