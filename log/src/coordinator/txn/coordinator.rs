//! The shell of the transaction coordinator: runs the commands of `transition.rs`.
//!
//! One event of a transactional id at a time; different ids go in parallel and share the flusher's syncs. Always true: a state is taken on
//! only after its record is in `__transaction_state`, and a decision is carried out and answered only after it is durable there. `Complete*` alone
//! need not be durable to go on: nothing that follows it in the log can survive a crash that it does not, and without it the markers are
//! just written again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use parking_lot::{Mutex, RwLock};

use crate::broker::{
    BrokerError, ErrorCode, Node, OffsetAndMetadata, ProducerIdentity, TRANSACTIONS_TOPIC,
    TransactionDescription, TxnResult, run_to_end,
};
use crate::coordinator::group::OffsetsCoordinator;
use crate::coordinator::log_io;
use crate::coordinator::producer_ids::ProducerIds;
use crate::coordinator::runtime::InternalTopic;
use crate::faults::Sabotage;
use crate::metadata::limits;
use crate::record::ControlRecord;
use crate::storage::StorageError;
use crate::types::{GroupId, ProducerEpoch, ProducerId, TopicPartition, TransactionalId};

use super::log_format;
use super::marker::MarkerPlan;
use super::state::TxnMetadata;
use super::timeout::{Now, TimeoutQueue};
use super::transition::{TxnCommand, TxnEvent, TxnReply, TxnRules, admits, handle};

/// Term of the only coordinator there is, until there are more nodes.
const COORDINATOR_EPOCH: i32 = 0;

/// One transactional id.
#[derive(Debug, Default)]
struct Entry {
    /// Held while an event is worked on, waits for durability included.
    busy: tokio::sync::Mutex<()>,
    state: RwLock<Option<TxnMetadata>>,
}

/// All transactional ids.
#[derive(Debug)]
pub(crate) struct TxnCoordinator {
    node: Arc<Node>,
    topic: InternalTopic,
    producer_ids: Arc<ProducerIds>,
    offsets: Arc<OffsetsCoordinator>,
    entries: RwLock<BTreeMap<TransactionalId, Arc<Entry>>>,
    timeouts: Mutex<TimeoutQueue>,
    rules: TxnRules,
}

impl TxnCoordinator {
    /// Replays the transaction log, if there is one. `resume` then finishes what was being ended.
    pub(crate) fn load(
        node: Arc<Node>,
        producer_ids: Arc<ProducerIds>,
        offsets: Arc<OffsetsCoordinator>,
    ) -> Result<Self, BrokerError> {
        let partitions = node.config.transaction_state_log_num_partitions;
        let coordinator = Self {
            topic: InternalTopic::new(node.clone(), TRANSACTIONS_TOPIC, partitions)?,
            rules: TxnRules {
                skip_fencing: node.faults.sabotaged(Sabotage::SkipFencing),
            },
            node,
            producer_ids,
            offsets,
            entries: RwLock::default(),
            timeouts: Mutex::default(),
        };
        let mut states = BTreeMap::new();
        for log in coordinator.topic.existing()? {
            log_io::replay(&log, |batch| {
                for record in batch.decode()?.iter() {
                    let record = record?;
                    let id = log_format::decode_key(record.key.unwrap_or_default())?;
                    match record.value {
                        Some(value) => states.insert(id, log_format::decode_value(value)?),
                        None => states.remove(&id),
                    };
                }
                Ok(())
            })?;
        }
        for (id, state) in states {
            coordinator.take_on(&id, &coordinator.entry(&id), state);
        }
        Ok(coordinator)
    }

    /// Finishes every decided transaction whose markers may be missing. One that cannot be finished now is logged and tried again by the
    /// background job and by the next request of its id.
    pub(crate) async fn resume(self: &Arc<Self>) {
        let entries = self.entries.read().clone();
        let due = |entry: &Entry| {
            entry
                .state
                .read()
                .as_ref()
                .is_some_and(|state| state.state.preparing().is_some())
        };
        for (id, _) in entries.into_iter().filter(|(_, entry)| due(entry)) {
            if let Err(error) = self.handle(&id, TxnEvent::Resume).await {
                tracing::warn!(transactional_id = %id, %error, "decided transaction is not finished yet");
            }
        }
    }

    /// Aborts every transaction that was open for too long.
    pub(crate) async fn abort_expired(self: &Arc<Self>) {
        let expired = self.timeouts.lock().poll_expired(self.node.clock.monotonic());
        for (id, started_at) in expired {
            match self.handle(&id, TxnEvent::TimedOut { started_at }).await {
                Ok(_) => tracing::info!(transactional_id = %id, "transaction timed out and was aborted"),
                Err(error) => {
                    tracing::warn!(transactional_id = %id, %error, "timed-out transaction is not aborted yet")
                }
            }
        }
    }

    /// A producer takes over a transactional id.
    pub(crate) async fn init(
        self: &Arc<Self>,
        id: &TransactionalId,
        timeout_ms: i32,
        expected: Option<(ProducerId, ProducerEpoch)>,
    ) -> Result<ProducerIdentity, BrokerError> {
        check_id(id)?;
        self.identity_of(
            self.handle(id, TxnEvent::Init { timeout_ms, expected }).await?,
            id,
        )
    }

    /// Makes sure the partitions are in the producer's open transaction; begins one if there is none.
    pub(crate) async fn add_partitions(
        self: &Arc<Self>,
        id: &TransactionalId,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        partitions: BTreeSet<TopicPartition>,
    ) -> Result<(), BrokerError> {
        if self.all_admitted(id, producer_id, producer_epoch, &partitions) {
            return Ok(());
        }
        self.handle(
            id,
            TxnEvent::AddPartitions {
                producer_id,
                producer_epoch,
                partitions,
            },
        )
        .await
        .map(drop)
    }

    fn all_admitted(
        &self,
        id: &TransactionalId,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        partitions: &BTreeSet<TopicPartition>,
    ) -> bool {
        let Some(entry) = self.entries.read().get(id).cloned() else {
            return false;
        };
        let state = entry.state.read();
        state.as_ref().is_some_and(|state| {
            partitions
                .iter()
                .all(|partition| admits(state, producer_id, producer_epoch, partition))
        })
    }

    /// Writes offsets into the open transaction. No end of it can come between: the id stays busy until they are written, so offsets never
    /// open a transaction that was already decided.
    pub(crate) async fn commit_offsets(
        self: &Arc<Self>,
        id: &TransactionalId,
        producer: (ProducerId, ProducerEpoch),
        group: GroupId,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), BrokerError> {
        self.offsets.check(&group, &offsets)?;
        let (producer_id, producer_epoch) = producer;
        let partitions = BTreeSet::from([self.offsets.partition_of(&group).await?]);
        let event = TxnEvent::AddPartitions {
            producer_id,
            producer_epoch,
            partitions,
        };
        self.refuse_unknown(id, &event)?;
        let (coordinator, id) = (self.clone(), id.clone());
        run_to_end(async move {
            let entry = coordinator.entry(&id);
            let _busy = entry.busy.lock().await;
            coordinator.drive(&id, &entry, &event).await?;
            coordinator.offsets.commit(&group, Some(producer), offsets).await
        })
        .await
    }

    /// Ends the open transaction.
    pub(crate) async fn end(
        self: &Arc<Self>,
        id: &TransactionalId,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        result: TxnResult,
    ) -> Result<ProducerIdentity, BrokerError> {
        self.identity_of(
            self.handle(
                id,
                TxnEvent::End {
                    producer_id,
                    producer_epoch,
                    result,
                },
            )
            .await?,
            id,
        )
    }

    /// What is known of one id.
    pub(crate) fn describe(&self, id: &TransactionalId) -> Option<TransactionDescription> {
        let entry = self.entries.read().get(id).cloned()?;
        let state = entry.state.read();
        state.as_ref().map(|state| description(id, state))
    }

    /// What is known of every id, in order.
    pub(crate) fn describe_all(&self) -> Vec<TransactionDescription> {
        let entries = self.entries.read().clone();
        let described = entries
            .iter()
            .filter_map(|(id, entry)| entry.state.read().as_ref().map(|state| description(id, state)));
        described.collect()
    }

    fn identity_of(&self, reply: TxnReply, id: &TransactionalId) -> Result<ProducerIdentity, BrokerError> {
        match reply {
            TxnReply::Identity(identity) => Ok(identity),
            TxnReply::Done => Err(BrokerError::new(
                ErrorCode::UnknownServerError,
                format!("no identity for transactional id {id}"),
            )),
        }
    }

    fn entry(&self, id: &TransactionalId) -> Arc<Entry> {
        if let Some(entry) = self.entries.read().get(id) {
            return entry.clone();
        }
        self.entries.write().entry(id.clone()).or_default().clone()
    }

    fn take_on(&self, id: &TransactionalId, entry: &Entry, state: TxnMetadata) {
        let now = Now {
            wall_ms: self.node.clock.now_ms(),
            monotonic: self.node.clock.monotonic(),
        };
        self.timeouts.lock().on_state(id, &state, now);
        *entry.state.write() = Some(state);
    }

    /// Works on one event to its end, whatever becomes of the caller.
    async fn handle(
        self: &Arc<Self>,
        id: &TransactionalId,
        event: TxnEvent,
    ) -> Result<TxnReply, BrokerError> {
        self.refuse_unknown(id, &event)?;
        let (coordinator, id) = (self.clone(), id.clone());
        run_to_end(async move {
            let entry = coordinator.entry(&id);
            let _busy = entry.busy.lock().await;
            coordinator.drive(&id, &entry, &event).await
        })
        .await
    }

    /// Judges without an entry: a request for an id that does not exist must not take memory.
    fn refuse_unknown(&self, id: &TransactionalId, event: &TxnEvent) -> Result<(), BrokerError> {
        if !matches!(event, TxnEvent::Init { .. }) && !self.entries.read().contains_key(id) {
            handle(None, event, None, 0, self.rules)?;
        }
        Ok(())
    }

    async fn drive(
        &self,
        id: &TransactionalId,
        entry: &Entry,
        event: &TxnEvent,
    ) -> Result<TxnReply, BrokerError> {
        let mut fresh = None;
        loop {
            let current = entry.state.read().clone();
            let commands = handle(
                current.as_ref(),
                event,
                fresh,
                self.node.clock.now_ms(),
                self.rules,
            )?;
            let mut again = false;
            for command in commands {
                match command {
                    TxnCommand::Log(next) => self.log(id, entry, next).await?,
                    // The decision stands in the log: whatever goes wrong now, it will be carried out.
                    TxnCommand::WriteMarkers(plan) => {
                        self.finish(id, entry, &plan)
                            .await
                            .map_err(|error| error.maybe_done())?;
                    }
                    TxnCommand::AllocateProducerId => {
                        fresh = Some(self.producer_ids.allocate().await?);
                        again = true;
                    }
                    TxnCommand::HandleAgain => again = true,
                    TxnCommand::Answer(reply) => return Ok(reply),
                }
            }
            if !again {
                return Ok(TxnReply::Done);
            }
        }
    }

    async fn log(&self, id: &TransactionalId, entry: &Entry, next: TxnMetadata) -> Result<(), BrokerError> {
        let log = self.topic.partition_of(id.as_str()).await?;
        let durable = next.state.completed().is_none();
        let (key, value) = (log_format::encode_key(id), log_format::encode_value(&next));
        self.topic.append_one(&log, key, Some(value), durable).await?;
        let decided = next.state.preparing().is_some();
        self.take_on(id, entry, next);
        if decided {
            self.node.faults.point("K12");
        }
        Ok(())
    }

    async fn finish(
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
        let committed = plan.result == TxnResult::Commit;
        let record = match plan.result {
            TxnResult::Commit => ControlRecord::Commit {
                coordinator_epoch: COORDINATOR_EPOCH,
            },
            TxnResult::Abort => ControlRecord::Abort {
                coordinator_epoch: COORDINATOR_EPOCH,
            },
        };
        let half = handles.len().div_ceil(2);
        let mut markers: FuturesUnordered<_> = handles
            .into_iter()
            .map(|log| async move {
                match log
                    .append_control(plan.producer_id, plan.producer_epoch, record)
                    .await
                {
                    Ok(_) => self
                        .offsets
                        .on_marker(log.topic_partition(), plan.producer_id, committed),
                    Err(StorageError::UnknownPartition { .. }) => {}
                    Err(error) => return Err(BrokerError::from(error)),
                }
                Ok(())
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

    /// True if some transaction is decided but not carried out.
    pub(crate) fn has_unfinished(&self) -> bool {
        let preparing = |entry: &Arc<Entry>| {
            entry
                .state
                .read()
                .as_ref()
                .is_some_and(|state| state.state.preparing().is_some())
        };
        self.entries.read().values().any(preparing)
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

fn description(id: &TransactionalId, state: &TxnMetadata) -> TransactionDescription {
    TransactionDescription {
        transactional_id: id.clone(),
        state: state.state.name(),
        producer_id: state.producer_id,
        producer_epoch: state.producer_epoch,
        timeout: std::time::Duration::from_millis(state.timeout_ms.unsigned_abs().into()),
        started_at: state.started_at,
        partitions: state.partitions.iter().cloned().collect(),
    }
}
