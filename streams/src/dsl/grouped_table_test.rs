//! Cases of Kafka Streams' `KTableAggregateTest`, `KTableReduceTest` and `KGroupedTableImplTest`, with and without coalescing.

use super::table_test_support::{pipe, read, start, write_changes};
use super::{KGroupedTable, StreamsBuilder};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

/// Strings with every addition and subtraction written down, as Kafka Streams' mocks do.
fn recorded(
    grouped: &KGroupedTable<Option<String>, Option<String>>,
) -> super::KTable<Option<String>, String> {
    grouped.aggregate(
        "recorded",
        || "0".to_owned(),
        |_, value, so_far| format!("{so_far}+{}", value.as_deref().unwrap_or_default()),
        |_, value, so_far| format!("{so_far}-{}", value.as_deref().unwrap_or_default()),
    )
}

fn run(builder: &StreamsBuilder, every_update: bool, records: &[(&str, &str, i64)]) -> Vec<String> {
    let mut driver = start(builder, every_update);
    let input = driver.input("in");
    for (key, value, timestamp) in records {
        pipe(&mut driver, &input, key, value, *timestamp);
    }
    read(&mut driver, "out")
}

#[test]
fn an_update_under_the_same_key_subtracts_before_it_adds() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let grouped = builder
            .table::<String, String>("in", "in")
            .group_by(|key, value| (Some(key.clone()), Some(value)));
        recorded(&grouped)
            .to_stream()
            .map(|key, value| (key.unwrap_or_default(), value))
            .to("out");
        let records = [
            ("A", "1", 10),
            ("B", "2", 15),
            ("A", "3", 20),
            ("B", "4", 18),
            ("C", "5", 5),
            ("D", "6", 25),
            ("B", "7", 15),
            ("C", "8", 10),
        ];
        let expected = [
            "A 0+1@10",
            "B 0+2@15",
            "A 0+1-1+3@20",
            "B 0+2-2+4@18",
            "C 0+5@5",
            "D 0+6@25",
            "B 0+2-2+4-4+7@18",
            "C 0+5-5+8@10",
        ];
        assert_eq!(run(&builder, every_update, &records), expected);
    }
}

#[test]
fn an_update_that_changes_its_key_goes_to_both_and_null_keys_to_none() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let grouped = builder
            .table::<String, String>("in", "in")
            .group_by(|key, value| match key.as_str() {
                "null" => (None, Some(value)),
                "NULL" => (Some(value), None),
                _ => (Some(value.clone()), Some(value)),
            });
        recorded(&grouped)
            .to_stream()
            .map(|key, value| (key.unwrap_or_default(), value))
            .to("out");
        let records = [
            ("A", "1", 10),
            ("A", "", 15),
            ("A", "1", 12),
            ("B", "2", 20),
            ("null", "3", 25),
            ("B", "4", 23),
            ("NULL", "5", 24),
            ("B", "7", 22),
        ];
        let expected = [
            "1 0+1@10",
            "1 0+1-1@15",
            "1 0+1-1+1@15",
            "2 0+2@20",
            "2 0+2-2@23",
            "4 0+4@23",
            "4 0+4-4@23",
            "7 0+7@22",
        ];
        assert_eq!(run(&builder, every_update, &records), expected);
    }
}

#[test]
fn counts_go_up_and_down() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let counts = builder
            .table::<String, String>("in", "in")
            .group_by(|_, value| (value.clone(), value))
            .count("counts");
        counts.map_values(|count| count.to_string()).to_stream().to("out");
        let records = [
            ("A", "green", 10),
            ("B", "green", 9),
            ("A", "blue", 12),
            ("C", "yellow", 15),
            ("D", "green", 11),
        ];
        let expected = [
            "green 1@10",
            "green 2@10",
            "green 1@12",
            "blue 1@12",
            "yellow 1@15",
            "green 2@12",
        ];
        assert_eq!(run(&builder, every_update, &records), expected);
    }
}

#[test]
fn a_key_without_entries_keeps_its_count_of_nothing() {
    let builder = StreamsBuilder::new();
    let counts = builder
        .table::<String, String>("in", "in")
        .group_by(|_, value| (value.clone(), value))
        .count("counts");
    counts.map_values(|count| count.to_string()).to_stream().to("out");
    assert_eq!(
        run(&builder, true, &[("A", "x", 1), ("A", "", 2)]),
        ["x 1@1", "x 0@2"]
    );
}

#[test]
fn old_values_are_removed_before_new_ones_are_added() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let grouped = builder.table::<String, String>("in", "in").group_by(|key, _| {
            let (group, member) = key.split_at(1);
            (group.to_owned(), member.to_owned())
        });
        let members = grouped.aggregate(
            "members",
            String::new,
            |_, value, so_far| format!("{so_far}{value}"),
            |_, value, so_far| so_far.replace(value.as_str(), ""),
        );
        members.to_stream().to("out");
        let records = [("11", "A", 10), ("12", "B", 8), ("11", "", 12), ("12", "C", 6)];
        assert_eq!(
            run(&builder, every_update, &records),
            ["1 1@10", "1 12@10", "1 2@12", "1 2@12"]
        );
    }
}

#[test]
fn a_key_that_stays_sends_one_result_and_not_two() {
    let builder = StreamsBuilder::new();
    let counts = builder
        .table::<String, String>("in", "in")
        .group_by(|key, value| (key.clone(), value))
        .count("counts");
    counts.map_values(|count| count.to_string()).to_stream().to("out");
    assert_eq!(
        run(&builder, true, &[("1", "a", 8), ("1", "b", 9)]),
        ["1 1@8", "1 1@9"]
    );
}

#[test]
fn reduce_starts_with_the_first_value_and_none_deletes() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let sums = builder
            .table::<String, String>("in", "in")
            .group_by(|_, value| ("sum".to_owned(), value.len() as i64))
            .reduce(
                "sums",
                |sum, value| sum + value,
                |sum, value| (sum != *value).then(|| sum - value),
            );
        sums.enable_old_values();
        write_changes(&sums, "out");
        let records = [
            ("A", "xxx", 1),
            ("B", "x", 2),
            ("A", "xx", 3),
            ("B", "", 4),
            ("A", "", 5),
            ("C", "x", 6),
        ];
        let expected = [
            "sum 3<--@1",
            "sum 4<-3@2",
            "sum 3<-4@3",
            "sum 2<-3@4",
            "sum -<-2@5",
            "sum 1<--@6",
        ];
        assert_eq!(run(&builder, every_update, &records), expected);
    }
}

#[test]
fn both_halves_reach_the_tasks_of_their_keys() {
    let builder = StreamsBuilder::new();
    builder
        .table::<String, String>("in", "in")
        .group_by(|_, value| (value.clone(), value))
        .count("counts");
    let options = DriverOptions {
        partitions: [("in".to_owned(), 4)].into(),
        ..DriverOptions::default()
    };
    let topology = builder.build().expect("a sound topology");
    let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
    let input = driver.input::<String, Option<String>>("in");
    let mut rng = fastrand::Rng::with_seed(7);
    let mut model = std::collections::BTreeMap::new();
    for timestamp in 0..300 {
        let key = format!("k{}", rng.u8(..20));
        let value = (rng.u8(..5) > 0).then(|| format!("v{}", rng.u8(..6)));
        model.insert(key.clone(), value.clone());
        driver
            .pipe_all(&input, [TestRecord::new(key, value, timestamp)])
            .expect("goes through");
    }
    let mut expected = std::collections::BTreeMap::new();
    for value in model.into_values().flatten() {
        *expected.entry(value).or_insert(0_u64) += 1;
    }
    let mut found = driver.entries::<String, u64>("counts").expect("a store");
    found.retain(|(_, count)| *count > 0);
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_repartitioned_change_that_is_damaged_becomes_a_dead_letter() {
    let builder = StreamsBuilder::new();
    builder
        .table::<String, String>("in", "in")
        .group_by(|_, value| (value.clone(), value))
        .count("counts");
    let mut driver = start(&builder, false);
    driver
        .pipe_raw("test-counts-repartition", Some(b"k"), Some(b"\x09"), 1)
        .expect("goes through");
    assert_eq!(driver.dead_letters().len(), 1);
}
