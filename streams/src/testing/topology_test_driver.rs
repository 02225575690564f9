//! `TopologyTestDriver`: a whole topology in memory, driven by hand.
//!
//! Always true: outputs of a task become visible when it commits, never before, and an abort takes back everything since; tasks run one after the
//! other in a fixed order, so a test gives the same result every time. By default every call commits, as Kafka Streams' driver does; switch that
//! off to test what several records in one commit do. No broker, no threads, no async runtime.

use std::collections::BTreeMap;

use bytes::Bytes;
use millpond_log::faults::Faults;
use millpond_log::types::{Offset, PartitionId, Timestamp, TopicName, TopicPartition};

use super::driver_stores::store_bytes;
use super::driver_task::{DriverTask, DriverTopic};
use super::{DriverError, DriverOptions, TestInputTopic, TestOutputTopic, TestRecord};
use crate::processor::{
    GlobalTables, Headers, Outputs, RawRecord, TaskCounters, TaskGraph, TaskGraphOptions, TopicRules,
    partition_for_key,
};
use crate::runtime::idle::IdleWatch;
use crate::serde::{self, DefaultSerde, Serde, SerdeError};
use crate::state::{StateOptions, TaskId, TaskState};
use crate::topology::{Plan, Topology, topic_names};

const APPLICATION_ID: &str = "test";

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
    pub(super) topology: Topology,
    plan: Plan,
    partitions: BTreeMap<String, i32>,
    pub(super) tasks: Vec<DriverTask>,
    pub(super) topics: BTreeMap<TopicName, DriverTopic>,
    pub(super) globals: Option<GlobalTables>,
    auto_commit: bool,
    pub(super) wall_clock_ms: Timestamp,
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
            topic_configs,
            config,
            auto_commit,
            wall_clock_ms,
            hosts,
            state_dir,
            limits,
        } = options;
        let asked = partitions.clone();
        let plan = Plan::new(topology, APPLICATION_ID, &|topic| {
            Some(asked.get(topic.as_str()).copied().unwrap_or(1))
        })?;
        for topic in &plan.internal_topics {
            partitions.insert(topic.name.to_string(), topic.partitions);
        }
        let rules = topic_configs
            .iter()
            .map(|(topic, configs)| (legal(topic), TopicRules::from_configs(configs)))
            .collect();
        let globals = match topology.globals() {
            [] => None,
            sources => {
                let (dir, hosts, limits) = (state_dir.clone(), hosts.clone(), limits.clone());
                Some(GlobalTables::open(sources, dir, hosts, limits, Faults::none())?)
            }
        };
        let mut tasks = Vec::new();
        for id in plan.tasks() {
            let sub = &topology.sub_topologies()[id.sub_topology as usize];
            let mut state = TaskState::open(StateOptions {
                dir: state_dir.clone(),
                task: id,
                host: hosts.clone(),
                stores: sub.stores().to_vec(),
                limits: limits.clone(),
                faults: Faults::none(),
            })?;
            if let Some(globals) = &globals {
                state.set_globals(globals.pin()?);
            }
            let mut outputs = Outputs::new(id.partition);
            let graph_options = TaskGraphOptions {
                task: id,
                application_id: APPLICATION_ID,
                partitions: &|topic| Some(partitions.get(topic.as_str()).copied().unwrap_or(1)),
                upstream_tasks: &|repartition| plan.upstream_tasks(repartition),
                config: config.clone(),
            };
            let mut graph = TaskGraph::new(sub, &graph_options, &mut state, &mut outputs)?;
            outputs.set_rules(&rules);
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
                idle: sub.idle_advance().map(|idle| IdleWatch::new(idle.timeout)),
            });
        }
        Ok(TopologyTestDriver {
            topology: topology.clone(),
            plan,
            partitions,
            tasks,
            topics: BTreeMap::new(),
            globals,
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

    /// Moves the wall clock on and lets the nodes act on it whose interval is over (`Processor::on_wall_clock`), each once. Where sources ask for it
    /// (`Consumed::idle_advance`), stream time of idle tasks goes on with it.
    pub fn advance_wall_clock(&mut self, by_ms: i64) -> Result<(), DriverError> {
        self.wall_clock_ms += by_ms;
        for task in &mut self.tasks {
            let now_ms = self.wall_clock_ms;
            if let Err(error) = task
                .graph
                .advance_wall_clock(now_ms, &mut task.state, &mut task.outputs)
            {
                task.abort()?;
                return Err(error.into());
            }
            if let Err(error) = task.advance_idle(now_ms) {
                task.abort()?;
                return Err(error);
            }
        }
        self.run()
    }

    /// Commits every task, and runs and commits what that causes downstream, until nothing is left to do.
    pub fn commit(&mut self) -> Result<(), DriverError> {
        loop {
            self.process_all()?;
            for task in &mut self.tasks {
                task.commit(self.wall_clock_ms, &mut self.topics)?;
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
        if !self.auto_commit {
            self.process_all()?;
        }
        let asked = |asked, task: &mut DriverTask| task.graph.take_commit_request() | asked;
        if self.tasks.iter_mut().fold(false, asked) || self.auto_commit {
            self.commit()?;
        }
        // Where nothing is left to do, idleness begins.
        let now_ms = self.wall_clock_ms;
        self.tasks
            .iter_mut()
            .try_for_each(|task| task.advance_idle(now_ms))
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
        self.read_globals()?;
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
