//! The handle of a running application: state, metrics, queries, waiting, stopping.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::future::{Either, join_all, select, select_all};
use millpond_log::broker::OffsetSpec;
use parking_lot::Mutex;

use super::application::Application;
use super::error::RuntimeError;
use super::restore::log_error;
use super::thread::WorkerThread;
use super::worker::Worker;
use super::worker_status::{Control, WorkerState};
use super::workers::{StreamsState, Workers};
use crate::metrics::{Observed, StoreMetrics, StreamsMetrics, TaskMetrics, observe};
use crate::query::{QueryError, StoreRegistry, StoreView};
use crate::serde::{DefaultSerde, SerdeRef};
use crate::topology::SubTopology;

/// How often waiting for the end of the input looks again when nothing was told meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A running application. Dropping it aborts the workers without waiting: what was not committed is done again by the next start.
/// Call [`shutdown`](Self::shutdown) to end in an orderly way.
#[derive(Debug)]
pub struct StreamsHandle {
    app: Arc<Application>,
    /// What the process's metrics see of it.
    _observed: Arc<dyn Observed>,
    threads: Mutex<Vec<WorkerThread>>,
}

impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct ObservedApplication {
    id: String,
    workers: Arc<Workers>,
    stores: Arc<StoreRegistry>,
}

impl Observed for ObservedApplication {
    fn application_id(&self) -> &str {
        &self.id
    }

    fn read(&self) -> StreamsMetrics {
        self.workers.metrics()
    }

    fn workers(&self) -> Vec<(&'static str, usize)> {
        self.workers.counts()
    }

    fn states(&self) -> Vec<(&'static str, bool)> {
        self.workers.state().among_all()
    }

    fn tasks(&self) -> Vec<TaskMetrics> {
        self.workers.tasks()
    }

    fn stores(&self) -> Vec<StoreMetrics> {
        self.workers.stores(&self.stores)
    }
}

impl Drop for StreamsHandle {
    fn drop(&mut self) {
        self.app.control.send_replace(Control::Abort);
    }
}

impl StreamsHandle {
    pub(crate) fn new(app: Arc<Application>) -> Self {
        let observed: Arc<dyn Observed> = Arc::new(ObservedApplication {
            id: app.id.clone(),
            workers: app.workers.clone(),
            stores: app.registry.clone(),
        });
        observe(&observed);
        StreamsHandle {
            app,
            _observed: observed,
            threads: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn add_thread(&self, thread: WorkerThread) {
        self.threads.lock().push(thread);
    }

    /// The application id.
    #[must_use]
    pub fn application_id(&self) -> &str {
        &self.app.id
    }

    /// What the application is doing now.
    #[must_use]
    pub fn state(&self) -> StreamsState {
        self.app.workers.state()
    }

    /// All counters, summed over the workers.
    #[must_use]
    pub fn metrics(&self) -> StreamsMetrics {
        self.app.workers.metrics()
    }

    /// The tasks that are open: what each did, where its inputs are, how far they are behind. A reading a second old at most.
    #[must_use]
    pub fn task_metrics(&self) -> Vec<TaskMetrics> {
        self.app.workers.tasks()
    }

    /// The stores of every task with their sizes, and how far their restoring is.
    #[must_use]
    pub fn store_metrics(&self) -> Vec<StoreMetrics> {
        self.app.workers.stores(&self.app.registry)
    }

    /// A typed view of the committed state of a store, over all tasks.
    ///
    /// Errs when the topology has no store of that name.
    pub fn store<K: DefaultSerde, V: DefaultSerde>(&self, name: &str) -> Result<StoreView<K, V>, QueryError> {
        self.store_with(name, K::default_serde(), V::default_serde())
    }

    /// The same with given serdes.
    pub fn store_with<K: 'static, V: 'static>(
        &self,
        name: &str,
        key: SerdeRef<K>,
        value: SerdeRef<V>,
    ) -> Result<StoreView<K, V>, QueryError> {
        StoreView::new(self.app.registry.clone(), name, key, value)
    }

    /// The stores and raw readers of their parts; outlives the handle, but answers only while tasks are open.
    #[must_use]
    pub fn stores(&self) -> Arc<StoreRegistry> {
        self.app.registry.clone()
    }

    /// Processes nothing new until [`resume`](Self::resume); what is open is committed.
    pub fn pause(&self) {
        self.app.control.send_if_modified(|control| {
            let running = *control == Control::Run;
            if running {
                *control = Control::Pause;
            }
            running
        });
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.app.control.send_if_modified(|control| {
            let paused = *control == Control::Pause;
            if paused {
                *control = Control::Run;
            }
            paused
        });
    }

    /// Processes nothing new in the sub-topology with the operator or store `name`, until [`resume_part`](Self::resume_part); the others go on. What it had processed is
    /// committed, and what others write to its repartition topics waits there.
    ///
    /// Errs when no operator and no store has that name.
    pub fn pause_part(&self, name: &str) -> Result<(), RuntimeError> {
        let part = self.part(name)?;
        self.app.paused.write().insert(part);
        self.app.wake_workers();
        Ok(())
    }

    /// Goes on after [`pause_part`](Self::pause_part); a no-op when it was not paused.
    ///
    /// Errs when no operator and no store has that name.
    pub fn resume_part(&self, name: &str) -> Result<(), RuntimeError> {
        let part = self.part(name)?;
        self.app.paused.write().remove(&part);
        self.app.wake_workers();
        Ok(())
    }

    fn part(&self, name: &str) -> Result<u32, RuntimeError> {
        let subs = self.app.topology.sub_topologies();
        let found = subs
            .iter()
            .find(|sub| sub.store_index(name).is_some() || sub.nodes().iter().any(|node| node.name == name));
        found
            .map(SubTopology::id)
            .ok_or_else(|| RuntimeError::Unavailable {
                message: format!("application {} has no operator or store {name:?}", self.app.id),
            })
    }

    /// Starts one more worker on a thread of its own, and lets it share the tasks (Kafka Streams' `addStreamThread`). Returns its number, the lowest that is free.
    ///
    /// Every task is committed and closed where it is and opened where it is to be, so the application stands still for as long as that takes; what has failed workers had is
    /// taken over as well, and the failures are forgotten. A worker for which there is no task waits for one.
    ///
    /// Errs when the application was told to end or has ended, or without a thread.
    #[doc(alias = "addStreamThread")]
    pub fn add_worker(&self) -> Result<usize, RuntimeError> {
        // One change after the other.
        let mut threads = self.threads.lock();
        let mut worker = self.new_worker()?;
        let index = worker.index;
        worker.flushes_apart = true;
        let name = format!("{}-{index}", self.app.id);
        let status = worker.status.clone();
        match WorkerThread::spawn(name, move || worker.run()) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                // It never lived.
                status.set_state(WorkerState::Stopped);
                self.app.redistribute(&self.app.workers.live());
                return Err(error);
            }
        }
        Ok(index)
    }

    /// A worker that shares the tasks from now on; the caller runs it.
    pub(super) fn new_worker(&self) -> Result<Worker, RuntimeError> {
        let ended = || RuntimeError::Unavailable {
            message: format!("application {} is ending or has ended", self.app.id),
        };
        if matches!(*self.app.control.borrow(), Control::Drain | Control::Abort) {
            return Err(ended());
        }
        let lock = self.app.state_lock.upgrade().ok_or_else(ended)?;
        let mut live = self.app.workers.live();
        let index = (0..).find(|index| !live.contains(index)).unwrap_or_default();
        self.app.workers.forget_failed();
        let worker = Worker::new(&self.app, index, lock);
        live.push(index);
        live.sort_unstable();
        self.app.redistribute(&live);
        Ok(worker)
    }

    /// Removes the worker with the highest number; the others take its tasks (Kafka Streams' `removeStreamThread`). Waits, `timeout` at most, until it has ended; after that it
    /// still ends as soon as it can. Returns its number.
    ///
    /// Errs when it is the last one ([`shutdown`](Self::shutdown) ends an application), or when the time was not enough.
    #[doc(alias = "removeStreamThread")]
    pub fn remove_worker(&self, timeout: Duration) -> BoxFuture<'_, Result<usize, RuntimeError>> {
        async move {
            let index = {
                let _one_after_the_other = self.threads.lock();
                let mut live = self.app.workers.live();
                let last = live.pop().filter(|_| !live.is_empty());
                let index = last.ok_or_else(|| RuntimeError::Unavailable {
                    message: format!("application {} has no worker to spare", self.app.id),
                })?;
                self.app.redistribute(&live);
                index
            };
            let clock = &self.app.calls.clock;
            let started = clock.monotonic();
            while self.app.workers.live().contains(&index) {
                if clock.monotonic().saturating_sub(started) >= timeout {
                    return Err(RuntimeError::Timeout {
                        what: "removing a worker",
                        waited_ms: timeout.as_millis(),
                    });
                }
                clock.sleep(LOOK_AGAIN).await;
            }
            Ok(index)
        }
        .boxed()
    }

    /// Waits until everything that is in the input topics now, repartition topics included, is processed and committed.
    ///
    /// Input that keeps coming may keep it waiting. Errs when a worker fails or the application is stopped. Cancel-safe.
    pub fn wait_until_caught_up(&self) -> BoxFuture<'_, Result<(), RuntimeError>> {
        async move {
            let inputs = self.app.all_inputs();
            let asked: Vec<_> = inputs
                .iter()
                .map(|partition| (partition.clone(), OffsetSpec::Latest))
                .collect();
            let watch = || -> Vec<_> {
                let workers = self.app.workers.all();
                workers.iter().map(|worker| worker.watch()).collect()
            };
            let mut watches = watch();
            let mut generation = self.app.membership.generation();
            loop {
                self.still_running()?;
                // Tasks changed hands: other workers know how far they are.
                if generation != self.app.membership.generation() {
                    generation = self.app.membership.generation();
                    watches = watch();
                }
                let before: Vec<_> = watches
                    .iter_mut()
                    .map(|watch| watch.borrow_and_update().clone())
                    .collect();
                if before.iter().all(|progress| progress.quiet) {
                    let ends = self
                        .app
                        .calls
                        .list_offsets(asked.clone())
                        .await
                        .map_err(|error| log_error("listing the ends of the input", &error))?;
                    let positions: BTreeMap<_, _> = before
                        .iter()
                        .flat_map(|progress| &progress.positions)
                        .map(|(p, o)| (p, *o))
                        .collect();
                    let reached = inputs.iter().zip(&ends).all(|(partition, end)| {
                        positions.get(partition).is_some_and(|position| position >= end)
                    });
                    // Two equal readings around the ends: no worker was busy in between, so nothing was on its way either.
                    if reached
                        && generation == self.app.membership.generation()
                        && watches
                            .iter()
                            .zip(&before)
                            .all(|(watch, before)| *watch.borrow() == *before)
                    {
                        return Ok(());
                    }
                }
                let changed = select_all(watches.iter_mut().map(|watch| watch.changed().boxed()));
                select(changed, self.app.calls.clock.sleep(LOOK_AGAIN)).await;
            }
        }
        .boxed()
    }

    fn still_running(&self) -> Result<(), RuntimeError> {
        match self.state() {
            StreamsState::Error(error) => Err(error),
            StreamsState::Stopped => Err(RuntimeError::Unavailable {
                message: format!("application {} is stopped", self.app.id),
            }),
            _ => Ok(()),
        }
    }

    /// Waits until every worker runs, its stores restored. Errs when one fails. Cancel-safe.
    pub fn wait_until_running(&self) -> BoxFuture<'_, Result<(), RuntimeError>> {
        async move {
            loop {
                self.still_running()?;
                if self.state() == StreamsState::Running {
                    return Ok(());
                }
                self.app.calls.clock.sleep(LOOK_AGAIN).await;
            }
        }
        .boxed()
    }

    /// Commits what is open, makes state durable, closes everything and waits for it, `timeout` at most; after that the workers are aborted.
    ///
    /// Whoever waits for the application meanwhile is told that it is stopped. Errs with the error of a worker that had failed, or when the
    /// time was not enough.
    pub fn shutdown(&self, timeout: Duration) -> BoxFuture<'_, Result<(), RuntimeError>> {
        async move {
            self.app.control.send_replace(Control::Drain);
            self.app.workers.changed();
            let mut threads = std::mem::take(&mut *self.threads.lock());
            let ended = async {
                join_all(threads.iter_mut().map(WorkerThread::ended)).await;
                // Workers without a thread of ours tell by their state alone.
                while !self.app.workers.all().iter().all(|worker| worker.has_ended()) {
                    self.app.calls.clock.sleep(LOOK_AGAIN).await;
                }
            };
            let in_time = {
                let ended = std::pin::pin!(ended);
                matches!(
                    select(ended, self.app.calls.clock.sleep(timeout)).await,
                    Either::Left(_)
                )
            };
            if !in_time {
                self.app.control.send_replace(Control::Abort);
                return Err(RuntimeError::Timeout {
                    what: "shutdown",
                    waited_ms: timeout.as_millis(),
                });
            }
            match self.state() {
                StreamsState::Error(error) => Err(error),
                _ => Ok(()),
            }
        }
        .boxed()
    }
}
