//! A task: one sub-topology × one partition. It owns its state, its graph, its input queues, and nothing else; it knows no log and no transaction.
//!
//! The worker tells it what happens: `process` a run, `freeze` for a commit, `commit_frozen` or `abort` after the verdict.
//! What is always true: at most one frozen commit; `committed` holds the positions and the clock of the last confirmed commit, which is where
//! `abort` goes back to.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use millpond_log::broker::{OffsetAndMetadata, ProducerIdentity};
use millpond_log::faults::{Faults, Sabotage};
use millpond_log::types::{Offset, Timestamp, TopicName, TopicPartition};

use super::changelog_ends::ChangelogEnds;
use super::commit::TxnSeq;
use super::error::RuntimeError;
use super::idle::IdleWatch;
use super::offset_metadata::OffsetMetadata;
use super::partition_group::{Choice, PartitionGroup};
use super::record_collector::{PartitionCollector, RecordCollector};
use super::restore::state_error;
use crate::metrics::{PartitionMetrics, TaskMetrics};
use crate::processor::{NO_TIME, Outputs, TaskCounters, TaskGraph, TimeMark, TopicRules};
use crate::state::{CommitPosition, StoreIndex, TaskId, TaskState};

/// The changelog of one store of a task.
#[derive(Debug, Clone)]
pub(crate) struct Changelog {
    pub(crate) store: StoreIndex,
    pub(crate) name: String,
    pub(crate) partition: TopicPartition,
    /// Whether old records are deleted by time.
    pub(crate) expires: bool,
    /// Offset after the last committed record; `None` when there never was one.
    pub(crate) next: Option<Offset>,
}

/// The point of the last confirmed commit.
#[derive(Debug, Clone)]
pub(crate) struct CommittedPoint {
    /// Where each input goes on, in the order of the queues.
    pub(crate) inputs: Vec<(TopicPartition, Offset)>,
    /// The saved clock.
    pub(crate) clock: String,
    /// What stands in the group for each input; absent before the first commit.
    pub(crate) offsets: BTreeMap<TopicPartition, OffsetAndMetadata>,
}

/// A commit between freezing and its verdict.
#[derive(Debug)]
struct FrozenCommit {
    inputs: Vec<(TopicPartition, Offset)>,
    clock: String,
    stream_time: Timestamp,
    offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    /// Offset after the changelog records of this commit, in the order of the task's changelogs; `None` where it wrote none.
    changelogs: Vec<Option<Offset>>,
    counters: TaskCounters,
}

/// One task; see the head of this file.
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) state: TaskState,
    pub(crate) graph: TaskGraph,
    pub(crate) group: PartitionGroup,
    pub(crate) changelogs: Vec<Changelog>,
    pub(crate) committed: CommittedPoint,
    outputs: Outputs,
    frozen: Option<FrozenCommit>,
    has_work: bool,
    counted: TaskCounters,
    /// What its confirmed commits did since it was opened.
    totals: TaskTotals,
    idle: Option<IdleWatch>,
}

/// What the confirmed commits of a task did.
#[derive(Debug, Clone, Copy, Default)]
struct TaskTotals {
    processed_records: u64,
    dropped_records: u64,
    commits: u64,
}

impl Task {
    /// A task at its last committed point. `outputs` are those the graph was made with.
    pub(crate) fn new(
        id: TaskId,
        state: TaskState,
        graph: TaskGraph,
        outputs: Outputs,
        group: PartitionGroup,
        changelogs: Vec<Changelog>,
        committed: CommittedPoint,
    ) -> Self {
        Task {
            id,
            state,
            graph,
            group,
            changelogs,
            committed,
            outputs,
            frozen: None,
            has_work: false,
            counted: TaskCounters::default(),
            totals: TaskTotals::default(),
            idle: None,
        }
    }

    /// The same task, whose time goes on when its input was idle for `timeout`.
    pub(crate) fn with_idle_timeout(self, timeout: Option<Duration>) -> Self {
        Task {
            idle: timeout.map(IdleWatch::new),
            ..self
        }
    }

    /// What the topics it writes refuse.
    pub(crate) fn set_rules(&mut self, rules: &BTreeMap<TopicName, TopicRules>) {
        self.outputs.set_rules(rules);
    }

    /// Whether the transaction being filled holds work of this task.
    pub(crate) fn has_work(&self) -> bool {
        self.has_work
    }

    /// Whether a node asked for a commit since the last call.
    pub(crate) fn take_commit_request(&mut self) -> bool {
        self.graph.take_commit_request()
    }

    /// Commits the positions again although nothing was done since the last commit: a log may forget what is not committed for long. A no-op while a commit of the task is
    /// under way, and before its first one, when there is nothing to forget. `true` when there is something to commit now.
    pub(crate) fn repeat_commit(&mut self) -> bool {
        let repeats = self.frozen.is_none() && !self.committed.offsets.is_empty();
        self.has_work |= repeats;
        repeats
    }

    /// What the frozen commit counted; nothing without one.
    pub(crate) fn frozen_counters(&self) -> TaskCounters {
        self.frozen
            .as_ref()
            .map_or_else(TaskCounters::default, |frozen| frozen.counters)
    }

    /// Counters since the last call, or since the last abort: what was counted before that did not happen.
    fn take_counters(&mut self) -> TaskCounters {
        let now = self.graph.counters();
        let before = std::mem::replace(&mut self.counted, now);
        TaskCounters {
            read: now.read - before.read,
            sent: now.sent - before.sent,
            late: now.late - before.late,
            skipped: now.skipped - before.skipped,
            dead_letters: now.dead_letters - before.dead_letters,
        }
    }

    /// What it did and where it is; `worker` runs it.
    pub(crate) fn metrics(&self, worker: usize) -> TaskMetrics {
        let time = self.graph.clock().time();
        let inputs = self.group.positions();
        TaskMetrics {
            task: self.id,
            worker,
            processed_records: self.totals.processed_records,
            dropped_records: self.totals.dropped_records,
            commits: self.totals.commits,
            stream_time: (time != NO_TIME).then_some(time),
            partitions: inputs
                .map(|(queue, position)| PartitionMetrics {
                    partition: queue.partition().clone(),
                    position,
                    lag: queue.lag().unsigned_abs(),
                    buffered_bytes: queue.buffered_bytes() as u64,
                })
                .collect(),
        }
    }

    /// Processes the next run of at most about `bytes_max`; its outputs go to `collector`. Returns its bytes, `None` when nothing is there
    /// to process.
    ///
    /// On an error the transaction must be aborted.
    pub(crate) fn process_next(
        &mut self,
        bytes_max: usize,
        now_ms: Timestamp,
        collector: &mut RecordCollector,
    ) -> Result<Option<usize>, RuntimeError> {
        let choice = self
            .group
            .choose(bytes_max, self.graph.clock().idle_advances())
            .map_err(|error| self.failed(&error))?;
        let (processed, bytes) = match choice {
            Choice::Run(run) => {
                let processed = self
                    .graph
                    .process(run.batch, now_ms, &mut self.state, &mut self.outputs);
                (processed, run.bytes)
            }
            Choice::Time(mark) => {
                let advanced =
                    self.graph
                        .advance_idle(&mark, false, now_ms, &mut self.state, &mut self.outputs);
                (advanced, 0)
            }
            Choice::Wait => return Ok(None),
        };
        self.has_work = true;
        if let Some(idle) = &mut self.idle {
            idle.worked();
        }
        processed.map_err(|error| processing_error(self.id, &error))?;
        collector
            .collect(&mut self.outputs)
            .map_err(|error| self.failed(&error))?;
        Ok(Some(bytes))
    }

    /// Lets nodes act on wall-clock time when they asked for it. `false` when there was none to tell.
    ///
    /// On an error the transaction must be aborted.
    pub(crate) fn advance_wall_clock(
        &mut self,
        now_ms: Timestamp,
        collector: &mut RecordCollector,
    ) -> Result<bool, RuntimeError> {
        let told = self
            .graph
            .advance_wall_clock(now_ms, &mut self.state, &mut self.outputs)
            .map_err(|error| processing_error(self.id, &error))?;
        if told {
            self.has_work = true;
            collector
                .collect(&mut self.outputs)
                .map_err(|error| self.failed(&error))?;
        }
        Ok(told)
    }

    /// Lets stream time go on when that is wanted and all input has been idle for long enough. `false` when not.
    ///
    /// On an error the transaction must be aborted.
    pub(crate) fn advance_idle(
        &mut self,
        now_ms: Timestamp,
        collector: &mut RecordCollector,
    ) -> Result<bool, RuntimeError> {
        let Some(idle) = &mut self.idle else {
            return Ok(false);
        };
        let clock = self.graph.clock();
        let Some(time) = idle.look(now_ms, self.group.idle_answer_ms(), clock.time()) else {
            return Ok(false);
        };
        if time == NO_TIME && clock.idle_advances() > 0 {
            // Said before.
            return Ok(false);
        }
        let positions = self.group.data_positions();
        let mark = TimeMark {
            number: clock.idle_advances() + 1,
            time,
            positions: positions.map(|(topic, offset)| (topic.clone(), offset)).collect(),
        };
        self.has_work = true;
        self.graph
            .advance_idle(&mark, true, now_ms, &mut self.state, &mut self.outputs)
            .map_err(|error| processing_error(self.id, &error))?;
        collector
            .collect(&mut self.outputs)
            .map_err(|error| self.failed(&error))?;
        Ok(true)
    }

    /// When `advance_idle` has something to do next, in ms of wall-clock time.
    pub(crate) fn idle_due(&self) -> Option<Timestamp> {
        self.idle.as_ref()?.due()
    }

    /// Flushes caches, takes the changelog and the positions. Afterwards a new overlay is open. `apart` receives the changelog instead of
    /// `collector`, for a planted bug.
    pub(crate) fn freeze(
        &mut self,
        now_ms: Timestamp,
        collector: &mut RecordCollector,
        apart: Option<&mut RecordCollector>,
    ) -> Result<(), RuntimeError> {
        assert!(self.frozen.is_none(), "task {} has two frozen commits", self.id);
        self.graph
            .prepare_commit(now_ms, &mut self.state, &mut self.outputs)
            .map_err(|error| processing_error(self.id, &error))?;
        collector
            .collect(&mut self.outputs)
            .map_err(|error| self.failed(&error))?;
        let stream_time = self.graph.clock().time();
        let changes = self.state.freeze();
        let collector = apart.unwrap_or(collector);
        // Changes come store by store, so a changelog is looked up once for all of its records.
        let mut target: Option<(StoreIndex, Option<PartitionCollector<'_>>)> = None;
        for change in changes.iter() {
            if target.as_ref().is_none_or(|(store, _)| *store != change.store) {
                let mut known = self.changelogs.iter();
                let changelog = known.find(|changelog| changelog.store == change.store);
                let changelog = changelog.map(|changelog| collector.partition(&changelog.partition));
                target = Some((change.store, changelog));
            }
            let Some((_, Some(changelog))) = &mut target else {
                continue;
            };
            // Wall-clock time: retention of a windowed changelog counts from when a value was written. By event time, replayed history
            // would be deleted as soon as it was written.
            changelog
                .append(now_ms, Some(change.key), change.value, &[])
                .map_err(|error| processing_error(self.id, &error))?;
        }
        drop(changes);
        // Before it is sent: once it is committed, a crash makes a start replay it on top of what came before.
        self.state
            .make_room()
            .map_err(|error| state_error(self.id, &error))?;
        self.frozen = Some(FrozenCommit {
            inputs: self
                .group
                .positions()
                .map(|(queue, position)| (queue.partition().clone(), position))
                .collect(),
            clock: self.graph.clock().encode(),
            stream_time,
            offsets: Vec::new(),
            changelogs: Vec::new(),
            counters: self.take_counters(),
        });
        self.has_work = false;
        Ok(())
    }

    /// The offsets of the frozen commit with their metadata; `ends` are the offsets after the records that were just acknowledged.
    pub(crate) fn frozen_offsets(
        &mut self,
        txn: TxnSeq,
        transactional: bool,
        ends: &BTreeMap<TopicPartition, Offset>,
    ) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        let Some(frozen) = self.frozen.as_mut() else {
            return Vec::new();
        };
        frozen.changelogs = self
            .changelogs
            .iter()
            .map(|changelog| ends.get(&changelog.partition).copied())
            .collect();
        let recorded = self
            .changelogs
            .iter()
            .zip(&frozen.changelogs)
            .map(|(known, new)| (known, new.or(known.next)));
        let metadata = OffsetMetadata {
            txn,
            transactional,
            changelogs: ChangelogEnds::of(recorded.map(|(changelog, next)| (changelog.name.as_str(), next))),
            clock: Bytes::copy_from_slice(frozen.clock.as_bytes()),
        }
        .encode();
        frozen.offsets = frozen
            .inputs
            .iter()
            .map(|(partition, offset)| {
                (
                    partition.clone(),
                    OffsetAndMetadata::new(*offset).with_metadata(metadata.clone()),
                )
            })
            .collect();
        frozen.offsets.clone()
    }

    /// The frozen commit is confirmed.
    pub(crate) fn commit_frozen(&mut self, txn: TxnSeq, identity: ProducerIdentity) {
        let Some(frozen) = self.frozen.take() else { return };
        let TaskCounters {
            read,
            late,
            skipped,
            dead_letters,
            ..
        } = frozen.counters;
        self.totals.processed_records += read;
        self.totals.dropped_records += late + skipped + dead_letters;
        self.totals.commits += 1;
        let mut moved = Vec::new();
        for (changelog, next) in self.changelogs.iter_mut().zip(&frozen.changelogs) {
            if let Some(next) = *next {
                changelog.next = Some(next);
                moved.push((changelog.store, next));
            }
        }
        self.state.commit_frozen(CommitPosition {
            changelog: moved,
            inputs: frozen.inputs.clone(),
            stream_time: frozen.stream_time,
            extra: Bytes::copy_from_slice(frozen.clock.as_bytes()),
            producer_epoch: identity.producer_epoch,
            txn_seq: txn.0,
        });
        self.committed = CommittedPoint {
            inputs: frozen.inputs,
            clock: frozen.clock,
            offsets: frozen.offsets.into_iter().collect(),
        };
    }

    /// Nothing since the last confirmed commit happened: changes are dropped, inputs and clock go back.
    pub(crate) fn abort(&mut self, faults: &Faults) -> Result<(), RuntimeError> {
        self.frozen = None;
        self.has_work = false;
        self.counted = self.graph.counters();
        self.outputs.clear();
        self.state.abort_all();
        if !faults.sabotaged(Sabotage::KeepCachesOnAbort) {
            self.graph.abort();
        }
        self.graph
            .restore_clock(&self.committed.clock)
            .map_err(|error| self.failed(&error))?;
        for (input, (_, position)) in self.committed.inputs.iter().enumerate() {
            self.group.rewind(input, *position);
        }
        if let Some(idle) = &mut self.idle {
            idle.worked();
        }
        Ok(())
    }

    fn failed(&self, error: &dyn std::error::Error) -> RuntimeError {
        processing_error(self.id, error)
    }
}

/// An error with its causes in one sentence.
pub(crate) fn processing_error(task: TaskId, error: &dyn std::error::Error) -> RuntimeError {
    RuntimeError::Processing {
        task: task.to_string(),
        message: with_causes(error),
    }
}

/// The text of an error and of everything that caused it, outermost first.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
