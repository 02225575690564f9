//! In how many ways each case is replayed: cache off and on, stores in memory and on RocksDB, a commit after every record and cuttings drawn from a seed.
//!
//! Always true: every case runs without cache on both kinds of stores; where it runs in fewer ways, `Excuse` has the reason and `README.md` the name
//! (`every_exception_stands_in_the_readme`). Opening a database takes longer than a case: on RocksDB each case runs in one way, the most disorderly seeds in all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use millpond_streams::topology::{SubTopology, Topology};

use crate::checks::{Build, Cached, Replayed};
use crate::plan;
use crate::recording::Recording;
use crate::replay::{Cutting, Host, Mode};
use crate::topologies;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Every output, record for record, and the stores.
    Everything,
    /// The last record of every key, and the stores.
    Ends { with_times: bool },
    /// As `Ends` without times, of outputs that the cache leaves as they are.
    SettledEnds,
}

/// One run of a case.
pub(crate) struct PlannedRun {
    /// Place in the recording's cases.
    pub(crate) case: usize,
    pub(crate) mode: Mode,
    pub(crate) ask: Ask,
}

/// Why a case is not replayed in some way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Excuse {
    /// A task reads what another wrote beside something else: when tasks commit decides which of the records comes first.
    OrderOfTopics,
    /// What follows sees which updates there were, or when, and a cache leaves some out.
    SeesUpdates,
}

impl fmt::Display for Excuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Excuse::OrderOfTopics => "order of topics",
            Excuse::SeesUpdates => "sees updates",
        })
    }
}

/// True when the order in which operators see records does not depend on when tasks commit: no task reads what another wrote beside something else.
fn keeps_order(topology: &Topology) -> bool {
    let reads_one = |sub: &SubTopology| sub.source_topics().collect::<BTreeSet<_>>().len() == 1;
    topology.repartitions().is_empty() || topology.sub_topologies().iter().all(reads_one)
}

/// What is asked of runs with the cache.
fn ask_cached(replayed: &Replayed, recording: &Recording) -> Option<Ask> {
    match replayed.cached {
        Cached::Same => Some(Ask::Everything),
        Cached::Last => Some(Ask::Ends { with_times: true }),
        Cached::LastValue | Cached::EvenWithout => Some(Ask::Ends { with_times: false }),
        Cached::Settled if !plan::settled_outputs(&recording.plan).is_empty() => Some(Ask::SettledEnds),
        Cached::Settled | Cached::Differs => None,
    }
}

/// All runs of a recording.
pub(crate) fn runs(replayed: &Replayed, recording: &Recording, topology: &Topology) -> Vec<PlannedRun> {
    let mut runs = Vec::new();
    let cached = ask_cached(replayed, recording);
    let written = replayed.name.starts_with("written/");
    for (place, case) in recording.cases.iter().enumerate() {
        if case.cached != (replayed.cached == Cached::EvenWithout) {
            continue;
        }
        let mut cuttings = vec![Cutting::EachRecord];
        if keeps_order(topology) {
            // Written cases have few seeds, so each is cut in two ways.
            let drawings = if written { 2 } else { 1 };
            cuttings.extend((0..drawings).map(|more| Cutting::Drawn(case.seed + 1_000 * more)));
        }
        for (at, cutting) in cuttings.iter().enumerate() {
            for (host, cache) in [
                (Host::Memory, false),
                (Host::Memory, true),
                (Host::RocksDb, false),
                (Host::RocksDb, true),
            ] {
                let last = at + 1 == cuttings.len();
                let wanted = host == Host::Memory || matches!(case.seed % 8, 2 | 7) || (last && !cache);
                // Behind a repartition topic, what a cache forwards at once depends on the commits above it.
                let other_updates =
                    cache && cutting != &Cutting::EachRecord && !topology.repartitions().is_empty();
                let ask = if cache {
                    cached.filter(|_| !other_updates)
                } else {
                    Some(Ask::Everything)
                };
                if let (true, Some(ask)) = (wanted, ask) {
                    let mode = Mode {
                        cache,
                        host,
                        cutting: *cutting,
                    };
                    runs.push(PlannedRun {
                        case: place,
                        mode,
                        ask,
                    });
                }
            }
        }
    }
    runs
}

fn excuses(replayed: &Replayed, recording: &Recording, topology: &Topology) -> Vec<Excuse> {
    let order = (!keeps_order(topology)).then_some(Excuse::OrderOfTopics);
    let updates = ask_cached(replayed, recording)
        .is_none()
        .then_some(Excuse::SeesUpdates);
    order.into_iter().chain(updates).collect()
}

#[test]
fn every_case_runs_in_every_way_or_is_excused() {
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    let mut excused: BTreeMap<Excuse, usize> = BTreeMap::new();
    for replayed in topologies::all() {
        let recording = Recording::read(&replayed.name);
        let topology = replayed.topology(&recording).expect("a topology");
        let excuses = excuses(&replayed, &recording, &topology);
        let runs = runs(&replayed, &recording, &topology);
        for (place, case) in recording.cases.iter().enumerate() {
            if case.cached != (replayed.cached == Cached::EvenWithout) {
                continue;
            }
            let of_case: Vec<&PlannedRun> = runs.iter().filter(|run| run.case == place).collect();
            let count =
                |matches: &dyn Fn(&Mode) -> bool| of_case.iter().filter(|run| matches(&run.mode)).count();
            let drawn = |mode: &Mode| mode.cutting != Cutting::EachRecord;
            let axes = [
                ("cache off", count(&|mode| !mode.cache), None),
                ("cache on", count(&|mode| mode.cache), Some(Excuse::SeesUpdates)),
                ("memory", count(&|mode| mode.host == Host::Memory), None),
                ("RocksDB", count(&|mode| mode.host == Host::RocksDb), None),
                ("a commit after every record", count(&|mode| !drawn(mode)), None),
                ("cut at random", count(&drawn), Some(Excuse::OrderOfTopics)),
            ];
            *tally.entry("cases").or_default() += 1;
            *tally.entry("runs").or_default() += of_case.len();
            for (axis, runs, excuse) in axes {
                *tally.entry(axis).or_default() += runs;
                match excuse.filter(|excuse| excuses.contains(excuse)) {
                    Some(excuse) => *excused.entry(excuse).or_default() += 1,
                    None => assert!(
                        runs > 0,
                        "{}, seed {}: no run with {axis}",
                        replayed.name,
                        case.seed
                    ),
                }
            }
        }
    }
    println!("{tally:?}, cases excused: {excused:?}");
    assert!(tally["cases"] > 1_000, "{tally:?}");
}

#[test]
fn every_exception_stands_in_the_readme() {
    let readme = include_str!("README.md");
    let (_, exceptions) = readme
        .split_once("## Not in every way")
        .expect("the list of exceptions");
    let mut told: BTreeSet<(String, String)> = BTreeSet::new();
    for row in exceptions.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let excuse = cells[2].split(':').next().unwrap_or_default();
        let names = cells[1]
            .split('`')
            .filter(|name| !name.trim_matches([',', ' ']).is_empty());
        told.extend(names.map(|name| (name.to_owned(), excuse.to_owned())));
    }
    let mut found: BTreeSet<(String, String)> = BTreeSet::new();
    for replayed in topologies::all() {
        // Plans are excused by what they are made of, the same for all.
        if matches!(replayed.build, Build::Here(_)) {
            let recording = Recording::read(&replayed.name);
            let topology = replayed.topology(&recording).expect("a topology");
            let excuses = excuses(&replayed, &recording, &topology);
            found.extend(
                excuses
                    .iter()
                    .map(|excuse| (replayed.name.clone(), excuse.to_string())),
            );
        }
    }
    assert_eq!(found, told);
}
