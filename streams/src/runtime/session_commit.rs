//! How a worker carries out the commands of the commit machine.
//!
//! Kill points of this file: `S1` transaction frozen, nothing sent · `S2` outputs and changelog sent, offsets not · `S3` offsets sent, `EndTxn`
//! not · `S4` fenced after an unknown outcome, committed offsets not read · `S5` frozen changes of all tasks applied. K19 (committed, not applied) is in the task's state.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use millpond_log::broker::{OffsetAndMetadata, ProducerIdentity, TxnOffsetCommit, TxnResult};
use millpond_log::faults::Sabotage;
use millpond_log::types::{Offset, TopicPartition};

use super::commit::{
    Command, CommittedOffset, Event, Failure, StopReason, TxnSeq, Verdict, foreign, verdict,
};
use super::error::RuntimeError;
use super::log_calls::ProduceFailed;
use super::log_client::LogError;
use super::record_collector::{RecordCollector, Round, Sequences};
use super::txn_counts::TxnCounts;
use super::worker::{End, Session};
use crate::metrics::WorkerMetrics;

/// The transaction between freezing and its verdict.
pub(super) struct FrozenTxn {
    txn: TxnSeq,
    collector: RecordCollector,
    /// Offsets after the acknowledged records, per output partition.
    ends: BTreeMap<TopicPartition, Offset>,
    offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    /// Indices of the tasks that take part.
    tasks: Vec<usize>,
    counts: TxnCounts,
    frozen_at: Duration,
}

/// The protocol request in flight.
pub(super) type Flight = BoxFuture<'static, Landed>;

/// Its answer.
pub(super) enum Landed {
    Produced(Result<BTreeMap<TopicPartition, Offset>, ProduceFailed>),
    OffsetsCommitted(Result<(), LogError>),
    Ended(Result<ProducerIdentity, LogError>),
    Fenced(Result<ProducerIdentity, LogError>),
    /// Beside the transaction whose fate is asked for.
    Read(
        Option<TxnSeq>,
        Result<BTreeMap<TopicPartition, OffsetAndMetadata>, LogError>,
    ),
}

impl Session<'_> {
    /// Tells the machine and carries out what it says.
    pub(super) fn dispatch(&mut self, event: Event) -> Result<(), RuntimeError> {
        let now = self.now();
        let mut commands = self.machine.handle(event, now);
        while let Some(command) = commands.pop_front() {
            if let Some(event) = self.carry_out(command)? {
                commands.extend(self.machine.handle(event, now));
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, command: Command) -> Result<Option<Event>, RuntimeError> {
        match command {
            Command::Prepare { txn } => {
                self.freeze(txn)?;
                return Ok(Some(Event::Prepared { txn }));
            }
            Command::Produce => self.send(),
            Command::CommitOffsets { txn } => self.send_offsets(txn),
            Command::EndTxn { .. } => self.send_end(),
            Command::Apply { txn } => self.apply(txn)?,
            Command::DropEverything => self.drop_everything()?,
            Command::Fence { in_doubt } => self.send_fence(in_doubt),
            Command::ReadCommitted { txn } => {
                self.app.faults.point("S4");
                if txn.is_none() && !self.app.config.exactly_once {
                    // No offset was sent for commit.
                    return Ok(Some(Event::Resolved(Verdict::NotCommitted)));
                }
                // Also when nothing of ours can be committed: a fence in doubt may have taken the transactional id from a newer instance, and
                // whatever that one committed would be done again.
                self.read_committed(txn);
            }
            Command::Stop(reason) => return Err(reason.into()),
        }
        Ok(None)
    }

    fn freeze(&mut self, txn: TxnSeq) -> Result<(), RuntimeError> {
        assert!(
            self.frozen.is_none(),
            "transaction {txn} is frozen while another has no verdict"
        );
        let now_ms = self.app.calls.clock.now_ms();
        let mut changelogs = RecordCollector::new(self.collector.options().clone());
        let outside = self.app.faults.sabotaged(Sabotage::ChangelogOutsideTransaction);
        let mut tasks = Vec::new();
        for (index, task) in self
            .tasks
            .iter_mut()
            .enumerate()
            .filter(|(_, task)| task.has_work())
        {
            task.freeze(
                now_ms,
                &mut self.collector,
                if outside { Some(&mut changelogs) } else { None },
            )?;
            self.overlay_bytes[index] = 0;
            self.counts.counted(task.frozen_counters());
            tasks.push(index);
        }
        if outside {
            // A planted bug: state changes become visible whether the transaction commits or not.
            let rounds = changelogs.seal_untied();
            let calls = self.app.calls.clone();
            self.purge = Some(
                async move { calls.produce(None, rounds).await.map(|_| ()).unwrap_or_default() }.boxed(),
            );
        }
        self.frozen = Some(FrozenTxn {
            txn,
            collector: self.collector.take(),
            ends: std::mem::take(&mut self.streamed),
            offsets: Vec::new(),
            tasks,
            counts: std::mem::take(&mut self.counts),
            frozen_at: self.app.calls.clock.monotonic(),
        });
        WorkerMetrics::set(&self.status.metrics.uncommitted_bytes, 0);
        self.app.faults.point("S1");
        Ok(())
    }

    /// Sends what the frozen transaction has left, or the full batches of the one being filled.
    fn send(&mut self) {
        let (collector, counts, full_only) = match &mut self.frozen {
            Some(frozen) => (&mut frozen.collector, &mut frozen.counts, false),
            None => (&mut self.collector, &mut self.counts, true),
        };
        let mut rounds: Vec<Round> = Vec::new();
        while let Some(round) = collector.seal_round(self.identity, &mut self.sequences, full_only) {
            rounds.push(round);
        }
        counts.sent(&rounds);
        self.maybe_open |= self.app.config.exactly_once && !rounds.is_empty();
        let id = self
            .app
            .config
            .exactly_once
            .then(|| self.app.transactional_id(self.worker));
        let calls = self.app.calls.clone();
        self.fly(async move { Landed::Produced(calls.produce(id, rounds).await) });
    }

    fn send_offsets(&mut self, txn: TxnSeq) {
        let transactional = self.app.config.exactly_once;
        let frozen = self
            .frozen
            .as_mut()
            .expect("offsets are committed for a frozen transaction");
        debug_assert_eq!(frozen.txn, txn);
        let tasks = frozen.tasks.iter();
        frozen.offsets = tasks
            .flat_map(|index| self.tasks[*index].frozen_offsets(txn, transactional, &frozen.ends))
            .collect();
        let offsets = frozen.offsets.clone();
        self.app.faults.point("S2");
        let group = self.app.group();
        let calls = self.app.calls.clone();
        if !transactional || self.app.faults.sabotaged(Sabotage::OffsetsOutsideTransaction) {
            self.fly(async move { Landed::OffsetsCommitted(calls.offset_commit(group, offsets).await) });
            return;
        }
        self.maybe_open = true;
        let commit = TxnOffsetCommit {
            transactional_id: self.app.transactional_id(self.worker),
            group,
            producer_id: self.identity.producer_id,
            producer_epoch: self.identity.producer_epoch,
            offsets,
        };
        self.fly(async move { Landed::OffsetsCommitted(calls.txn_offset_commit(commit).await) });
    }

    fn send_end(&mut self) {
        self.app.faults.point("S3");
        let id = self.app.transactional_id(self.worker);
        let identity = self.identity;
        let calls = self.app.calls.clone();
        self.fly(async move { Landed::Ended(calls.end_txn(id, identity, TxnResult::Commit).await) });
    }

    fn apply(&mut self, txn: TxnSeq) -> Result<(), RuntimeError> {
        let frozen = self.frozen.take().expect("a frozen transaction is applied");
        debug_assert_eq!(frozen.txn, txn);
        let now = self.app.calls.clock.monotonic();
        for index in frozen.tasks {
            self.tasks[index].commit_frozen(txn, self.identity);
            self.repeat_commit_at[index] = now + self.app.config.repeat_commit_interval;
            self.apply_task(index, now)?;
        }
        frozen.counts.publish(&self.status.metrics);
        self.status
            .metrics
            .committed(now.saturating_sub(frozen.frozen_at));
        self.app.faults.point("S5");
        self.maybe_purge(now);
        Ok(())
    }

    fn drop_everything(&mut self) -> Result<(), RuntimeError> {
        self.frozen = None;
        self.flight = None;
        // What was fetched for the positions of before is of no use.
        self.fetch = None;
        self.collector.take();
        self.counts = TxnCounts::default();
        self.streamed.clear();
        for (task, bytes) in self.tasks.iter_mut().zip(&mut self.overlay_bytes) {
            *bytes = 0;
            task.abort(&self.app.faults)?;
        }
        WorkerMetrics::set(&self.status.metrics.uncommitted_bytes, 0);
        Ok(())
    }

    fn send_fence(&mut self, in_doubt: bool) {
        WorkerMetrics::add(&self.status.metrics.recoveries, 1);
        tracing::warn!(application = %self.app.id, worker = self.worker, "outcome of a commit is unknown or failed; fencing, then reading what is committed");
        if self.app.faults.sabotaged(Sabotage::SkipFencing) {
            // A planted bug: the committed offsets are read while the end of the transaction may still be on its way.
            let identity = self.identity;
            self.fly(async move { Landed::Fenced(Ok(identity)) });
            return;
        }
        let calls = self.app.calls.clone();
        if !self.app.config.exactly_once {
            self.fly(async move { Landed::Fenced(calls.init_producer_id(None).await) });
            return;
        }
        let id = self.app.transactional_id(self.worker);
        if self.app.faults.sabotaged(Sabotage::ZombieTakesOver) {
            // A planted bug: a newer instance is fenced by an older one.
            self.fly(async move { Landed::Fenced(calls.init_producer_id(Some(id)).await) });
            return;
        }
        let own = self.identity;
        self.fly(async move { Landed::Fenced(calls.fence(id, own, in_doubt).await) });
    }

    /// Reads the committed offsets of every input of this worker.
    fn read_committed(&mut self, txn: Option<TxnSeq>) {
        let inputs = self.tasks.iter().flat_map(|task| &task.committed.inputs);
        let partitions = inputs.map(|(partition, _)| partition.clone()).collect();
        let group = self.app.group();
        let calls = self.app.calls.clone();
        self.fly(async move { Landed::Read(txn, calls.committed(group, partitions).await) });
    }

    fn fly(&mut self, request: impl Future<Output = Landed> + Send + 'static) {
        assert!(self.flight.is_none(), "two protocol requests in flight");
        self.flight = Some(request.boxed());
    }

    /// Takes an answer.
    pub(super) fn land(&mut self, landed: Landed) -> Result<(), RuntimeError> {
        let event = match landed {
            Landed::Produced(Ok(ends)) => {
                match &mut self.frozen {
                    Some(frozen) => frozen.ends.extend(ends),
                    None => self.streamed.extend(ends),
                }
                Event::Produced
            }
            Landed::OffsetsCommitted(Ok(())) => Event::OffsetsCommitted,
            Landed::Ended(Ok(identity)) => {
                self.become_producer(identity);
                Event::Ended
            }
            Landed::Fenced(Ok(identity)) => {
                self.become_producer(identity);
                Event::FenceDone
            }
            Landed::Read(txn, Ok(found)) => Event::Resolved(self.verdict(txn, &found)),
            Landed::Produced(Err(failed)) => Event::Failed(self.not_produced(failed)),
            Landed::OffsetsCommitted(Err(error))
            | Landed::Ended(Err(error))
            | Landed::Fenced(Err(error))
            | Landed::Read(_, Err(error)) => Event::Failed(error.into_failure()),
        };
        if let Event::Failed(failure) = &event {
            tracing::warn!(application = %self.app.id, worker = self.worker, reason = failure.reason(), "commit step failed");
        }
        self.dispatch(event)
    }

    /// A batch that is too large may be the last of its kind: see `output_rules.rs`.
    fn not_produced(&mut self, failed: ProduceFailed) -> Failure {
        let learned = failed.too_large.is_some_and(|batch| self.rules.learn(&batch));
        if !learned {
            return failed.error.into_failure();
        }
        self.collector.set_smaller(self.rules.batch_bytes());
        for task in &mut self.tasks {
            task.set_rules(self.rules.rules());
        }
        Failure::NotDone(failed.error.to_string())
    }

    /// Takes the identity for what is sent from now on. Nothing is open under it: it came from the end of a transaction, or from a fence.
    fn become_producer(&mut self, identity: ProducerIdentity) {
        self.maybe_open = false;
        if identity != self.identity {
            // Sequences count per epoch.
            self.sequences = Sequences::default();
        }
        self.identity = identity;
    }

    /// What became of `txn`; of none, when only whether the offsets are still ours is asked.
    fn verdict(&self, txn: Option<TxnSeq>, found: &BTreeMap<TopicPartition, OffsetAndMetadata>) -> Verdict {
        let plain =
            |offset: &OffsetAndMetadata| -> CommittedOffset { (offset.offset, offset.metadata.clone()) };
        let offsets = self.frozen.iter().filter(|frozen| Some(frozen.txn) == txn);
        let written: Vec<_> = offsets
            .flat_map(|frozen| &frozen.offsets)
            .map(|(partition, offset)| (partition.clone(), plain(offset)))
            .collect();
        let before = |partition: &TopicPartition| {
            self.tasks
                .iter()
                .find_map(|task| task.committed.offsets.get(partition))
                .map(plain)
        };
        let now = |partition: &TopicPartition| found.get(partition).map(plain);
        let inputs = self.tasks.iter().flat_map(|task| &task.committed.inputs);
        let untouched = inputs
            .map(|(partition, _)| partition)
            .filter(|partition| written.iter().all(|(other, _)| other != *partition));
        for partition in untouched {
            let now = now(partition);
            if now != before(partition) {
                return foreign(partition, now.as_ref());
            }
        }
        verdict(&written, &before, &now)
    }

    /// On the way out after an error or an abort: an open transaction is aborted, so that readers of committed data need not wait for its timeout.
    /// With our own epoch, never by a fence: a newer instance must not be hurt.
    pub(super) async fn leave(&mut self, ended: &Result<End, RuntimeError>) {
        let ours = match ended {
            Ok(End::Drained | End::Reassigned) => false,
            // The protocol ended with nothing open under this identity, or the identity is not ours; only a rejected batch leaves the rest
            // of its transaction behind.
            Err(RuntimeError::Commit(reason)) => matches!(reason, StopReason::Rejected(_)),
            _ => true,
        };
        if !ours || !self.maybe_open || self.flight.is_some() {
            return;
        }
        let id = self.app.transactional_id(self.worker);
        let calls = self.app.calls.clone();
        if let Err(error) = calls.end_txn(id, self.identity, TxnResult::Abort).await {
            tracing::debug!(application = %self.app.id, worker = self.worker, %error, "open transaction is left to its timeout");
        }
    }
}
