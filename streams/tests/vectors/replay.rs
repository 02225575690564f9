//! One case over our driver: the steps go in, the outputs of each come out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use millpond_log::record::Header;
use millpond_streams::config::ProcessingConfig;
use millpond_streams::processor::Headers;
use millpond_streams::state::{RocksBudget, RocksHosts, StateLimits, StoreHostFactory};
use millpond_streams::testing::{
    DriverError, DriverOptions, TestInputTopic, TestOutputTopic, TestRecord, TopologyTestDriver,
};
use millpond_streams::topology::Topology;

use crate::formats::Format;
use crate::recording::{Action, Case, Line, Recording};

type Raw = Option<Vec<u8>>;

/// Keys and value bytes of a store.
pub(crate) type Entries = Vec<(String, Vec<u8>)>;

/// What keeps committed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Memory,
    /// RocksDB, and no table in memory in front of it: whatever is read after a commit is read from there.
    RocksDb,
}

/// How the input is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cutting {
    /// A commit after every record, as Kafka Streams' driver does.
    EachRecord,
    /// Batches, commits and aborts drawn from a seed.
    Drawn(u64),
}

/// One way to run a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Off: every update is forwarded. On: one per key and commit.
    pub(crate) cache: bool,
    pub(crate) host: Host,
    pub(crate) cutting: Cutting,
}

/// What a run left behind.
pub(crate) struct Answer {
    /// The outputs of each step; with a drawn cutting those of the commits that came with it.
    pub(crate) steps: Vec<Vec<Line>>,
    /// Key and value bytes of the case's stores, in its order.
    pub(crate) stores: Vec<(String, Entries)>,
    pub(crate) dropped: u64,
}

/// A topic, the formats of its keys and values, and where to read it.
type Output = (String, (Format, Format), TestOutputTopic<Raw, Raw>);

struct Run<'a> {
    recording: &'a Recording,
    driver: TopologyTestDriver,
    inputs: BTreeMap<String, TestInputTopic<Raw, Raw>>,
    outputs: Vec<Output>,
}

/// Runs the case's steps.
pub(crate) fn run(
    topology: &Topology,
    recording: &Recording,
    case: &Case,
    mode: Mode,
    dir: &Path,
) -> Result<Answer, DriverError> {
    let mut run = Run::start(topology, recording, mode, dir)?;
    let steps = match mode.cutting {
        Cutting::EachRecord => run.each_record(case)?,
        Cutting::Drawn(seed) => run.drawn(case, seed)?,
    };
    let dead = run.driver.dead_letters();
    assert!(dead.is_empty(), "{}: dead letters {dead:?}", recording.name);
    let mut stores = Vec::new();
    for (store, _) in &case.stores {
        stores.push((store.clone(), run.driver.entries::<String, Vec<u8>>(store)?));
    }
    let counters = run.driver.counters();
    Ok(Answer {
        steps,
        stores,
        dropped: counters.late + counters.skipped,
    })
}

impl<'a> Run<'a> {
    fn start(
        topology: &Topology,
        recording: &'a Recording,
        mode: Mode,
        dir: &Path,
    ) -> Result<Run<'a>, DriverError> {
        let mut options = DriverOptions {
            config: ProcessingConfig {
                emit_every_update: !mode.cache,
                ..ProcessingConfig::default()
            },
            auto_commit: mode.cutting == Cutting::EachRecord,
            ..DriverOptions::default()
        };
        if mode.host == Host::RocksDb {
            options.hosts = rocksdb();
            options.state_dir = dir.to_owned();
            options.limits = StateLimits {
                memory_bytes_max: 0,
                ..StateLimits::default()
            };
        }
        let driver = TopologyTestDriver::with_options(topology, options)?;
        let inputs = recording
            .inputs
            .keys()
            .map(|topic| (topic.clone(), driver.input(topic)));
        let outputs = recording
            .outputs
            .iter()
            .map(|(topic, formats)| (topic.clone(), *formats, driver.output(topic)));
        Ok(Run {
            recording,
            inputs: inputs.collect(),
            outputs: outputs.collect(),
            driver,
        })
    }

    fn each_record(&mut self, case: &Case) -> Result<Vec<Vec<Line>>, DriverError> {
        let mut steps = Vec::new();
        for step in &case.steps {
            match &step.action {
                Action::Record(line) => self.pipe(&line.topic, vec![self.record(line)])?,
                Action::WallClock(ms) => self.driver.advance_wall_clock(*ms)?,
            }
            steps.push(self.read()?);
        }
        Ok(steps)
    }

    /// Consecutive records of a topic go in together, several such batches between commits; what was not committed is lost and read again now and then.
    fn drawn(&mut self, case: &Case, seed: u64) -> Result<Vec<Vec<Line>>, DriverError> {
        let mut random = fastrand::Rng::with_seed(seed);
        // Read again, records of one topic come before those of another, and what a punctuator did does not come again.
        let may_abort = self.recording.inputs.len() == 1
            && case
                .steps
                .iter()
                .all(|step| matches!(step.action, Action::Record(_)));
        let mut steps = Vec::new();
        let mut waiting: Vec<&Line> = Vec::new();
        for step in &case.steps {
            let goes_on = matches!(&step.action, Action::Record(line) if waiting.first().is_none_or(|first| first.topic == line.topic));
            if !goes_on || random.u8(..) < 80 {
                self.pipe_waiting(&mut waiting)?;
                if may_abort && random.u8(..) < 50 {
                    self.driver.abort()?;
                }
                if random.u8(..) < 80 {
                    self.driver.commit()?;
                }
            }
            match &step.action {
                Action::Record(line) => waiting.push(line),
                Action::WallClock(ms) => self.driver.advance_wall_clock(*ms)?,
            }
            steps.push(self.read()?);
        }
        self.pipe_waiting(&mut waiting)?;
        self.driver.commit()?;
        steps.push(self.read()?);
        Ok(steps)
    }

    fn pipe_waiting(&mut self, waiting: &mut Vec<&Line>) -> Result<(), DriverError> {
        let Some(first) = waiting.first() else {
            return Ok(());
        };
        let topic = first.topic.clone();
        let records = waiting.drain(..).map(|line| self.record(line)).collect();
        self.pipe(&topic, records)
    }

    fn record(&self, line: &Line) -> TestRecord<Raw, Raw> {
        let value_format = self.recording.inputs[&line.topic];
        let key = line.key.as_deref().map(|key| Format::Text.bytes(key));
        let value = line.value.as_deref().map(|value| value_format.bytes(value));
        let headers: Headers = line
            .headers
            .iter()
            .map(|(name, value)| Header::new(name.clone(), value.clone()))
            .collect();
        TestRecord::new(key, value, line.timestamp).with_headers(headers)
    }

    fn pipe(&mut self, topic: &str, records: Vec<TestRecord<Raw, Raw>>) -> Result<(), DriverError> {
        self.driver.pipe_all(&self.inputs[topic], records)
    }

    fn read(&mut self) -> Result<Vec<Line>, DriverError> {
        let mut lines = Vec::new();
        for (topic, (key, value), output) in &self.outputs {
            for record in self.driver.read(output)? {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let headers = record.headers.iter().map(|header| {
                    (
                        text(&header.key),
                        text(header.value.as_deref().unwrap_or_default()),
                    )
                });
                lines.push(Line {
                    topic: topic.clone(),
                    key: record.key.map(|bytes| key.text(&bytes)),
                    value: record.value.map(|bytes| value.text(&bytes)),
                    timestamp: record.timestamp,
                    headers: headers.collect(),
                });
            }
        }
        Ok(lines)
    }
}

fn rocksdb() -> Arc<dyn StoreHostFactory> {
    static HOSTS: OnceLock<RocksHosts> = OnceLock::new();
    let hosts = HOSTS.get_or_init(|| RocksHosts::new(RocksBudget::new(16 << 20, 8 << 20)));
    Arc::new(hosts.clone())
}
