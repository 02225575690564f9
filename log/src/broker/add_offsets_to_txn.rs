//! AddOffsetsToTxn (API key 25).
//!
//! Committing offsets in a transaction adds the group's partition by itself; this is for clients that say so beforehand.

use std::collections::BTreeSet;

use super::{Broker, BrokerError};
use crate::types::{GroupId, ProducerEpoch, ProducerId, TransactionalId};

impl Broker {
    /// Adds the partition of `__consumer_offsets` that holds `group` to the open transaction, beginning one if there is none.
    /// Errs like `add_partitions_to_txn`. Cancel-safe.
    pub async fn add_offsets_to_txn(
        &self,
        transactional_id: &TransactionalId,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        group: &GroupId,
    ) -> Result<(), BrokerError> {
        let partitions = BTreeSet::from([self.offsets().partition_of(group).await?]);
        self.transactions()
            .add_partitions(transactional_id, producer_id, producer_epoch, partitions)
            .await
    }
}
