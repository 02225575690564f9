//! What all workers of one application share and none of them changes: the topology with its numbers, names, settings, and the way to log, state and time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use millpond_log::broker::OffsetSpec;
use millpond_log::faults::Faults;
use millpond_log::types::{GroupId, Offset, PartitionId, TopicName, TopicPartition, TransactionalId};
use parking_lot::RwLock;
use tokio::sync::watch;

use super::config::StreamsConfig;
use super::global_updater::GlobalsGate;
use super::log_calls::LogCalls;
use super::membership::Membership;
use super::state_directory::StateLayout;
use super::worker_status::Control;
use super::workers::Workers;
use crate::query::StoreRegistry;
use crate::state::{DirectoryLock, StoreHostFactory, TaskId};
use crate::topology::{Plan, SubTopology, TopicRef, Topology};

/// Where the replay of a changelog is (the callbacks of Kafka Streams' `StateRestoreListener`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestorePhase {
    /// It begins.
    Started,
    /// A batch was replayed.
    Batch,
    /// Everything was replayed.
    Ended,
    /// It was given up before its end: the worker was stopped or failed. The next start goes on from what the state has.
    Suspended,
}

/// Progress of the replay of one changelog, told while a task opens. A changelog of which nothing is to be replayed is not told of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreProgress {
    /// Where it is.
    pub phase: RestorePhase,
    /// The task.
    pub task: TaskId,
    /// The store.
    pub store: String,
    /// The changelog.
    pub partition: TopicPartition,
    /// Where the replay began.
    pub start_offset: Offset,
    /// Where it ends, exclusive.
    pub end_offset: Offset,
    /// Records replayed so far.
    pub records: u64,
    /// Bytes of the batches replayed so far.
    pub bytes: u64,
    /// Offsets of the changelog still to go.
    pub remaining_offsets: i64,
}

/// Called while stores are restored, from the worker's thread.
pub type RestoreListener = Arc<dyn Fn(&RestoreProgress) + Send + Sync>;

/// An application that is being run.
pub(crate) struct Application {
    pub(crate) id: String,
    pub(crate) topology: Topology,
    pub(crate) plan: Plan,
    /// Partition counts of every topic the application touches.
    pub(crate) partitions: BTreeMap<TopicName, i32>,
    pub(crate) config: StreamsConfig,
    pub(crate) calls: LogCalls,
    /// Directory of this application's state, and which of its directories belongs to which sub-topology.
    pub(crate) state_dir: PathBuf,
    pub(crate) layout: StateLayout,
    pub(crate) hosts: Arc<dyn StoreHostFactory>,
    pub(crate) faults: Faults,
    pub(crate) registry: Arc<StoreRegistry>,
    pub(crate) on_restore: Option<RestoreListener>,
    /// What all workers are told to do.
    pub(crate) control: watch::Sender<Control>,
    /// The workers, and which of them has which tasks.
    pub(crate) workers: Arc<Workers>,
    pub(crate) membership: Membership,
    /// Of the state directory; held by every worker.
    pub(crate) state_lock: Weak<DirectoryLock>,
    /// Where tasks wait until the global tables are read; none without such tables.
    pub(crate) globals: Option<GlobalsGate>,
    /// Sub-topologies whose tasks process nothing.
    pub(crate) paused: RwLock<BTreeSet<u32>>,
}

impl Application {
    /// Name of the group that holds the committed input positions.
    pub(crate) fn group(&self) -> GroupId {
        GroupId::new(&self.id)
    }

    /// Whether a task is to process nothing now.
    pub(crate) fn is_paused(&self, task: TaskId) -> bool {
        self.paused.read().contains(&task.sub_topology)
    }

    /// Tells all workers to commit what they have and to end, unless they were told before.
    pub(crate) fn stop_all(&self) {
        self.control.send_if_modified(|control| {
            let goes_on = matches!(control, Control::Run | Control::Pause);
            if goes_on {
                *control = Control::Drain;
            }
            goes_on
        });
        self.workers.changed();
    }

    /// Distributes the tasks anew over workers of these numbers.
    pub(crate) fn redistribute(&self, workers: &[usize]) {
        self.membership.redistribute(workers);
        self.wake_workers();
    }

    /// Lets every worker look around.
    pub(crate) fn wake_workers(&self) {
        self.control.send_modify(|_| {});
    }

    /// Name of the leases on its changelogs.
    pub(crate) fn lease(&self) -> String {
        format!("streams-{}", self.id)
    }

    /// Transactional id of a worker.
    pub(crate) fn transactional_id(&self, worker: usize) -> TransactionalId {
        TransactionalId::from(format!("{}-{worker}", self.id))
    }

    pub(crate) fn sub_topology(&self, task: TaskId) -> &SubTopology {
        &self.topology.sub_topologies()[task.sub_topology as usize]
    }

    /// Input partitions of a task, in a fixed order; `true` for repartition topics. The time topic is one, if the task has one.
    pub(crate) fn inputs(&self, task: TaskId) -> Vec<(TopicPartition, bool)> {
        input_partitions(self.sub_topology(task), task, &self.id, &self.partitions)
    }

    /// The partitions of the global tables.
    pub(crate) fn global_inputs(&self) -> Vec<TopicPartition> {
        let mut all = Vec::new();
        for global in self.topology.globals() {
            let count = self.partitions.get(&global.topic).copied().unwrap_or(0);
            all.extend((0..count).map(|partition| TopicPartition::new(global.topic.clone(), partition)));
        }
        all
    }

    /// Every input partition of the application, those of global tables included.
    pub(crate) fn all_inputs(&self) -> Vec<TopicPartition> {
        let mut all: Vec<TopicPartition> = self
            .plan
            .tasks()
            .flat_map(|task| self.inputs(task))
            .map(|(partition, _)| partition)
            .chain(self.global_inputs())
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

/// See [`Application::inputs`].
pub(crate) fn input_partitions(
    sub: &SubTopology,
    task: TaskId,
    application_id: &str,
    partitions: &BTreeMap<TopicName, i32>,
) -> Vec<(TopicPartition, bool)> {
    let time_topic = sub.idle_advance().map(|idle| &idle.topic);
    let mut inputs: Vec<(TopicPartition, bool)> = sub
        .source_topics()
        .chain(time_topic)
        .map(|topic| {
            (
                topic.resolve(application_id),
                matches!(topic, TopicRef::Repartition(_)),
            )
        })
        .filter(|(name, _)| {
            partitions
                .get(name)
                .is_some_and(|count| task.partition.get() < *count)
        })
        .map(|(topic, repartition)| {
            (
                TopicPartition {
                    topic,
                    partition: task.partition,
                },
                repartition,
            )
        })
        .collect();
    inputs.sort();
    inputs.dedup();
    inputs
}

/// The changelog partition of a store in a task.
pub(crate) fn changelog_partition(
    application_id: &str,
    store: &str,
    partition: PartitionId,
) -> TopicPartition {
    let name = crate::topology::topic_names::changelog_topic(application_id, store);
    let topic = TopicName::new(&name).expect("internal names were checked when the plan was made");
    TopicPartition { topic, partition }
}

/// First and end offset of partitions as `(earliest, end)` requests.
pub(crate) fn range_requests(
    partition: &TopicPartition,
    end: OffsetSpec,
) -> Vec<(TopicPartition, OffsetSpec)> {
    vec![
        (partition.clone(), OffsetSpec::Earliest),
        (partition.clone(), end),
    ]
}
