//! TxnOffsetCommit (API key 28).
//!
//! The offsets become the group's when the transaction commits, and vanish when it aborts. Until then they are pending: a stable
//! offset fetch of their partitions is told to wait.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, OffsetAndMetadata, ProducerIdentity};
use crate::types::{GroupId, ProducerEpoch, ProducerId, TopicPartition, TransactionVersion, TransactionalId};

/// Offsets to commit with a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnOffsetCommit {
    /// Whose transaction.
    pub transactional_id: TransactionalId,
    /// Whose offsets.
    pub group: GroupId,
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Next offset to read, per partition.
    pub offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
}

impl Broker {
    /// Writes the offsets into the open transaction (beginning one if there is none): all or none. Errs with `ProducerFenced`,
    /// `InvalidProducerEpoch`, `InvalidProducerIdMapping`, `OffsetMetadataTooLarge`. Cancel-safe: a dropped call may have written them; they count only if
    /// the transaction commits.
    pub fn txn_offset_commit(&self, commit: TxnOffsetCommit) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.txn_offset_commit_by(TransactionVersion::V2, commit)
    }

    /// The same by the protocol of the client: below TV2 the group's partition must have been added by `add_offsets_to_txn`, or it errs with
    /// `TransactionAbortable`.
    pub fn txn_offset_commit_by(
        &self,
        version: TransactionVersion,
        commit: TxnOffsetCommit,
    ) -> BoxFuture<'_, Result<(), BrokerError>> {
        async move {
            let TxnOffsetCommit {
                transactional_id,
                group,
                producer_id,
                producer_epoch,
                offsets,
            } = commit;
            self.check_offset_partitions(&offsets)?;
            let producer = ProducerIdentity {
                producer_id,
                producer_epoch,
            };
            self.transactions()
                .commit_offsets(&transactional_id, producer, group, offsets, version)
                .await
        }
        .boxed()
    }
}
