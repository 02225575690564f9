//! What the examples share: rows of nycflights13 (`README.md`), written to topics and read from topics.
//!
//! Nothing of the examples' stories is here. Rows travel as JSON; what the tables call `NA` is `None`.

#![allow(dead_code, reason = "each example uses its part")]

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::Context;
use flate2::read::GzDecoder;
use millpond::log::broker::Broker;
use millpond::log::client::{Admin, Consumer, ConsumerOptions, Producer, ProducerOptions, ProducerRecord};
use millpond::log::record::Record;
use millpond::log::types::TopicName;
use millpond::streams::json_serde;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

// With this, the types are what streams are made of: `builder.stream::<String, Flight>("flights")`.
json_serde!(Flight, Weather, Plane, Airport);

/// A flight as it was scheduled, and how late it left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flight {
    pub(crate) carrier: String,
    /// Its number; `UA` and 1545 are flight UA1545.
    pub(crate) flight: u32,
    #[serde(deserialize_with = "known")]
    pub(crate) tailnum: Option<String>,
    pub(crate) origin: String,
    pub(crate) dest: String,
    /// Minutes; below zero when it left early, `None` when it was cancelled.
    #[serde(deserialize_with = "csv::invalid_option")]
    pub(crate) dep_delay: Option<i64>,
    /// Start of the scheduled hour, RFC 3339 in UTC.
    pub(crate) time_hour: String,
    pub(crate) minute: u8,
}

/// What the weather was at an airport for an hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Weather {
    pub(crate) origin: String,
    pub(crate) time_hour: String,
    /// Miles per hour.
    #[serde(deserialize_with = "csv::invalid_option")]
    pub(crate) wind_speed: Option<f64>,
    /// Inches.
    pub(crate) precip: f64,
    /// How far one sees, in miles, 10 at most.
    pub(crate) visib: f64,
}

/// An aircraft.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plane {
    pub(crate) tailnum: String,
    pub(crate) manufacturer: String,
}

/// An airport.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Airport {
    /// Its code, as flights have it.
    pub(crate) faa: String,
    pub(crate) name: String,
}

impl Flight {
    /// `UA1545`.
    pub(crate) fn number(&self) -> String {
        format!("{}{}", self.carrier, self.flight)
    }

    /// Scheduled departure in ms, which is the event time of all examples.
    pub(crate) fn scheduled_ms(&self) -> Option<i64> {
        Some(hour_ms(&self.time_hour)? + i64::from(self.minute) * 60_000)
    }
}

impl Weather {
    /// Start of its hour in ms.
    pub(crate) fn time_ms(&self) -> Option<i64> {
        hour_ms(&self.time_hour)
    }
}

/// `2013-01-05T11:00:00Z` in ms. The rows are of January 2013 and of the night after it.
fn hour_ms(text: &str) -> Option<i64> {
    const JANUARY_2013: i64 = 1_356_998_400_000;
    let number = |from: usize| text.get(from..from + 2)?.parse::<i64>().ok();
    let day = (number(5)? - 1) * 31 + number(8)? - 1;
    Some(JANUARY_2013 + (day * 24 + number(11)?) * 3_600_000)
}

/// Text that may be `NA`.
fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty() && text != "NA"))
}

/// The flights of January, ordered by the time they really left.
pub(crate) fn flights() -> anyhow::Result<Vec<Flight>> {
    rows(include_bytes!("flights-2013-01.csv.gz"))
}

/// The weather of January, airport by airport, hour by hour.
pub(crate) fn weather() -> anyhow::Result<Vec<Weather>> {
    rows(include_bytes!("weather-2013-01.csv.gz"))
}

/// Aircraft.
pub(crate) fn planes() -> anyhow::Result<Vec<Plane>> {
    rows(include_bytes!("planes.csv.gz"))
}

/// Airports.
pub(crate) fn airports() -> anyhow::Result<Vec<Airport>> {
    rows(include_bytes!("airports.csv.gz"))
}

/// The flights as they stand in the file, line by line, the header first.
pub(crate) fn flight_lines() -> anyhow::Result<Vec<String>> {
    let csv = unpacked(include_bytes!("flights-2013-01.csv.gz"))?;
    Ok(csv.lines().map(str::to_owned).collect())
}

fn rows<T: DeserializeOwned>(csv_gz: &[u8]) -> anyhow::Result<Vec<T>> {
    let csv = unpacked(csv_gz)?;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    Ok(reader.deserialize().collect::<Result<_, _>>()?)
}

fn unpacked(csv_gz: &[u8]) -> anyhow::Result<String> {
    let mut csv = String::new();
    GzDecoder::new(csv_gz).read_to_string(&mut csv)?;
    Ok(csv)
}

/// Creates a topic and writes rows to it as JSON, under the key and at the time (ms) that are told for each.
pub(crate) async fn fill<T: Serialize>(
    broker: &Broker,
    topic: &str,
    partitions: i32,
    rows: &[T],
    place: impl Fn(&T) -> Option<(String, i64)>,
) -> anyhow::Result<()> {
    let topic = Admin::new(broker).create_topic(topic, partitions).await?.name;
    let producer = Producer::new(broker, ProducerOptions::default()).await?;
    for row in rows {
        let (key, timestamp) = place(row).context("a row without key or time")?;
        let record = ProducerRecord::new(&topic)
            .key(key)
            .value(serde_json::to_vec(row)?)
            .timestamp(timestamp);
        drop(producer.send(record).await?);
    }
    Ok(producer.flush().await?)
}

/// Everything that is committed in a topic, partition by partition.
pub(crate) async fn committed(broker: &Broker, topic: &str) -> anyhow::Result<Vec<Record>> {
    let mut consumer = Consumer::new(broker, ConsumerOptions::default());
    consumer.assign_topic(&TopicName::new(topic)?).await?;
    let found = consumer.read_to_end().await?;
    Ok(found.into_iter().map(|found| found.record).collect())
}

/// Ends the example with an error unless what the job found is what was found without it.
pub(crate) fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    streamed: &BTreeMap<K, V>,
    batch: &BTreeMap<K, V>,
) -> anyhow::Result<()> {
    let of_batch = batch.iter().find(|(key, value)| streamed.get(key) != Some(value));
    if let Some((key, value)) = of_batch {
        let found = streamed.get(key);
        anyhow::bail!("{what}: {key:?} is {found:?} by the job, {value:?} by the batch");
    }
    let only_streamed = streamed.keys().find(|key| !batch.contains_key(key));
    anyhow::ensure!(
        only_streamed.is_none(),
        "{what}: only the job has {only_streamed:?}"
    );
    println!("checked: {what}, {} rows, as a batch finds them", batch.len());
    Ok(())
}
