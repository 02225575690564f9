//! TxnOffsetCommit (API key 28).
//!
//! The offsets become the group's when the transaction commits, and vanish when it aborts. Until then they are pending: a stable
//! offset fetch of their partitions is told to wait.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, Committer, OffsetAndMetadata, ProducerIdentity};
use crate::coordinator::group::{FOR_EVER, OffsetsToCommit};
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
        async move {
            let answers = self
                .txn_offset_commit_by(TransactionVersion::V2, Committer::transaction(), commit, true)
                .await?;
            answers.into_iter().collect()
        }
        .boxed()
    }

    /// The same by the protocol of the client and as the member it says it is (KIP-447); one answer per offset, in order. Below TV2 the group's
    /// partition must have been added by `add_offsets_to_txn`, or it errs with `TransactionAbortable`. A partition that does not exist or whose
    /// metadata is too long is refused alone, or with `all_or_none` refuses all; such offsets do not expire either.
    ///
    /// Errs for all with what `txn_offset_commit` does and with `UnknownMemberId`, `IllegalGeneration`, `FencedInstanceId`, `GroupIdNotFound`.
    pub fn txn_offset_commit_by(
        &self,
        version: TransactionVersion,
        committer: Committer,
        commit: TxnOffsetCommit,
        all_or_none: bool,
    ) -> BoxFuture<'_, Result<Vec<Result<(), BrokerError>>, BrokerError>> {
        async move {
            let TxnOffsetCommit {
                transactional_id,
                group,
                producer_id,
                producer_epoch,
                offsets,
            } = commit;
            let answers = self.judge_offsets(&offsets);
            if let Some(Err(refused)) = answers.iter().find(|answer| all_or_none && answer.is_err()) {
                return Err(refused.clone());
            }
            let accepted = offsets.into_iter().zip(&answers);
            let accepted = accepted.filter(|(_, answer)| answer.is_ok());
            let commit = OffsetsToCommit {
                group,
                committer,
                producer: Some((producer_id, producer_epoch)),
                // A job in this process commits so; it has no members that would keep its offsets from expiring.
                retention_ms: all_or_none.then_some(FOR_EVER),
                offsets: accepted.map(|(offset, _)| offset).collect(),
            };
            let producer = ProducerIdentity {
                producer_id,
                producer_epoch,
            };
            self.transactions()
                .commit_offsets(&transactional_id, producer, commit, version)
                .await?;
            Ok(answers)
        }
        .boxed()
    }
}
