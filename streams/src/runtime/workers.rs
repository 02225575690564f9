//! All workers of an application as one: what the application is doing, and who is told when that changes.
//!
//! Always true: listeners are told of every change once, in order; a listener that asks for the state gets that one or a later one.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::error::RuntimeError;
use super::worker_status::{Control, WorkerState, WorkerStatus};
use crate::metrics::{StoreMetrics, StreamsMetrics, TaskMetrics};
use crate::query::StoreRegistry;
use crate::state::TaskId;

/// What an application is doing: the state of the worker that is furthest from running.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamsState {
    /// Workers are being started (Kafka Streams: `CREATED`).
    Starting,
    /// At least one worker is restoring stores, or tasks change hands (`REBALANCING`).
    Restoring,
    /// Every worker processes.
    Running,
    /// It was told to end, and commits and closes what it has (`PENDING_SHUTDOWN`).
    PendingShutdown,
    /// Every worker has ended as asked (`NOT_RUNNING`).
    Stopped,
    /// A worker failed for good; the others go on.
    Error(RuntimeError),
}

impl StreamsState {
    const NAMES: [&str; 6] = [
        "starting",
        "restoring",
        "running",
        "pending_shutdown",
        "stopped",
        "error",
    ];

    fn name(&self) -> &'static str {
        match self {
            StreamsState::Starting => "starting",
            StreamsState::Restoring => "restoring",
            StreamsState::Running => "running",
            StreamsState::PendingShutdown => "pending_shutdown",
            StreamsState::Stopped => "stopped",
            StreamsState::Error(_) => "error",
        }
    }

    /// Every state there is as it stands in metrics, `true` for this one.
    pub(super) fn among_all(&self) -> Vec<(&'static str, bool)> {
        let own = self.name();
        Self::NAMES.map(|name| (name, name == own)).to_vec()
    }
}

/// Is told the new state and the one before (Kafka Streams' `StateListener`), from whichever thread changed it: it must not wait for anything.
pub type StateListener = Arc<dyn Fn(&StreamsState, &StreamsState) + Send + Sync>;

/// The workers, those that have ended included.
pub(crate) struct Workers {
    all: RwLock<Vec<Arc<WorkerStatus>>>,
    control: watch::Receiver<Control>,
    listener: Option<StateListener>,
    /// What the listener knows.
    told: Mutex<StreamsState>,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workers")
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}

impl Workers {
    pub(super) fn new(control: watch::Receiver<Control>, listener: Option<StateListener>) -> Arc<Workers> {
        Arc::new(Workers {
            all: RwLock::default(),
            control,
            listener,
            told: Mutex::new(StreamsState::Starting),
        })
    }

    /// One more; without an index it is no worker, but counts for the state of the application and for whether it has caught up.
    pub(super) fn add(self: &Arc<Self>, index: Option<usize>) -> Arc<WorkerStatus> {
        // Beside others that run already, tasks change hands; that is no start any more.
        let state = match self
            .all
            .read()
            .iter()
            .all(|worker| worker.state() == WorkerState::Starting)
        {
            true => WorkerState::Starting,
            false => WorkerState::Restoring,
        };
        let status = Arc::new(WorkerStatus::new(index, state, Arc::downgrade(self)));
        self.all.write().push(status.clone());
        self.changed();
        status
    }

    pub(super) fn all(&self) -> Vec<Arc<WorkerStatus>> {
        self.all.read().clone()
    }

    /// Numbers of the workers that have not ended, in order.
    pub(super) fn live(&self) -> Vec<usize> {
        let all = self.all.read();
        let live = all.iter().filter(|worker| !worker.has_ended());
        let mut live: Vec<usize> = live.filter_map(|worker| worker.index()).collect();
        live.sort_unstable();
        live
    }

    /// Others have taken over what failed workers had: they are no more.
    pub(super) fn forget_failed(&self) {
        for worker in self.all().into_iter().filter(|worker| worker.index().is_some()) {
            if matches!(worker.state(), WorkerState::Failed(_)) {
                worker.set_state(WorkerState::Stopped);
            }
        }
    }

    /// What the application is doing now.
    pub(super) fn state(&self) -> StreamsState {
        let states: Vec<WorkerState> = self.all.read().iter().map(|worker| worker.state()).collect();
        if let Some(error) = states.iter().find_map(|state| match state {
            WorkerState::Failed(error) => Some(error.clone()),
            _ => None,
        }) {
            return StreamsState::Error(error);
        }
        if states.iter().all(|state| *state == WorkerState::Stopped) {
            return StreamsState::Stopped;
        }
        if matches!(*self.control.borrow(), Control::Drain | Control::Abort) {
            return StreamsState::PendingShutdown;
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

    /// How many workers do what.
    pub(super) fn counts(&self) -> Vec<(&'static str, usize)> {
        const STATES: [&str; 5] = ["starting", "restoring", "running", "stopped", "failed"];
        let all = self.all();
        let states: Vec<&str> = all.iter().map(|worker| worker.state().name()).collect();
        let count = |name| states.iter().filter(|state| **state == name).count();
        STATES.map(|name| (name, count(name))).to_vec()
    }

    /// All counters, summed.
    pub(super) fn metrics(&self) -> StreamsMetrics {
        let mut sum = StreamsMetrics::default();
        for worker in self.all() {
            worker.metrics.add_to(&mut sum);
        }
        sum
    }

    /// The tasks that are open, in order.
    pub(super) fn tasks(&self) -> Vec<TaskMetrics> {
        let all = self.all();
        let mut tasks: Vec<TaskMetrics> = all
            .iter()
            .flat_map(|worker| worker.metrics.tasks.lock().clone())
            .collect();
        tasks.sort_by_key(|task| task.task);
        tasks
    }

    /// The stores that are open or being restored, by task and name.
    pub(super) fn stores(&self, registry: &StoreRegistry) -> Vec<StoreMetrics> {
        let mut stores: BTreeMap<(TaskId, String), StoreMetrics> = BTreeMap::new();
        let unknown = |task: TaskId, store: &str| StoreMetrics {
            task,
            store: store.to_owned(),
            estimated_keys: None,
            file_bytes: None,
            write_buffer_bytes: None,
            restored_records: 0,
            restore_remaining: 0,
        };
        for (name, part) in registry.open_parts() {
            let mut metrics = unknown(part.task, &name);
            // A task that is closed in this moment has no sizes to tell.
            if let Ok(size) = part.reader.size(part.index) {
                metrics.estimated_keys = Some(size.entries);
                metrics.file_bytes = size.disk_bytes;
                metrics.write_buffer_bytes = size.buffer_bytes;
            }
            stores.insert((part.task, name), metrics);
        }
        for worker in self.all() {
            for ((task, store), (records, remaining)) in worker.metrics.restores.lock().iter() {
                let known = stores.entry((*task, store.clone()));
                let metrics = known.or_insert_with(|| unknown(*task, store));
                metrics.restored_records = *records;
                metrics.restore_remaining = *remaining;
            }
        }
        stores.into_values().collect()
    }

    /// Something changed that the state depends on.
    pub(super) fn changed(&self) {
        let Some(listener) = &self.listener else { return };
        // Locked while it is called, so that two changes are told in their order.
        let mut told = self.told.lock();
        let now = self.state();
        if *told != now {
            let before = std::mem::replace(&mut *told, now.clone());
            listener(&now, &before);
        }
    }
}
