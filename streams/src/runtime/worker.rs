//! A worker: some tasks, one transactional producer, one loop: fetch → process → commit, all three overlapping.
//!
//! ```text
//!   loop:  process one run of one task  →  tell the commit machine  →  carry out its commands (start a request, freeze, apply, drop)
//!          wait for: control · the request in flight · the fetch in flight · the commit timer · nothing at all when there is more to process
//! ```
//! What is always true: at most one protocol request is in flight; the worker alone touches its tasks; everything it awaits can be dropped, so a
//! worker that is dropped in the middle leaves exactly what a crash at that point leaves. It owns no thread: `thread.rs` gives it one, a simulation
//! awaits [`Worker::run`] on its own runtime. How commands are carried out: `session_commit.rs`; how input is fetched: `session_fetch.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, Either, select};
use millpond_log::broker::ProducerIdentity;
use millpond_log::types::{Offset, Timestamp, TopicPartition};
use tokio::sync::watch;

use super::application::Application;
use super::commit::{CommitMachine, CommitPolicy, Event, TxnSeq};
use super::config::RestartPolicy;
use super::error::RuntimeError;
use super::record_collector::{CollectorOptions, RecordCollector, Sequences};
use super::restore::{log_error, open_task, state_error};
use super::session_commit::{Flight, FrozenTxn};
use super::session_fetch::{Fetch, Fetched};
use super::task::Task;
use super::txn_counts::TxnCounts;
use super::worker_status::{Control, WorkerState, WorkerStatus, told_to_end};
use crate::metrics::WorkerMetrics;
use crate::state::TaskId;

/// How often the state of an idle worker is asked whether something is due to be written.
const STATE_CHECK: Duration = Duration::from_secs(1);

/// A worker that is ready to run.
pub struct Worker {
    pub(super) app: Arc<Application>,
    pub(super) index: usize,
    pub(super) tasks: Vec<TaskId>,
    pub(super) status: Arc<WorkerStatus>,
    pub(super) control: watch::Receiver<Control>,
    /// From fencing at the start of the application; used by the first session.
    pub(super) identity: Option<ProducerIdentity>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("index", &self.index)
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

/// Tells the outside that a worker panicked (an operator's closure, say): nobody else could, and who waits would wait for ever.
struct Unwound {
    worker: usize,
    status: Arc<WorkerStatus>,
}

impl Drop for Unwound {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.status.set_state(WorkerState::Failed(RuntimeError::Panicked {
                worker: self.worker,
            }));
        }
    }
}

/// How a session ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Drained,
    Aborted,
}

/// What a session begins with.
struct Opened {
    identity: ProducerIdentity,
    tasks: Vec<Task>,
    first_txn: TxnSeq,
}

/// One life of a worker, from opening its tasks to the first error or the end.
pub(super) struct Session<'a> {
    pub(super) app: &'a Application,
    pub(super) worker: usize,
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
    /// What the transaction being filled did; what its tasks counted comes in when it is frozen.
    pub(super) counts: TxnCounts,
    /// Offsets after the records of the transaction being filled that were sent early.
    pub(super) streamed: BTreeMap<TopicPartition, Offset>,
    pub(super) frozen: Option<FrozenTxn>,
    pub(super) flight: Option<Flight>,
    pub(super) fetch: Option<Fetch>,
    pub(super) purge: Option<BoxFuture<'static, ()>>,
    pub(super) purged_at: Duration,
    next_task: usize,
}

/// What ended a wait.
enum Wake {
    Control,
    ControlGone,
    Landed(super::session_commit::Landed),
    Fetched(Fetched),
    Purged,
    Timer,
}

impl Worker {
    /// Runs until it is told to stop or fails for good; the outcome is in the handle's state. Dropping the future is a crash: nothing is
    /// committed or flushed any more.
    pub async fn run(mut self) {
        let _unwound = Unwound {
            worker: self.index,
            status: self.status.clone(),
        };
        let app = self.app.clone();
        let mut restarts = 0;
        let outcome = loop {
            let commits_before = self.commits();
            match self.session(&app).await {
                Ok(end) => break Ok(end),
                Err(error) => {
                    if self.commits() > commits_before {
                        restarts = 0;
                    }
                    if !self.may_restart(&error, restarts).await {
                        break Err(error);
                    }
                    restarts += 1;
                    WorkerMetrics::add(&self.status.metrics.restarts, 1);
                }
            }
        };
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

    fn commits(&self) -> u64 {
        self.status
            .metrics
            .commits
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Waits out the pause and says whether to try again.
    async fn may_restart(&self, error: &RuntimeError, restarts: u32) -> bool {
        let RestartPolicy::Restart { attempts_max, pause } = self.app.config.restart else {
            return false;
        };
        // A newer instance owns the id, state and inputs disagree, or a topic will never take the output: starting again would not help, or would hurt.
        let hopeless = matches!(
            error,
            RuntimeError::Commit(_) | RuntimeError::StateMismatch { .. }
        );
        let hopeless = hopeless
            && !matches!(
                error,
                RuntimeError::Commit(super::commit::StopReason::TooManyRecoveries { .. })
            );
        if hopeless || restarts >= attempts_max {
            return false;
        }
        tracing::warn!(application = %self.app.id, worker = self.index, %error, "worker starts again from its last commit");
        let mut control = self.control.clone();
        // Told to end, it starts again only to find that out.
        select(
            self.app.calls.clock.sleep(pause),
            std::pin::pin!(told_to_end(&mut control)),
        )
        .await;
        true
    }

    /// Opens the tasks, unless the worker is told to end meanwhile: replaying a long changelog must not hold up a shutdown. Giving up in the
    /// middle is a crash in the middle, after which the next start goes on from what the hosts have.
    async fn open(&mut self, app: &Application) -> Result<Result<Opened, End>, RuntimeError> {
        let mut control = self.control.clone();
        let told = std::pin::pin!(told_to_end(&mut control));
        match select(std::pin::pin!(self.open_tasks(app)), told).await {
            Either::Left((opened, _)) => Ok(Ok(opened?)),
            Either::Right((Control::Drain, _)) => Ok(Err(End::Drained)),
            Either::Right(_) => Ok(Err(End::Aborted)),
        }
    }

    async fn open_tasks(&mut self, app: &Application) -> Result<Opened, RuntimeError> {
        let identity = match self.identity.take() {
            Some(identity) => identity,
            None => {
                let id = app.config.exactly_once.then(|| app.transactional_id(self.index));
                let calls = app.calls.clone();
                calls
                    .init_producer_id(id)
                    .await
                    .map_err(|error| log_error("fencing older producers", &error))?
            }
        };
        let inputs = self
            .tasks
            .iter()
            .flat_map(|task| app.inputs(*task))
            .map(|(partition, _)| partition);
        let calls = app.calls.clone();
        let committed = calls
            .committed(app.group(), inputs.collect())
            .await
            .map_err(|error| log_error("reading committed positions", &error))?;
        let mut tasks = Vec::new();
        let mut last_txn = TxnSeq::default();
        for id in &self.tasks {
            let (task, txn) = open_task(app, *id, &committed, &self.status.metrics).await?;
            tasks.push(task);
            last_txn = last_txn.max(txn);
        }
        Ok(Opened {
            identity,
            tasks,
            first_txn: last_txn.next(),
        })
    }

    /// Opens the tasks and runs them.
    async fn session(&mut self, app: &Application) -> Result<End, RuntimeError> {
        self.status.set_state(WorkerState::Restoring);
        self.status.busy();
        let Opened {
            identity,
            tasks,
            first_txn,
        } = match self.open(app).await? {
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
        };
        for task in &tasks {
            app.registry
                .register(task.id, app.sub_topology(task.id).stores(), &task.state);
        }
        let session = Session {
            app,
            worker: self.index,
            status: &self.status,
            control: self.control.clone(),
            overlay_bytes: vec![0; tasks.len()],
            tasks,
            machine: CommitMachine::new(policy, first_txn),
            identity,
            sequences: Sequences::default(),
            maybe_open: false,
            collector: RecordCollector::new(collector),
            counts: TxnCounts::default(),
            streamed: BTreeMap::new(),
            frozen: None,
            flight: None,
            fetch: None,
            purge: None,
            purged_at: app.calls.clock.monotonic(),
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
        loop {
            let control = *self.control.borrow_and_update();
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
                return Ok(End::Drained);
            }
            if control == Control::Run {
                self.ensure_fetch();
            }
            self.report(progressed);
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
            }
        }
    }

    /// Waits for the next thing to react to; does not wait at all when there is `more` to process, but lets others run.
    async fn wait(&mut self, more: bool) -> Wake {
        let clock = &self.app.calls.clock;
        let pause = self.pause();
        let Session {
            control,
            flight,
            fetch,
            purge,
            ..
        } = self;
        tokio::select! {
            biased;
            changed = control.changed() => if changed.is_ok() { Wake::Control } else { Wake::ControlGone },
            landed = landing(flight) => Wake::Landed(landed),
            fetched = landing(fetch) => Wake::Fetched(fetched),
            () = landing(purge) => Wake::Purged,
            () = async { if more { tokio::task::yield_now().await } else { clock.sleep(pause).await } } => Wake::Timer,
        }
    }

    /// How long there is nothing to do if nothing arrives.
    fn pause(&self) -> Duration {
        let until = |due: Timestamp, now: Timestamp| {
            Duration::from_millis(u64::try_from(due.saturating_sub(now)).unwrap_or(0))
        };
        let commit = match self.machine.due_at() {
            Some(due) if self.flight.is_none() => until(due, self.now()),
            _ => STATE_CHECK,
        };
        let told = *self.control.borrow() == Control::Run && self.machine.may_process();
        let timers = self
            .tasks
            .iter()
            .flat_map(|task| task.graph.wall_clock_due().into_iter().chain(task.idle_due()));
        match timers.min().filter(|_| told) {
            Some(due) => commit.min(until(due, self.app.calls.clock.now_ms())),
            None => commit,
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
    fn worked(&mut self) -> Result<(), RuntimeError> {
        let bytes = self.uncommitted_bytes();
        WorkerMetrics::set(&self.status.metrics.uncommitted_bytes, bytes as u64);
        self.dispatch(Event::Worked { bytes })?;
        if self.collector.has_full_batches() {
            self.dispatch(Event::BatchesFull)?;
        }
        Ok(())
    }

    /// What waits for the commit: state, outputs, and input, for what operators cache until the commit came in with it.
    fn uncommitted_bytes(&self) -> usize {
        self.overlay_bytes.iter().sum::<usize>() + self.collector.bytes() + self.counts.bytes_in()
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

    /// Lets the host take what has waited long enough: an idle task must not lag for ever (I8).
    fn apply_when_old(&mut self) -> Result<(), RuntimeError> {
        let now = self.app.calls.clock.monotonic();
        for task in &mut self.tasks {
            let id = task.id;
            task.state
                .maybe_apply(now)
                .map_err(|error| state_error(id, &error))?;
        }
        Ok(())
    }

    /// Everything committed goes to the host and to its disk, so that the next start replays nothing.
    fn close_state(&mut self) -> Result<(), RuntimeError> {
        for task in &mut self.tasks {
            let id = task.id;
            task.state.flush().map_err(|error| state_error(id, &error))?;
        }
        Ok(())
    }
}

/// Awaits the future in `slot`; never, when there is none. The caller empties the slot.
async fn landing<F: Future + Unpin>(slot: &mut Option<F>) -> F::Output {
    match slot {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
