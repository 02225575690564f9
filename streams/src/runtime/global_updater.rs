//! Keeps the global tables of an instance up to date: reads their topics from the beginning, or from where the last run was, to the end, and follows them from then on.
//!
//! Beside the transactions: what is read is committed data of other producers (read_committed), the position is kept with the state, and reading something twice
//! changes nothing. No task starts before every topic was read to the end it had at the start ([`GlobalsGate`]). It owns no thread: the first worker runs it
//! beside its own loop. Dropping it in the middle is a crash in the middle.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, select};
use millpond_log::broker::{FetchPartition, FetchRequest, Isolation, OffsetSpec};
use millpond_log::types::{Offset, TopicPartition};
use tokio::sync::watch;

use super::application::Application;
use super::error::RuntimeError;
use super::input_queue::InputQueue;
use super::log_client::LogError;
use super::restore::{log_error, state_error};
use super::task::with_causes;
use super::worker_status::{Control, WorkerState, WorkerStatus, told_to_end};
use crate::processor::GlobalTables;
use crate::state::{PinnedState, StateError, StateReader, TaskId};

/// Most bytes of one fetch, and of one partition in it.
const FETCH_BYTES: usize = 32 << 20;
const FETCH_PARTITION_BYTES: usize = 4 << 20;
/// Wait before a fetch is repeated, and before a directory that somebody still holds is tried again.
const PAUSE: Duration = Duration::from_millis(50);
/// For a directory: an earlier instance in this process may need that long to let go.
const LOCK_ATTEMPTS: u32 = 100;

/// Where tasks wait for the global tables. Closed for good when the updater ends without having opened it.
pub(crate) type GlobalsGate = watch::Receiver<Option<StateReader>>;

/// The global tables once they were read to the end; none when the application has none.
pub(crate) async fn pass(gate: Option<&GlobalsGate>) -> Result<Option<PinnedState>, RuntimeError> {
    let Some(gate) = gate else { return Ok(None) };
    let mut gate = gate.clone();
    let unread = || RuntimeError::Unavailable {
        message: "the global tables could not be read".to_owned(),
    };
    let reader = gate
        .wait_for(Option::is_some)
        .await
        .map_err(|_| unread())?
        .clone();
    let pinned = reader.ok_or_else(unread)?.pin();
    pinned
        .map(Some)
        .map_err(|error| state_error(TaskId::GLOBAL, &error))
}

/// See the module's text.
pub(crate) struct GlobalUpdater {
    app: Arc<Application>,
    status: Arc<WorkerStatus>,
    control: watch::Receiver<Control>,
    gate: watch::Sender<Option<StateReader>>,
}

impl GlobalUpdater {
    pub(crate) fn new(
        app: Arc<Application>,
        status: Arc<WorkerStatus>,
        control: watch::Receiver<Control>,
        gate: watch::Sender<Option<StateReader>>,
    ) -> Self {
        GlobalUpdater {
            app,
            status,
            control,
            gate,
        }
    }

    /// Runs until it is told to end or fails for good; the outcome is in the status.
    pub(crate) async fn run(self) {
        self.status.set_state(WorkerState::Restoring);
        // Nothing that is used afterwards can be broken halfway.
        let caught = AssertUnwindSafe(self.keep_up()).catch_unwind().await;
        let outcome = caught.unwrap_or_else(|_| {
            Err(RuntimeError::Unavailable {
                message: "reading the global tables panicked".to_owned(),
            })
        });
        match outcome {
            Ok(()) => self.status.set_state(WorkerState::Stopped),
            Err(error) => {
                tracing::error!(application = %self.app.id, %error, "global tables are not followed any more");
                self.status.set_state(WorkerState::Failed(error));
            }
        }
    }

    async fn keep_up(&self) -> Result<(), RuntimeError> {
        let mut control = self.control.clone();
        let Some(mut reading) = self.open(&mut control).await? else {
            return Ok(());
        };
        let outcome = self.follow(&mut reading, &mut control).await;
        self.app.registry.unregister(TaskId::GLOBAL);
        outcome
    }

    /// Opens the state and finds where to begin; none when told to end meanwhile.
    async fn open(&self, control: &mut watch::Receiver<Control>) -> Result<Option<Reading>, RuntimeError> {
        let app = &*self.app;
        app.registry.restoring(TaskId::GLOBAL);
        let told = std::pin::pin!(told_to_end(control));
        match select(std::pin::pin!(Reading::open(app)), told).await {
            Either::Left((reading, _)) => reading.map(Some),
            Either::Right(_) => Ok(None),
        }
    }

    async fn follow(
        &self,
        reading: &mut Reading,
        control: &mut watch::Receiver<Control>,
    ) -> Result<(), RuntimeError> {
        let app = &*self.app;
        app.registry.register(
            TaskId::GLOBAL,
            reading.tables.state().specs(),
            reading.tables.state(),
        );
        loop {
            if self.gate.borrow().is_none() && reading.has_reached_targets() {
                self.gate.send_replace(Some(reading.tables.reader()));
                self.status.set_state(WorkerState::Running);
            }
            if reading.is_at_end() {
                self.status.quiet(reading.positions().into_iter());
            } else {
                self.status.busy();
            }
            let fetched = {
                let told = std::pin::pin!(told_to_end(control));
                match select(std::pin::pin!(reading.fetch(app)), told).await {
                    Either::Left((fetched, _)) => Ok(fetched?),
                    Either::Right((how, _)) => Err(how),
                }
            };
            match fetched {
                Ok(true) => self.status.busy(),
                Ok(false) => {}
                Err(Control::Drain) => return reading.flush(),
                Err(_) => return Ok(()),
            }
            reading.apply(app)?;
            // A log in this process may answer every fetch at once; the tasks must get a turn.
            tokio::task::yield_now().await;
        }
    }
}

/// The tables and the partitions they are read from.
struct Reading {
    tables: GlobalTables,
    queues: Vec<InputQueue>,
    /// Ends the partitions had at the start.
    targets: BTreeMap<TopicPartition, Offset>,
}

impl Reading {
    async fn open(app: &Application) -> Result<Reading, RuntimeError> {
        let mut tables = open_tables(app).await?;
        let partitions = app.global_inputs();
        let ends = |spec: OffsetSpec| {
            partitions
                .iter()
                .map(|partition| (partition.clone(), spec))
                .collect()
        };
        let failed = |error| log_error("listing the offsets of global tables", &error);
        let starts = app
            .calls
            .list_offsets(ends(OffsetSpec::Earliest))
            .await
            .map_err(failed)?;
        let ends = app
            .calls
            .list_offsets(ends(OffsetSpec::LastStable))
            .await
            .map_err(failed)?;
        let mut lost = Vec::new();
        for ((partition, start), end) in partitions.iter().zip(&starts).zip(&ends) {
            let is_gone = |position: &Offset| position < start || position > end;
            if tables.position(partition).as_ref().is_some_and(is_gone) {
                lost.push(partition.topic.clone());
            }
        }
        for topic in &lost {
            tracing::warn!(application = %app.id, %topic, "the topic of a global table begins after, or ends before what was read of it: it is read anew");
            tables
                .forget(topic)
                .map_err(|error| state_error(TaskId::GLOBAL, &error))?;
        }
        let queues = partitions.iter().zip(&starts).map(|(partition, start)| {
            let position = tables
                .position(partition)
                .filter(|_| !lost.contains(&partition.topic));
            InputQueue::new(partition.clone(), position.unwrap_or(*start))
        });
        let queues = queues.collect();
        Ok(Reading {
            tables,
            queues,
            targets: partitions.into_iter().zip(ends).collect(),
        })
    }

    fn positions(&self) -> Vec<(TopicPartition, Offset)> {
        let position = |queue: &InputQueue| (queue.partition().clone(), queue.position());
        self.queues.iter().map(position).collect()
    }

    fn has_reached_targets(&self) -> bool {
        self.queues.iter().all(|queue| {
            self.targets
                .get(queue.partition())
                .is_none_or(|end| queue.position() >= *end)
        })
    }

    fn is_at_end(&self) -> bool {
        self.queues.iter().all(InputQueue::is_at_end)
    }

    /// One fetch over all partitions; parks when there is nothing. `true` when something came.
    async fn fetch(&mut self, app: &Application) -> Result<bool, RuntimeError> {
        let asked: Vec<Offset> = self.queues.iter().map(InputQueue::fetch_position).collect();
        let wanted = self.queues.iter().map(|queue| FetchPartition {
            partition: queue.partition().clone(),
            fetch_offset: queue.fetch_position(),
            max_bytes: FETCH_PARTITION_BYTES,
        });
        let request = FetchRequest {
            max_wait: app.config.fetch_max_wait,
            min_bytes: 1,
            max_bytes: FETCH_BYTES,
            isolation: Isolation::ReadCommitted,
            partitions: wanted.collect(),
        };
        let mut failed = None;
        match app.calls.log.fetch(request).await {
            Ok(response) => {
                for (partition, answer) in response.partitions {
                    let found = self.queues.iter_mut().zip(&asked);
                    let Some((queue, asked)) = found
                        .into_iter()
                        .find(|(queue, _)| *queue.partition() == partition)
                    else {
                        continue;
                    };
                    match answer {
                        Ok(data) => {
                            let aborted = data.aborted.iter().map(|txn| (txn.producer_id, txn.first_offset));
                            queue
                                .push(*asked, data.batches, aborted.collect(), data.last_stable_offset)
                                .map_err(|error| RuntimeError::Log {
                                    operation: format!("reading {partition}"),
                                    message: with_causes(&error),
                                })?;
                        }
                        Err(error) => failed = Some(LogError::from(error)),
                    }
                }
            }
            Err(error) => failed = Some(error),
        }
        match failed {
            Some(error) if error.may_repeat() => {
                tracing::debug!(application = %app.id, %error, "fetch of global tables is repeated");
                app.calls.clock.sleep(PAUSE).await;
            }
            Some(error) => return Err(log_error("reading global tables", &error)),
            None => {}
        }
        Ok(self.queues.iter().any(|queue| !queue.is_empty()))
    }

    /// Takes in what was fetched and makes it visible.
    fn apply(&mut self, app: &Application) -> Result<(), RuntimeError> {
        let damaged = |partition: &TopicPartition, error: &dyn std::error::Error| RuntimeError::Log {
            operation: format!("reading {partition}"),
            message: with_causes(error),
        };
        let mut moved = false;
        for queue in &mut self.queues {
            let before = queue.position();
            while let Some(run) = queue
                .take(usize::MAX, None)
                .map_err(|error| damaged(queue.partition(), &error))?
            {
                for record in run.batch.records() {
                    let record = record.map_err(|error| damaged(queue.partition(), &error))?.record;
                    let topic = &queue.partition().topic;
                    self.tables.put(topic, record.key, record.value, record.timestamp);
                }
            }
            moved |= queue.position() != before;
        }
        let now = app.calls.clock.monotonic();
        let done = if moved {
            self.tables.commit(self.positions(), now)
        } else {
            self.tables.maybe_apply(now)
        };
        done.map_err(|error| state_error(TaskId::GLOBAL, &error))
    }

    fn flush(&mut self) -> Result<(), RuntimeError> {
        self.tables
            .flush()
            .map_err(|error| state_error(TaskId::GLOBAL, &error))
    }
}

/// Opens the state, waiting a while for an earlier instance in this process to let go of the directory.
async fn open_tables(app: &Application) -> Result<GlobalTables, RuntimeError> {
    let mut attempts = 0;
    loop {
        let opened = GlobalTables::open(
            app.topology.globals(),
            app.state_dir.clone(),
            app.hosts.clone(),
            app.config.state.clone(),
            app.faults.clone(),
        );
        match opened {
            Ok(tables) => return Ok(tables),
            Err(StateError::Locked { .. }) if attempts < LOCK_ATTEMPTS => {
                attempts += 1;
                app.calls.clock.sleep(PAUSE).await;
            }
            Err(error) => return Err(state_error(TaskId::GLOBAL, &error)),
        }
    }
}
