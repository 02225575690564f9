//! What the tests of tables share: drivers with and without coalescing, and changes as text.

use super::KTable;
use super::change::Change;
use crate::config::ProcessingConfig;
use crate::serde::Data;
use crate::testing::{DriverOptions, TestInputTopic, TopologyTestDriver};

/// A driver that forwards every update of a table, or one per key and commit.
pub(super) fn start(builder: &super::StreamsBuilder, every_update: bool) -> TopologyTestDriver {
    let options = DriverOptions {
        config: ProcessingConfig {
            emit_every_update: every_update,
            ..ProcessingConfig::default()
        },
        ..DriverOptions::default()
    };
    TopologyTestDriver::with_options(&builder.build().expect("a sound topology"), options).expect("it runs")
}

/// Writes the changes of a table to a topic as `new<-old`, `-` for none.
pub(super) fn write_changes<K, V>(table: &KTable<K, V>, topic: &str)
where
    K: Data + crate::serde::DefaultSerde,
    V: Data + std::fmt::Display,
{
    let text = |value: Option<V>| value.map_or("-".to_owned(), |value| value.to_string());
    table
        .edge()
        .map_values(move |Change { new, old, .. }| format!("{}<-{}", text(new), text(old)))
        .to(topic);
}

/// What came out since the last look, as `key value@timestamp`; `null` for tombstones.
pub(super) fn read(driver: &mut TopologyTestDriver, topic: &str) -> Vec<String> {
    let output = driver.output::<String, Option<String>>(topic);
    let records = driver.read(&output).expect("it is text").into_iter();
    let line = |record: crate::testing::TestRecord<String, Option<String>>| {
        let value = record.value.unwrap_or_else(|| "null".to_owned());
        format!("{} {value}@{}", record.key, record.timestamp)
    };
    records.map(line).collect()
}

pub(super) type Texts = TestInputTopic<Option<String>, Option<String>>;

/// Puts one record in and runs what it causes; an empty key or value is null.
pub(super) fn pipe(driver: &mut TopologyTestDriver, input: &Texts, key: &str, value: &str, timestamp: i64) {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    driver
        .pipe(input, text(key), text(value), timestamp)
        .expect("it goes through");
}
