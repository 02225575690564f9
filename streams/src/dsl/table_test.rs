//! Cases of Kafka Streams' `KTableSourceTest`, `KTableFilterTest`, `KTableMapValuesTest`, `EmitOnChangeIntegrationTest` and `KStreamImplTest` (`toTable`), with and
//! without coalescing.

use super::table_test_support::{pipe, read, start, write_changes};
use super::{Materialized, StreamsBuilder};
use crate::serde::DefaultSerde;
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

type Nullable = Option<String>;

fn stored() -> Materialized<String> {
    Materialized::default()
}

#[test]
fn a_table_takes_out_of_order_records_skips_null_keys_and_deletes_on_null() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let table = builder.table::<Nullable, String>("in", "table");
        table
            .to_stream()
            .map(|key, value| (key.unwrap_or_default(), value))
            .to("out");
        let mut driver = start(&builder, every_update);
        let input = driver.input("in");
        for (key, value, timestamp) in [
            ("A", "1", 10),
            ("B", "2", 11),
            ("C", "3", 12),
            ("D", "4", 13),
            ("A", "", 14),
            ("B", "", 15),
            ("B", "late", 3),
            ("", "nobody", 20),
        ] {
            pipe(&mut driver, &input, key, value, timestamp);
        }
        let expected = [
            "A 1@10",
            "B 2@11",
            "C 3@12",
            "D 4@13",
            "A null@14",
            "B null@15",
            "B late@3",
        ];
        assert_eq!(read(&mut driver, "out"), expected, "every update: {every_update}");
        assert_eq!(driver.counters().skipped, 1);
        let entries = driver
            .entries::<Nullable, String>("table")
            .expect("the store is there");
        let keys: Vec<_> = entries
            .into_iter()
            .map(|(key, _)| key.unwrap_or_default())
            .collect();
        assert_eq!(keys, ["B", "C", "D"]);
    }
}

#[test]
fn an_update_goes_on_although_it_repeats_the_value() {
    // As in Kafka Streams since KAFKA-12508.
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        builder
            .table::<Nullable, String>("in", "table")
            .to_stream()
            .map(|key, value| (key.unwrap_or_default(), value))
            .to("out");
        let mut driver = start(&builder, every_update);
        let input = driver.input("in");
        for timestamp in [5, 5, 6] {
            pipe(&mut driver, &input, "A", "same", timestamp);
        }
        assert_eq!(read(&mut driver, "out"), ["A same@5", "A same@5", "A same@6"]);
    }
}

#[test]
fn old_values_come_only_when_asked_for() {
    for every_update in [false, true] {
        for asked in [false, true] {
            let builder = StreamsBuilder::new();
            let table = builder.table::<String, String>("in", "table");
            if asked {
                table.enable_old_values();
            }
            write_changes(&table, "out");
            let mut driver = start(&builder, every_update);
            let input = driver.input("in");
            for (key, value, timestamp) in [
                ("A", "1", 10),
                ("B", "1", 11),
                ("A", "2", 8),
                ("A", "", 20),
                ("B", "", 21),
            ] {
                pipe(&mut driver, &input, key, value, timestamp);
            }
            let expected = match asked {
                true => ["A 1<--@10", "B 1<--@11", "A 2<-1@8", "A -<-2@20", "B -<-1@21"],
                false => ["A 1<--@10", "B 1<--@11", "A 2<--@8", "A -<--@20", "B -<--@21"],
            };
            assert_eq!(read(&mut driver, "out"), expected);
        }
    }
}

#[test]
fn updates_of_one_commit_are_coalesced_with_the_value_the_receivers_know() {
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("in", "table");
    table.enable_old_values();
    write_changes(&table, "out");
    let mut driver = start(&builder, false);
    let input = driver.input::<String, Option<String>>("in");
    let batch = |pairs: &[(&str, &str, i64)]| {
        let record = |(key, value, timestamp): &(&str, &str, i64)| {
            let value = (!value.is_empty()).then(|| (*value).to_owned());
            TestRecord::new((*key).to_owned(), value, *timestamp)
        };
        pairs.iter().map(record).collect::<Vec<_>>()
    };
    driver
        .pipe_all(
            &input,
            batch(&[
                ("A", "1", 1),
                ("B", "1", 2),
                ("A", "2", 3),
                ("C", "1", 4),
                ("C", "", 5),
            ]),
        )
        .expect("goes through");
    // C came and went: nobody needs to hear of it.
    assert_eq!(read(&mut driver, "out"), ["A 2<--@3", "B 1<--@2"]);
    driver
        .pipe_all(
            &input,
            batch(&[("B", "", 6), ("A", "3", 7), ("B", "9", 8), ("A", "", 9)]),
        )
        .expect("goes through");
    assert_eq!(read(&mut driver, "out"), ["B 9<-1@8", "A -<-2@9"]);
}

#[test]
fn a_deletion_of_what_is_not_there_goes_on_only_uncoalesced() {
    for (every_update, expected) in [(false, vec![]), (true, vec!["A null@1"])] {
        let builder = StreamsBuilder::new();
        builder
            .table::<Nullable, String>("in", "table")
            .to_stream()
            .map(|key, value| (key.unwrap_or_default(), value))
            .to("out");
        let mut driver = start(&builder, every_update);
        let input = driver.input("in");
        pipe(&mut driver, &input, "A", "", 1);
        assert_eq!(read(&mut driver, "out"), expected);
    }
}

#[test]
fn a_lost_transaction_takes_the_coalesced_updates_with_it() {
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("in", "table");
    table.enable_old_values();
    write_changes(&table, "out");
    let options = DriverOptions {
        auto_commit: false,
        ..DriverOptions::default()
    };
    let topology = builder.build().expect("a sound topology");
    let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
    let input = driver.input("in");
    pipe(&mut driver, &input, "A", "1", 1);
    driver.commit().expect("it commits");
    pipe(&mut driver, &input, "A", "2", 2);
    driver.abort().expect("it goes back");
    pipe(&mut driver, &input, "A", "3", 3);
    driver.commit().expect("it commits");
    assert_eq!(read(&mut driver, "out"), ["A 1<--@1", "A 3<-1@3"]);
}

/// The numbers of `KTableFilterTest`: even ones pass.
const FILTERED: [(&str, &str, i64); 7] = [
    ("A", "1", 5),
    ("B", "1", 10),
    ("A", "2", 15),
    ("B", "2", 8),
    ("A", "3", 20),
    ("A", "", 10),
    ("B", "", 20),
];

#[expect(clippy::ptr_arg, reason = "the filter calls it with the table's types")]
fn is_even(_: &String, value: &String) -> bool {
    value.parse::<i64>().is_ok_and(|number| number % 2 == 0)
}

#[test]
fn a_filter_deletes_what_it_let_through_and_nothing_else() {
    for every_update in [false, true] {
        for store in [false, true] {
            let builder = StreamsBuilder::new();
            let table = builder.table::<String, String>("in", "table");
            let filtered = match store {
                false => table.filter(is_even),
                true => table.filter_with("even", is_even, stored()),
            };
            write_changes(&filtered, "out");
            let mut driver = start(&builder, every_update);
            let input = driver.input("in");
            for (key, value, timestamp) in FILTERED {
                pipe(&mut driver, &input, key, value, timestamp);
            }
            let expected = ["A 2<--@15", "B 2<--@8", "A -<-2@20", "B -<-2@20"];
            assert_eq!(read(&mut driver, "out"), expected, "store: {store}");
            if store {
                assert_eq!(driver.entries::<String, String>("even").expect("a store"), []);
            }
        }
    }
}

#[test]
fn filter_not_is_the_rest_of_filter() {
    for store in [false, true] {
        let builder = StreamsBuilder::new();
        let table = builder.table::<String, String>("in", "table");
        let odd = match store {
            false => table.filter_not(is_even),
            true => table.filter_not_with("odd", is_even, stored()),
        };
        write_changes(&odd, "out");
        let mut driver = start(&builder, true);
        let input = driver.input("in");
        for (key, value, timestamp) in FILTERED {
            pipe(&mut driver, &input, key, value, timestamp);
        }
        let expected = [
            "A 1<--@5",
            "B 1<--@10",
            "A -<-1@15",
            "B -<-1@8",
            "A 3<--@20",
            "A -<-3@10",
        ];
        assert_eq!(read(&mut driver, "out"), expected);
    }
}

#[test]
fn mapped_values_have_mapped_old_values() {
    for every_update in [false, true] {
        for store in [false, true] {
            let builder = StreamsBuilder::new();
            let table = builder.table::<String, String>("in", "table");
            let map = |key: &String, value: String| format!("{key}{value}{value}");
            let mapped = match store {
                false => table.map_values_with_key(map),
                true => table.map_values_with("mapped", map, stored()),
            };
            mapped.enable_old_values();
            write_changes(&mapped, "out");
            let mut driver = start(&builder, every_update);
            let input = driver.input("in");
            for (key, value, timestamp) in [("A", "1", 5), ("B", "1", 10), ("A", "2", 10), ("B", "", 30)] {
                pipe(&mut driver, &input, key, value, timestamp);
            }
            let expected = ["A A11<--@5", "B B11<--@10", "A A22<-A11@10", "B -<-B11@30"];
            assert_eq!(read(&mut driver, "out"), expected);
        }
    }
}

#[test]
fn a_stream_becomes_a_table_behind_a_repartition_if_its_key_changed() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .select_key(|_, value| value.clone())
        .to_table("by-value");
    builder.stream::<String, String>("in2").to_table("by-key");
    let options = DriverOptions {
        partitions: [("in".to_owned(), 3), ("in2".to_owned(), 2)].into(),
        ..DriverOptions::default()
    };
    let topology = builder.build().expect("a sound topology");
    let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
    let input = driver.input::<String, String>("in");
    let records = (0..30).map(|n| TestRecord::new(format!("k{n}"), format!("v{}", n % 3), n));
    driver.pipe_all(&input, records).expect("goes through");
    let entries = driver.entries::<String, String>("by-value").expect("a store");
    let keys: Vec<_> = entries.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["v0", "v1", "v2"]);
    let internal: Vec<_> = driver
        .plan()
        .internal_topics
        .iter()
        .map(|topic| format!("{} {}", topic.name, topic.partitions))
        .collect();
    assert_eq!(
        internal,
        [
            "test-by-value-repartition 3",
            "test-by-value-changelog 3",
            "test-by-key-changelog 2",
            "test-dead-letters 1"
        ]
    );
}

#[test]
fn a_stream_with_nulls_becomes_a_table_that_deletes() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let table = builder
            .stream::<String, Option<String>>("in")
            .to_table_with_tombstones("table");
        table.enable_old_values();
        write_changes(&table, "out");
        let mut driver = start(&builder, every_update);
        let input = driver.input("in");
        for (key, value, timestamp) in [("A", "1", 1), ("A", "2", 2), ("A", "", 3)] {
            pipe(&mut driver, &input, key, value, timestamp);
        }
        assert_eq!(read(&mut driver, "out"), ["A 1<--@1", "A 2<-1@2", "A -<-2@3"]);
    }
}

#[test]
fn aggregates_send_old_values_when_asked() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let sums = builder.stream::<String, i64>("in").group_by_key();
        let sums = sums.reduce("sums", |sum, value| (sum + value != 0).then_some(sum + value));
        sums.enable_old_values();
        write_changes(&sums, "out");
        let mut driver = start(&builder, every_update);
        let input = driver.input::<String, i64>("in");
        for (value, timestamp) in [(5, 1), (2, 2), (-7, 3), (1, 4)] {
            driver
                .pipe(&input, "A".to_owned(), value, timestamp)
                .expect("goes through");
        }
        assert_eq!(
            read(&mut driver, "out"),
            ["A 5<--@1", "A 7<-5@2", "A -<-7@3", "A 1<--@4"]
        );
        let batch = [2, -3, 4].map(|value| TestRecord::new("A".to_owned(), value, 5));
        driver.pipe_all(&input, batch).expect("goes through");
        let expected = match every_update {
            false => vec!["A 4<-1@5"],
            true => vec!["A 3<-1@5", "A -<-3@5", "A 4<--@5"],
        };
        assert_eq!(read(&mut driver, "out"), expected);
    }
}

#[test]
fn an_aggregate_that_came_and_went_within_a_commit_is_not_forwarded() {
    let builder = StreamsBuilder::new();
    let sums = builder.stream::<String, i64>("in").group_by_key();
    let sums = sums.reduce("sums", |sum, value| (sum + value != 0).then_some(sum + value));
    write_changes(&sums, "out");
    let mut driver = start(&builder, false);
    let input = driver.input::<String, i64>("in");
    let batch = [2, -2].map(|value| TestRecord::new("A".to_owned(), value, 5));
    driver.pipe_all(&input, batch).expect("goes through");
    assert_eq!(read(&mut driver, "out"), Vec::<String>::new());
    assert_eq!(driver.entries::<String, i64>("sums").expect("a store"), []);
}

#[test]
fn serdes_of_a_materialized_filter_are_those_it_was_given() {
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("in", "table");
    table.filter_with(
        "kept",
        |_, value| !value.is_empty(),
        Materialized::with(String::default_serde()).without_changelog(),
    );
    let topology = builder.build().expect("a sound topology");
    let stores = topology.sub_topologies()[0].stores();
    assert_eq!(
        stores
            .iter()
            .map(|store| (store.name.as_str(), store.logged))
            .collect::<Vec<_>>(),
        [("kept", false), ("table", true)]
    );
}
