//! Opening a task: its state from the host, the changelog on top of it, and the proof that both belong to the committed input positions.
//!
//! I3: open = read the stored offsets, replay `[stored, last stable offset)` with read_committed, resume. I5: the end of every changelog must agree
//! with what the committed offsets recorded; a mismatch is a named error and the state stays as it is. There is no code here, or anywhere below,
//! that clears a store. B30: what a crash in mid-restore leaves behind carries the offset that was really restored, so the next start goes on from there.

use std::collections::BTreeMap;

use bytes::Bytes;
use millpond_log::broker::{FetchPartition, FetchRequest, Isolation, OffsetAndMetadata, OffsetSpec};
use millpond_log::faults::Sabotage;
use millpond_log::types::{Offset, TopicPartition};

use super::application::{Application, changelog_partition, range_requests};
use super::commit::TxnSeq;
use super::error::RuntimeError;
use super::input_queue::InputQueue;
use super::log_client::LogError;
use super::offset_metadata::OffsetMetadata;
use super::partition_group::PartitionGroup;
use super::restore_watch::RestoreWatch;
use super::state_directory::{LOCK_ATTEMPTS, LOCK_PAUSE};
use super::task::{Changelog, CommittedPoint, Task, processing_error, with_causes};
use crate::metrics::WorkerMetrics;
use crate::processor::{Outputs, TaskGraph, TaskGraphOptions};
use crate::state::{CommitPosition, PinnedState, StateError, StateOptions, StoreIndex, TaskId, TaskState};

/// Batches asked for per fetch of a changelog.
const RESTORE_FETCH_BYTES: usize = 4 << 20;

type Committed = BTreeMap<TopicPartition, OffsetAndMetadata>;

/// Opens `id` at the last committed point. `committed` are the group's offsets, read after the transactional id was fenced. Returns with it the number
/// of the last transaction those offsets know, zero when there was none.
pub(crate) async fn open_task(
    app: &Application,
    id: TaskId,
    committed: &Committed,
    globals: Option<&PinnedState>,
    metrics: &WorkerMetrics,
) -> Result<(Task, TxnSeq), RuntimeError> {
    let Restored {
        mut state,
        changelogs,
        metadata,
    } = restored_state(app, id, globals, committed, metrics).await?;
    check_inputs(app, id, &state, committed)?;
    let (group, inputs) = open_inputs(app, id, committed).await?;
    let clock = metadata.as_ref().map_or_else(String::new, |metadata| {
        String::from_utf8_lossy(&metadata.clock).into_owned()
    });
    let mut outputs = Outputs::new(id.partition);
    let options = TaskGraphOptions {
        task: id,
        application_id: &app.id,
        partitions: &|topic| app.partitions.get(topic).copied(),
        upstream_tasks: &|repartition| app.plan.upstream_tasks(repartition),
        config: app.config.processing.clone(),
    };
    let mut graph = TaskGraph::new(app.sub_topology(id), &options, &mut state, &mut outputs)
        .map_err(|error| processing_error(id, &error))?;
    graph
        .restore_clock(&clock)
        .map_err(|error| processing_error(id, &error))?;
    state.finish_restore(CommitPosition {
        // The replay moved the changelog positions already.
        changelog: Vec::new(),
        inputs: inputs
            .iter()
            .filter(|(partition, _)| committed.contains_key(partition))
            .cloned()
            .collect(),
        stream_time: graph.clock().time(),
        extra: Bytes::copy_from_slice(clock.as_bytes()),
        txn_seq: metadata.as_ref().map_or(0, |metadata| metadata.txn.0),
        ..CommitPosition::default()
    });
    let offsets = inputs
        .iter()
        .filter_map(|(partition, _)| Some((partition.clone(), committed.get(partition)?.clone())))
        .collect();
    let point = CommittedPoint {
        inputs,
        clock,
        offsets,
    };
    let last_txn = metadata.map_or(TxnSeq::default(), |metadata| metadata.txn);
    let idle_timeout = app.sub_topology(id).idle_advance().map(|idle| idle.timeout);
    let task = Task::new(id, state, graph, outputs, group, changelogs, point).with_idle_timeout(idle_timeout);
    Ok((task, last_txn))
}

/// State that reflects its changelogs as far as is committed.
struct Restored {
    state: TaskState,
    changelogs: Vec<Changelog>,
    metadata: Option<OffsetMetadata>,
}

/// Opens the state of a task and replays its changelogs, from nothing where it is too old for that (I9), or became so while it was at it.
async fn restored_state(
    app: &Application,
    id: TaskId,
    globals: Option<&PinnedState>,
    committed: &Committed,
    metrics: &WorkerMetrics,
) -> Result<Restored, RuntimeError> {
    loop {
        let mut state = open_state(app, id).await?;
        if let Some(why) = stale(app, id, &state) {
            set_aside(app, id, state, &why)?;
            state = open_state(app, id).await?;
        }
        if let Some(globals) = globals {
            state.set_globals(globals.clone());
        }
        let former = former_offsets(app, id, &state).await?;
        let metadata = recorded(app, id, committed, &former)?;
        let mut changelogs = changelogs_of(app, id);
        let known = known_tombstones(app, &state, &changelogs);
        for changelog in &mut changelogs {
            restore_store(app, id, &mut state, changelog, metadata.as_ref(), metrics).await?;
        }
        // A compaction that was under way when the lease was taken may have removed tombstones before they were read.
        if let Some(why) = overtaken(app, &known, &changelogs) {
            set_aside(app, id, state, &why)?;
            continue;
        }
        return Ok(Restored {
            state,
            changelogs,
            metadata,
        });
    }
}

/// The changelogs of a task's stores, not replayed yet.
fn changelogs_of(app: &Application, id: TaskId) -> Vec<Changelog> {
    let stores = app.sub_topology(id).stores().iter().enumerate();
    stores
        .filter(|(_, store)| store.logged)
        .map(|(index, store)| Changelog {
            store: StoreIndex::new(index as u32),
            name: store.name.clone(),
            partition: changelog_partition(&app.id, &store.name, id.partition),
            expires: store.kind.retention_ms().is_some(),
            next: None,
        })
        .collect()
}

/// Keeps state that cannot be brought up to date where somebody may look at it.
fn set_aside(app: &Application, id: TaskId, state: TaskState, why: &str) -> Result<(), RuntimeError> {
    drop(state);
    let aside = app.hosts.set_aside(&app.state_dir, app.layout.state_of(id));
    let aside = aside.map_err(|error| state_error(id, &error))?;
    tracing::warn!(task = %id, %why, aside = %aside.display(), "state is too old to go on and was set aside; it is built anew from the changelogs");
    Ok(())
}

/// Per changelog the offset below which no tombstone is missing: the store has seen all up to where it is; an empty one, all that are still there.
fn known_tombstones(app: &Application, state: &TaskState, changelogs: &[Changelog]) -> Vec<Option<Offset>> {
    let known = changelogs.iter().map(|changelog| {
        let horizon = app.calls.log.tombstone_horizon(&changelog.partition)?;
        Some(
            state
                .stored_position()
                .changelog_offset(changelog.store)
                .unwrap_or(horizon),
        )
    });
    known.collect()
}

/// Why the replay may have missed tombstones.
fn overtaken(app: &Application, known: &[Option<Offset>], changelogs: &[Changelog]) -> Option<String> {
    known.iter().zip(changelogs).find_map(|(known, changelog)| {
        let (known, horizon) = ((*known)?, app.calls.log.tombstone_horizon(&changelog.partition)?);
        (horizon > known).then(|| {
            format!(
                "while store {} was restored, tombstones of {} went below {horizon}; it could be sure of those below {known}",
                changelog.name, changelog.partition
            )
        })
    })
}

/// I9: why the state is too old to be brought up to date. Compaction has removed tombstones that it never saw, so deleted keys would come back in silence.
fn stale(app: &Application, id: TaskId, state: &TaskState) -> Option<String> {
    let stores = app.sub_topology(id).stores().iter().enumerate();
    stores
        .filter(|(_, store)| store.logged)
        .find_map(|(index, store)| {
            let stored = state
                .stored_position()
                .changelog_offset(StoreIndex::new(index as u32))?;
            let partition = changelog_partition(&app.id, &store.name, id.partition);
            let horizon = app.calls.log.tombstone_horizon(&partition)?;
            (stored < horizon).then(|| {
                format!(
                    "store {} reflects {partition} up to {stored}, tombstones are gone below {horizon}",
                    store.name
                )
            })
        })
}

/// What the group still holds for inputs that the state knows and the topology does not have any more.
async fn former_offsets(app: &Application, id: TaskId, state: &TaskState) -> Result<Committed, RuntimeError> {
    let inputs = app.inputs(id);
    let known = state.stored_position().inputs.iter();
    let former: Vec<_> = known
        .map(|(partition, _)| partition)
        .filter(|partition| inputs.iter().all(|(input, _)| input != *partition))
        .cloned()
        .collect();
    if former.is_empty() {
        return Ok(Committed::new());
    }
    let calls = app.calls.clone();
    calls
        .committed(app.group(), former)
        .await
        .map_err(|error| log_error("reading committed positions of former inputs", &error))
}

/// Opens the state, waiting a while for an earlier instance in this process to let go of the directory.
async fn open_state(app: &Application, id: TaskId) -> Result<TaskState, RuntimeError> {
    let mut attempts = 0;
    loop {
        let opened = TaskState::open(StateOptions {
            dir: app.state_dir.clone(),
            task: app.layout.state_of(id),
            host: app.hosts.clone(),
            stores: app.sub_topology(id).stores().to_vec(),
            limits: app.config.state.clone(),
            faults: app.faults.clone(),
        });
        match opened {
            Ok(state) => return Ok(state),
            Err(StateError::Locked { .. }) if attempts < LOCK_ATTEMPTS => {
                attempts += 1;
                app.calls.clock.sleep(LOCK_PAUSE).await;
            }
            Err(error) => return Err(state_error(id, &error)),
        }
    }
}

/// The metadata beside the committed offsets of the task's inputs: the newest, because an input added later has none yet. Former inputs count, too:
/// when a task reads something else than before, only they tell how far its changelogs belong to it.
fn recorded(
    app: &Application,
    id: TaskId,
    committed: &Committed,
    former: &Committed,
) -> Result<Option<OffsetMetadata>, RuntimeError> {
    let mut found = Vec::new();
    for (partition, _) in app.inputs(id) {
        let Some(offset) = committed.get(&partition) else {
            continue;
        };
        if offset.metadata.is_empty() {
            // Set by hand, by a reset for example: nothing is known of changelogs that would belong to it.
            continue;
        }
        let metadata =
            OffsetMetadata::decode(&offset.metadata).map_err(|error| RuntimeError::OffsetMetadata {
                partition,
                message: error.to_string(),
            })?;
        found.push(metadata);
    }
    // Whatever stands beside an offset that nobody reads any more must not stop the task.
    found.extend(
        former
            .values()
            .filter_map(|offset| OffsetMetadata::decode(&offset.metadata).ok()),
    );
    Ok(found.into_iter().max_by_key(|metadata| metadata.txn))
}

/// Replays one changelog and checks its end.
async fn restore_store(
    app: &Application,
    id: TaskId,
    state: &mut TaskState,
    changelog: &mut Changelog,
    recorded: Option<&OffsetMetadata>,
    metrics: &WorkerMetrics,
) -> Result<(), RuntimeError> {
    let partition = &changelog.partition;
    let mismatch = |detail: String| RuntimeError::StateMismatch {
        task: id.to_string(),
        store: changelog.name.clone(),
        detail,
    };
    let range = app
        .calls
        .list_offsets(range_requests(partition, restored_until(app)))
        .await
        .map_err(|error| log_error("listing the changelog's offsets", &error))?;
    let (start, end) = (range[0], range[1]);
    let stored = state.stored_position().changelog_offset(changelog.store);
    if let Some(stored) = stored.filter(|stored| *stored > end) {
        return Err(mismatch(format!(
            "the store reflects {partition} up to {stored}, the changelog ends at {end}"
        )));
    }
    if let Some(stored) = stored.filter(|stored| *stored < start) {
        // Windowed changelogs lose what is older than their retention, and so would the store; any other changelog must be whole.
        if !changelog.expires {
            return Err(mismatch(format!(
                "the store reflects {partition} up to {stored}, the changelog begins at {start}"
            )));
        }
        tracing::warn!(task = %id, store = %changelog.name, %stored, %start, "windows older than the changelog's retention are as the store had them");
    }
    let expected = recorded.and_then(|metadata| metadata.changelog(&changelog.name));
    let from = match expected {
        // A store may have been told of markers behind the last record that counts; what lies there must not be data.
        Some(expected) => state.restore_start(changelog.store).min(expected).max(start),
        None => start,
    };
    let mut queue = InputQueue::new(partition.clone(), from);
    // Held from here on: what is replayed now may be needed again, until a flush has made it durable.
    let lease = [(partition.clone(), stored.unwrap_or(start))];
    app.calls.log.hold_leases(&app.lease(), &lease);
    let mut watch = RestoreWatch::begin(app, metrics, id, &changelog.name, partition, from, end);
    let mut data_end = None;
    while queue.position() < end {
        // A log in this process may answer every fetch at once; who wants to end this must get a turn.
        tokio::task::yield_now().await;
        fetch_changelog(app, &mut queue).await?;
        let run = queue
            .take(usize::MAX, None)
            .map_err(|error| state_text(id, &with_causes(&error)))?;
        let mut records = Vec::new();
        let mut bytes = 0;
        if let Some(run) = &run {
            for record in run.batch.records() {
                let record = record
                    .map_err(|error| state_text(id, &with_causes(&error)))?
                    .record;
                let Some(key) = record.key else { continue };
                records.push((key, record.value));
                data_end = Some(record.offset.next());
            }
            bytes = run.bytes;
        }
        let count = records.len();
        let reached = stored.map_or(queue.position(), |stored| stored.max(queue.position()));
        state
            .restore(changelog.store, records, reached)
            .map_err(|error| state_error(id, &error))?;
        watch.replayed(count as u64, bytes as u64, queue.position());
    }
    let (records, bytes) = watch.finish();
    if records > 0 {
        tracing::info!(task = %id, store = %changelog.name, records, bytes, "state restored from its changelog");
    }
    match (expected, data_end) {
        // The changelog lost records that the committed positions count on.
        (Some(expected), _) if end < expected => {
            return Err(mismatch(format!(
                "commits reach {expected} of {partition}, which ends at {end}"
            )));
        }
        // State is ahead of its inputs: going on would count them twice. Without transactions that is what a crash leaves, and promised.
        (expected, Some(data_end))
            if expected.is_none_or(|expected| data_end > expected)
                && recorded.is_none_or(|metadata| metadata.transactional)
                && app.config.exactly_once =>
        {
            let expected = expected.map_or_else(|| "nothing".to_owned(), |offset| format!("up to {offset}"));
            return Err(mismatch(format!(
                "the state reflects {partition} up to {data_end}, the committed input positions reflect {expected}"
            )));
        }
        _ => {}
    }
    changelog.next = expected.or(data_end);
    Ok(())
}

/// Where the replay of a changelog ends.
fn restored_until(app: &Application) -> OffsetSpec {
    if uncommitted(app) {
        OffsetSpec::Latest
    } else {
        OffsetSpec::LastStable
    }
}

/// A planted bug: what is replayed may never have been committed.
fn uncommitted(app: &Application) -> bool {
    app.faults.sabotaged(Sabotage::RestoreUncommitted)
}

async fn fetch_changelog(app: &Application, queue: &mut InputQueue) -> Result<(), RuntimeError> {
    let asked = queue.fetch_position();
    let request = FetchRequest {
        max_wait: app.config.fetch_max_wait,
        min_bytes: 1,
        max_bytes: RESTORE_FETCH_BYTES,
        isolation: if uncommitted(app) {
            Isolation::ReadUncommitted
        } else {
            Isolation::ReadCommitted
        },
        partitions: vec![FetchPartition {
            partition: queue.partition().clone(),
            fetch_offset: asked,
            max_bytes: RESTORE_FETCH_BYTES,
        }],
    };
    let mut response = app
        .calls
        .log
        .fetch(request)
        .await
        .map_err(|error| log_error("reading a changelog", &error))?;
    let Some((partition, answer)) = response.partitions.pop() else {
        return Ok(());
    };
    match answer {
        Ok(data) => {
            let aborted = data
                .aborted
                .iter()
                .map(|txn| (txn.producer_id, txn.first_offset))
                .collect();
            queue
                .push(asked, data.batches, aborted, data.last_stable_offset)
                .map_err(|error| RuntimeError::Log {
                    operation: format!("reading changelog {partition}"),
                    message: with_causes(&error),
                })
        }
        Err(error) => match LogError::from(error) {
            LogError::Retriable(text) => {
                tracing::debug!(%partition, text, "repeating a changelog fetch");
                app.calls.clock.sleep(LOCK_PAUSE).await;
                Ok(())
            }
            error => Err(RuntimeError::Log {
                operation: format!("reading changelog {partition}"),
                message: error.to_string(),
            }),
        },
    }
}

/// I5 from the other side: the host must not be ahead of the inputs. What it knows of a topic the topology does not read any more says nothing: nothing
/// will be read there that could count twice. The position is kept, for the topology may want the topic back.
fn check_inputs(
    app: &Application,
    id: TaskId,
    state: &TaskState,
    committed: &Committed,
) -> Result<(), RuntimeError> {
    for (partition, _) in app.inputs(id) {
        let Some(stored) = state.stored_position().input_offset(&partition) else {
            continue;
        };
        let partition = &partition;
        let found = committed.get(partition).map(|offset| offset.offset);
        if found.is_none_or(|found| stored > found) {
            let found = found.map_or_else(|| "none".to_owned(), |offset| offset.to_string());
            return Err(RuntimeError::StateMismatch {
                task: id.to_string(),
                store: "(all)".to_owned(),
                detail: format!(
                    "the state reflects {partition} up to {stored}, the committed position is {found}"
                ),
            });
        }
    }
    Ok(())
}

/// Queues at the committed positions, or at the start of partitions that never had one.
async fn open_inputs(
    app: &Application,
    id: TaskId,
    committed: &Committed,
) -> Result<(PartitionGroup, Vec<(TopicPartition, Offset)>), RuntimeError> {
    let mut queues = Vec::new();
    let mut inputs = Vec::new();
    for (partition, _) in app.inputs(id) {
        let range = app
            .calls
            .list_offsets(range_requests(&partition, OffsetSpec::Latest))
            .await
            .map_err(|error| log_error("listing the input's offsets", &error))?;
        let (start, end) = (range[0], range[1]);
        let position = committed.get(&partition).map_or(start, |offset| offset.offset);
        if position < start || position > end {
            return Err(RuntimeError::PositionOutOfRange {
                partition,
                position,
                start,
                end,
            });
        }
        inputs.push((partition.clone(), position));
        queues.push(InputQueue::new(partition, position));
    }
    let time_topic = app.sub_topology(id).idle_advance();
    let time_topic = time_topic.map(|idle| idle.topic.resolve(&app.id));
    let time = inputs
        .iter()
        .position(|(partition, _)| Some(&partition.topic) == time_topic.as_ref());
    let group = PartitionGroup::new(queues);
    let group = match time {
        Some(queue) => group.with_time(queue),
        None => group,
    };
    Ok((group, inputs))
}

pub(crate) fn log_error(operation: &str, error: &LogError) -> RuntimeError {
    RuntimeError::Log {
        operation: operation.to_owned(),
        message: error.to_string(),
    }
}

pub(crate) fn state_error(task: TaskId, error: &StateError) -> RuntimeError {
    state_text(task, &with_causes(error))
}

fn state_text(task: TaskId, message: &str) -> RuntimeError {
    RuntimeError::State {
        task: task.to_string(),
        message: message.to_owned(),
    }
}
