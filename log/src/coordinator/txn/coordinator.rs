//! The shell of the transaction coordinator: runs the commands of `transition.rs`.
//!
//! `requests.rs` has what producers ask, `marker_writer.rs` the markers, `listing.rs` what can be seen. One event of a transactional id at a
//! time; different ids go in parallel and share the flusher's syncs. Always true: a state is taken on only after its record is in `__transaction_state`, and a decision is carried out and answered only after it is durable there. `Complete*` alone
//! need not be durable to go on: nothing that follows it in the log can survive a crash that it does not, and without it the markers are
//! just written again.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::broker::{BrokerError, Node, TRANSACTIONS_TOPIC, run_to_end};
use crate::coordinator::group::GroupCoordinator;
use crate::coordinator::log_io;
use crate::coordinator::producer_ids::ProducerIds;
use crate::coordinator::runtime::InternalTopic;
use crate::faults::Sabotage;
use crate::types::{ProducerId, TransactionalId};

use super::error::TxnError;
use super::log_format;
use super::state::TxnMetadata;
use super::timeout::{Now, TimeoutQueue};
use super::transition::{TxnCommand, TxnEvent, TxnReply, TxnRules, handle};

/// One transactional id.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Held while an event is worked on, waits for durability included.
    pub(super) busy: tokio::sync::Mutex<()>,
    pub(super) state: RwLock<Option<TxnMetadata>>,
}

/// All transactional ids.
#[derive(Debug)]
pub(crate) struct TxnCoordinator {
    pub(super) node: Arc<Node>,
    pub(super) topic: InternalTopic,
    pub(super) producer_ids: Arc<ProducerIds>,
    pub(super) groups: Arc<GroupCoordinator>,
    pub(super) entries: RwLock<BTreeMap<TransactionalId, Arc<Entry>>>,
    pub(super) timeouts: Mutex<TimeoutQueue>,
    pub(super) rules: TxnRules,
}

impl TxnCoordinator {
    /// Replays the transaction log, if there is one. `resume` then finishes what was being ended.
    pub(crate) fn load(
        node: Arc<Node>,
        producer_ids: Arc<ProducerIds>,
        groups: Arc<GroupCoordinator>,
    ) -> Result<Self, BrokerError> {
        let partitions = node.config.transaction_state_log_num_partitions;
        let coordinator = Self {
            topic: InternalTopic::new(node.clone(), TRANSACTIONS_TOPIC, partitions)?,
            rules: TxnRules {
                skip_fencing: node.faults.sabotaged(Sabotage::SkipFencing),
            },
            node,
            producer_ids,
            groups,
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

    pub(super) fn entry(&self, id: &TransactionalId) -> Arc<Entry> {
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
    pub(super) async fn handle(
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
    pub(super) fn refuse_unknown(&self, id: &TransactionalId, event: &TxnEvent) -> Result<(), BrokerError> {
        if !matches!(event, TxnEvent::Init { .. }) && !self.entries.read().contains_key(id) {
            handle(None, event, None, 0, self.rules)?;
        }
        Ok(())
    }

    pub(super) async fn drive(
        &self,
        id: &TransactionalId,
        entry: &Entry,
        event: &TxnEvent,
    ) -> Result<TxnReply, BrokerError> {
        let (mut fresh, mut decided) = (None, false);
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
                    TxnCommand::Log(next) => {
                        decided |= next.state.preparing().is_some();
                        self.log(id, entry, next).await?;
                    }
                    TxnCommand::Forget => self.forget(id, entry).await?,
                    TxnCommand::WriteMarkers(plan) => {
                        if let Err(error) = self.finish(id, entry, &plan).await {
                            return Err(unfinished(id, plan.producer_id, decided, error));
                        }
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

    pub(super) async fn log(
        &self,
        id: &TransactionalId,
        entry: &Entry,
        next: TxnMetadata,
    ) -> Result<(), BrokerError> {
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

    async fn forget(&self, id: &TransactionalId, entry: &Entry) -> Result<(), BrokerError> {
        let log = self.topic.partition_of(id.as_str()).await?;
        self.topic
            .append_one(&log, log_format::encode_key(id), None, false)
            .await?;
        *entry.state.write() = None;
        Ok(())
    }

    /// Forgets transactional ids that nobody used for `transactional.id.expiration.ms`. One that cannot be forgotten now is tried again.
    pub(crate) async fn expire_ids(self: &Arc<Self>) {
        let before = self
            .node
            .clock
            .now_ms()
            .saturating_sub(self.node.config.transactional_id_expiration_ms);
        let entries = self.entries.read().clone();
        let due = |entry: &Entry| {
            entry
                .state
                .read()
                .as_ref()
                .is_some_and(|state| state.may_expire(before))
        };
        let ids: Vec<_> = entries
            .iter()
            .filter(|(_, entry)| due(entry))
            .map(|(id, _)| id.clone())
            .collect();
        drop(entries);
        for id in ids {
            match self.handle(&id, TxnEvent::Expire { before }).await {
                Ok(_) => tracing::debug!(transactional_id = %id, "transactional id expired"),
                Err(error) => {
                    tracing::warn!(transactional_id = %id, %error, "unused transactional id is not forgotten yet")
                }
            }
        }
        // Whoever is about to use an entry holds it; the lock keeps others from reaching for it.
        self.entries
            .write()
            .retain(|_, entry| Arc::strong_count(entry) > 1 || entry.state.read().is_some());
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

/// The error of markers that could not all be written. The decision stands in the log and will be carried out: who decided is told so, others
/// come again.
fn unfinished(
    id: &TransactionalId,
    producer_id: ProducerId,
    decided: bool,
    error: BrokerError,
) -> BrokerError {
    if decided {
        return error.maybe_done();
    }
    tracing::warn!(transactional_id = %id, %error, "decided transaction is not finished yet");
    BrokerError::from(TxnError::Concurrent { producer_id }).with_source(error)
}
