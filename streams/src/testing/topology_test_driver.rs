//! `TopologyTestDriver`: a whole topology in memory, driven by hand.
//!
//! Always true: outputs of a task become visible when it commits, never before, and an abort takes back everything since; tasks run one after the
//! other in a fixed order, so a test gives the same result every time. By default every call commits, as Kafka Streams' driver does; switch that
//! off to test what several records in one commit do. No broker, no threads, no async runtime.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use millpond_log::faults::Faults;
use millpond_log::record::{BatchBuilder, BatchError, BatchOptions, Header, RecordBatch};
use millpond_log::types::{Offset, PartitionId, Timestamp, TopicName, TopicPartition};

use super::{TestInputTopic, TestOutputTopic, TestRecord};
use crate::config::ProcessingConfig;
use crate::dsl::{Window, Windowed};
use crate::processor::{
    ClockStateError, Headers, Outputs, ProcessError, RawBatch, RawRecord, TaskCounters, TaskGraph,
    TaskGraphOptions, partition_for_key, time_header,
};
use crate::serde::{self, DefaultSerde, Serde, SerdeError};
use crate::state::{
    CommitPosition, KeyRange, MemoryHosts, StateError, StateLimits, StateOptions, StoreIndex, TaskId,
    TaskState, ValueEnvelope, window_key,
};
use crate::topology::{Plan, Topology, TopologyError, topic_names};

const APPLICATION_ID: &str = "test";

/// Why a driver could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The topology cannot run.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A node failed. As in the runtime, the transaction was aborted.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// State failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A record of the test cannot be written, or an output cannot be read as that type.
    #[error("record of topic {topic}: {cause}")]
    Serde {
        /// The topic.
        topic: String,
        /// What is wrong.
        #[source]
        cause: SerdeError,
    },
    /// The record is too large for a batch.
    #[error(transparent)]
    Record(#[from] BatchError),
    /// A saved clock cannot be read.
    #[error(transparent)]
    Clock(#[from] ClockStateError),
    /// No store of that name.
    #[error("the topology has no store {name:?}; it has {known:?}")]
    UnknownStore {
        /// The name asked for.
        name: String,
        /// The stores there are.
        known: Vec<String>,
    },
}

/// How a driver runs a topology.
#[derive(Clone, Debug)]
pub struct DriverOptions {
    /// Partition counts of topics; others have one partition.
    pub partitions: BTreeMap<String, i32>,
    /// Caching, emission and error policy.
    pub config: ProcessingConfig,
    /// Whether every call commits by itself (default: yes).
    pub auto_commit: bool,
    /// Wall-clock time at the start, in ms (default: 0).
    pub wall_clock_ms: Timestamp,
}

impl Default for DriverOptions {
    fn default() -> Self {
        DriverOptions {
            partitions: BTreeMap::new(),
            config: ProcessingConfig::default(),
            auto_commit: true,
            wall_clock_ms: 0,
        }
    }
}

/// Runs a topology in memory.
///
/// ```
/// use millpond_streams::dsl::StreamsBuilder;
/// use millpond_streams::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new();
/// builder.stream::<String, i64>("in").group_by_key().count("seen").to_stream().to("out");
///
/// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// let (input, output) = (driver.input::<String, i64>("in"), driver.output::<String, u64>("out"));
/// driver.pipe(&input, "a".to_owned(), 1, 0)?;
/// driver.pipe(&input, "a".to_owned(), 1, 10)?;
/// assert_eq!(driver.read_pairs(&output)?, [("a".to_owned(), 1), ("a".to_owned(), 2)]);
/// assert_eq!(driver.value::<String, u64>("seen", &"a".to_owned())?, Some(2));
/// # Ok::<(), millpond_streams::testing::DriverError>(())
/// ```
pub struct TopologyTestDriver {
    topology: Topology,
    plan: Plan,
    partitions: BTreeMap<String, i32>,
    tasks: Vec<DriverTask>,
    topics: BTreeMap<TopicName, DriverTopic>,
    auto_commit: bool,
    wall_clock_ms: Timestamp,
}

struct DriverTask {
    id: TaskId,
    graph: TaskGraph,
    state: TaskState,
    outputs: Outputs,
    /// Next offset to read per source partition, and where it stood at the last commit.
    positions: BTreeMap<TopicPartition, (Offset, Offset)>,
    committed_clock: String,
}

/// A topic as the driver keeps it: committed records in the order they came.
#[derive(Default)]
struct DriverTopic {
    partitions: BTreeMap<i32, Vec<RawRecord>>,
    /// (partition, index in it) in the order of arrival.
    arrivals: Vec<(i32, usize)>,
    /// Arrivals before this one were read by the test.
    read: usize,
}

impl DriverTopic {
    fn push(&mut self, partition: i32, record: RawRecord) {
        let records = self.partitions.entry(partition).or_default();
        self.arrivals.push((partition, records.len()));
        records.push(record);
    }
}

impl TopologyTestDriver {
    /// Runs `topology` with one partition per topic and a commit after every call.
    pub fn new(topology: &Topology) -> Result<TopologyTestDriver, DriverError> {
        TopologyTestDriver::with_options(topology, DriverOptions::default())
    }

    /// Runs `topology` as told.
    pub fn with_options(
        topology: &Topology,
        options: DriverOptions,
    ) -> Result<TopologyTestDriver, DriverError> {
        let DriverOptions {
            mut partitions,
            config,
            auto_commit,
            wall_clock_ms,
        } = options;
        let asked = partitions.clone();
        let plan = Plan::new(topology, APPLICATION_ID, &|topic| {
            Some(asked.get(topic.as_str()).copied().unwrap_or(1))
        })?;
        for topic in &plan.internal_topics {
            partitions.insert(topic.name.to_string(), topic.partitions);
        }
        let hosts = Arc::new(MemoryHosts::new());
        let mut tasks = Vec::new();
        for id in plan.tasks() {
            let sub = &topology.sub_topologies()[id.sub_topology as usize];
            let mut state = TaskState::open(StateOptions {
                dir: PathBuf::from("driver"),
                task: id,
                host: hosts.clone(),
                stores: sub.stores().to_vec(),
                limits: StateLimits::default(),
                faults: Faults::none(),
            })?;
            let mut outputs = Outputs::new(id.partition);
            let graph_options = TaskGraphOptions {
                task: id,
                application_id: APPLICATION_ID,
                partitions: &|topic| Some(partitions.get(topic.as_str()).copied().unwrap_or(1)),
                upstream_tasks: &|repartition| plan.upstream_tasks(repartition),
                config: config.clone(),
            };
            let mut graph = TaskGraph::new(sub, &graph_options, &mut state, &mut outputs)?;
            // The first look starts the intervals.
            graph.advance_wall_clock(wall_clock_ms, &mut state, &mut outputs)?;
            let count = |topic: &TopicName| partitions.get(topic.as_str()).copied().unwrap_or(1);
            let positions = graph
                .source_topics()
                .filter(|topic| id.partition.get() < count(topic))
                .map(|topic| TopicPartition {
                    topic: topic.clone(),
                    partition: id.partition,
                })
                .map(|partition| (partition, (Offset::ZERO, Offset::ZERO)))
                .collect();
            let committed_clock = graph.clock().encode();
            tasks.push(DriverTask {
                id,
                graph,
                state,
                outputs,
                positions,
                committed_clock,
            });
        }
        Ok(TopologyTestDriver {
            topology: topology.clone(),
            plan,
            partitions,
            tasks,
            topics: BTreeMap::new(),
            auto_commit,
            wall_clock_ms,
        })
    }

    /// A topic to write to, with the types' default serdes.
    ///
    /// # Panics
    /// When `topic` is no legal topic name.
    pub fn input<K: DefaultSerde, V: DefaultSerde>(&self, topic: &str) -> TestInputTopic<K, V> {
        TestInputTopic {
            topic: legal(topic),
            key: K::default_serde(),
            value: V::default_serde(),
        }
    }

    /// A topic to read from, with the types' default serdes. The dead-letter topic is called `test-dead-letters`.
    ///
    /// # Panics
    /// When `topic` is no legal topic name.
    pub fn output<K: DefaultSerde, V: DefaultSerde>(&self, topic: &str) -> TestOutputTopic<K, V> {
        TestOutputTopic {
            topic: legal(topic),
            key: K::default_serde(),
            value: V::default_serde(),
        }
    }

    /// A topic to read from, with serdes as told.
    ///
    /// # Panics
    /// When `topic` is no legal topic name.
    pub fn output_with<K, V>(
        &self,
        topic: &str,
        key: serde::SerdeRef<K>,
        value: serde::SerdeRef<V>,
    ) -> TestOutputTopic<K, V> {
        TestOutputTopic {
            topic: legal(topic),
            key,
            value,
        }
    }

    /// Puts one record in and runs everything it causes.
    pub fn pipe<K: 'static, V: 'static>(
        &mut self,
        input: &TestInputTopic<K, V>,
        key: K,
        value: V,
        timestamp: Timestamp,
    ) -> Result<(), DriverError> {
        self.pipe_all(input, [TestRecord::new(key, value, timestamp)])
    }

    /// Puts records in, as one batch per partition and one commit, and runs everything they cause.
    pub fn pipe_all<K: 'static, V: 'static>(
        &mut self,
        input: &TestInputTopic<K, V>,
        records: impl IntoIterator<Item = TestRecord<K, V>>,
    ) -> Result<(), DriverError> {
        let failed = |cause| DriverError::Serde {
            topic: input.topic.to_string(),
            cause,
        };
        for record in records {
            let key = to_bytes(&*input.key, &record.key).map_err(failed)?;
            let value = to_bytes(&*input.value, &record.value).map_err(failed)?;
            let raw = RawRecord {
                origin: None,
                key,
                value,
                timestamp: record.timestamp,
                headers: record.headers,
            };
            self.append(&input.topic, record.partition, raw);
        }
        self.run()
    }

    /// Puts one record in as bytes, e.g. one that cannot be decoded.
    ///
    /// # Panics
    /// When `topic` is no legal topic name.
    pub fn pipe_raw(
        &mut self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Timestamp,
    ) -> Result<(), DriverError> {
        let raw = RawRecord {
            origin: None,
            key: key.map(Bytes::copy_from_slice),
            value: value.map(Bytes::copy_from_slice),
            timestamp,
            headers: Headers::NONE,
        };
        self.append(&legal(topic), None, raw);
        self.run()
    }

    /// Takes the records written to a topic since the last call: commit by commit, and within a commit partition by partition, each in order.
    pub fn read<K: 'static, V: 'static>(
        &mut self,
        output: &TestOutputTopic<K, V>,
    ) -> Result<Vec<TestRecord<K, V>>, DriverError> {
        let failed = |cause| DriverError::Serde {
            topic: output.topic.to_string(),
            cause,
        };
        let Some(topic) = self.topics.get_mut(&output.topic) else {
            return Ok(Vec::new());
        };
        let mut records = Vec::new();
        for (partition, index) in &topic.arrivals[topic.read..] {
            let raw = &topic.partitions[partition][*index];
            records.push(TestRecord {
                key: from_bytes(&*output.key, raw.key.as_deref()).map_err(failed)?,
                value: from_bytes(&*output.value, raw.value.as_deref()).map_err(failed)?,
                timestamp: raw.timestamp,
                headers: raw.headers.clone(),
                partition: Some(*partition),
            });
        }
        topic.read = topic.arrivals.len();
        Ok(records)
    }

    /// As `read`, keys and values only.
    pub fn read_pairs<K: 'static, V: 'static>(
        &mut self,
        output: &TestOutputTopic<K, V>,
    ) -> Result<Vec<(K, V)>, DriverError> {
        Ok(self
            .read(output)?
            .into_iter()
            .map(|record| (record.key, record.value))
            .collect())
    }

    /// As `read`, values only.
    pub fn read_values<K: 'static, V: 'static>(
        &mut self,
        output: &TestOutputTopic<K, V>,
    ) -> Result<Vec<V>, DriverError> {
        Ok(self
            .read(output)?
            .into_iter()
            .map(|record| record.value)
            .collect())
    }

    /// All dead letters so far.
    pub fn dead_letters(&self) -> Vec<RawRecord> {
        self.raw_records(&topic_names::dead_letter_topic(APPLICATION_ID))
    }

    /// All committed records of a topic as bytes, partition by partition.
    pub fn raw_records(&self, topic: &str) -> Vec<RawRecord> {
        let topic = self.topics.get(topic);
        topic
            .into_iter()
            .flat_map(|topic| topic.partitions.values().flatten().cloned())
            .collect()
    }

    /// The value of a key in a store without windows.
    pub fn value<K: DefaultSerde, V: DefaultSerde>(
        &mut self,
        store: &str,
        key: &K,
    ) -> Result<Option<V>, DriverError> {
        let wanted = store_bytes(store, key)?;
        let found = self
            .entries_raw(store)?
            .into_iter()
            .find(|(found, _)| *found == wanted);
        found.map(|(_, bytes)| read_value(store, &bytes)).transpose()
    }

    /// The value of a key in the window starting at `start_ms`.
    pub fn windowed_value<K: DefaultSerde, V: DefaultSerde>(
        &mut self,
        store: &str,
        key: &K,
        start_ms: Timestamp,
    ) -> Result<Option<V>, DriverError> {
        let wanted = window_key::encode(start_ms, &store_bytes(store, key)?);
        let found = self
            .entries_raw(store)?
            .into_iter()
            .find(|(found, _)| **found == *wanted);
        found.map(|(_, bytes)| read_value(store, &bytes)).transpose()
    }

    /// All entries of a store without windows, by key bytes.
    pub fn entries<K: DefaultSerde, V: DefaultSerde>(
        &mut self,
        store: &str,
    ) -> Result<Vec<(K, V)>, DriverError> {
        let read = |(key, value): (Bytes, Bytes)| Ok((read_key(store, &key)?, read_value(store, &value)?));
        self.entries_raw(store)?.into_iter().map(read).collect()
    }

    /// All entries of a window store, by window start and key bytes. `size_ms` is the size of its windows.
    pub fn windowed_entries<K: DefaultSerde, V: DefaultSerde>(
        &mut self,
        store: &str,
        size_ms: i64,
    ) -> Result<Vec<(Windowed<K>, V)>, DriverError> {
        let mut entries = Vec::new();
        for (key, value) in self.entries_raw(store)? {
            let short = SerdeError::Width {
                type_name: "window key",
                expected: 8,
                actual: key.len(),
            };
            let (start_ms, key) = window_key::decode(&key).ok_or_else(|| DriverError::Serde {
                topic: store.to_owned(),
                cause: short,
            })?;
            let window = Window {
                start_ms,
                end_ms: start_ms + size_ms,
            };
            entries.push((
                Windowed {
                    key: read_key(store, key)?,
                    window,
                },
                read_value(store, &value)?,
            ));
        }
        Ok(entries)
    }

    /// Moves the wall clock on and lets the nodes act on it whose interval is over (`Processor::on_wall_clock`), each once.
    pub fn advance_wall_clock(&mut self, by_ms: i64) -> Result<(), DriverError> {
        self.wall_clock_ms += by_ms;
        for task in &mut self.tasks {
            task.graph
                .advance_wall_clock(self.wall_clock_ms, &mut task.state, &mut task.outputs)?;
        }
        self.run()
    }

    /// Commits every task, and runs and commits what that causes downstream, until nothing is left to do.
    pub fn commit(&mut self) -> Result<(), DriverError> {
        loop {
            self.process_all()?;
            for index in 0..self.tasks.len() {
                self.commit_task(index)?;
            }
            if !self.has_unread() {
                return Ok(());
            }
        }
    }

    /// Loses the open transactions of all tasks, as a crash or a refused commit would: state, outputs and clocks go back to the last commit. The input since then is read
    /// again by the next call.
    pub fn abort(&mut self) -> Result<(), DriverError> {
        self.tasks.iter_mut().try_for_each(DriverTask::abort)
    }

    /// What all tasks counted together.
    pub fn counters(&self) -> TaskCounters {
        let mut sum = TaskCounters::default();
        for task in &self.tasks {
            let TaskCounters {
                read,
                sent,
                late,
                skipped,
                dead_letters,
            } = task.graph.counters();
            sum.read += read;
            sum.sent += sent;
            sum.late += late;
            sum.skipped += skipped;
            sum.dead_letters += dead_letters;
        }
        sum
    }

    /// Stream time of a task, [`crate::processor::NO_TIME`] when unknown; none when there is no such task.
    pub fn stream_time(&self, task: TaskId) -> Option<Timestamp> {
        self.tasks
            .iter()
            .find(|running| running.id == task)
            .map(|running| running.graph.clock().time())
    }

    /// The plan the driver runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The partition of a topic that a key belongs to.
    pub fn partition_of<K: DefaultSerde>(&self, topic: &str, key: &K) -> Result<PartitionId, DriverError> {
        let count = self.partitions.get(topic).copied().unwrap_or(1);
        Ok(PartitionId::new(partition_for_key(
            &store_bytes(topic, key)?,
            count,
        )))
    }

    fn run(&mut self) -> Result<(), DriverError> {
        if self.auto_commit {
            self.commit()
        } else {
            self.process_all()
        }
    }

    fn append(&mut self, topic: &TopicName, partition: Option<i32>, record: RawRecord) {
        let count = self.partitions.get(topic.as_str()).copied().unwrap_or(1);
        let partition = partition.unwrap_or_else(|| match &record.key {
            Some(key) => partition_for_key(key, count),
            None => 0,
        });
        self.topics
            .entry(topic.clone())
            .or_default()
            .push(partition, record);
    }

    fn has_unread(&self) -> bool {
        self.tasks.iter().any(|task| {
            task.positions.iter().any(|(partition, (next, _))| {
                let topic = self.topics.get(&partition.topic);
                let records = topic.and_then(|topic| topic.partitions.get(&partition.partition.get()));
                records.is_some_and(|records| (next.get() as usize) < records.len())
            })
        })
    }

    /// Runs every task over what is committed in its topics and not read yet.
    fn process_all(&mut self) -> Result<(), DriverError> {
        for task in &mut self.tasks {
            for partition in task.positions.keys().cloned().collect::<Vec<_>>() {
                let Some(topic) = self.topics.get(&partition.topic) else {
                    continue;
                };
                let records = topic
                    .partitions
                    .get(&partition.partition.get())
                    .map_or(&[][..], Vec::as_slice);
                if let Err(error) = task.process(&partition, records, self.wall_clock_ms) {
                    task.abort()?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn commit_task(&mut self, index: usize) -> Result<(), DriverError> {
        let task = &mut self.tasks[index];
        if let Err(error) = task
            .graph
            .prepare_commit(self.wall_clock_ms, &mut task.state, &mut task.outputs)
        {
            task.abort()?;
            return Err(error.into());
        }
        for (topic, partition, records) in task.outputs.partitions() {
            let topic = self.topics.entry(topic.clone()).or_default();
            for record in records {
                let mut headers = record.headers.clone();
                if let Some((upstream, time)) = record.time {
                    let value = Bytes::copy_from_slice(&time_header::encode(upstream, time));
                    headers = headers.with(time_header::TIME_HEADER, value);
                }
                topic.push(
                    partition.get(),
                    RawRecord {
                        origin: None,
                        key: record.key.map(Bytes::copy_from_slice),
                        value: record.value.map(Bytes::copy_from_slice),
                        timestamp: record.timestamp,
                        headers,
                    },
                );
            }
        }
        task.outputs.clear();
        drop(task.state.freeze());
        task.committed_clock = task.graph.clock().encode();
        let mut inputs = Vec::new();
        for (partition, (next, committed)) in &mut task.positions {
            *committed = *next;
            inputs.push((partition.clone(), *next));
        }
        task.state.commit_frozen(CommitPosition {
            inputs,
            stream_time: task.graph.clock().time(),
            extra: Bytes::from(task.committed_clock.clone()),
            ..CommitPosition::default()
        });
        Ok(())
    }

    fn entries_raw(&mut self, store: &str) -> Result<Vec<(Bytes, Bytes)>, DriverError> {
        let subs = self.topology.sub_topologies();
        let found = subs
            .iter()
            .find_map(|sub| Some((sub.id(), sub.store_index(store)?)));
        let Some((sub, index)) = found else {
            let known = subs
                .iter()
                .flat_map(|sub| sub.stores())
                .map(|spec| spec.name.clone())
                .collect();
            return Err(DriverError::UnknownStore {
                name: store.to_owned(),
                known,
            });
        };
        let mut entries = Vec::new();
        for task in self.tasks.iter_mut().filter(|task| task.id.sub_topology == sub) {
            entries.extend(task.entries(index)?);
        }
        entries.sort();
        Ok(entries)
    }
}

impl DriverTask {
    fn process(
        &mut self,
        partition: &TopicPartition,
        records: &[RawRecord],
        now_ms: Timestamp,
    ) -> Result<(), DriverError> {
        let (next, _) = self.positions[partition];
        let unread = &records[(next.get() as usize).min(records.len())..];
        if unread.is_empty() {
            return Ok(());
        }
        let mut builder = BatchBuilder::new(BatchOptions {
            base_offset: next,
            ..BatchOptions::default()
        });
        for record in unread {
            let headers: Vec<Header> = record.headers.iter().cloned().collect();
            builder.append(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            )?;
        }
        let batch = RecordBatch::parse(builder.build())?.decode()?;
        let until = next.plus(unread.len() as i64);
        let raw = RawBatch::new(partition.clone(), vec![batch], next, until);
        self.graph
            .process(raw, now_ms, &mut self.state, &mut self.outputs)?;
        if let Some((next, _)) = self.positions.get_mut(partition) {
            *next = until;
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<(), DriverError> {
        self.graph.abort();
        self.state.abort_all();
        self.outputs.clear();
        self.graph.restore_clock(&self.committed_clock)?;
        for (next, committed) in self.positions.values_mut() {
            *next = *committed;
        }
        Ok(())
    }

    fn entries(&mut self, index: StoreIndex) -> Result<Vec<(Bytes, Bytes)>, DriverError> {
        let mut entries = Vec::new();
        let mut store = self.state.store(index);
        let mut scan = store.scan(&KeyRange::prefix(&[]))?;
        while let Some((key, value)) = scan.next_entry()? {
            entries.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        }
        Ok(entries)
    }
}

fn legal(topic: &str) -> TopicName {
    match TopicName::new(topic) {
        Ok(name) => name,
        Err(error) => panic!("{error}"),
    }
}

fn to_bytes<T: 'static>(serde: &dyn Serde<T>, value: &T) -> Result<Option<Bytes>, SerdeError> {
    let mut bytes = Vec::new();
    Ok(serde::write(serde, value, &mut bytes)?.map(|_| Bytes::from(bytes)))
}

fn from_bytes<T: 'static>(serde: &dyn Serde<T>, bytes: Option<&[u8]>) -> Result<T, SerdeError> {
    bytes.map_or_else(|| serde.null(), |bytes| serde.deserialize(bytes))
}

fn store_bytes<K: DefaultSerde>(store: &str, key: &K) -> Result<Bytes, DriverError> {
    let mut bytes = Vec::new();
    let written = K::default_serde().serialize(key, &mut bytes);
    written.map_err(|cause| DriverError::Serde {
        topic: store.to_owned(),
        cause,
    })?;
    Ok(Bytes::from(bytes))
}

fn read_key<K: DefaultSerde>(store: &str, bytes: &[u8]) -> Result<K, DriverError> {
    let read = K::default_serde().deserialize(bytes);
    read.map_err(|cause| DriverError::Serde {
        topic: store.to_owned(),
        cause,
    })
}

fn read_value<V: DefaultSerde>(store: &str, stored: &[u8]) -> Result<V, DriverError> {
    let failed = |cause| DriverError::Serde {
        topic: store.to_owned(),
        cause,
    };
    let envelope = ValueEnvelope::parse(stored).map_err(|error| {
        failed(SerdeError::Format {
            format: "value envelope",
            cause: error.to_string(),
        })
    })?;
    V::default_serde().deserialize(envelope.value).map_err(failed)
}
