//! Joins of a stream with a global table: Kafka Streams' situations, and the table itself.

use super::test_hosts::{ALL_HOSTS, Bench, bench};
use super::{GlobalKTable, Joined, StreamsBuilder};
use crate::config::ProcessingConfig;
use crate::testing::{DriverOptions, TestInputTopic, TopologyTestDriver};
use crate::topology::Topology;

type Texts<K> = TestInputTopic<Option<K>, Option<String>>;

/// The value of a record may name the key of its entry behind a comma.
fn named_key(value: &Option<String>) -> Option<String> {
    let (_, key) = value.as_deref()?.split_once(',')?;
    Some(key.to_owned())
}

fn topology(is_left: bool) -> Topology {
    let builder = StreamsBuilder::new();
    let table: GlobalKTable<Option<String>, String> = builder.global_table("table", "global");
    let stream = builder.stream::<Option<i64>, Option<String>>("stream");
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let select = |_: &Option<i64>, value: &Option<String>| named_key(value);
    let out = if is_left {
        let join = move |value: &Option<String>, entry: Option<&String>| {
            format!("{}+{}", text(value), entry.map_or("null", String::as_str))
        };
        stream.left_join_global_table(&table, select, join, Joined::named("j"))
    } else {
        let join = move |value: &Option<String>, entry: &String| format!("{}+{entry}", text(value));
        stream.join_global_table(&table, select, join, Joined::named("j"))
    };
    out.to("out");
    builder.build().unwrap()
}

struct World {
    bench: Bench,
    table: Texts<String>,
    stream: Texts<i64>,
    time: i64,
}

impl World {
    fn push_table(&mut self, count: i64, prefix: Option<&str>) {
        for key in 0..count {
            let value = prefix.map(|prefix| format!("{prefix}{key}"));
            let driver = &mut self.bench.driver;
            driver
                .pipe(&self.table, Some(format!("F{key}")), value, 0)
                .unwrap();
        }
        assert_eq!(self.results(), [""; 0], "changes of the table bring no results");
    }

    /// Records of keys from 0 on; each names the entry of its own number, or none.
    fn push_stream(
        &mut self,
        count: i64,
        prefix: &str,
        names_entry: bool,
        first_key_is_null: bool,
    ) -> Vec<String> {
        for number in 0..count {
            let key = Some(number).filter(|number| *number > 0 || !first_key_is_null);
            let entry = if names_entry {
                format!(",F{number}")
            } else {
                String::new()
            };
            let value = Some(format!("{prefix}{number}{entry}"));
            self.bench
                .driver
                .pipe(&self.stream, key, value, self.time)
                .unwrap();
            self.time += 1;
        }
        self.results()
    }

    fn results(&mut self) -> Vec<String> {
        let out = self.bench.driver.output::<Option<i64>, String>("out");
        let records = self.bench.driver.read(&out).unwrap().into_iter();
        let line = |record: crate::testing::TestRecord<Option<i64>, String>| {
            let key = record.key.map_or("null".to_owned(), |key| key.to_string());
            format!("{key}:{}@{}", record.value, record.timestamp)
        };
        records.map(line).collect()
    }
}

fn each_world(is_left: bool, run: impl Fn(&mut World)) {
    for hosts in ALL_HOSTS {
        let bench = bench(&topology(is_left), hosts, true, ProcessingConfig::default());
        let (table, stream) = (bench.driver.input("table"), bench.driver.input("stream"));
        run(&mut World {
            bench,
            table,
            stream,
            time: 0,
        });
    }
}

#[test]
fn records_meet_the_entry_they_name_and_only_records_bring_results() {
    each_world(false, |world| {
        assert_eq!(world.push_stream(2, "X", true, false), [""; 0]);
        world.push_table(2, Some("Y"));
        assert_eq!(
            world.push_stream(4, "X", true, false),
            ["0:X0,F0+Y0@2", "1:X1,F1+Y1@3"]
        );
        world.push_table(4, Some("YY"));
        let all = ["0:X0,F0+YY0@6", "1:X1,F1+YY1@7", "2:X2,F2+YY2@8", "3:X3,F3+YY3@9"];
        assert_eq!(world.push_stream(4, "X", true, false), all);
        world.push_table(2, None);
        assert_eq!(
            world.push_stream(4, "XX", true, false),
            ["2:XX2,F2+YY2@12", "3:XX3,F3+YY3@13"]
        );
    });
    each_world(true, |world| {
        assert_eq!(
            world.push_stream(2, "X", true, false),
            ["0:X0,F0+null@0", "1:X1,F1+null@1"]
        );
        world.push_table(1, Some("Y"));
        assert_eq!(
            world.push_stream(2, "X", true, false),
            ["0:X0,F0+Y0@2", "1:X1,F1+null@3"]
        );
        world.push_table(1, None);
        assert_eq!(world.push_stream(1, "X", true, false), ["0:X0,F0+null@4"]);
    });
}

#[test]
fn a_record_that_names_nothing_is_skipped_or_comes_out_alone() {
    for first_key_is_null in [false, true] {
        each_world(false, |world| {
            world.push_table(4, Some("Y"));
            assert_eq!(world.push_stream(4, "X", false, first_key_is_null), [""; 0]);
            assert_eq!(world.bench.driver.counters().skipped, 4);
        });
    }
    each_world(true, |world| {
        world.push_table(4, Some("Y"));
        assert_eq!(
            world.push_stream(2, "X", false, true),
            ["null:X0+null@0", "1:X1+null@1"]
        );
        assert_eq!(world.bench.driver.counters().skipped, 0);
    });
}

#[test]
fn a_null_key_of_the_stream_does_not_matter_and_a_null_value_does() {
    each_world(false, |world| {
        world.push_table(2, Some("Y"));
        assert_eq!(
            world.push_stream(2, "X", true, true),
            ["null:X0,F0+Y0@0", "1:X1,F1+Y1@1"]
        );
        assert_eq!(world.bench.driver.counters().skipped, 0);
    });
    each_world(true, |world| {
        let World { bench, stream, .. } = world;
        bench.driver.pipe(stream, Some(1), None, 0).unwrap();
        assert_eq!(bench.driver.counters().skipped, 1);
    });
}

#[test]
fn the_joiner_may_see_both_keys() {
    let builder = StreamsBuilder::new();
    let table: GlobalKTable<String, i64> = builder.global_table("table", "global");
    builder
        .stream::<i64, String>("stream")
        .join_global_table_with_keys(
            &table,
            |_, value| value.to_uppercase(),
            |key, value, wanted, entry| format!("{key} {value} {wanted} {entry}"),
            Joined::named("j"),
        )
        .to("out");
    let mut driver = TopologyTestDriver::new(&builder.build().unwrap()).unwrap();
    let (table, stream) = (
        driver.input::<String, i64>("table"),
        driver.input::<i64, String>("stream"),
    );
    driver.pipe(&table, "JFK".to_owned(), 7, 0).unwrap();
    driver.pipe(&stream, 1, "jfk".to_owned(), 0).unwrap();
    let out = driver.output::<i64, String>("out");
    assert_eq!(driver.read_values(&out).unwrap(), ["1 jfk JFK 7"]);
}

#[test]
fn every_task_sees_all_partitions_of_the_table() {
    let mut options = DriverOptions::default();
    options.partitions.insert("table".to_owned(), 3);
    options.partitions.insert("stream".to_owned(), 2);
    let mut driver = TopologyTestDriver::with_options(&topology(false), options).unwrap();
    let table: Texts<String> = driver.input("table");
    let stream: Texts<i64> = driver.input("stream");
    for key in 0..20 {
        driver
            .pipe(&table, Some(format!("F{key}")), Some("Y".to_owned()), 0)
            .unwrap();
    }
    for key in 0..20 {
        driver
            .pipe(&stream, Some(19 - key), Some(format!("X,F{key}")), 0)
            .unwrap();
    }
    let out = driver.output::<Option<i64>, String>("out");
    assert_eq!(driver.read_values(&out).unwrap().len(), 20);
    assert_eq!(driver.store_len("global").unwrap(), 20);
    assert_eq!(
        driver
            .value::<String, String>("global", &"F7".to_owned())
            .unwrap(),
        Some("Y".to_owned())
    );
}

#[test]
fn records_that_cannot_be_read_are_left_out() {
    let builder = StreamsBuilder::new();
    let table: GlobalKTable<String, i64> = builder.global_table("table", "global");
    builder
        .stream::<String, String>("stream")
        .left_join_global_table(
            &table,
            |key, _| key.clone(),
            |_, entry| format!("{entry:?}"),
            Joined::named("j"),
        )
        .to("out");
    let mut driver = TopologyTestDriver::new(&builder.build().unwrap()).unwrap();
    driver.pipe_raw("table", Some(b"a"), Some(b"short"), 0).unwrap();
    driver.pipe_raw("table", None, Some(&[0; 8]), 0).unwrap();
    let stream = driver.input::<String, String>("stream");
    driver.pipe(&stream, "a".to_owned(), String::new(), 0).unwrap();
    let out = driver.output::<String, String>("out");
    assert_eq!(driver.read_values(&out).unwrap(), ["None"]);
    assert_eq!(driver.store_len("global").unwrap(), 0);
}

#[test]
fn what_the_application_writes_to_the_tables_topic_is_seen() {
    let builder = StreamsBuilder::new();
    let table: GlobalKTable<String, String> = builder.global_table("table", "global");
    builder.stream::<String, String>("updates").to("table");
    builder
        .stream::<String, String>("stream")
        .join_global_table(
            &table,
            |key, _| key.clone(),
            |_, entry| entry.clone(),
            Joined::named("j"),
        )
        .to("out");
    let mut driver = TopologyTestDriver::new(&builder.build().unwrap()).unwrap();
    let updates = driver.input::<String, String>("updates");
    let stream = driver.input::<String, String>("stream");
    driver.pipe(&updates, "a".to_owned(), "1".to_owned(), 0).unwrap();
    driver.pipe(&stream, "a".to_owned(), String::new(), 0).unwrap();
    let out = driver.output::<String, String>("out");
    assert_eq!(driver.read_values(&out).unwrap(), ["1"]);
}

#[test]
fn names_and_topics_are_used_once_and_the_text_names_the_table() {
    let build = |change: &dyn Fn(&StreamsBuilder)| {
        let builder = StreamsBuilder::new();
        let table: GlobalKTable<String, String> = builder.global_table("table", "global");
        builder
            .stream::<String, String>("stream")
            .join_global_table(
                &table,
                |key, _| key.clone(),
                |_, entry| entry.clone(),
                Joined::named("j"),
            )
            .to("out");
        change(&builder);
        builder.build()
    };
    let text = build(&|_| {}).unwrap().describe();
    assert!(
        text.contains("Sub-topology: 1 for global store (will not generate tasks)"),
        "{text}"
    );
    assert!(text.contains("Source: global-source (topics: [table])"), "{text}");
    let twice = build(&|builder| {
        builder.stream::<String, String>("table");
    });
    assert!(twice.unwrap_err().to_string().contains("is read by both"));
    let same = build(&|builder| {
        builder.table::<String, String>("other", "global");
    });
    assert!(same.unwrap_err().to_string().contains("exists twice"));
}
