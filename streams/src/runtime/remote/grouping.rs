//! Requests and answers name partitions by topic; the runtime names them one by one.

use std::collections::BTreeMap;

use millpond_log::types::{TopicName, TopicPartition};

/// What belongs to single partitions, put under their topics in the order of first mention.
pub(super) fn by_topic<'a, T>(
    parts: impl IntoIterator<Item = (&'a TopicPartition, T)>,
) -> Vec<(&'a TopicName, Vec<(i32, T)>)> {
    let mut topics: Vec<(&TopicName, Vec<(i32, T)>)> = Vec::new();
    let mut places: BTreeMap<&TopicName, usize> = BTreeMap::new();
    for (partition, part) in parts {
        let place = *places.entry(&partition.topic).or_insert_with(|| {
            topics.push((&partition.topic, Vec::new()));
            topics.len() - 1
        });
        topics[place].1.push((partition.partition.get(), part));
    }
    topics
}

/// The partitions of an answer, found again by topic and number; those that nobody asked for are left in it.
#[derive(Debug)]
pub(super) struct Answers<T> {
    parts: BTreeMap<(String, i32), T>,
}

impl<T> Answers<T> {
    pub(super) fn new(parts: impl IntoIterator<Item = ((String, i32), T)>) -> Self {
        Answers {
            parts: parts.into_iter().collect(),
        }
    }

    /// What was answered about this partition.
    pub(super) fn take(&mut self, partition: &TopicPartition) -> Option<T> {
        let key = (partition.topic.to_string(), partition.partition.get());
        self.parts.remove(&key)
    }
}
