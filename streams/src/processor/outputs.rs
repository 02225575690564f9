//! What a task wants written to topics: buffered per (topic, partition), in order, without an allocation per record.
//!
//! The task writes here while it processes; its owner (runtime or test driver) drains it into record batches after every call. Dropping the content is
//! how an abort takes outputs back, as long as they were not drained.

use std::collections::BTreeMap;

use millpond_log::types::{PartitionId, Timestamp, TopicName};

use super::time_header::{IDLE, STARTS, UpstreamTime};
use super::topic_rules::{RecordRefused, TopicRules};
use super::{Headers, partition_for_key};

/// Which output topic of the task: handed out by `InitContext::output`, valid for that task's graph only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutputIndex(pub(crate) u32);

/// A record on its way to a topic.
#[derive(Clone, Copy, Debug)]
pub struct SinkRecord<'a> {
    /// Topic.
    pub topic: OutputIndex,
    /// Partition; by Kafka's default partitioner when none is given (no key: the task's own partition, wrapped).
    pub partition: Option<PartitionId>,
    /// Key, or null.
    pub key: Option<&'a [u8]>,
    /// Value, or null (a tombstone).
    pub value: Option<&'a [u8]>,
    /// Timestamp in ms.
    pub timestamp: Timestamp,
    /// Headers.
    pub headers: &'a Headers,
}

/// Takes what a task's graph produces. [`Outputs`] is the one used; simulations may watch with their own.
pub trait OutputCollector {
    /// Takes one record.
    fn send(&mut self, record: &SinkRecord<'_>);
}

/// Buffered outputs of one task.
#[derive(Debug, Default)]
pub struct Outputs {
    topics: Vec<TopicOutputs>,
    default_partition: i32,
    record_count: usize,
    byte_count: usize,
}

#[derive(Debug)]
struct TopicOutputs {
    name: TopicName,
    repartition: bool,
    partitions: Vec<PartitionOutputs>,
    rules: TopicRules,
}

#[derive(Debug, Default)]
struct PartitionOutputs {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Entries before this one belong to earlier batches (for the time header, which goes on the last record of each batch).
    batch_start: usize,
}

#[derive(Debug)]
struct Entry {
    /// Key and value lie one after the other from `start`; none = null.
    start: usize,
    key_len: Option<u32>,
    value_len: Option<u32>,
    timestamp: Timestamp,
    headers: Headers,
    time: Option<(i32, Timestamp)>,
    is_idle: bool,
}

/// A buffered record as the owner of the task sees it.
#[derive(Clone, Debug)]
pub struct OutputRecord<'a> {
    /// Key, or null.
    pub key: Option<&'a [u8]>,
    /// Value, or null.
    pub value: Option<&'a [u8]>,
    /// Timestamp in ms.
    pub timestamp: Timestamp,
    /// Headers of the record.
    pub headers: &'a Headers,
    /// To be added as header `mp.time` (`time_header::encode`): (upstream partition, stream time).
    pub time: Option<(i32, Timestamp)>,
    /// That time was reached while input was idle.
    pub is_idle: bool,
}

impl OutputRecord<'_> {
    /// The header `mp.time`, if the record is to have one. `starts_run`: it is the first of records of the task `writer` in a batch of a topic that tells times.
    pub(crate) fn upstream_time(&self, starts_run: Option<i32>) -> Option<UpstreamTime> {
        let flags = if self.is_idle { IDLE } else { 0 };
        match (starts_run, self.time) {
            (None, None) => None,
            (None, Some((partition, time))) => Some(UpstreamTime {
                partition,
                time,
                flags,
            }),
            (Some(partition), told) => Some(UpstreamTime {
                partition,
                time: told.map_or(self.timestamp, |(_, time)| time),
                flags: flags | STARTS,
            }),
        }
    }

    /// A record of nulls that is none of time: with the header, it would be taken for one.
    pub(crate) fn cannot_tell(&self) -> bool {
        self.key.is_none() && self.value.is_none() && self.time.is_none()
    }
}

impl Outputs {
    /// Outputs of the task with this partition number. Topics are added by `TaskGraph::new`.
    pub fn new(task_partition: PartitionId) -> Outputs {
        Outputs {
            default_partition: task_partition.get(),
            ..Outputs::default()
        }
    }

    pub(crate) fn add_topic(&mut self, name: TopicName, partitions: i32, repartition: bool) -> OutputIndex {
        if let Some(index) = self.topics.iter().position(|topic| topic.name == name) {
            return OutputIndex(index as u32);
        }
        let partitions = (0..partitions.max(1))
            .map(|_| PartitionOutputs::default())
            .collect();
        self.topics.push(TopicOutputs {
            name,
            repartition,
            partitions,
            rules: TopicRules::default(),
        });
        OutputIndex((self.topics.len() - 1) as u32)
    }

    /// Number of partitions of an output topic.
    pub(crate) fn partition_count(&self, topic: OutputIndex) -> i32 {
        self.topics[topic.0 as usize].partitions.len() as i32
    }

    /// What topics refuse; those that are not named take everything.
    pub(crate) fn set_rules(&mut self, rules: &BTreeMap<TopicName, TopicRules>) {
        for topic in &mut self.topics {
            topic.rules = rules.get(&topic.name).cloned().unwrap_or_default();
        }
    }

    /// Why a record's topic will not take it; `None` when it will, as far as is known.
    pub(super) fn refusal(&self, record: &SinkRecord<'_>, now_ms: Timestamp) -> Option<RecordRefused> {
        let topic = &self.topics[record.topic.0 as usize];
        topic.rules.refusal(topic.name.as_str(), record, now_ms)
    }

    pub(super) fn topic_name(&self, topic: OutputIndex) -> &TopicName {
        &self.topics[topic.0 as usize].name
    }

    /// Whose records a topic's are, where readers must know it: the task's partition.
    pub(crate) fn writer_to(&self, topic: &TopicName) -> Option<i32> {
        let found = self.topics.iter().find(|known| known.name == *topic)?;
        found.repartition.then_some(self.default_partition)
    }

    /// Number of records buffered.
    pub fn record_count(&self) -> usize {
        self.record_count
    }

    /// Bytes of keys and values buffered.
    pub fn byte_count(&self) -> usize {
        self.byte_count
    }

    /// True when nothing is buffered.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Everything buffered, grouped by topic and partition, each in the order it was sent.
    pub fn partitions(
        &self,
    ) -> impl Iterator<Item = (&TopicName, PartitionId, impl Iterator<Item = OutputRecord<'_>>)> {
        self.topics.iter().flat_map(|topic| {
            topic
                .partitions
                .iter()
                .enumerate()
                .filter(|(_, partition)| !partition.entries.is_empty())
                .map(move |(index, partition)| {
                    (
                        &topic.name,
                        PartitionId::new(index as i32),
                        partition.entries.iter().map(|e| partition.view(e)),
                    )
                })
        })
    }

    /// Forgets everything buffered (after it was taken over, or on abort); keeps the memory.
    pub fn clear(&mut self) {
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.bytes.clear();
            partition.entries.clear();
            partition.batch_start = 0;
        }
        self.record_count = 0;
        self.byte_count = 0;
    }

    /// Marks the last record per repartition partition since the previous call with the task's time. Tells `marked` the (topic, partition) pairs.
    pub(crate) fn mark_time(&mut self, time: (i32, Timestamp), mut marked: impl FnMut(usize, usize)) {
        for (topic_index, topic) in self
            .topics
            .iter_mut()
            .enumerate()
            .filter(|(_, topic)| topic.repartition)
        {
            for (partition_index, partition) in topic.partitions.iter_mut().enumerate() {
                if partition.entries.len() <= partition.batch_start {
                    continue;
                }
                if let Some(last) = partition.entries.last_mut() {
                    if last.key_len.is_none() && last.value_len.is_none() {
                        // With the header, a record of nulls would be taken for one that is there only for its time.
                        let timestamp = last.timestamp;
                        partition.push(None, None, timestamp, &Headers::NONE, Some((time, false)));
                        self.record_count += 1;
                    } else {
                        last.time = Some(time);
                    }
                    marked(topic_index, partition_index);
                }
                partition.batch_start = partition.entries.len();
            }
        }
    }

    /// Adds a time-only record wherever `wanted(topic, partition)` says so. `is_idle`: the time was reached without records.
    pub(crate) fn add_time_records(
        &mut self,
        time: (i32, Timestamp),
        is_idle: bool,
        mut wanted: impl FnMut(usize, usize) -> bool,
    ) {
        for (topic_index, topic) in self
            .topics
            .iter_mut()
            .enumerate()
            .filter(|(_, topic)| topic.repartition)
        {
            for (partition_index, partition) in topic.partitions.iter_mut().enumerate() {
                if wanted(topic_index, partition_index) {
                    partition.push(None, None, time.1.max(0), &Headers::NONE, Some((time, is_idle)));
                    partition.batch_start = partition.entries.len();
                    self.record_count += 1;
                }
            }
        }
    }
}

impl OutputCollector for Outputs {
    fn send(&mut self, record: &SinkRecord<'_>) {
        let topic = &mut self.topics[record.topic.0 as usize];
        let count = topic.partitions.len() as i32;
        let partition = match (record.partition, record.key) {
            (Some(partition), _) => partition.get().rem_euclid(count),
            (None, Some(_)) if count == 1 => 0,
            (None, Some(key)) => partition_for_key(key, count),
            (None, None) => self.default_partition.rem_euclid(count),
        };
        let added = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        topic.partitions[partition as usize].push(
            record.key,
            record.value,
            record.timestamp,
            record.headers,
            None,
        );
        self.record_count += 1;
        self.byte_count += added;
    }
}

impl PartitionOutputs {
    #[inline]
    fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Timestamp,
        headers: &Headers,
        time: Option<((i32, Timestamp), bool)>,
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key.unwrap_or_default());
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.entries.push(Entry {
            start,
            key_len: key.map(|key| key.len() as u32),
            value_len: value.map(|value| value.len() as u32),
            timestamp,
            headers: headers.clone(),
            time: time.map(|(time, _)| time),
            is_idle: time.is_some_and(|(_, is_idle)| is_idle),
        });
    }

    #[inline]
    fn view<'a>(&'a self, entry: &'a Entry) -> OutputRecord<'a> {
        let key_end = entry.start + entry.key_len.unwrap_or(0) as usize;
        OutputRecord {
            key: entry.key_len.map(|_| &self.bytes[entry.start..key_end]),
            value: entry
                .value_len
                .map(|len| &self.bytes[key_end..key_end + len as usize]),
            timestamp: entry.timestamp,
            headers: &entry.headers,
            time: entry.time,
            is_idle: entry.is_idle,
        }
    }
}
