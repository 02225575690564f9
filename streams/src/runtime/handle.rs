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
use super::worker_status::{Control, WorkerState, WorkerStatus};
use crate::metrics::{Observed, StreamsMetrics, observe};
use crate::query::{QueryError, StoreRegistry, StoreView};
use crate::serde::{DefaultSerde, SerdeRef};
use crate::topology::SubTopology;

/// How often waiting for the end of the input looks again when nothing was told meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What an application is doing: the state of the worker that is furthest from running.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamsState {
    /// Workers are being started.
    Starting,
    /// At least one worker is restoring stores.
    Restoring,
    /// Every worker processes.
    Running,
    /// Every worker has ended as asked.
    Stopped,
    /// A worker failed for good; the others go on.
    Error(RuntimeError),
}

/// A running application. Dropping it aborts the workers without waiting: what was not committed is done again by the next start.
/// Call [`shutdown`](Self::shutdown) to end in an orderly way.
#[derive(Debug)]
pub struct StreamsHandle {
    app: Arc<Application>,
    workers: Vec<Arc<WorkerStatus>>,
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
    workers: Vec<Arc<WorkerStatus>>,
}

impl Observed for ObservedApplication {
    fn application_id(&self) -> &str {
        &self.id
    }

    fn read(&self) -> StreamsMetrics {
        sum(&self.workers)
    }

    fn workers(&self) -> Vec<(&'static str, usize)> {
        const STATES: [&str; 5] = ["starting", "restoring", "running", "stopped", "failed"];
        let states: Vec<&str> = self.workers.iter().map(|worker| worker.state().name()).collect();
        let count = |name| states.iter().filter(|state| **state == name).count();
        STATES.map(|name| (name, count(name))).to_vec()
    }
}

fn sum(workers: &[Arc<WorkerStatus>]) -> StreamsMetrics {
    let mut sum = StreamsMetrics::default();
    for worker in workers {
        worker.metrics.add_to(&mut sum);
    }
    sum
}

impl Drop for StreamsHandle {
    fn drop(&mut self) {
        self.app.control.send_replace(Control::Abort);
    }
}

impl StreamsHandle {
    pub(crate) fn new(app: Arc<Application>, workers: Vec<Arc<WorkerStatus>>) -> Self {
        let observed: Arc<dyn Observed> = Arc::new(ObservedApplication {
            id: app.id.clone(),
            workers: workers.clone(),
        });
        observe(&observed);
        StreamsHandle {
            app,
            workers,
            _observed: observed,
            threads: Mutex::new(Vec::new()),
        }
    }

    /// Something that is no worker, but counts for the state of the application and for whether it has caught up.
    pub(crate) fn watch_too(&mut self, status: Arc<WorkerStatus>) {
        self.workers.push(status);
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
        let states: Vec<WorkerState> = self.workers.iter().map(|worker| worker.state()).collect();
        if let Some(error) = states.iter().find_map(|state| match state {
            WorkerState::Failed(error) => Some(error.clone()),
            _ => None,
        }) {
            return StreamsState::Error(error);
        }
        if states.iter().all(|state| *state == WorkerState::Stopped) {
            return StreamsState::Stopped;
        }
        if states.contains(&WorkerState::Starting) {
            return StreamsState::Starting;
        }
        if states.contains(&WorkerState::Restoring) {
            StreamsState::Restoring
        } else {
            StreamsState::Running
        }
    }

    /// All counters, summed over the workers.
    #[must_use]
    pub fn metrics(&self) -> StreamsMetrics {
        sum(&self.workers)
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
        self.wake_workers();
        Ok(())
    }

    /// Goes on after [`pause_part`](Self::pause_part); a no-op when it was not paused.
    ///
    /// Errs when no operator and no store has that name.
    pub fn resume_part(&self, name: &str) -> Result<(), RuntimeError> {
        let part = self.part(name)?;
        self.app.paused.write().remove(&part);
        self.wake_workers();
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

    fn wake_workers(&self) {
        self.app.control.send_modify(|_| {});
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
            let mut watches: Vec<_> = self.workers.iter().map(|worker| worker.watch()).collect();
            loop {
                self.still_running()?;
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
            let mut threads = std::mem::take(&mut *self.threads.lock());
            let ended = async {
                join_all(threads.iter_mut().map(WorkerThread::ended)).await;
                // Workers without a thread of ours tell by their state alone.
                while !self.workers.iter().all(|worker| worker.has_ended()) {
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
