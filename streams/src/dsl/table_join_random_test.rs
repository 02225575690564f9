//! Joins of tables against a batch computation: whatever the kind of join, the kind of table on each side, the cutting of the input and the cache, what
//! is there at the end is the join of what the sides hold at the end, and so is what was aggregated from it.

use std::collections::BTreeMap;

use super::test_hosts::{ALL_HOSTS, Hosts, bench};
use super::{KTable, Materialized, StreamsBuilder};
use crate::config::ProcessingConfig;
use crate::testing::{TestRecord, TopologyTestDriver};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Inner,
    Left,
    Outer,
    ForeignInner,
    ForeignLeft,
}

const KINDS: [Kind; 5] = [
    Kind::Inner,
    Kind::Left,
    Kind::Outer,
    Kind::ForeignInner,
    Kind::ForeignLeft,
];

/// What a side of the join is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// A topic as a table.
    Topic,
    /// A view of it, without and with a store.
    View,
    Stored,
    /// An aggregate, which keeps the values it saw last longer than its changes.
    Longest,
    /// A view of an aggregate that is not joined itself, so that it waits for the commit.
    OfAggregate,
}

const SIDES: [Side; 5] = [
    Side::Topic,
    Side::View,
    Side::Stored,
    Side::Longest,
    Side::OfAggregate,
];

type Table = KTable<String, String>;
type Model = BTreeMap<String, String>;

/// Values such as `r2a`; what comes through a view begins with `v`.
fn view(value: &str) -> Option<String> {
    (!value.ends_with('d')).then(|| value.to_uppercase())
}

fn longer(so_far: String, value: &str) -> String {
    if value.len() >= so_far.len() {
        value.to_owned()
    } else {
        so_far
    }
}

fn side(builder: &StreamsBuilder, topic: &str, side: Side) -> Table {
    let name = format!("{topic}-table");
    let longest = |name: &str| {
        let values = builder.stream::<String, Option<String>>(topic);
        let values = values
            .filter(|_, value| value.is_some())
            .map_values(Option::unwrap_or_default);
        values
            .group_by_key()
            .aggregate(name, String::new, |_, value, so_far| longer(so_far, value))
    };
    let viewed = |_: &String, value: &String| view(value).is_some();
    let upper = |_: &String, value: String| value.to_uppercase();
    match side {
        Side::Topic => builder.table(topic, &name),
        Side::View => builder
            .table(topic, &name)
            .filter(viewed)
            .map_values(|value| value.to_uppercase()),
        Side::Stored => builder.table(topic, &name).filter(viewed).map_values_with(
            &format!("{topic}-view"),
            upper,
            Materialized::default(),
        ),
        Side::Longest => longest(&name),
        Side::OfAggregate => {
            longest(&name).map_values_with(&format!("{topic}-view"), upper, Materialized::default())
        }
    }
}

/// What the side holds after these records.
fn held(records: &[(String, Option<String>)], side: Side) -> Model {
    let mut model = Model::new();
    for (key, value) in records {
        match (side, value) {
            (Side::Longest | Side::OfAggregate, Some(value)) => {
                let so_far = model.remove(key).unwrap_or_default();
                model.insert(key.clone(), longer(so_far, value));
            }
            (Side::Longest | Side::OfAggregate, None) => {}
            (_, Some(value)) => _ = model.insert(key.clone(), value.clone()),
            (_, None) => _ = model.remove(key),
        }
    }
    match side {
        Side::Topic | Side::Longest => model,
        Side::View | Side::Stored => {
            let viewed = model
                .into_iter()
                .filter_map(|(key, value)| Some((key, view(&value)?)));
            viewed.collect()
        }
        Side::OfAggregate => model
            .into_iter()
            .map(|(key, value)| (key, value.to_uppercase()))
            .collect(),
    }
}

fn text(left: Option<&String>, right: Option<&String>) -> String {
    let side = |side: Option<&String>| side.map_or("-".to_owned(), String::clone);
    format!("{}+{}", side(left), side(right))
}

/// The right key in a left value: its first two letters.
fn foreign(value: &str) -> Option<String> {
    let key = value[..2].to_lowercase();
    (key != "r3").then_some(key)
}

fn join(kind: Kind, left: &Table, right: &Table) -> Table {
    match kind {
        Kind::Inner => left.join(right, |left, right| text(Some(left), Some(right))),
        Kind::Left => left.left_join(right, |left, right| text(Some(left), right)),
        Kind::Outer => left.outer_join(right, text),
        Kind::ForeignInner => left.foreign_key_join(
            "joined",
            right,
            |_, value| foreign(value),
            |left, right| text(Some(left), Some(right)),
        ),
        Kind::ForeignLeft => left.foreign_key_left_join(
            "joined",
            right,
            |_, value| foreign(value),
            |left, right| text(Some(left), right),
        ),
    }
}

fn joined(kind: Kind, left: &Model, right: &Model) -> Model {
    let mut model = Model::new();
    for (key, value) in left {
        let partner = match kind {
            Kind::ForeignInner | Kind::ForeignLeft => foreign(value).and_then(|wanted| right.get(&wanted)),
            _ => right.get(key),
        };
        if partner.is_some() || !matches!(kind, Kind::Inner | Kind::ForeignInner) {
            model.insert(key.clone(), text(Some(value), partner));
        }
    }
    if kind == Kind::Outer {
        for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
            model.insert(key.clone(), text(None, Some(value)));
        }
    }
    model
}

/// Every joined value, under its first letter: shows a value that was taken away without having been added.
fn gather(table: &Table) -> KTable<String, String> {
    let without = |bag: String, value: &String| {
        let mut values: Vec<&str> = bag.split(' ').filter(|held| !held.is_empty()).collect();
        match values.iter().position(|held| held == value) {
            Some(place) => _ = values.remove(place),
            None => values.push("MISSING"),
        }
        values.join(" ")
    };
    let with = |bag: String, value: &String| {
        let mut values: Vec<&str> = bag.split(' ').filter(|held| !held.is_empty()).collect();
        values.push(value);
        values.sort_unstable();
        values.join(" ")
    };
    table
        .group_by(|_, value| (value[..1].to_owned(), value))
        .aggregate(
            "gathered",
            String::new,
            move |_, value, bag| with(bag, value),
            move |_, value, bag| without(bag, value),
        )
}

fn gathered(model: &Model) -> Model {
    let mut values: Vec<&String> = model.values().collect();
    values.sort();
    let mut bags: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for value in values {
        bags.entry(value[..1].to_owned()).or_default().push(value);
    }
    bags.into_iter().map(|(key, bag)| (key, bag.join(" "))).collect()
}

type Records = Vec<(String, Option<String>)>;

/// Puts random updates of both sides in, cut at random into batches, commits and aborts; returns what went in.
fn run(driver: &mut TopologyTestDriver, kind: Kind, rng: &mut fastrand::Rng) -> [Records; 2] {
    let inputs = ["left", "right"].map(|topic| driver.input::<String, Option<String>>(topic));
    let mut all = [Records::new(), Records::new()];
    let is_foreign = matches!(kind, Kind::ForeignInner | Kind::ForeignLeft);
    let batch_max = rng.usize(1..8);
    for timestamp in 0..40 {
        let side = usize::from(rng.bool());
        let mut batch = Vec::new();
        for _ in 0..rng.usize(1..=batch_max) {
            let key = match (side, is_foreign) {
                (1, true) => format!("r{}", rng.u8(..3)),
                _ => format!("k{}", rng.u8(..3)),
            };
            let value = format!("r{}{}", rng.u8(..4), ["a", "bb", "c", "d"][rng.usize(..4)]);
            let value = (rng.u8(..4) > 0).then_some(value);
            all[side].push((key.clone(), value.clone()));
            batch.push(TestRecord::new(key, value, timestamp));
        }
        driver.pipe_all(&inputs[side], batch).expect("goes through");
        match rng.u8(..10) {
            0..3 => driver.commit().expect("it commits"),
            3 => driver.abort().expect("what was lost is read again"),
            _ => {}
        }
    }
    driver.commit().expect("it commits");
    all
}

fn check(kind: Kind, sides: [Side; 2], every_update: bool, hosts: Hosts, seed: u64) {
    let builder = StreamsBuilder::new();
    let left = side(&builder, "left", sides[0]);
    let right = side(&builder, "right", sides[1]);
    let table = join(kind, &left, &right);
    table.to_stream().to("out");
    gather(&table);
    let config = ProcessingConfig {
        emit_every_update: every_update,
        ..ProcessingConfig::default()
    };
    let topology = builder.build().expect("a sound topology");
    let mut bench = bench(&topology, hosts, false, config);
    let mut rng = fastrand::Rng::with_seed(seed);
    let [left, right] = run(&mut bench.driver, kind, &mut rng);
    let expected = joined(kind, &held(&left, sides[0]), &held(&right, sides[1]));
    let mut last = Model::new();
    let output = bench.driver.output::<String, Option<String>>("out");
    for record in bench.driver.read(&output).expect("text") {
        match record.value {
            Some(value) => last.insert(record.key, value),
            None => last.remove(&record.key),
        };
    }
    let place = format!("{kind:?} of {sides:?}, every update {every_update}, {hosts:?}, seed {seed}");
    assert_eq!(last, expected, "{place}");
    let found: Model = bench
        .driver
        .entries::<String, String>("gathered")
        .expect("a store")
        .into_iter()
        .filter(|(_, bag)| !bag.is_empty())
        .collect();
    assert_eq!(found, gathered(&expected), "{place}");
}

#[test]
fn any_join_of_any_tables_ends_in_the_join_of_their_ends_with_and_without_cache() {
    for kind in KINDS {
        for left in SIDES {
            for right in SIDES {
                for every_update in [false, true] {
                    for seed in 0..2 {
                        check(kind, [left, right], every_update, Hosts::Memory, seed);
                    }
                }
            }
        }
    }
}

#[test]
fn joins_with_cache_end_in_the_join_of_their_ends_wherever_state_lies() {
    for hosts in ALL_HOSTS {
        for (seed, kind) in (100..).zip(KINDS) {
            check(kind, [Side::Topic, Side::Longest], false, hosts, seed);
        }
    }
}
