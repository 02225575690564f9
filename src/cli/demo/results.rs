//! The streaming answers: what the DSL job wrote to its output topics, as [`Answer`]s to compare.
//!
//! What is always true: updating results keep the last record of each key; the copied flights keep a count, so that a
//! record that came twice shows.

use std::collections::BTreeMap;

use anyhow::Context;
use millpond::log::broker::Broker;
use millpond::log::record::Record;
use millpond::log::types::TopicName;

use super::answer::Answer;
use super::batch::{delay_value, hour_key};
use super::flights::Flight;
use super::job::{Departures, HOURLY_TOPIC, ROUTES_TOPIC, VERY_LATE_TOPIC};
use super::read_back::for_each_record;

/// Departures and mean delay per origin and hour.
pub(crate) async fn hourly_departures(
    broker: &Broker,
) -> anyhow::Result<(Answer, BTreeMap<String, Departures>)> {
    let mut rows = BTreeMap::new();
    for_each_record(broker, &TopicName::new(HOURLY_TOPIC)?, |record| {
        let departures: Departures = serde_json::from_slice(value_of(record)?).context("no departures")?;
        rows.insert(key_of(record)?, departures);
        Ok(())
    })
    .await?;
    let mut answer = Answer::default();
    for (key, row) in &rows {
        answer.insert(
            key.clone(),
            delay_value(i64::try_from(row.departures)?, row.avg_delay()),
        );
    }
    Ok((answer, rows))
}

/// Departures per route and window.
pub(crate) async fn busiest_routes(broker: &Broker) -> anyhow::Result<(Answer, BTreeMap<String, u64>)> {
    let mut rows = BTreeMap::new();
    for_each_record(broker, &TopicName::new(ROUTES_TOPIC)?, |record| {
        let bytes = value_of(record)?.try_into().context("a count has eight bytes")?;
        rows.insert(key_of(record)?, u64::from_be_bytes(bytes));
        Ok(())
    })
    .await?;
    let mut answer = Answer::default();
    for (key, count) in &rows {
        answer.insert(key.clone(), count.to_string());
    }
    Ok((answer, rows))
}

/// Very late flights, each with the number of its records.
pub(crate) async fn very_late(broker: &Broker) -> anyhow::Result<Answer> {
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for_each_record(broker, &TopicName::new(VERY_LATE_TOPIC)?, |record| {
        let flight: Flight = serde_json::from_slice(value_of(record)?).context("no flight")?;
        let name = format!(
            "{}{} {}-{}",
            flight.carrier, flight.flight, flight.origin, flight.dest
        );
        *times.entry(hour_key(&name, record.timestamp)).or_default() += 1;
        Ok(())
    })
    .await?;
    let mut answer = Answer::default();
    for (key, times) in times {
        answer.insert(key, times.to_string());
    }
    Ok(answer)
}

fn key_of(record: &Record) -> anyhow::Result<String> {
    let key = record
        .key
        .as_deref()
        .with_context(|| format!("no key at offset {}", record.offset))?;
    Ok(std::str::from_utf8(key)?.to_owned())
}

fn value_of(record: &Record) -> anyhow::Result<&[u8]> {
    record
        .value
        .as_deref()
        .with_context(|| format!("no value at offset {}", record.offset))
}
