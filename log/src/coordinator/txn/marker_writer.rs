//! Markers: those of a decision, and those an administrator asks for.
//!
//! Always true: a marker that is reported as written is durable, and committed offsets took it on; a marker asked for from outside never decides a
//! part of a transaction that its coordinator still holds open: the whole of it is aborted instead.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::broker::{BrokerError, ErrorCode, ProducerIdentity, TRANSACTIONS_TOPIC, TxnResult, run_to_end};
use crate::record::ControlRecord;
use crate::storage::{PartitionHandle, StorageError};
use crate::types::{ProducerId, TopicPartition, TransactionalId};

use super::coordinator::{Entry, TxnCoordinator};
use super::error::TxnError;
use super::marker::MarkerPlan;
use super::transition::{TxnCommand, TxnEvent, handle};

/// Term of the only coordinator there is, until there are more nodes.
const COORDINATOR_EPOCH: i32 = 0;

impl TxnCoordinator {
    /// Writes the markers of a decision and takes note that it is carried out.
    pub(super) async fn finish(
        &self,
        id: &TransactionalId,
        entry: &Entry,
        plan: &MarkerPlan,
    ) -> Result<(), BrokerError> {
        self.write_markers(plan).await?;
        self.node.faults.point("K14");
        let current = entry.state.read().clone();
        for command in handle(
            current.as_ref(),
            &TxnEvent::MarkersWritten,
            None,
            self.node.clock.now_ms(),
            self.rules,
        )? {
            if let TxnCommand::Log(next) = command {
                self.log(id, entry, next).await?;
            }
        }
        Ok(())
    }

    /// Writes the markers of a plan to all its partitions at once. A partition that is gone, with its topic, needs none.
    async fn write_markers(&self, plan: &MarkerPlan) -> Result<(), BrokerError> {
        let store = self.node.store()?;
        let handles: Vec<_> = plan
            .partitions
            .iter()
            .filter_map(|partition| store.partition(partition))
            .collect();
        drop(store);
        let identity = ProducerIdentity {
            producer_id: plan.producer_id,
            producer_epoch: plan.producer_epoch,
        };
        let half = handles.len().div_ceil(2);
        let mut markers: FuturesUnordered<_> = handles
            .into_iter()
            .map(|log| async move {
                match self.mark(&log, identity, plan.result, COORDINATOR_EPOCH).await {
                    Err(StorageError::UnknownPartition { .. }) => Ok(()),
                    Err(fenced @ StorageError::ProducerFenced { .. }) => {
                        self.nothing_open(&log, plan.producer_id, fenced).await
                    }
                    written => written.map_err(BrokerError::from),
                }
            })
            .collect();
        let (mut written, mut failed) = (0, None);
        while let Some(marker) = markers.next().await {
            written += 1;
            if written == half {
                self.node.faults.point("K13");
            }
            failed = failed.or(marker.err());
        }
        failed.map_or(Ok(()), Err)
    }

    /// A partition that knows a newer epoch (a marker by hand may have brought it) refuses the marker of a decision. That is no reason to try for
    /// ever if nothing of the producer is open there: the newer marker closed it.
    async fn nothing_open(
        &self,
        log: &PartitionHandle,
        producer_id: ProducerId,
        fenced: StorageError,
    ) -> Result<(), BrokerError> {
        let producers = log.describe_producers().await?;
        let is_open = producers
            .iter()
            .any(|known| known.producer_id == producer_id && known.txn_start_offset.is_some());
        if is_open {
            return Err(fenced.into());
        }
        tracing::warn!(partition = %log.topic_partition(), %producer_id, "a newer marker was found in place of one that is due");
        Ok(())
    }

    async fn mark(
        &self,
        log: &PartitionHandle,
        producer: ProducerIdentity,
        result: TxnResult,
        coordinator_epoch: i32,
    ) -> Result<(), StorageError> {
        let record = match result {
            TxnResult::Commit => ControlRecord::Commit { coordinator_epoch },
            TxnResult::Abort => ControlRecord::Abort { coordinator_epoch },
        };
        log.append_control(producer.producer_id, producer.producer_epoch, record)
            .await?;
        let committed = result == TxnResult::Commit;
        self.groups
            .on_marker(log.topic_partition(), producer.producer_id, committed);
        Ok(())
    }

    /// Writes a marker that an administrator asks for, to each of the partitions; one answer each, in order. What belongs to a transaction that is
    /// open here is aborted as a whole; committing it is refused.
    pub(crate) async fn write_markers_of(
        self: &Arc<Self>,
        producer: ProducerIdentity,
        result: TxnResult,
        coordinator_epoch: i32,
        partitions: Vec<TopicPartition>,
    ) -> Vec<Result<(), BrokerError>> {
        let Some((id, entry)) = self.owner_of(producer.producer_id) else {
            return self
                .mark_each(producer, result, coordinator_epoch, partitions)
                .await;
        };
        let count = partitions.len();
        let coordinator = self.clone();
        let marked = run_to_end(async move {
            let _busy = entry.busy.lock().await;
            let open = entry.state.read().clone();
            let in_txn = |partition: &TopicPartition| {
                // An older epoch is an older transaction, whose leavings are none of the open one's business.
                open.as_ref().is_some_and(|state| {
                    state.producer_id == producer.producer_id
                        && state.partitions.contains(partition)
                        && (state.state.preparing().is_some()
                            || producer.producer_epoch >= state.producer_epoch)
                })
            };
            let decided = if partitions.iter().any(in_txn) {
                Some(coordinator.abort_whole(&id, &entry, result).await)
            } else {
                None
            };
            let (inside, outside): (Vec<_>, Vec<_>) = partitions.iter().cloned().partition(in_txn);
            let mut marked = coordinator
                .mark_each(producer, result, coordinator_epoch, outside)
                .await
                .into_iter();
            let answers = partitions.iter().map(|partition| match &decided {
                Some(decided) if inside.contains(partition) => decided.clone(),
                _ => marked.next().unwrap_or(Ok(())),
            });
            Ok(answers.collect::<Vec<_>>())
        })
        .await;
        marked.unwrap_or_else(|error| vec![Err(error); count])
    }

    /// Aborts the transaction of a busy id, or finishes its decision if that is the one asked for.
    async fn abort_whole(
        &self,
        id: &TransactionalId,
        entry: &Entry,
        asked: TxnResult,
    ) -> Result<(), BrokerError> {
        let Some(current) = entry.state.read().clone() else {
            return Ok(());
        };
        let event = match (current.state.preparing(), current.started_at) {
            (Some(decided), _) if decided == asked => TxnEvent::Resume,
            (None, Some(started_at)) if asked == TxnResult::Abort => TxnEvent::TimedOut { started_at },
            _ => {
                let state = current.state;
                return Err(TxnError::InvalidState { asked, state }.into());
            }
        };
        tracing::info!(transactional_id = %id, "transaction is aborted because a marker was asked for");
        self.drive(id, entry, &event).await.map(drop)
    }

    async fn mark_each(
        &self,
        producer: ProducerIdentity,
        result: TxnResult,
        coordinator_epoch: i32,
        partitions: Vec<TopicPartition>,
    ) -> Vec<Result<(), BrokerError>> {
        let marks = partitions.into_iter().map(|partition| async move {
            if partition.topic.as_str() == TRANSACTIONS_TOPIC {
                let message = format!("partition {partition} holds no transactional data");
                return Err(BrokerError::new(ErrorCode::InvalidTopicException, message));
            }
            let log = self.node.partition(&partition)?;
            Ok(self.mark(&log, producer, result, coordinator_epoch).await?)
        });
        futures::future::join_all(marks).await
    }

    /// The transactional id that has this producer id.
    fn owner_of(&self, producer_id: ProducerId) -> Option<(TransactionalId, Arc<Entry>)> {
        let has_it = |entry: &Arc<Entry>| {
            entry
                .state
                .read()
                .as_ref()
                .is_some_and(|state| state.producer_id == producer_id)
        };
        let entries = self.entries.read();
        entries
            .iter()
            .find(|(_, entry)| has_it(entry))
            .map(|(id, entry)| (id.clone(), entry.clone()))
    }
}
