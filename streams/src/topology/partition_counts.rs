//! How many partitions every repartition topic gets and how many tasks every sub-topology has, worked out from the partition counts of the user's topics.
//!
//! A repartition topic takes, in this order: the number asked for; the number its co-partitioned topics have; the largest count its writer reads. Kafka
//! Streams' rules for a group of co-partitioned topics hold: the user's topics among them must agree, repartition topics follow them; without any of the user's
//! topics the largest count wins, unless a number was asked for, which all then take. A topic the writer itself reads back (a stream
//! joined with its own repartitioned self) does not count for it. Pure: no log, no names of applications.

use std::collections::{BTreeMap, BTreeSet};

use millpond_log::types::TopicName;

use super::{SubTopology, TopicRef, Topology, TopologyError};

/// Partition counts of the user's topics.
type External<'a> = &'a dyn Fn(&TopicName) -> Option<i32>;

/// The numbers of a topology.
#[derive(Debug)]
pub(super) struct PartitionCounts {
    /// Partitions of every repartition topic, by its name in the topology.
    pub(super) repartitions: BTreeMap<String, i32>,
    /// Tasks of every sub-topology.
    pub(super) tasks: Vec<i32>,
}

impl PartitionCounts {
    /// Works them out.
    ///
    /// Errs when a topic is missing, or topics that must have the same partition count do not.
    pub(super) fn settle(
        topology: &Topology,
        external: External<'_>,
    ) -> Result<PartitionCounts, TopologyError> {
        check_topics(topology, external)?;
        let mut counts = Settling {
            topology,
            external,
            known: BTreeMap::new(),
            own: BTreeMap::new(),
        };
        for (name, asked) in topology.repartitions() {
            if let Some(asked) = asked {
                counts.known.insert(name.clone(), *asked);
            }
        }
        for group in topology.copartition_groups() {
            counts.follow_the_given(group)?;
        }
        while counts.step(false) || counts.step(true) {}
        let known = counts.known;
        let tasks = topology
            .sub_topologies()
            .iter()
            .map(|sub| sub.task_count(&|topic| count_of(topic, &known, external)))
            .collect::<Result<_, _>>()?;
        Ok(PartitionCounts {
            repartitions: known,
            tasks,
        })
    }
}

struct Settling<'a> {
    topology: &'a Topology,
    external: External<'a>,
    /// Repartition topics that are settled.
    known: BTreeMap<String, i32>,
    /// What a repartition topic would have by its writer alone, while others of its group are awaited.
    own: BTreeMap<String, i32>,
}

impl Settling<'_> {
    /// Settles the repartition topics of a group that holds a given count: of the user's topics, or asked for.
    fn follow_the_given(&mut self, group: &BTreeSet<TopicRef>) -> Result<(), TopologyError> {
        let of_the_user: Vec<(String, i32)> = group
            .iter()
            .filter(|topic| matches!(topic, TopicRef::External(_)))
            .filter_map(|topic| Some((topic.name(), self.count(topic)?)))
            .collect();
        let asked: Vec<(String, i32)> = repartitions(group)
            .filter_map(|name| Some((name, (*self.topology.repartitions().get(name)?)?)))
            .map(|(name, asked)| (TopicRef::Repartition(name.to_owned()).name(), asked))
            .collect();
        let Some(common) = of_the_user.first().or(asked.first()).map(|(_, count)| *count) else {
            return Ok(());
        };
        if of_the_user
            .iter()
            .chain(&asked)
            .any(|(_, count)| *count != common)
        {
            return Err(TopologyError::CopartitionMismatch {
                topics: of_the_user,
                asked,
            });
        }
        for name in repartitions(group) {
            self.known.insert(name.to_owned(), common);
        }
        Ok(())
    }

    /// Settles one more repartition topic, or a group of them; `false` when nothing moved. With `partly`, one whose writer also reads topics
    /// that are not settled yet.
    fn step(&mut self, partly: bool) -> bool {
        let mut moved = false;
        for name in self.topology.repartitions().keys() {
            if self.known.contains_key(name) || self.own.contains_key(name) {
                continue;
            }
            let Some(count) = self.by_writer(name, partly) else {
                continue;
            };
            self.own.insert(name.clone(), count);
            moved = true;
            if partly {
                break;
            }
        }
        for name in self.own.keys() {
            if self.known.contains_key(name) {
                continue;
            }
            let topic = TopicRef::Repartition(name.clone());
            let group = self
                .topology
                .copartition_groups()
                .iter()
                .find(|group| group.contains(&topic));
            let alone = BTreeSet::from([topic]);
            let together: Vec<&str> = repartitions(group.unwrap_or(&alone)).collect();
            // None of the group is given, or `follow_the_given` had settled it.
            let counts: Option<Vec<i32>> = together.iter().map(|name| self.own.get(*name).copied()).collect();
            let Some(most) = counts.and_then(|counts| counts.into_iter().max()) else {
                continue;
            };
            for name in together {
                self.known.insert(name.to_owned(), most);
            }
            moved = true;
        }
        moved
    }

    /// The largest count among what the writer of a repartition topic reads.
    fn by_writer(&self, name: &str, partly: bool) -> Option<i32> {
        let topic = TopicRef::Repartition(name.to_owned());
        let writes = |sub: &&SubTopology| sub.sink_topics().any(|sink| *sink == topic);
        let writer = self.topology.sub_topologies().iter().find(writes)?;
        let counts = writer
            .source_topics()
            .filter(|source| **source != topic)
            .map(|source| self.count(source));
        if partly {
            return counts.flatten().max();
        }
        counts.collect::<Option<Vec<i32>>>()?.into_iter().max()
    }

    fn count(&self, topic: &TopicRef) -> Option<i32> {
        count_of(topic, &self.known, self.external)
    }
}

fn count_of(topic: &TopicRef, known: &BTreeMap<String, i32>, external: External<'_>) -> Option<i32> {
    match topic {
        TopicRef::Repartition(name) => known.get(name).copied(),
        TopicRef::External(name) => external(name),
        TopicRef::DeadLetters | TopicRef::Time(_) => None,
    }
}

fn repartitions(group: &BTreeSet<TopicRef>) -> impl Iterator<Item = &str> {
    group.iter().filter_map(|topic| match topic {
        TopicRef::Repartition(name) => Some(name.as_str()),
        _ => None,
    })
}

/// Every topic of the user that is read must exist.
fn check_topics(topology: &Topology, external: External<'_>) -> Result<(), TopologyError> {
    for sub in topology.sub_topologies() {
        for topic in sub.source_topics() {
            if let TopicRef::External(name) = topic
                && external(name).is_none()
            {
                return Err(TopologyError::MissingTopic {
                    topic: name.to_string(),
                    sub_topology: sub.id(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "partition_counts_test.rs"]
mod partition_counts_test;
