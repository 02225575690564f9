//! What a start would do to an application's state: `Streams::builder(..).dry_run()`.
//!
//! Compares the topology with what the state directory, the changelogs, the repartition topics and the committed positions hold. Always true: nothing is created, changed, fenced or locked, so it
//! may be asked while an older version of the application runs; the directories are then seen as of their last flush, and the tail to be replayed is an upper bound. The
//! rules are those of `restore.rs` and `internal_topics.rs`, which have the last word.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use millpond_log::broker::{OffsetAndMetadata, OffsetSpec, TopicDescription};
use millpond_log::types::{Offset, TopicName, TopicPartition};

use super::application::{changelog_partition, input_partitions, range_requests};
use super::error::RuntimeError;
use super::internal_topics::{self, TopicState};
use super::log_calls::LogCalls;
use super::offset_metadata::OffsetMetadata;
use super::restore::log_error;
use super::state_directory::{StateLayout, directory_error};
use crate::state::{StoreHostFactory, StoreKind, StoreSpec, StoredTask, TaskId};
use crate::topology::{Plan, Topology, topic_names};

/// What a start would find and do. Displayed as one line per store and internal topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DryRun {
    /// The application.
    pub application_id: String,
    /// Every store of the topology, by name, and those on disk that it does not use.
    pub stores: BTreeMap<String, StoreForecast>,
    /// Every internal topic, by its full name.
    pub topics: BTreeMap<String, TopicForecast>,
}

/// What happens to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreForecast {
    /// Nothing of it exists yet: it starts empty.
    New,
    /// The state on disk goes on in every task.
    Reuse {
        /// Changelog offsets behind the state on disk, over all tasks: what is replayed.
        replayed_offsets: i64,
    },
    /// In some task there is no state on disk that could go on: it is built from the changelog.
    Rebuild {
        /// Why, and in how many tasks.
        reason: String,
        /// Changelog offsets to be replayed, over all tasks.
        replayed_offsets: i64,
    },
    /// The application will not start with it. Nothing of it is deleted.
    Incompatible {
        /// Why, and what helps.
        reason: String,
    },
    /// It is on disk, and no operator uses it. It is left alone.
    Unused,
}

/// What happens to an internal topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicForecast {
    /// It is there as it should be.
    Exists,
    /// It will be created.
    Created {
        /// With so many partitions.
        partitions: i32,
    },
    /// It is there, but not as the topology needs it; the application will not start.
    Incompatible {
        /// What it has.
        found: String,
        /// What is needed.
        expected: String,
    },
}

impl DryRun {
    /// True when the application can start: nothing is incompatible.
    #[must_use]
    pub fn can_start(&self) -> bool {
        let stores = self.stores.values();
        let topics = self.topics.values();
        !stores
            .into_iter()
            .any(|store| matches!(store, StoreForecast::Incompatible { .. }))
            && !topics
                .into_iter()
                .any(|topic| matches!(topic, TopicForecast::Incompatible { .. }))
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, store) in &self.stores {
            match store {
                StoreForecast::New => writeln!(f, "store {name}: new, starts empty"),
                StoreForecast::Reuse { replayed_offsets } => {
                    writeln!(f, "store {name}: reuse, {replayed_offsets} offsets to replay")
                }
                StoreForecast::Rebuild {
                    reason,
                    replayed_offsets,
                } => writeln!(
                    f,
                    "store {name}: rebuild ({reason}), {replayed_offsets} offsets to replay"
                ),
                StoreForecast::Incompatible { reason } => writeln!(f, "store {name}: INCOMPATIBLE: {reason}"),
                StoreForecast::Unused => writeln!(f, "store {name}: not used any more, left alone"),
            }?;
        }
        for (name, topic) in &self.topics {
            match topic {
                TopicForecast::Exists => writeln!(f, "topic {name}: exists"),
                TopicForecast::Created { partitions } => {
                    writeln!(f, "topic {name}: will be created with {partitions} partitions")
                }
                TopicForecast::Incompatible { found, expected } => {
                    writeln!(
                        f,
                        "topic {name}: INCOMPATIBLE: has {found}, the topology needs {expected}"
                    )
                }
            }?;
        }
        Ok(())
    }
}

/// Everything that is looked at.
pub(super) struct Survey<'a> {
    pub(super) topology: &'a Topology,
    pub(super) plan: &'a Plan,
    pub(super) partitions: &'a BTreeMap<TopicName, i32>,
    pub(super) calls: &'a LogCalls,
    pub(super) hosts: &'a Arc<dyn StoreHostFactory>,
    /// The application's own directory.
    pub(super) dir: PathBuf,
}

/// What one task means for one store; the worst of all tasks is the store's.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum InTask {
    New,
    Reuse { offsets: i64 },
    Rebuild { reason: String, offsets: i64 },
    Incompatible { reason: String },
}

impl Survey<'_> {
    pub(super) async fn run(self) -> Result<DryRun, RuntimeError> {
        let wanted = &self.plan.internal_topics;
        let names = wanted.iter().map(|topic| topic.name.clone()).collect();
        let found = self.calls.describe_topics(names).await;
        let found = found.map_err(|error| log_error("describing internal topics", &error))?;
        let topics = wanted.iter().map(|topic| {
            let forecast = match internal_topics::compare(topic, &found) {
                TopicState::Missing => TopicForecast::Created {
                    partitions: topic.partitions,
                },
                TopicState::Sound => TopicForecast::Exists,
                TopicState::Other { found, expected } => TopicForecast::Incompatible { found, expected },
            };
            (topic.name.to_string(), forecast)
        });
        let topics = topics.collect();
        let mut stores = self.stores_of_tasks(&found).await?;
        for task in self
            .hosts
            .stored_tasks(&self.dir)
            .map_err(|error| directory_error(&error))?
        {
            for store in self.inspect(task)?.unwrap_or_default().shapes.into_keys() {
                stores.entry(store).or_insert(StoreForecast::Unused);
            }
        }
        Ok(DryRun {
            application_id: self.plan.application_id.clone(),
            stores,
            topics,
        })
    }

    async fn stores_of_tasks(
        &self,
        found: &[TopicDescription],
    ) -> Result<BTreeMap<String, StoreForecast>, RuntimeError> {
        let layout = StateLayout::find(self.topology, &self.plan.application_id, self.hosts, &self.dir)?;
        let mut by_store: BTreeMap<String, Vec<InTask>> = BTreeMap::new();
        for task in self.plan.tasks() {
            let sub = &self.topology.sub_topologies()[task.sub_topology as usize];
            if sub.stores().is_empty() {
                continue;
            }
            let stored = self.inspect(layout.state_of(task))?.unwrap_or_default();
            let committed = self.committed(task, &stored).await?;
            let recorded = newest(&committed);
            for spec in sub.stores() {
                let verdict = match self.ahead_of_inputs(task, &stored, &committed) {
                    Some(reason) if stored.shapes.contains_key(&spec.name) => InTask::Incompatible { reason },
                    _ => {
                        self.in_task(task, spec, &stored, found, recorded.as_ref())
                            .await?
                    }
                };
                by_store.entry(spec.name.clone()).or_default().push(verdict);
            }
        }
        Ok(by_store
            .into_iter()
            .map(|(store, tasks)| (store, sum_up(tasks)))
            .collect())
    }

    fn inspect(&self, task: TaskId) -> Result<Option<StoredTask>, RuntimeError> {
        self.hosts
            .inspect(&self.dir, task)
            .map_err(|error| directory_error(&error))
    }

    /// Committed positions of what the task reads, and of what its state knows of.
    async fn committed(
        &self,
        task: TaskId,
        stored: &StoredTask,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, RuntimeError> {
        let sub = &self.topology.sub_topologies()[task.sub_topology as usize];
        let now = input_partitions(sub, task, &self.plan.application_id, self.partitions);
        let mut asked: Vec<TopicPartition> = now.into_iter().map(|(partition, _)| partition).collect();
        asked.extend(stored.inputs.iter().map(|(partition, _)| partition.clone()));
        asked.sort();
        asked.dedup();
        let group = millpond_log::types::GroupId::new(&self.plan.application_id);
        let found = self.calls.clone().committed(group, asked).await;
        found.map_err(|error| log_error("reading committed positions", &error))
    }

    /// I5: why the state cannot belong to the committed positions.
    fn ahead_of_inputs(
        &self,
        task: TaskId,
        stored: &StoredTask,
        committed: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> Option<String> {
        let sub = &self.topology.sub_topologies()[task.sub_topology as usize];
        let now = input_partitions(sub, task, &self.plan.application_id, self.partitions);
        stored.inputs.iter().find_map(|(partition, position)| {
            let reads = now.iter().any(|(input, _)| input == partition);
            let found = committed.get(partition).map(|offset| offset.offset);
            let ahead = reads && found.is_none_or(|found| *position > found);
            ahead.then(|| {
                let found = found.map_or_else(|| "none".to_owned(), |offset| offset.to_string());
                format!("the state of task {task} reflects {partition} up to {position}, the committed position is {found}")
            })
        })
    }

    async fn in_task(
        &self,
        task: TaskId,
        spec: &StoreSpec,
        stored: &StoredTask,
        found: &[TopicDescription],
        recorded: Option<&OffsetMetadata>,
    ) -> Result<InTask, RuntimeError> {
        let incompatible = |reason: String| Ok(InTask::Incompatible { reason });
        let shape = stored.shapes.get(&spec.name);
        if let Some(shape) = shape
            && *shape != spec.shape()
        {
            let wanted = spec.shape();
            return incompatible(format!(
                "it was written as {shape}, the topology wants {wanted}; give the operator a new name"
            ));
        }
        if !spec.logged {
            return Ok(match shape {
                Some(_) => InTask::Reuse { offsets: 0 },
                None => InTask::New,
            });
        }
        let offset = stored.changelogs.get(&spec.name).copied();
        let name = topic_names::changelog_topic(&self.plan.application_id, &spec.name);
        let Some(topic) = found.iter().find(|topic| topic.name.as_str() == name) else {
            return match offset {
                Some(offset) if offset > Offset::ZERO => incompatible(format!(
                    "the state of task {task} reflects its changelog up to {offset}, and topic {name} does not exist any more"
                )),
                _ => Ok(InTask::New),
            };
        };
        let tasks = self.plan.task_counts[task.sub_topology as usize];
        if topic.partitions != tasks {
            let has = topic.partitions;
            return incompatible(format!(
                "its changelog has {has} partitions and there are {tasks} tasks; was the input repartitioned?"
            ));
        }
        let partition = changelog_partition(&self.plan.application_id, &spec.name, task.partition);
        let range = self
            .calls
            .list_offsets(range_requests(&partition, OffsetSpec::LastStable))
            .await;
        let range = range.map_err(|error| log_error("listing the changelog's offsets", &error))?;
        let (start, end) = (range[0], range[1]);
        let expected = recorded.and_then(|metadata| metadata.changelog(&spec.name));
        if let Some(expected) = expected.filter(|expected| *expected > end) {
            return incompatible(format!(
                "commits reach {expected} of {partition}, which ends at {end}"
            ));
        }
        let from = match offset {
            Some(offset) if offset > end => {
                return incompatible(format!(
                    "the state of task {task} reflects {partition} up to {offset}, which ends at {end}"
                ));
            }
            Some(offset) if offset < start && !matches!(spec.kind, StoreKind::Window { .. }) => {
                return incompatible(format!(
                    "the state of task {task} reflects {partition} up to {offset}, which begins at {start}"
                ));
            }
            Some(offset) => offset.max(start),
            None => start,
        };
        let offsets = end.get() - from.get();
        if offsets > 0 && recorded.is_none() {
            return incompatible(format!(
                "{partition} holds changes, and no committed input position belongs to them; were the group's offsets deleted?"
            ));
        }
        Ok(match (shape, offset) {
            (Some(_), Some(_)) => InTask::Reuse { offsets },
            _ if offsets == 0 => InTask::New,
            _ => InTask::Rebuild {
                reason: self.why_rebuilt(task, spec, stored)?,
                offsets,
            },
        })
    }

    fn why_rebuilt(
        &self,
        task: TaskId,
        spec: &StoreSpec,
        stored: &StoredTask,
    ) -> Result<String, RuntimeError> {
        for other in self
            .hosts
            .stored_tasks(&self.dir)
            .map_err(|error| directory_error(&error))?
        {
            let holds = |stored: &StoredTask| stored.changelogs.contains_key(&spec.name);
            if other.partition == task.partition && self.inspect(other)?.is_some_and(|stored| holds(&stored))
            {
                return Ok(format!(
                    "its state lies in directory {other}, which goes with other stores of the same sub-topology as before"
                ));
            }
        }
        Ok(match *stored == StoredTask::default() {
            true => "the task has no state on this disk".to_owned(),
            false => "the task's state on this disk does not hold it".to_owned(),
        })
    }
}

/// The newest metadata among committed offsets, as a start takes it.
fn newest(committed: &BTreeMap<TopicPartition, OffsetAndMetadata>) -> Option<OffsetMetadata> {
    let all = committed
        .values()
        .filter_map(|offset| OffsetMetadata::decode(&offset.metadata).ok());
    all.max_by_key(|metadata| metadata.txn)
}

/// The worst of all tasks, with the offsets of all.
fn sum_up(tasks: Vec<InTask>) -> StoreForecast {
    let count = tasks.len();
    let replayed_offsets = tasks
        .iter()
        .map(|task| match task {
            InTask::Reuse { offsets } | InTask::Rebuild { offsets, .. } => *offsets,
            _ => 0,
        })
        .sum();
    let rebuilt = tasks
        .iter()
        .filter(|task| matches!(task, InTask::Rebuild { .. }))
        .count();
    match tasks.into_iter().max() {
        None | Some(InTask::New) => StoreForecast::New,
        Some(InTask::Reuse { .. }) => StoreForecast::Reuse { replayed_offsets },
        Some(InTask::Rebuild { reason, .. }) => StoreForecast::Rebuild {
            reason: format!("{reason}; {rebuilt} of {count} tasks"),
            replayed_offsets,
        },
        Some(InTask::Incompatible { reason }) => StoreForecast::Incompatible { reason },
    }
}
