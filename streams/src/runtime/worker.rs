//! A worker: some tasks, one transactional producer, one loop: fetch → process → commit, all three overlapping.
//!
//! ```text
//!   loop:  process one run of one task  →  tell the commit machine  →  carry out its commands (start a request, freeze, apply, drop)
//!          wait for: control · the request in flight · the fetch in flight · the commit timer · nothing at all when there is more to process
//! ```
//! What is always true: at most one protocol request is in flight; the worker alone touches its tasks; everything it awaits can be dropped, so a
//! worker that is dropped in the middle leaves exactly what a crash at that point leaves. It owns no thread: `thread.rs` gives it one, a simulation
//! awaits [`Worker::run`] on its own runtime. How commands are carried out: `session_commit.rs`; how input is fetched: `session_fetch.rs`; how it waits: `session_wait.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join, select};
use millpond_log::broker::ProducerIdentity;
use millpond_log::types::{Offset, Timestamp, TopicPartition};
use tokio::sync::watch;

use super::application::Application;
use super::commit::{CommitMachine, CommitPolicy, Event};
use super::error::RuntimeError;
use super::global_updater::GlobalUpdater;
use super::membership::{Held, Turn};
use super::output_rules::OutputRules;
use super::record_collector::{CollectorOptions, RecordCollector, Sequences};
use super::restart_policy::{UncaughtError, UncaughtResponse};
use super::session_commit::{Flight, FrozenTxn};
use super::session_fetch::Fetch;
use super::session_upkeep::Flushing;
use super::session_wait::Wake;
use super::task::Task;
use super::txn_counts::TxnCounts;
use super::worker_open::Opened;
use super::worker_status::{Control, WorkerState, WorkerStatus, told_to_end};
use crate::metrics::WorkerMetrics;
use crate::state::{DirectoryLock, FlushJob, TaskId};

/// How often gauges are brought up to date.
const GAUGE_INTERVAL: Duration = Duration::from_millis(100);

/// A worker that is ready to run.
pub struct Worker {
    pub(super) app: Arc<Application>,
    pub(super) index: usize,
    pub(super) tasks: Vec<TaskId>,
    pub(super) status: Arc<WorkerStatus>,
    pub(super) control: watch::Receiver<Control>,
    /// From fencing at the start of the application; used by the first session.
    pub(super) identity: Option<ProducerIdentity>,
    /// Keeps the global tables up to date, if this worker has to run it.
    pub(super) globals: Option<GlobalUpdater>,
    /// It has a thread of its own, so flushes may have another.
    pub(super) flushes_apart: bool,
    /// Held as long as one worker lives.
    pub(super) _state_lock: Arc<DirectoryLock>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("index", &self.index)
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

/// How a session ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Drained,
    /// Drained, because the tasks change hands.
    Reassigned,
    Aborted,
}

/// One life of a worker, from opening its tasks to the first error or the end.
pub(super) struct Session<'a> {
    pub(super) app: &'a Application,
    pub(super) worker: usize,
    /// Of the distribution its tasks are from.
    generation: u64,
    pub(super) status: &'a WorkerStatus,
    pub(super) control: watch::Receiver<Control>,
    pub(super) tasks: Vec<Task>,
    /// Uncommitted bytes in the overlay of each task.
    pub(super) overlay_bytes: Vec<usize>,
    pub(super) machine: CommitMachine,
    pub(super) identity: ProducerIdentity,
    pub(super) sequences: Sequences,
    /// Something was sent under `identity` in a transaction, so the coordinator may hold one open.
    pub(super) maybe_open: bool,
    /// Outputs of the transaction being filled.
    pub(super) collector: RecordCollector,
    /// What the topics that are written refuse.
    pub(super) rules: OutputRules,
    /// What the transaction being filled did; what its tasks counted comes in when it is frozen.
    pub(super) counts: TxnCounts,
    /// Offsets after the records of the transaction being filled that were sent early.
    pub(super) streamed: BTreeMap<TopicPartition, Offset>,
    pub(super) frozen: Option<FrozenTxn>,
    pub(super) flight: Option<Flight>,
    pub(super) fetch: Option<Fetch>,
    pub(super) purge: Option<BoxFuture<'static, ()>>,
    pub(super) purged_at: Duration,
    /// Flushes run on another thread.
    pub(super) flushes_apart: bool,
    /// Flushes that wait for the one under way, by the index of their task.
    pub(super) flushes: VecDeque<(usize, FlushJob)>,
    pub(super) flushing: Option<Flushing>,
    gauged_at: Duration,
    /// When the positions of each task are to be committed again if nothing else commits them before.
    pub(super) repeat_commit_at: Vec<Duration>,
    next_task: usize,
}

impl Worker {
    /// The worker of this number; it takes its tasks when it runs.
    pub(super) fn new(app: &Arc<Application>, index: usize, state_lock: Arc<DirectoryLock>) -> Worker {
        Worker {
            app: app.clone(),
            index,
            tasks: app.membership.tasks_of(index),
            status: app.workers.add(Some(index)),
            control: app.control.subscribe(),
            identity: None,
            globals: None,
            flushes_apart: false,
            _state_lock: state_lock,
        }
    }

    /// Runs until it is told to stop or fails for good; the outcome is in the handle's state. Dropping the future is a crash: nothing is
    /// committed or flushed any more.
    pub async fn run(mut self) {
        match self.globals.take() {
            Some(globals) => {
                join(self.work(), globals.run()).await;
            }
            None => self.work().await,
        }
    }

    async fn work(mut self) {
        let app = self.app.clone();
        let mut replaced = 0;
        let outcome = loop {
            let commits_before = self.commits();
            let held = match self.turn(&app).await {
                Turn::Hold(held) => held,
                Turn::End(Control::Abort) => break Ok(End::Aborted),
                Turn::End(_) => break Ok(End::Drained),
            };
            let ended = self.session_or_panic(&app, &held).await;
            drop(held);
            match ended {
                Ok(End::Reassigned) => self.status.busy(),
                Ok(end) => break Ok(end),
                Err(error) => {
                    if self.commits() > commits_before {
                        replaced = 0;
                    }
                    if !self.is_replaced(&error, replaced).await {
                        break Err(error);
                    }
                    replaced += 1;
                    WorkerMetrics::add(&self.status.metrics.restarts, 1);
                }
            }
        };
        self.status.let_go();
        match outcome {
            Ok(end) => {
                tracing::debug!(application = %app.id, worker = self.index, ?end, "worker ended");
                self.status.set_state(WorkerState::Stopped);
            }
            Err(error) => {
                tracing::error!(application = %app.id, worker = self.index, %error, "worker failed");
                self.status.set_state(WorkerState::Failed(error));
            }
        }
    }

    /// Waits until this worker may open its tasks: nobody else has one of them open any more.
    async fn turn<'a>(&mut self, app: &'a Application) -> Turn<'a> {
        if app.membership.generation() > 0 {
            self.status.set_state(WorkerState::Restoring);
            self.status.let_go();
            self.status.busy();
        }
        let status = self.status.clone();
        let idle = move || {
            status.set_state(WorkerState::Running);
            status.quiet(std::iter::empty());
        };
        let mut control = self.control.clone();
        app.membership.turn(self.index, &mut control, idle).await
    }

    fn commits(&self) -> u64 {
        self.status
            .metrics
            .commits
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    /// A session; a panic in it (an operator's closure, say) is an error like any other. What it had not committed is gone with it.
    async fn session_or_panic(&mut self, app: &Application, held: &Held<'_>) -> Result<End, RuntimeError> {
        self.tasks.clone_from(&held.tasks);
        // Nothing that is used afterwards can be broken halfway: tasks and producer are the session's own, the status is set anew by the next one.
        let caught = AssertUnwindSafe(self.session(app, held.generation))
            .catch_unwind()
            .await;
        caught.unwrap_or_else(|payload| {
            for id in &self.tasks {
                app.registry.unregister(*id);
            }
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            Err(RuntimeError::Panicked {
                worker: self.index,
                message: text.unwrap_or_else(|| "no message".to_owned()),
            })
        })
    }

    /// Carries out what the policy says about a failure; `true` when the worker is to begin again.
    async fn is_replaced(&self, error: &RuntimeError, replaced: u32) -> bool {
        let failed = UncaughtError {
            application_id: &self.app.id,
            worker: self.index,
            error,
            replaced,
        };
        match self.app.config.restart.response(&failed) {
            UncaughtResponse::ReplaceWorker { after } => {
                tracing::warn!(application = %self.app.id, worker = self.index, %error, "worker starts again from its last commit");
                let mut control = self.control.clone();
                // Told to end, it starts again only to find that out.
                select(
                    self.app.calls.clock.sleep(after),
                    std::pin::pin!(told_to_end(&mut control)),
                )
                .await;
                true
            }
            UncaughtResponse::StopWorker => false,
            UncaughtResponse::StopClient | UncaughtResponse::StopApplication => {
                tracing::warn!(application = %self.app.id, worker = self.index, %error, "all workers are stopped");
                self.app.stop_all();
                false
            }
        }
    }

    /// Opens the tasks and runs them.
    async fn session(&mut self, app: &Application, generation: u64) -> Result<End, RuntimeError> {
        self.status.set_state(WorkerState::Restoring);
        self.status.busy();
        let Opened {
            identity,
            tasks,
            rules,
            first_txn,
        } = match self.open(app, generation).await? {
            Ok(opened) => opened,
            Err(end) => return Ok(end),
        };
        let policy = CommitPolicy {
            interval: app.config.commit_interval,
            uncommitted_bytes_max: app.config.uncommitted_bytes_max,
            exactly_once: app.config.exactly_once,
            recoveries_max: app.config.recoveries_max,
        };
        let collector = CollectorOptions {
            compression: app.config.compression,
            batch_bytes: app.config.batch_bytes,
            transactional: app.config.exactly_once,
            smaller: rules.batch_bytes(),
        };
        for task in &tasks {
            app.registry
                .register(task.id, app.sub_topology(task.id).stores(), &task.state);
        }
        let session = Session {
            app,
            worker: self.index,
            generation,
            status: &self.status,
            control: self.control.clone(),
            overlay_bytes: vec![0; tasks.len()],
            tasks,
            machine: CommitMachine::new(policy, first_txn),
            identity,
            sequences: Sequences::default(),
            maybe_open: false,
            collector: RecordCollector::new(collector),
            rules,
            counts: TxnCounts::default(),
            streamed: BTreeMap::new(),
            frozen: None,
            flight: None,
            fetch: None,
            purge: None,
            purged_at: app.calls.clock.monotonic(),
            flushes_apart: self.flushes_apart,
            flushes: VecDeque::new(),
            flushing: None,
            gauged_at: Duration::ZERO,
            repeat_commit_at: Vec::new(),
            next_task: 0,
        };
        self.status.set_state(WorkerState::Running);
        let mut session = session;
        let ended = session.run().await;
        session.leave(&ended).await;
        for id in &self.tasks {
            app.registry.unregister(*id);
        }
        ended
    }
}

impl Session<'_> {
    async fn run(&mut self) -> Result<End, RuntimeError> {
        (0..self.tasks.len()).for_each(|index| self.hold_lease(index));
        self.begin_repeated_commits();
        loop {
            let told = *self.control.borrow_and_update();
            let is_reassigned = self.generation != self.app.membership.generation();
            let control = match told {
                Control::Run | Control::Pause if is_reassigned => Control::Drain,
                told => told,
            };
            if control == Control::Abort {
                return Ok(End::Aborted);
            }
            let progressed = control == Control::Run && (self.advance_wall_clock()? | self.process_some()?);
            self.dispatch(if control == Control::Run {
                Event::Tick
            } else {
                Event::CommitNow
            })?;
            if control == Control::Drain && self.machine.is_quiet() && self.flight.is_none() {
                self.close_state()?;
                return Ok(match told {
                    Control::Drain => End::Drained,
                    _ => End::Reassigned,
                });
            }
            if control == Control::Run {
                self.ensure_fetch();
            }
            self.report(progressed);
            self.look_now_and_then()?;
            if !progressed {
                self.apply_when_old()?;
            }
            match self.wait(progressed).await {
                Wake::Control | Wake::Timer => {}
                Wake::ControlGone => return Ok(End::Aborted),
                Wake::Landed(landed) => {
                    self.flight = None;
                    self.land(landed)?;
                }
                Wake::Fetched(fetched) => {
                    self.fetch = None;
                    self.take_fetched(fetched)?;
                }
                Wake::Purged => self.purge = None,
                Wake::Flushed(flushed) => {
                    self.flushing = None;
                    self.take_flushed(flushed)?;
                }
            }
        }
    }

    /// Milliseconds of a clock that never goes back, for commit intervals.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::try_from(self.app.calls.clock.monotonic().as_millis()).unwrap_or(Timestamp::MAX)
    }

    /// Lets the nodes that asked for it act on wall-clock time, input or not, and stream time of idle tasks go on where that is wanted. `true` when there was one.
    fn advance_wall_clock(&mut self) -> Result<bool, RuntimeError> {
        if !self.machine.may_process() {
            return Ok(false);
        }
        let now_ms = self.app.calls.clock.now_ms();
        let mut told = false;
        for (task, bytes) in self.tasks.iter_mut().zip(&mut self.overlay_bytes) {
            if self.app.is_paused(task.id) {
                continue;
            }
            if task.advance_wall_clock(now_ms, &mut self.collector)?
                | task.advance_idle(now_ms, &mut self.collector)?
            {
                *bytes = task.state.metrics().overlay_bytes;
                told = true;
            }
        }
        if told {
            self.worked()?;
        }
        Ok(told)
    }

    /// Processes one run of the next task that has one. `true` when there was one.
    fn process_some(&mut self) -> Result<bool, RuntimeError> {
        if !self.machine.may_process() {
            return Ok(false);
        }
        let now_ms = self.app.calls.clock.now_ms();
        for step in 0..self.tasks.len() {
            let index = (self.next_task + step) % self.tasks.len();
            let task = &mut self.tasks[index];
            if self.app.is_paused(task.id) {
                continue;
            }
            let Some(bytes) = task.process_next(self.app.config.run_bytes, now_ms, &mut self.collector)?
            else {
                continue;
            };
            self.next_task = index + 1;
            self.overlay_bytes[index] = task.state.metrics().overlay_bytes;
            self.counts.processed(bytes);
            self.worked()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The transaction being filled has more in it.
    pub(super) fn worked(&mut self) -> Result<(), RuntimeError> {
        let bytes = self.uncommitted_bytes();
        WorkerMetrics::set(&self.status.metrics.uncommitted_bytes, bytes as u64);
        self.dispatch(Event::Worked { bytes })?;
        if self.collector.has_full_batches() {
            self.dispatch(Event::BatchesFull)?;
        }
        let asked = |asked, task: &mut Task| task.take_commit_request() | asked;
        if self.tasks.iter_mut().fold(false, asked) {
            self.dispatch(Event::CommitNow)?;
        }
        Ok(())
    }

    /// What waits for the commit: state, outputs, and input, for what operators cache until the commit came in with it.
    fn uncommitted_bytes(&self) -> usize {
        self.overlay_bytes.iter().sum::<usize>() + self.collector.bytes() + self.counts.bytes_in()
    }

    /// What need not be looked at after every run: gauges, and positions that are to be committed again.
    fn look_now_and_then(&mut self) -> Result<(), RuntimeError> {
        let now = self.app.calls.clock.monotonic();
        if now.saturating_sub(self.gauged_at) < GAUGE_INTERVAL {
            return Ok(());
        }
        self.gauged_at = now;
        self.gauge();
        self.repeat_commits(now)
    }

    /// Tells the outside whether this worker has caught up with what it was given.
    fn report(&self, progressed: bool) {
        if !progressed
            && self.machine.is_quiet()
            && self.flight.is_none()
            && self
                .tasks
                .iter()
                .all(|task| task.group.queues().iter().all(|queue| queue.is_empty()))
        {
            let positions = self.tasks.iter().flat_map(|task| task.group.positions());
            self.status
                .quiet(positions.map(|(queue, position)| (queue.partition().clone(), position)));
        } else {
            self.status.busy();
        }
    }
}
