//! What a worker does beside processing and committing: lets hosts take what has waited, flushes them off its own thread, holds the changelogs' leases, commits positions again
//! that a log would forget, and counts.
//!
//! Always true: one flush at a time per worker, in the order they became due; a lease never lies above what the host surely has (I9). A simulation has no
//! other thread, so there a flush happens at once.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use millpond_log::types::{Offset, TopicPartition};

use super::commit::Event;
use super::error::RuntimeError;
use super::restore::state_error;
use super::thread::run_apart;
use super::worker::Session;
use crate::metrics::WorkerMetrics;
use crate::state::{FlushJob, StateError, TaskId};

/// A flush under way.
pub(super) type Flushing = BoxFuture<'static, Flushed>;

/// How it ended, by the index of its task.
pub(super) struct Flushed {
    index: usize,
    task: TaskId,
    outcome: Result<(), StateError>,
}

impl Session<'_> {
    /// Lets the host take what has waited long enough: an idle task must not lag for ever (I8).
    pub(super) fn apply_when_old(&mut self) -> Result<(), RuntimeError> {
        let now = self.app.calls.clock.monotonic();
        (0..self.tasks.len()).try_for_each(|index| self.apply_task(index, now))
    }

    /// Lets the host of a task take what is due, and has it flushed when that is due.
    pub(super) fn apply_task(&mut self, index: usize, now: Duration) -> Result<(), RuntimeError> {
        let task = &mut self.tasks[index];
        let id = task.id;
        let flush = task.state.maybe_apply_deferring_flush(now);
        match flush.map_err(|error| state_error(id, &error))? {
            None => Ok(()),
            Some(job) if self.flushes_apart => {
                self.flushes.push_back((index, job));
                self.start_flush();
                Ok(())
            }
            Some(job) => {
                job.run().map_err(|error| state_error(id, &error))?;
                self.hold_lease(index);
                Ok(())
            }
        }
    }

    fn start_flush(&mut self) {
        if self.flushing.is_some() {
            return;
        }
        let Some((index, job)) = self.flushes.pop_front() else {
            return;
        };
        let task = self.tasks[index].id;
        let running = run_apart(move || FlushJob::run(job));
        let flushing = async move {
            // A flush that panicked did not happen, as far as anybody may rely on it.
            let outcome = running.await.unwrap_or_else(|message| {
                Err(StateError::Host {
                    what: "flushing the stores",
                    task: task.to_string(),
                    message,
                })
            });
            Flushed { index, task, outcome }
        };
        self.flushing = Some(flushing.boxed());
    }

    /// Takes the end of a flush.
    pub(super) fn take_flushed(&mut self, flushed: Flushed) -> Result<(), RuntimeError> {
        flushed
            .outcome
            .map_err(|error| state_error(flushed.task, &error))?;
        self.hold_lease(flushed.index);
        self.start_flush();
        Ok(())
    }

    /// Everything committed goes to the host and to its disk, so that the next start replays nothing.
    pub(super) fn close_state(&mut self) -> Result<(), RuntimeError> {
        for index in 0..self.tasks.len() {
            let task = &mut self.tasks[index];
            let id = task.id;
            task.state.flush().map_err(|error| state_error(id, &error))?;
            self.hold_lease(index);
        }
        Ok(())
    }

    /// Tells the log from where a task's changelogs are still needed: a crash now would replay them from what its host has for certain.
    pub(super) fn hold_lease(&self, index: usize) {
        let task = &self.tasks[index];
        let durable = task.state.durable_position();
        let known = task.changelogs.iter();
        let leases: Vec<(TopicPartition, Offset)> = known
            .filter_map(|changelog| {
                Some((
                    changelog.partition.clone(),
                    durable.changelog_offset(changelog.store)?,
                ))
            })
            .collect();
        if !leases.is_empty() {
            self.app.calls.log.hold_leases(&self.app.lease(), &leases);
        }
    }

    /// Nobody knows when the positions found at the start were committed, so the first repetition comes soon.
    pub(super) fn begin_repeated_commits(&mut self) {
        let soon = self.app.calls.clock.monotonic() + self.app.config.repeat_commit_interval / 24;
        self.repeat_commit_at = vec![soon; self.tasks.len()];
    }

    /// Commits the positions of tasks again that were not committed for long, also while they are paused. Per task, because a cluster forgets each position by itself.
    pub(super) fn repeat_commits(&mut self, now: Duration) -> Result<(), RuntimeError> {
        if !self.machine.may_process() {
            return Ok(());
        }
        let mut idle = Vec::new();
        for (index, (task, due)) in self.tasks.iter_mut().zip(&self.repeat_commit_at).enumerate() {
            if now >= *due && task.repeat_commit() {
                idle.push(index);
            }
        }
        // What writes nothing flushes nothing, and its leases would expire.
        idle.iter().for_each(|index| self.hold_lease(*index));
        if !idle.is_empty() {
            self.worked()?;
            self.dispatch(Event::CommitNow)?;
        }
        Ok(())
    }

    /// Gauges of this moment.
    pub(super) fn gauge(&self) {
        let metrics = &self.status.metrics;
        let queues = self.tasks.iter().flat_map(|task| task.group.queues());
        let lag: i64 = queues.map(|queue| queue.lag()).sum();
        WorkerMetrics::set(&metrics.input_lag_records, u64::try_from(lag).unwrap_or(0));
        *metrics.tasks.lock() = self.tasks.iter().map(|task| task.metrics(self.worker)).collect();
        let (mut lag_bytes, mut memory, mut entries) = (0, 0, 0);
        for task in &self.tasks {
            let state = task.state.metrics();
            lag_bytes += state.applied_lag_bytes;
            memory += state.memory_bytes;
            entries += state.memory_entries;
        }
        WorkerMetrics::set(&metrics.state_lag_bytes, lag_bytes as u64);
        WorkerMetrics::set(&metrics.state_memory_bytes, memory as u64);
        WorkerMetrics::set(&metrics.state_memory_entries, entries as u64);
    }
}
