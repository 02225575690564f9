//! What producers ask of the transaction coordinator.
//!
//! Always true: a request that is taken up runs to its end, whatever becomes of the caller; one for an id that does not exist takes no memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::broker::{BrokerError, ErrorCode, ProducerIdentity, TxnResult, run_to_end};
use crate::coordinator::group::OffsetsToCommit;
use crate::metadata::limits;
use crate::types::{ProducerEpoch, ProducerId, TopicPartition, TransactionVersion, TransactionalId};

use super::coordinator::TxnCoordinator;
use super::error::TxnError;
use super::transition::{TxnEvent, TxnReply, admits};
use super::verification::missing;

impl TxnCoordinator {
    /// A producer takes over a transactional id.
    pub(crate) async fn init(
        self: &Arc<Self>,
        id: &TransactionalId,
        timeout_ms: i32,
        expected: Option<(ProducerId, ProducerEpoch)>,
    ) -> Result<ProducerIdentity, BrokerError> {
        check_id(id)?;
        identity_of(
            self.handle(id, TxnEvent::Init { timeout_ms, expected }).await?,
            id,
        )
    }

    /// Makes sure the partitions are in the producer's open transaction; begins one if there is none.
    pub(crate) async fn add_partitions(
        self: &Arc<Self>,
        id: &TransactionalId,
        producer: ProducerIdentity,
        partitions: BTreeSet<TopicPartition>,
        version: TransactionVersion,
    ) -> Result<(), BrokerError> {
        check_id(id)?;
        if self.all_admitted(id, producer, &partitions) {
            return Ok(());
        }
        self.handle(id, add_event(producer, partitions, version))
            .await
            .map(drop)
    }

    fn all_admitted(
        &self,
        id: &TransactionalId,
        producer: ProducerIdentity,
        partitions: &BTreeSet<TopicPartition>,
    ) -> bool {
        let Some(entry) = self.entries.read().get(id).cloned() else {
            return false;
        };
        let state = entry.state.read();
        state.as_ref().is_some_and(|state| {
            partitions
                .iter()
                .all(|partition| admits(state, producer.producer_id, producer.producer_epoch, partition))
        })
    }

    /// Those of the partitions that are not in the producer's open transaction. Changes nothing and waits for nothing: what the answer is worth later
    /// is judged by whoever appends, see `AppendRequest::verified_from`.
    pub(crate) fn missing(
        &self,
        id: &TransactionalId,
        producer: ProducerIdentity,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Result<BTreeSet<TopicPartition>, BrokerError> {
        let entry = self.entries.read().get(id).cloned();
        let state = entry.as_ref().map(|entry| entry.state.read());
        let current = state.as_ref().and_then(|state| state.as_ref());
        let (producer_id, producer_epoch) = (producer.producer_id, producer.producer_epoch);
        Ok(missing(
            current,
            producer_id,
            producer_epoch,
            partitions,
            self.rules,
        )?)
    }

    /// Writes offsets into the open transaction. No end of it can come between: the id stays busy until they are written, so offsets never
    /// open a transaction that was already decided. A client of the older protocol must have added the group's partition before.
    pub(crate) async fn commit_offsets(
        self: &Arc<Self>,
        id: &TransactionalId,
        producer: ProducerIdentity,
        commit: OffsetsToCommit,
        version: TransactionVersion,
    ) -> Result<(), BrokerError> {
        check_id(id)?;
        self.groups
            .check_commit(&commit.group, &commit.committer, &commit.offsets)?;
        let partition = self.groups.partition_of(&commit.group).await?;
        let event = add_event(producer, BTreeSet::from([partition.clone()]), version);
        self.refuse_unknown(id, &event)?;
        let (coordinator, id) = (self.clone(), id.clone());
        run_to_end(async move {
            let entry = coordinator.entry(&id);
            let _busy = entry.busy.lock().await;
            if version.is_v2() {
                coordinator.drive(&id, &entry, &event).await?;
            } else {
                let asked = BTreeSet::from([partition.clone()]);
                if !coordinator.missing(&id, producer, &asked)?.is_empty() {
                    return Err(not_in_txn(producer.producer_id, partition));
                }
            }
            coordinator.groups.commit_as(commit).await
        })
        .await
    }

    /// Ends the open transaction.
    pub(crate) async fn end(
        self: &Arc<Self>,
        id: &TransactionalId,
        producer: ProducerIdentity,
        result: TxnResult,
        version: TransactionVersion,
    ) -> Result<ProducerIdentity, BrokerError> {
        check_id(id)?;
        let event = TxnEvent::End {
            producer_id: producer.producer_id,
            producer_epoch: producer.producer_epoch,
            result,
            version,
        };
        identity_of(self.handle(id, event).await?, id)
    }
}

/// The refusal of a write to a partition that the producer did not add.
pub(crate) fn not_in_txn(producer_id: ProducerId, partition: TopicPartition) -> BrokerError {
    BrokerError::from(TxnError::NotInTxn {
        producer_id,
        partition,
    })
}

fn add_event(
    producer: ProducerIdentity,
    partitions: BTreeSet<TopicPartition>,
    version: TransactionVersion,
) -> TxnEvent {
    TxnEvent::AddPartitions {
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch,
        partitions,
        version,
    }
}

fn identity_of(reply: TxnReply, id: &TransactionalId) -> Result<ProducerIdentity, BrokerError> {
    match reply {
        TxnReply::Identity(identity) => Ok(identity),
        TxnReply::Done => Err(BrokerError::new(
            ErrorCode::UnknownServerError,
            format!("no identity for transactional id {id}"),
        )),
    }
}

fn check_id(id: &TransactionalId) -> Result<(), BrokerError> {
    match id.as_str().len() {
        1..=limits::ID_BYTES => Ok(()),
        length => {
            let message = format!(
                "transactional id has {length} bytes, expected 1 to {}",
                limits::ID_BYTES
            );
            Err(BrokerError::new(ErrorCode::InvalidRequest, message))
        }
    }
}
