//! What must be equal when a recording is replayed. `matrix.rs` says in how many ways each is.
//!
//! Without cache our outputs are Kafka Streams' outputs, record for record: key, value, timestamp and headers, after each input, and however the input is
//! cut into batches, commits and aborts. With the cache, when updates are forwarded is no contract; what stores hold at the end and the last record of
//! each key are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use millpond_streams::dsl::StreamsBuilder;
use millpond_streams::topology::Topology;

use crate::matrix::{Ask, runs};
use crate::plan;
use crate::recording::{Case, Line, Recording};
use crate::replay::{Answer, Cutting, Mode, run};

/// A topology of ours beside the recording of that name.
pub(crate) struct Replayed {
    pub(crate) name: String,
    pub(crate) build: Build,
    pub(crate) cached: Cached,
}

/// Where the topology is told.
pub(crate) enum Build {
    Here(fn(&StreamsBuilder)),
    /// By the plan in the recording's head.
    Planned,
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
    /// As `LastValue` for the outputs that `plan::settled_outputs` tells; of the others nothing is said.
    Settled,
    /// What follows is not the same: it sees which updates there were, or when (a history of additions, a buffer's clock). Replayed without cache only.
    Differs,
}

/// Replays a recording in every way; panics at the first difference.
pub(crate) fn replay(replayed: &Replayed) {
    if let Err(difference) = try_replay(replayed) {
        panic!("{difference}");
    }
}

/// As `replay`; the text tells the first difference.
pub(crate) fn try_replay(replayed: &Replayed) -> Result<(), String> {
    let recording = Recording::read(&replayed.name);
    assert_eq!(recording.name, replayed.name);
    let topology = replayed.topology(&recording)?;
    let runner = Runner {
        settled: plan::settled_outputs(&recording.plan),
        recording: &recording,
        topology,
        dir: tempfile::tempdir().expect("a temporary directory"),
    };
    let runs = runs(replayed, &recording, &runner.topology);
    assert!(!runs.is_empty(), "{} has no cases", recording.name);
    for planned in runs {
        let case = &recording.cases[planned.case];
        match planned.ask {
            Ask::Everything => runner.exactly(case, planned.mode)?,
            Ask::Ends { with_times } => runner.at_the_end(case, planned.mode, with_times, |_| true)?,
            Ask::SettledEnds => {
                let settled = |line: &Line| runner.settled.contains(&line.topic);
                runner.at_the_end(case, planned.mode, false, settled)?;
            }
        }
    }
    Ok(())
}

impl Replayed {
    pub(crate) fn topology(&self, recording: &Recording) -> Result<Topology, String> {
        let builder = StreamsBuilder::new();
        match self.build {
            Build::Here(build) => build(&builder),
            Build::Planned => plan::build(&builder, &recording.plan),
        }
        builder.build().map_err(|error| format!("{}: {error}", self.name))
    }
}

struct Runner<'a> {
    recording: &'a Recording,
    settled: BTreeSet<String>,
    topology: Topology,
    dir: tempfile::TempDir,
}

impl Runner<'_> {
    fn exactly(&self, case: &Case, mode: Mode) -> Result<(), String> {
        let answer = self.run(case, mode)?;
        match mode.cutting {
            Cutting::EachRecord => {
                for (number, step) in case.steps.iter().enumerate() {
                    let (expected, found) = (by_topic(&step.outputs), by_topic(&answer.steps[number]));
                    if expected != found {
                        return Err(self.difference(case, mode, number, &expected, &found));
                    }
                }
                if case.dropped.is_some_and(|dropped| dropped != answer.dropped) {
                    let (place, found) = (self.place(case, mode), answer.dropped);
                    return Err(format!(
                        "{place}: {:?} records left out, here {found}",
                        case.dropped
                    ));
                }
            }
            Cutting::Drawn(_) => {
                let expected = by_topic(case.steps.iter().flat_map(|step| &step.outputs));
                let found = by_topic(answer.steps.iter().flatten());
                if expected != found {
                    return Err(self.difference(case, mode, case.steps.len() - 1, &expected, &found));
                }
            }
        }
        self.stores(case, mode, &answer)
    }

    fn at_the_end(
        &self,
        case: &Case,
        mode: Mode,
        with_times: bool,
        counts: impl Fn(&Line) -> bool,
    ) -> Result<(), String> {
        let answer = self.run(case, mode)?;
        let expected = last_by_key(case.steps.iter().flat_map(|step| &step.outputs), &counts);
        let found = last_by_key(answer.steps.iter().flatten(), &counts);
        let is_same = |(left, right): (&&Line, &&Line)| {
            (&left.topic, &left.key, &left.value) == (&right.topic, &right.key, &right.value)
                && (!with_times || left == right)
        };
        if expected.len() != found.len() || !expected.iter().zip(&found).all(is_same) {
            return Err(self.difference(case, mode, case.steps.len() - 1, &expected, &found));
        }
        self.stores(case, mode, &answer)
    }

    fn run(&self, case: &Case, mode: Mode) -> Result<Answer, String> {
        let cache = if mode.cache { "cache" } else { "no-cache" };
        let cut = match mode.cutting {
            Cutting::EachRecord => "each".to_owned(),
            Cutting::Drawn(seed) => format!("drawn-{seed}"),
        };
        let dir = self.dir.path().join(format!("{}-{cache}-{cut}", case.seed));
        run(&self.topology, self.recording, case, mode, &dir)
            .map_err(|error| format!("{}: {error}", self.place(case, mode)))
    }

    fn stores(&self, case: &Case, mode: Mode, answer: &Answer) -> Result<(), String> {
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
            if &found != expected {
                let place = self.place(case, mode);
                return Err(format!(
                    "{place}: store {store} holds {found:?}, not {expected:?}"
                ));
            }
        }
        Ok(())
    }

    fn place(&self, case: &Case, mode: Mode) -> String {
        format!("{}, seed {}, {mode:?}", self.recording.name, case.seed)
    }

    fn difference(
        &self,
        case: &Case,
        mode: Mode,
        step: usize,
        expected: &[&Line],
        found: &[&Line],
    ) -> String {
        let mut text = format!("{}, step {step}:\n", self.place(case, mode));
        for line in &self.recording.plan {
            let _ = writeln!(text, "       {line}");
        }
        for (number, step) in case.steps[..=step].iter().enumerate() {
            let _ = writeln!(text, "  {number:>3}  {}", step.action);
        }
        for (who, lines) in [("expected", expected), ("got", found)] {
            let _ = writeln!(text, "{who}:");
            for line in lines {
                let _ = writeln!(text, "       {line}");
            }
        }
        text
    }
}

fn by_topic<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<&'a Line> {
    let mut lines: Vec<&Line> = lines.into_iter().collect();
    lines.sort_by(|left, right| left.topic.cmp(&right.topic));
    lines
}

/// The last record of each topic and key. Tombstones are left out, and the count 0 as plans write it: whether one is seen of an entry that came and went between two
/// commits is the cache's matter.
fn last_by_key<'a>(
    lines: impl IntoIterator<Item = &'a Line>,
    counts: &impl Fn(&Line) -> bool,
) -> Vec<&'a Line> {
    let last: BTreeMap<(&str, &Option<String>), &Line> = lines
        .into_iter()
        .filter(|line| counts(line))
        .map(|line| ((line.topic.as_str(), &line.key), line))
        .collect();
    last.into_values()
        .filter(|line| line.value.as_deref().is_some_and(|value| value != "c0"))
        .collect()
}
