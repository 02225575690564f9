//! Transformers of tables with stores of their own, with and without a store of the result; and processors that read the stores of tables.

use std::time::Duration;

use super::table_test_support::{pipe, read, start, write_changes};
use super::{
    KeyValueStore, Materialized, ProcessorContext, ProcessorInit, ReadOnlyKeyValueStore,
    ReadOnlySessionStore, ReadOnlyWindowStore, Record, RecordProcessor, SessionWindows, Stores,
    StreamsBuilder, TimeWindows, ValueTransformerContext, ValueTransformerInit, ValueTransformerWithKey,
};
use crate::processor::BoxError;
use crate::testing::TopologyTestDriver;
use crate::topology::TopologyError;

type Text = Option<String>;

/// Marks a value by what the store has for it; refuses `bad`; counts in the store how often it was asked.
#[derive(Default)]
struct Mark(Option<KeyValueStore<String, i64>>);

impl ValueTransformerWithKey for Mark {
    type Key = Text;
    type ValueIn = String;
    type ValueOut = String;

    fn init(&mut self, context: &ValueTransformerInit<'_>) -> Result<(), BoxError> {
        self.0 = Some(context.store("asked")?);
        Ok(())
    }

    fn transform(
        &mut self,
        _key: &Text,
        value: Option<String>,
        context: &mut ValueTransformerContext<'_>,
    ) -> Result<Option<String>, BoxError> {
        let asked = self.0.as_ref().ok_or("not started")?;
        let number = asked.get(context, &"all".to_owned())?.unwrap_or(0) + 1;
        asked.put(context, &"all".to_owned(), &number)?;
        match value.as_deref() {
            Some("bad") => Err("it is bad".into()),
            _ => Ok(value.map(|value| format!("{value}!"))),
        }
    }
}

fn asked(driver: &TopologyTestDriver) -> i64 {
    let store = driver.query::<String, i64>("asked").expect("there is a store");
    store.get(&"all".to_owned()).expect("readable").unwrap_or(0)
}

#[test]
fn a_transformer_is_asked_about_values_before_only_where_somebody_wants_them() {
    for (stored, old_values, expected, times) in [
        (false, false, ["a x!<--@0", "a y!<--@1", "a -<--@2"], 3),
        (false, true, ["a x!<--@0", "a y!<-x!@1", "a -<-y!@2"], 6),
        (true, true, ["a x!<--@0", "a y!<-x!@1", "a -<-y!@2"], 3),
    ] {
        for every_update in [false, true] {
            let builder = StreamsBuilder::new();
            builder.add_state_store(Stores::key_value::<String, i64>("asked"));
            let table = builder.table::<Text, String>("in", "table");
            let transformed = match stored {
                false => table.transform_values(Mark::default, &["asked"]),
                true => {
                    table.transform_values_with("marked", Mark::default, &["asked"], Materialized::default())
                }
            };
            if old_values {
                transformed.enable_old_values();
            }
            write_changes(&transformed, "out");
            let mut driver = start(&builder, every_update);
            let input = driver.input("in");
            for (value, time) in [("x", 0), ("y", 1), ("", 2)] {
                pipe(&mut driver, &input, "a", value, time);
            }
            assert_eq!(read(&mut driver, "out"), expected, "stored {stored}");
            assert_eq!(asked(&driver), times, "stored {stored}, old values {old_values}");
        }
    }
}

#[test]
fn a_join_asks_another_transformer_about_the_entry_of_the_table_above() {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::key_value::<String, i64>("asked"));
    let marked = builder
        .table::<Text, String>("in", "table")
        .transform_values(Mark::default, &["asked"]);
    let other = builder.table::<Text, String>("other", "other");
    let joined = other.join(&marked, |left, right| format!("{left}+{right}"));
    joined
        .to_stream()
        .map(|key, value| (key.unwrap_or_default(), value))
        .to("out");
    let mut driver = start(&builder, true);
    let (input, other) = (driver.input("in"), driver.input("other"));
    pipe(&mut driver, &input, "a", "x", 5);
    pipe(&mut driver, &other, "a", "o", 3);
    pipe(&mut driver, &other, "b", "p", 4);
    assert_eq!(read(&mut driver, "out"), ["a o+x!@5"]);
}

#[test]
fn an_update_that_a_transformer_refuses_is_a_dead_letter_and_the_entry_stays() {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::key_value::<String, i64>("asked"));
    builder
        .table::<Text, String>("texts", "texts")
        .transform_values_with("marked", Mark::default, &["asked"], Materialized::default());
    let mut driver = start(&builder, true);
    let input = driver.input("texts");
    pipe(&mut driver, &input, "a", "x", 0);
    pipe(&mut driver, &input, "a", "bad", 1);
    assert_eq!(driver.dead_letters().len(), 1);
    let store = driver
        .query::<String, String>("marked")
        .expect("there is a store");
    assert_eq!(
        store.get(&"a".to_owned()).expect("readable"),
        Some("x!".to_owned())
    );
}

#[test]
fn a_transformer_connected_to_no_such_store_is_a_mistake_of_the_topology() {
    let builder = StreamsBuilder::new();
    let table = builder.table::<Text, String>("in", "table");
    table.transform_values(Mark::default, &["nothing"]);
    let mistake = builder.build().expect_err("there is no such store");
    assert!(matches!(mistake, TopologyError::UnknownStore { .. }), "{mistake}");
}

/// Tells what three tables hold for a key.
#[derive(Default)]
struct Look {
    counts: Option<ReadOnlyKeyValueStore<String, u64>>,
    windows: Option<ReadOnlyWindowStore<String, u64>>,
    sessions: Option<ReadOnlySessionStore<String, u64>>,
}

impl RecordProcessor for Look {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, context: &mut ProcessorInit<'_, Self>) -> Result<(), BoxError> {
        self.counts = Some(context.store("counts")?);
        self.windows = Some(context.store("windows")?);
        self.sessions = Some(context.store("sessions")?);
        Ok(())
    }

    fn process(
        &mut self,
        record: Record<String, String>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let counts = self.counts.as_ref().ok_or("not started")?;
        let windows = self.windows.as_ref().ok_or("not started")?;
        let sessions = self.sessions.as_ref().ok_or("not started")?;
        let key = record.value;
        let count = counts.get(context, &key)?;
        let all = counts.all(context)?.len();
        let windows: Vec<u64> = windows
            .fetch_range(context, &key, 0, record.timestamp)?
            .into_iter()
            .map(|(_, count)| count)
            .collect();
        let sessions = sessions.fetch(context, &key)?.len();
        let text = format!("{count:?} of {all}, {windows:?}, {sessions}");
        context.forward(Record::new(record.key, text, record.timestamp));
        Ok(())
    }
}

#[test]
fn a_processor_sees_what_tables_were_told_before_its_record_also_before_the_commit() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let grouped = builder.stream::<String, String>("in").group_by_key();
        grouped.count("counts").to_stream().to("counted");
        let ms = Duration::from_millis;
        grouped
            .windowed_by(TimeWindows::of(ms(10)).grace(ms(100)))
            .count("windows");
        let windows = SessionWindows::with_inactivity_gap(ms(5)).grace(ms(100));
        grouped.windowed_by(windows).count("sessions");
        let questions = builder.stream::<String, String>("questions");
        questions
            .process(Look::default, &["counts", "windows", "sessions"])
            .to("out");
        let mut options = crate::testing::DriverOptions {
            auto_commit: false,
            ..Default::default()
        };
        options.config.emit_every_update = every_update;
        let topology = builder.build().expect("a sound topology");
        let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
        let (input, questions) = (
            driver.input::<String, String>("in"),
            driver.input::<String, String>("questions"),
        );
        let ask = |driver: &mut TopologyTestDriver, time| {
            let piped = driver.pipe(&questions, "q".to_owned(), "a".to_owned(), time);
            piped.expect("it goes through");
        };
        ask(&mut driver, 0);
        for (key, time) in [("a", 1), ("b", 2), ("a", 3), ("a", 12)] {
            let piped = driver.pipe(&input, key.to_owned(), "x".to_owned(), time);
            piped.expect("it goes through");
        }
        ask(&mut driver, 20);
        driver.commit().expect("it commits");
        let expected = [
            "q None of 0, [], 0@0".to_owned(),
            "q Some(3) of 2, [2, 1], 2@20".to_owned(),
        ];
        assert_eq!(read(&mut driver, "out"), expected, "every update {every_update}");
    }
}
