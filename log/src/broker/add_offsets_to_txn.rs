//! AddOffsetsToTxn (API key 25).
//!
//! Committing offsets with TV2 adds the group's partition by itself; this is for clients that say so beforehand.

use std::collections::BTreeSet;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, ProducerIdentity};
use crate::types::{GroupId, ProducerEpoch, ProducerId, TransactionVersion, TransactionalId};

impl Broker {
    /// Adds the partition of `__consumer_offsets` that holds `group` to the open transaction, beginning one if there is none.
    /// Errs like `add_partitions_to_txn`, and with `InvalidGroupId`. Cancel-safe.
    pub fn add_offsets_to_txn<'a>(
        &'a self,
        transactional_id: &'a TransactionalId,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        group: &'a GroupId,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        async move {
            let producer = ProducerIdentity {
                producer_id,
                producer_epoch,
            };
            let partitions = BTreeSet::from([self.groups().partition_of(group).await?]);
            self.transactions()
                .add_partitions(transactional_id, producer, partitions, TransactionVersion::V0)
                .await
        }
        .boxed()
    }
}
