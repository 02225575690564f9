//! A topology with numbers: how many tasks each sub-topology has, which internal topics must exist and how many partitions they get.

use std::collections::BTreeMap;

use millpond_log::types::{PartitionId, TopicName};

use super::feedback::feedback;
use super::partition_counts::PartitionCounts;
use super::{TopicRef, Topology, TopologyError, topic_names};
use crate::state::{StoreSpec, TaskId};

/// A topology made concrete for one application and one cluster.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Application id, prefix of internal topics.
    pub application_id: String,
    /// Number of tasks per sub-topology, by its id.
    pub task_counts: Vec<i32>,
    /// Internal topics to create: repartition topics, changelogs, dead letters.
    pub internal_topics: Vec<InternalTopic>,
    upstream_tasks: BTreeMap<String, i32>,
}

/// An internal topic and its settings by Kafka's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopic {
    /// Full name.
    pub name: TopicName,
    /// Partition count.
    pub partitions: i32,
    /// Settings.
    pub configs: BTreeMap<String, String>,
}

impl Plan {
    /// Works out the plan. `partitions` answers the partition count of the user's topics.
    /// # Errors
    /// When a source topic is missing, topics are not co-partitioned, or a name is no legal topic name.
    pub fn new(
        topology: &Topology,
        application_id: &str,
        partitions: &dyn Fn(&TopicName) -> Option<i32>,
    ) -> Result<Plan, TopologyError> {
        let legal = |name: String| {
            TopicName::new(&name).map_err(|error| TopologyError::InvalidTopic {
                name: name.clone(),
                reason: error.to_string(),
            })
        };
        let subs = topology.sub_topologies();
        let PartitionCounts {
            repartitions,
            tasks: task_counts,
        } = PartitionCounts::settle(topology, partitions)?;
        let feedback = feedback(subs);
        let mut upstream_tasks: BTreeMap<String, i32> = BTreeMap::new();
        for (sub, tasks) in subs.iter().zip(&task_counts) {
            for topic in sub.sink_topics() {
                if let TopicRef::Repartition(name) = topic
                    && !feedback.contains(name)
                {
                    upstream_tasks.insert(name.clone(), *tasks);
                }
            }
        }
        let mut internal_topics = Vec::new();
        for (name, count) in &repartitions {
            internal_topics.push(InternalTopic {
                name: legal(topic_names::repartition_topic(application_id, name))?,
                partitions: *count,
                configs: configs([("cleanup.policy", "delete"), ("retention.ms", "-1"), ANY_TIME]),
            });
        }
        for (sub, tasks) in subs.iter().zip(&task_counts) {
            if let Some(idle) = sub.idle_advance() {
                let name = match &idle.topic {
                    TopicRef::Time(topic) => topic_names::time_topic(application_id, topic),
                    other => other.name(),
                };
                internal_topics.push(InternalTopic {
                    name: legal(name)?,
                    partitions: *tasks,
                    // A replay needs it for as long as the input it belongs to is there.
                    configs: configs([("cleanup.policy", "delete"), ("retention.ms", "-1")]),
                });
            }
            for store in sub.stores().iter().filter(|store| store.logged) {
                internal_topics.push(InternalTopic {
                    name: legal(topic_names::changelog_topic(application_id, &store.name))?,
                    partitions: *tasks,
                    configs: changelog_configs(store),
                });
            }
        }
        internal_topics.push(InternalTopic {
            name: legal(topic_names::dead_letter_topic(application_id))?,
            partitions: 1,
            // A dead letter is its record plus the reason, so it may be larger than any source topic allows; refusing it would stop the task
            // for good. It keeps its record's timestamp, so retention by time would delete old history at once.
            configs: configs([
                ("max.message.bytes", "2147483647"),
                ("retention.ms", "-1"),
                ANY_TIME,
            ]),
        });
        Ok(Plan {
            application_id: application_id.to_owned(),
            task_counts,
            internal_topics,
            upstream_tasks,
        })
    }

    /// All tasks.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.task_counts.iter().enumerate().flat_map(|(sub, count)| {
            (0..*count).map(move |partition| TaskId::new(sub as u32, PartitionId::new(partition)))
        })
    }

    /// Number of tasks that tell their stream time through the repartition topic of that name (without application id): those that write it, or 0 when it leads back to them.
    pub fn upstream_tasks(&self, repartition: &str) -> i32 {
        self.upstream_tasks.get(repartition).copied().unwrap_or(0)
    }
}

/// A record that is ahead of the wall clock was taken when it was read, or its extractor says so; between tasks it must not be refused.
const ANY_TIME: (&str, &str) = ("message.timestamp.after.max.ms", "9223372036854775807");

/// Changelogs are compacted; those of windows also expire, a day after the window's retention (as in Kafka Streams).
fn changelog_configs(store: &StoreSpec) -> BTreeMap<String, String> {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let mut all = match store.kind.retention_ms() {
        Some(retention_ms) => {
            let retention = retention_ms.saturating_add(DAY_MS).to_string();
            configs([("cleanup.policy", "compact,delete"), ("retention.ms", &retention)])
        }
        None => configs([("cleanup.policy", "compact")]),
    };
    all.extend(store.changelog_configs.clone());
    all
}

fn configs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
