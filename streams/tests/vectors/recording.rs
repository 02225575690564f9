//! A recorded file: a head line, then for each seed its steps, each with the outputs it caused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use crate::formats::Format;

/// What Kafka Streams said to one topology.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) name: String,
    /// Value format by input topic; keys are text.
    pub(crate) inputs: BTreeMap<String, Format>,
    /// Key and value format by output topic.
    pub(crate) outputs: BTreeMap<String, (Format, Format)>,
    /// The lines its topology is built from, where it is not written out in `topologies/`.
    pub(crate) plan: Vec<String>,
    pub(crate) cases: Vec<Case>,
}

/// The steps of a seed.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    /// Recorded with Kafka Streams' record cache; few are.
    pub(crate) cached: bool,
    pub(crate) steps: Vec<Step>,
    /// What stores hold at the end: key and value.
    pub(crate) stores: Vec<(String, Vec<(String, String)>)>,
    /// Records and windows that were dropped: null keys, invalid times, late ones. Not written down where that is a matter of Kafka Streams' stores.
    pub(crate) dropped: Option<u64>,
}

/// One input and what it caused.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) outputs: Vec<Line>,
}

#[derive(Debug)]
pub(crate) enum Action {
    Record(Line),
    /// The wall clock moves on by so many ms.
    WallClock(i64),
}

/// A record as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) topic: String,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) timestamp: i64,
    pub(crate) headers: Vec<(String, String)>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
        let (key, value) = (text(&self.key), text(&self.value));
        write!(f, "{} {key}={value} at {}", self.topic, self.timestamp)?;
        for (name, value) in &self.headers {
            write!(f, " {name}:{value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Record(line) => line.fmt(f),
            Action::WallClock(ms) => write!(f, "{ms} ms pass"),
        }
    }
}

/// Where the recorded files are.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/recorded")
}

/// Names of all recordings, those in folders with the folder's name before.
pub(crate) fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for prefix in ["", "written/", "drawn/"] {
        let files = std::fs::read_dir(folder().join(prefix)).expect("the recordings");
        names.extend(files.filter_map(|file| {
            let file = file.expect("a file").file_name();
            let name = file.to_string_lossy().strip_suffix(".jsonl")?.to_owned();
            Some(format!("{prefix}{name}"))
        }));
    }
    names
}

impl Recording {
    /// Reads `recorded/NAME.jsonl`.
    pub(crate) fn read(name: &str) -> Recording {
        let path = folder().join(format!("{name}.jsonl"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut lines = text.lines().map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{name}: {line}: {error}"))
        });
        let head = lines.next().unwrap_or_else(|| panic!("{name} is empty"));
        let formats = |place: &str| -> BTreeMap<String, (Format, Format)> {
            let topics = head[place].as_object().expect("topics with their formats");
            let formats = topics.iter().map(|(topic, label)| {
                let (key, value) = string(label).split_once(' ').expect("two formats");
                (topic.clone(), (Format::of(key), Format::of(value)))
            });
            formats.collect()
        };
        let mut recording = Recording {
            name: string(&head["topology"]).to_owned(),
            inputs: formats("inputs")
                .into_iter()
                .map(|(topic, (_, value))| (topic, value))
                .collect(),
            outputs: formats("outputs"),
            plan: head.get("plan").map_or_else(Vec::new, |lines| {
                array(lines).iter().map(|line| string(line).to_owned()).collect()
            }),
            cases: Vec::new(),
        };
        lines.for_each(|line| recording.add(&line));
        recording
    }

    fn add(&mut self, line: &Value) {
        if let Some(seed) = line.get("seed") {
            self.cases.push(Case {
                seed: seed.as_u64().expect("a seed"),
                cached: line.get("cached").is_some(),
                ..Case::default()
            });
            return;
        }
        let case = self.cases.last_mut().expect("a seed comes first");
        if let Some(store) = line.get("store") {
            let pair = |entry: &Value| (string(&entry[0]).to_owned(), string(&entry[1]).to_owned());
            let entries = array(&line["holds"]).iter().map(pair).collect();
            case.stores.push((string(store).to_owned(), entries));
        } else if let Some(dropped) = line.get("dropped") {
            case.dropped = Some(dropped.as_u64().expect("a count"));
        } else {
            let (input, outputs) = array(line).split_first().expect("a step has an input");
            let action = match string(&input[0]) {
                "+" => Action::WallClock(input[1].as_i64().expect("ms")),
                _ => Action::Record(Line::read(input)),
            };
            let outputs = outputs.iter().map(Line::read).collect();
            case.steps.push(Step { action, outputs });
        }
    }
}

impl Line {
    fn read(line: &Value) -> Line {
        let optional = |value: &Value| value.as_str().map(str::to_owned);
        let headers = line.get(4).map_or(&[][..], |headers| array(headers).as_slice());
        Line {
            topic: string(&line[0]).to_owned(),
            key: optional(&line[1]),
            value: optional(&line[2]),
            timestamp: line[3].as_i64().expect("a timestamp"),
            headers: headers
                .chunks(2)
                .map(|pair| (string(&pair[0]).to_owned(), string(&pair[1]).to_owned()))
                .collect(),
        }
    }
}

fn string(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("text was expected, not {value}"))
}

fn array(value: &Value) -> &Vec<Value> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("a list was expected, not {value}"))
}
