//! `Topology::diff`: what a new version of a program changes, in the words an operator needs: stores, topics, operators.
//!
//! Stores and internal topics are compared by their names, which are the user's. Operators nobody named are compared by their kind alone: their numbers move whenever one is
//! added. Pure: what disk and log hold is the business of the dry run (`runtime/dry_run.rs`).

use std::collections::BTreeMap;
use std::fmt;

use super::{NodeKind, TopicRef, Topology};
use crate::state::StoreSpec;

/// What differs between two topologies. Displayed as one line per difference, `+` for what is new, `-` for what is gone, `~` for what changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopologyDiff {
    /// Stores, by name.
    pub stores: BTreeMap<String, StoreChange>,
    /// Topics that are read now and were not: `true`, or the other way round: `false`. Repartition topics included.
    pub sources: BTreeMap<String, bool>,
    /// The same for topics that are written.
    pub sinks: BTreeMap<String, bool>,
    /// Repartition topics whose asked partition count changed: before and now.
    pub repartitions: BTreeMap<String, (Option<i32>, Option<i32>)>,
    /// Operators by name, or by kind where nobody named them: how many more there are now than before.
    pub operators: BTreeMap<String, i64>,
}

/// What became of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreChange {
    /// It is new.
    Added,
    /// No operator uses it any more. Its data and its changelog are left alone.
    Removed,
    /// Its bytes mean something else now: the state on disk is refused, give the operator a new name.
    Shape {
        /// The shape before, in words.
        before: String,
        /// The shape now.
        now: String,
    },
    /// It lost or got its changelog.
    Changelog {
        /// Whether it has one now.
        logged: bool,
    },
    /// It shares its tasks with other stores than before, so its state is replayed from the changelog into another directory unless its directory goes with it.
    Neighbours {
        /// Stores of the same sub-topology before.
        before: Vec<String>,
        /// Stores of the same sub-topology now.
        now: Vec<String>,
    },
}

impl TopologyDiff {
    /// True when both topologies have the same stores, topics and operators.
    pub fn is_empty(&self) -> bool {
        *self == TopologyDiff::default()
    }

    pub(super) fn between(old: &Topology, new: &Topology) -> TopologyDiff {
        TopologyDiff {
            stores: stores(old, new),
            sources: presence(&topics(old, true), &topics(new, true)),
            sinks: presence(&topics(old, false), &topics(new, false)),
            repartitions: repartitions(old, new),
            operators: operators(old, new),
        }
    }
}

/// Every store with the names of those it shares a sub-topology with.
fn all_stores(topology: &Topology) -> BTreeMap<&str, (&StoreSpec, Vec<String>)> {
    let subs = topology.sub_topologies().iter();
    let stores = subs.flat_map(|sub| {
        let together: Vec<String> = sub.stores().iter().map(|store| store.name.clone()).collect();
        sub.stores()
            .iter()
            .map(move |store| (store.name.as_str(), (store, together.clone())))
    });
    stores.collect()
}

fn stores(old: &Topology, new: &Topology) -> BTreeMap<String, StoreChange> {
    let (before, now) = (all_stores(old), all_stores(new));
    let mut changes = BTreeMap::new();
    for (name, (spec, together)) in &now {
        let change = match before.get(name) {
            None => StoreChange::Added,
            Some((former, _)) if former.shape() != spec.shape() => StoreChange::Shape {
                before: former.shape(),
                now: spec.shape(),
            },
            Some((former, _)) if former.logged != spec.logged => {
                StoreChange::Changelog { logged: spec.logged }
            }
            Some((_, former)) if former != together => StoreChange::Neighbours {
                before: former.clone(),
                now: together.clone(),
            },
            Some(_) => continue,
        };
        changes.insert((*name).to_owned(), change);
    }
    let removed = before.keys().filter(|name| !now.contains_key(*name));
    changes.extend(removed.map(|name| ((*name).to_owned(), StoreChange::Removed)));
    changes
}

/// Names of topics with `true`, for [`presence`].
fn topics(topology: &Topology, read: bool) -> BTreeMap<String, i64> {
    let subs = topology.sub_topologies().iter();
    let named = |topic: &TopicRef| (topic.name(), 1);
    match read {
        true => subs.flat_map(|sub| sub.source_topics()).map(named).collect(),
        false => subs.flat_map(|sub| sub.sink_topics()).map(named).collect(),
    }
}

fn presence(before: &BTreeMap<String, i64>, now: &BTreeMap<String, i64>) -> BTreeMap<String, bool> {
    let added = now
        .keys()
        .filter(|name| !before.contains_key(*name))
        .map(|name| (name.clone(), true));
    let removed = before
        .keys()
        .filter(|name| !now.contains_key(*name))
        .map(|name| (name.clone(), false));
    added.chain(removed).collect()
}

fn repartitions(old: &Topology, new: &Topology) -> BTreeMap<String, (Option<i32>, Option<i32>)> {
    let both = new.repartitions().iter().filter_map(|(name, now)| {
        let before = old.repartitions().get(name)?;
        (before != now).then(|| (name.clone(), (*before, *now)))
    });
    both.collect()
}

fn operators(old: &Topology, new: &Topology) -> BTreeMap<String, i64> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for (topology, weight) in [(old, -1), (new, 1)] {
        for node in topology.sub_topologies().iter().flat_map(|sub| sub.nodes()) {
            if matches!(node.kind, NodeKind::Processor { .. }) {
                *counts.entry(kind_or_name(&node.name).to_owned()).or_default() += weight;
            }
        }
    }
    counts.retain(|_, count| *count != 0);
    counts
}

/// `KSTREAM-FILTER-0000000003` is a filter; a name without such a number is the user's.
fn kind_or_name(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((kind, number)) if number.len() == 10 && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            kind
        }
        _ => name,
    }
}

impl fmt::Display for TopologyDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "no difference");
        }
        for (store, change) in &self.stores {
            match change {
                StoreChange::Added => writeln!(f, "+ store {store}"),
                StoreChange::Removed => writeln!(f, "- store {store}"),
                StoreChange::Shape { before, now } => writeln!(f, "~ store {store}: was {before}, is {now}"),
                StoreChange::Changelog { logged: true } => {
                    writeln!(f, "~ store {store}: has a changelog now")
                }
                StoreChange::Changelog { logged: false } => {
                    writeln!(f, "~ store {store}: has no changelog any more")
                }
                StoreChange::Neighbours { before, now } => {
                    let (before, now) = (before.join(", "), now.join(", "));
                    writeln!(
                        f,
                        "~ store {store}: was in a sub-topology with [{before}], is with [{now}]"
                    )
                }
            }?;
        }
        let sign = |is_new: &bool| if *is_new { '+' } else { '-' };
        for (topic, is_new) in &self.sources {
            writeln!(f, "{} reads topic {topic}", sign(is_new))?;
        }
        for (topic, is_new) in &self.sinks {
            writeln!(f, "{} writes topic {topic}", sign(is_new))?;
        }
        let asked =
            |count: &Option<i32>| count.map_or_else(|| "any number of".to_owned(), |count| count.to_string());
        for (name, (before, now)) in &self.repartitions {
            let (before, now) = (asked(before), asked(now));
            writeln!(
                f,
                "~ repartition {name}: was to have {before} partitions, is to have {now}"
            )?;
        }
        for (operator, count) in &self.operators {
            let (sign, times) = (if *count > 0 { '+' } else { '-' }, count.unsigned_abs());
            match times {
                1 => writeln!(f, "{sign} operator {operator}")?,
                times => writeln!(f, "{sign} operator {operator}, {times} times")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "diff_test.rs"]
mod diff_test;
