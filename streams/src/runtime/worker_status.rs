//! What a worker tells the outside: its state, its counters, and whether it has caught up.
//!
//! Written by the worker alone; read by the handle from any thread.

use std::sync::Weak;

use millpond_log::types::{Offset, TopicPartition};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::error::RuntimeError;
use super::workers::Workers;
use crate::metrics::WorkerMetrics;

/// What a worker is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorkerState {
    Starting,
    Restoring,
    Running,
    Stopped,
    Failed(RuntimeError),
}

impl WorkerState {
    /// As it stands in metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            WorkerState::Starting => "starting",
            WorkerState::Restoring => "restoring",
            WorkerState::Running => "running",
            WorkerState::Stopped => "stopped",
            WorkerState::Failed(_) => "failed",
        }
    }
}

/// What the outside asks of the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Run,
    /// Process nothing new; what is open is committed.
    Pause,
    /// Commit what is open, make state durable, end.
    Drain,
    /// End at once, as a crash would, but without leaving anything running.
    Abort,
}

/// Waits until a worker is told to end, and says how. Whoever could tell is gone: as an abort. Cancel-safe.
pub(crate) async fn told_to_end(control: &mut watch::Receiver<Control>) -> Control {
    let ends = |control: &Control| matches!(control, Control::Drain | Control::Abort);
    match control.wait_for(ends).await {
        Ok(control) => *control,
        Err(_) => Control::Abort,
    }
}

/// How far a worker is, told whenever it becomes quiet or busy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Nothing is queued, open or in flight.
    pub(crate) quiet: bool,
    /// Counts the changes from quiet to busy, so that two equal readings mean nothing happened between.
    pub(crate) rounds: u64,
    /// Positions of the inputs; meaningful while quiet.
    pub(crate) positions: Vec<(TopicPartition, Offset)>,
}

/// The outside of one worker.
#[derive(Debug)]
pub(crate) struct WorkerStatus {
    /// Number of the worker; none of what is no worker, but counts for the application.
    index: Option<usize>,
    /// All of the application, to be told of changes.
    workers: Weak<Workers>,
    state: Mutex<WorkerState>,
    progress: watch::Sender<Progress>,
    pub(crate) metrics: WorkerMetrics,
}

impl WorkerStatus {
    pub(super) fn new(index: Option<usize>, state: WorkerState, workers: Weak<Workers>) -> Self {
        WorkerStatus {
            index,
            workers,
            state: Mutex::new(state),
            progress: watch::Sender::new(Progress::default()),
            metrics: WorkerMetrics::default(),
        }
    }

    pub(crate) fn index(&self) -> Option<usize> {
        self.index
    }

    pub(crate) fn state(&self) -> WorkerState {
        self.state.lock().clone()
    }

    pub(crate) fn set_state(&self, state: WorkerState) {
        *self.state.lock() = state;
        // Whoever waits for progress must see an end, too.
        self.progress.send_modify(|_| {});
        if let Some(workers) = self.workers.upgrade() {
            workers.changed();
        }
    }

    /// It has nothing left: what it would say of now is nothing.
    pub(crate) fn let_go(&self) {
        self.metrics.let_go();
        self.quiet(std::iter::empty());
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(*self.state.lock(), WorkerState::Stopped | WorkerState::Failed(_))
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(crate) fn busy(&self) {
        self.progress.send_if_modified(|progress| {
            let was_quiet = std::mem::replace(&mut progress.quiet, false);
            if was_quiet {
                progress.rounds += 1;
            }
            was_quiet
        });
    }

    pub(crate) fn quiet(&self, positions: impl Iterator<Item = (TopicPartition, Offset)>) {
        self.progress.send_if_modified(|progress| {
            let positions: Vec<_> = positions.collect();
            let changed = !progress.quiet || progress.positions != positions;
            progress.quiet = true;
            progress.positions = positions;
            changed
        });
    }
}
