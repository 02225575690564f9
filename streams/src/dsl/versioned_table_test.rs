//! Versioned tables of every kind: what they forward, and what they were at any time, whatever made them.

use std::time::Duration;

use super::table_test_support::{pipe, read, write_changes};
use super::test_hosts::{ALL_HOSTS, bench};
use super::{Grouped, KTable, Materialized, StreamsBuilder, TableJoined};
use crate::config::ProcessingConfig;
use crate::serde::{Data, DefaultSerde};

fn versioned<A: Data + DefaultSerde>(history_ms: u64) -> Materialized<A> {
    Materialized::default().versioned(Duration::from_millis(history_ms))
}

fn seen(table: &KTable<Option<String>, String>) {
    table
        .to_stream()
        .map(|key, value| (key.unwrap_or_default(), value))
        .to("out");
}

/// Runs the topology in memory and on RocksDB and compares what came out of "out".
fn expect(build: impl Fn(&StreamsBuilder), records: &[(&str, &str, &str, i64)], expected: &[&str]) {
    for hosts in ALL_HOSTS {
        for every_update in [false, true] {
            let builder = StreamsBuilder::new();
            build(&builder);
            let config = ProcessingConfig {
                emit_every_update: every_update,
                ..ProcessingConfig::default()
            };
            let topology = builder.build().expect("a sound topology");
            let mut bench = bench(&topology, hosts, true, config);
            for (topic, key, value, timestamp) in records {
                let input = bench.driver.input(topic);
                pipe(&mut bench.driver, &input, key, value, *timestamp);
            }
            let found = read(&mut bench.driver, "out");
            assert_eq!(found, expected, "{hosts:?}, every update {every_update}");
        }
    }
}

/// What the store "kept" was for the key "a", as `value from-to`.
fn history(build: impl Fn(&StreamsBuilder), records: &[(&str, &str, &str, i64)]) -> Vec<String> {
    let builder = StreamsBuilder::new();
    build(&builder);
    let topology = builder.build().expect("a sound topology");
    let mut bench = bench(&topology, ALL_HOSTS[1], true, ProcessingConfig::default());
    for (topic, key, value, timestamp) in records {
        let input = bench.driver.input(topic);
        pipe(&mut bench.driver, &input, key, value, *timestamp);
    }
    let store = bench
        .driver
        .query::<String, String>("kept")
        .expect("there is a store");
    let versions = store
        .versions(&"a".to_owned(), i64::MIN, i64::MAX)
        .expect("it is versioned");
    let line = |version: crate::query::VersionedRecord<String>| {
        let to = version.valid_to_ms.map_or_else(String::new, |to| to.to_string());
        format!("{} {}-{to}", version.value, version.valid_from_ms)
    };
    versions.into_iter().map(line).collect()
}

const UNORDERED: [(&str, &str, &str, i64); 5] = [
    ("in", "a", "x", 10),
    ("in", "a", "y", 30),
    ("in", "a", "z", 20),
    ("in", "a", "", 25),
    ("in", "a", "w", 40),
];

#[test]
fn an_update_of_the_past_is_seen_in_the_stream_of_updates_and_left_out_of_aggregates() {
    expect(
        |builder| {
            let table = builder.stream::<Option<String>, Option<String>>("in");
            let table = table.to_table_with_tombstones_with("kept", Grouped::default(), versioned(100));
            seen(&table);
        },
        &UNORDERED,
        &["a x@10", "a y@30", "a z@20", "a null@25", "a w@40"],
    );
    expect(
        |builder| {
            let table = builder.table_with::<Option<String>, String>(
                "in",
                "kept",
                super::Consumed::default(),
                versioned(100),
            );
            let grouped = table.group_by(|_, value| (Some("all".to_owned()), value));
            let gathered = grouped.aggregate(
                "gathered",
                String::new,
                |_, value, so_far| format!("{so_far}+{value}"),
                |_, value, so_far| format!("{so_far}-{value}"),
            );
            seen(&gathered);
        },
        &UNORDERED,
        &["all +x@10", "all +x-x+y@30", "all +x-x+y-y+w@40"],
    );
}

#[test]
fn views_with_versions_of_their_own_take_the_past_of_the_table_above_into_theirs() {
    let build = |builder: &StreamsBuilder| {
        let table = builder.table_with::<Option<String>, String>(
            "in",
            "table",
            super::Consumed::default(),
            versioned(100),
        );
        let upper = |_: &Option<String>, value: String| value.to_uppercase();
        seen(&table.map_values_with("kept", upper, versioned(100)));
    };
    expect(
        build,
        &UNORDERED,
        &["a X@10", "a Y@30", "a Z@20", "a null@25", "a W@40"],
    );
    assert_eq!(
        history(build, &UNORDERED),
        ["X 10-20", "Z 20-25", "Y 30-40", "W 40-"]
    );
}

#[test]
fn a_filter_with_versions_tells_when_an_entry_was_not_there() {
    let build = |builder: &StreamsBuilder| {
        let table = builder.table_with::<Option<String>, String>(
            "in",
            "table",
            super::Consumed::default(),
            versioned(100),
        );
        seen(&table.filter_with("kept", |_, value| value != "y", versioned(100)));
    };
    expect(
        build,
        &UNORDERED,
        &["a x@10", "a null@30", "a z@20", "a null@25", "a w@40"],
    );
    assert_eq!(history(build, &UNORDERED), ["x 10-20", "z 20-25", "w 40-"]);
}

#[test]
fn aggregates_with_versions_hold_from_the_later_time_on() {
    let build = |builder: &StreamsBuilder| {
        let grouped = builder
            .stream::<Option<String>, Option<String>>("in")
            .group_by_key();
        let add = |_: &Option<String>, value: &Option<String>, so_far: String| {
            format!("{so_far}{}", value.as_deref().unwrap_or_default())
        };
        seen(&grouped.aggregate_with("kept", String::new, add, versioned(100)));
    };
    expect(build, &UNORDERED, &["a x@10", "a xy@30", "a xyz@30", "a xyzw@40"]);
    assert_eq!(history(build, &UNORDERED), ["x 10-30", "xyz 30-40", "xyzw 40-"]);
}

#[test]
fn aggregates_of_tables_and_joins_keep_versions_too() {
    let build = |builder: &StreamsBuilder| {
        let grouped = builder
            .table::<Option<String>, String>("in", "in")
            .group_by(|_, value| (Some("a".to_owned()), value));
        let with = |_: &Option<String>, value: &String, so_far: String| so_far + value;
        let without = |_: &Option<String>, value: &String, so_far: String| so_far.replacen(value, "", 1);
        let table = grouped.aggregate_with("kept", String::new, with, without, versioned(100));
        write_changes(&table.map_values(|value| format!("[{value}]")), "changes");
        seen(&table);
    };
    let records = [("in", "k", "x", 10), ("in", "l", "y", 30), ("in", "k", "", 50)];
    expect(build, &records, &["a x@10", "a xy@30", "a y@50"]);
    assert_eq!(history(build, &records), ["x 10-30", "xy 30-50", "y 50-"]);

    let both = |left: &String, right: &String| format!("{left}{right}");
    let build = move |builder: &StreamsBuilder| {
        let left = builder.table::<Option<String>, String>("in", "left");
        let right = builder.table::<Option<String>, String>("right", "right");
        seen(&left.join_with("kept", &right, both, versioned(100)));
    };
    let records = [
        ("in", "a", "x", 10),
        ("right", "a", "1", 30),
        ("in", "a", "y", 40),
        ("in", "a", "", 60),
    ];
    expect(build, &records, &["a x1@30", "a y1@40", "a null@60"]);
    assert_eq!(history(build, &records), ["x1 30-40", "y1 40-60"]);

    let build = move |builder: &StreamsBuilder| {
        let left = builder.table::<Option<String>, String>("in", "left");
        let right = builder.table::<Option<String>, String>("right", "right");
        let foreign = |_: &Option<String>, value: &String| Some(Some(value.clone()));
        let options = TableJoined::default();
        seen(&left.foreign_key_join_with("kept", &right, foreign, both, options, versioned(100)));
    };
    let records = [
        ("right", "x", "1", 10),
        ("in", "a", "x", 30),
        ("right", "x", "2", 40),
        ("in", "a", "", 60),
    ];
    expect(build, &records, &["a x1@30", "a x2@40", "a null@60"]);
    assert_eq!(history(build, &records), ["x1 30-40", "x2 40-60"]);
}
