//! In how many ways each recording is replayed, and what must be equal.
//!
//! Without cache our outputs are Kafka Streams' outputs, record for record: key, value, timestamp and headers, after each input, and however the input is
//! cut into batches, commits and aborts. With the cache, when updates are forwarded is no contract; what stores hold at the end and the last record of
//! each key are.

use std::collections::BTreeMap;
use std::fmt::Write;

use millpond_streams::dsl::StreamsBuilder;
use millpond_streams::topology::Topology;

use crate::recording::{Case, Line, Recording};
use crate::replay::{Answer, Cutting, Host, Mode, run};

/// A topology of ours beside the recording of that name.
pub(crate) struct Replayed {
    pub(crate) name: String,
    pub(crate) build: fn(&StreamsBuilder),
    pub(crate) cached: Cached,
}

/// What the cache may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cached {
    /// Nothing: no operator has one.
    Same,
    /// Which updates are seen, but not the last of each key.
    Last,
    /// As `Last`, but for times: an operator behind a cache sees fewer updates, and a result has the largest time it saw.
    LastValue,
    /// As `LastValue`; and our outputs without cache are Kafka Streams' with it. Without one it takes the initial value of an aggregate for the value before the
    /// first, which nobody was ever told.
    EvenWithout,
    /// What follows is not the same: it sees which updates there were, or when (a history of additions, a buffer's clock). Replayed without cache only.
    Differs,
}

const NO_CACHE: Mode = Mode {
    cache: false,
    host: Host::Memory,
    cutting: Cutting::EachRecord,
};

/// Replays a recording in every mode; panics at the first difference.
pub(crate) fn replay(replayed: &Replayed) {
    let recording = Recording::read(&replayed.name);
    assert_eq!(recording.name, replayed.name);
    let builder = StreamsBuilder::new();
    (replayed.build)(&builder);
    let topology = builder
        .build()
        .unwrap_or_else(|error| panic!("{}: {error}", replayed.name));
    let runner = Runner {
        recording: &recording,
        topology,
        dir: tempfile::tempdir().expect("a temporary directory"),
    };
    let plain = |seed: u64| {
        let mut cases = recording.cases.iter();
        cases.find(|case| case.seed == seed && !case.cached)
    };
    let seeds: Vec<u64> = recording
        .cases
        .iter()
        .filter(|case| !case.cached)
        .map(|case| case.seed)
        .collect();
    assert!(!seeds.is_empty(), "{} has no cases", recording.name);
    for seed in seeds {
        let plain = plain(seed).expect("it was just found");
        let cached = recording
            .cases
            .iter()
            .find(|case| case.seed == seed && case.cached);
        let plain = match (replayed.cached, cached) {
            (Cached::EvenWithout, Some(cached)) => cached,
            _ => plain,
        };
        runner.exactly(plain, NO_CACHE);
        // Opening a database takes longer than a case: some of the most disorderly seeds go there.
        let host = match seed % 8 {
            2 | 7 => Host::RocksDb,
            _ => Host::Memory,
        };
        if host == Host::RocksDb {
            runner.exactly(plain, Mode { host, ..NO_CACHE });
        }
        if runner.keeps_order() {
            let cutting = Cutting::Drawn(seed);
            runner.exactly(plain, Mode { cutting, ..NO_CACHE });
        }
        for cutting in [Cutting::EachRecord, Cutting::Drawn(seed)] {
            let mode = Mode {
                cache: true,
                host,
                cutting,
            };
            let in_order = cutting == Cutting::EachRecord || runner.keeps_order();
            match replayed.cached {
                Cached::Same if in_order => runner.exactly(plain, mode),
                Cached::Last if in_order => runner.at_the_end(plain, mode, true),
                Cached::LastValue | Cached::EvenWithout if in_order => runner.at_the_end(plain, mode, false),
                _ => {}
            }
        }
    }
}

struct Runner<'a> {
    recording: &'a Recording,
    topology: Topology,
    dir: tempfile::TempDir,
}

impl Runner<'_> {
    /// True when neither the order of records nor what later tasks know of the time depends on when tasks commit.
    fn keeps_order(&self) -> bool {
        self.topology.repartitions().is_empty()
    }

    fn exactly(&self, case: &Case, mode: Mode) {
        let answer = self.run(case, mode);
        match mode.cutting {
            Cutting::EachRecord => {
                for (number, step) in case.steps.iter().enumerate() {
                    let (expected, found) = (by_topic(&step.outputs), by_topic(&answer.steps[number]));
                    if expected != found {
                        self.fail(case, mode, number, &expected, &found);
                    }
                }
                if let Some(dropped) = case.dropped {
                    assert_eq!(
                        answer.dropped,
                        dropped,
                        "{}: records left out",
                        self.place(case, mode)
                    );
                }
            }
            Cutting::Drawn(_) => {
                let expected = by_topic(case.steps.iter().flat_map(|step| &step.outputs));
                let found = by_topic(answer.steps.iter().flatten());
                if expected != found {
                    self.fail(case, mode, case.steps.len() - 1, &expected, &found);
                }
            }
        }
        self.stores(case, mode, &answer);
    }

    fn at_the_end(&self, case: &Case, mode: Mode, with_times: bool) {
        let answer = self.run(case, mode);
        let expected = last_by_key(case.steps.iter().flat_map(|step| &step.outputs));
        let found = last_by_key(answer.steps.iter().flatten());
        let is_same = |(left, right): (&&Line, &&Line)| {
            (&left.topic, &left.key, &left.value) == (&right.topic, &right.key, &right.value)
                && (!with_times || left == right)
        };
        if expected.len() != found.len() || !expected.iter().zip(&found).all(is_same) {
            self.fail(case, mode, case.steps.len() - 1, &expected, &found);
        }
        self.stores(case, mode, &answer);
    }

    fn run(&self, case: &Case, mode: Mode) -> Answer {
        let cache = if mode.cache { "cache" } else { "no-cache" };
        let cut = if mode.cutting == Cutting::EachRecord {
            "each"
        } else {
            "drawn"
        };
        let dir = self.dir.path().join(format!("{}-{cache}-{cut}", case.seed));
        run(&self.topology, self.recording, case, mode, &dir)
            .unwrap_or_else(|error| panic!("{}: {error}", self.place(case, mode)))
    }

    fn stores(&self, case: &Case, mode: Mode, answer: &Answer) {
        for ((store, expected), (_, found)) in case.stores.iter().zip(&answer.stores) {
            let found: Vec<(String, String)> = found
                .iter()
                .map(|(key, value)| {
                    // Counts are the only values of stores that are not text.
                    let count = <[u8; 8]>::try_from(value.as_slice())
                        .ok()
                        .map(i64::from_be_bytes)
                        .filter(|count| (-1_000..1_000).contains(count));
                    let text = count.map_or_else(
                        || String::from_utf8_lossy(value).into_owned(),
                        |count| count.to_string(),
                    );
                    (key.clone(), text)
                })
                .collect();
            assert_eq!(&found, expected, "{}: store {store}", self.place(case, mode));
        }
    }

    fn place(&self, case: &Case, mode: Mode) -> String {
        format!("{}, seed {}, {mode:?}", self.recording.name, case.seed)
    }

    fn fail(&self, case: &Case, mode: Mode, step: usize, expected: &[&Line], found: &[&Line]) -> ! {
        let mut text = format!("{}, step {step}:\n", self.place(case, mode));
        for (number, step) in case.steps[..=step].iter().enumerate() {
            let _ = writeln!(text, "  {number:>3}  {}", step.action);
        }
        for (who, lines) in [("expected", expected), ("got", found)] {
            let _ = writeln!(text, "{who}:");
            for line in lines {
                let _ = writeln!(text, "       {line}");
            }
        }
        panic!("{text}");
    }
}

fn by_topic<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<&'a Line> {
    let mut lines: Vec<&Line> = lines.into_iter().collect();
    lines.sort_by(|left, right| left.topic.cmp(&right.topic));
    lines
}

/// The last record of each topic and key. Tombstones are left out: whether one is seen of an entry that came and went between two commits is the cache's matter.
fn last_by_key<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<&'a Line> {
    let last: BTreeMap<(&str, &Option<String>), &Line> = lines
        .into_iter()
        .map(|line| ((line.topic.as_str(), &line.key), line))
        .collect();
    last.into_values().filter(|line| line.value.is_some()).collect()
}
