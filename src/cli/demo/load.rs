//! Loads the flights into topic `flights`, once, whatever happens in between.
//!
//! What is always true: a chunk of flights and the position behind it are one transaction, so the position in topic
//! `flights-load` says exactly which flights are in topic `flights`. A start after a crash fences the dead loader (its
//! open chunk is aborted), reads the position and goes on there. A directory loaded from another file is refused.
//! Where to look next: `flights.rs` for the rows, `Producer` for what a transaction is.

use anyhow::Context;
use millpond::log::broker::Broker;
use millpond::log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond::log::record::Compression;
use millpond::log::types::TopicName;
use serde::{Deserialize, Serialize};

use super::flights::{FlightRecord, FlightsFile};
use super::job::{FLIGHTS_PARTITIONS, FLIGHTS_TOPIC};
use super::read_back::last_value;
use super::topics::ensure_topic;
use crate::cli::failure::Failure;
use crate::cli::progress::{Progress, Stopwatch};

/// One partition, compacted: the last record is the position.
const POSITION_TOPIC: &str = "flights-load";
const POSITION_KEY: &str = "position";
/// Flights per transaction: enough to be fast, few enough that a crash in mid-load is likely to split the file.
const CHUNK: usize = 1000;

/// How far the file was loaded.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// CRC-32C of the CSV the flights come from.
    digest: u32,
    flights: usize,
}

/// What loading took.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Flights that were there before.
    pub(crate) before: usize,
    /// Flights loaded now.
    pub(crate) now: usize,
    pub(crate) watch: Stopwatch,
}

/// Creates the demo's input topics where they are missing.
pub(crate) async fn create_topics(broker: &Broker) -> anyhow::Result<()> {
    ensure_topic(
        broker,
        FLIGHTS_TOPIC,
        FLIGHTS_PARTITIONS,
        &[("retention.ms", "-1")],
    )
    .await?;
    ensure_topic(broker, POSITION_TOPIC, 1, &[("cleanup.policy", "compact")]).await?;
    Ok(())
}

/// Loads what is missing of `file`.
pub(crate) async fn load(broker: &Broker, file: &FlightsFile) -> anyhow::Result<Loaded> {
    let watch = Stopwatch::start();
    let flights = TopicName::new(FLIGHTS_TOPIC)?;
    let position = TopicName::new(POSITION_TOPIC)?;
    let options = ProducerOptions {
        compression: Compression::Lz4,
        ..ProducerOptions::transactional("flights-loader")
    };
    // Fences a dead loader first: only then is the position that can be read the last one there will be.
    let mut producer = Producer::new(broker, options)
        .await
        .context("cannot start the loader")?;
    let before = loaded_before(broker, file, &position).await?;

    let progress = Progress::start("loading", before as u64, file.records.len() as u64);
    let mut done = before;
    for chunk in file.records[before..].chunks(CHUNK) {
        producer.begin_transaction()?;
        for record in chunk {
            // Whether it was written is the transaction's answer; nobody needs the single place.
            drop(
                producer
                    .send(row(&flights, record)?)
                    .await
                    .with_context(|| unloadable(done, record))?,
            );
        }
        done += chunk.len();
        let reached = serde_json::to_vec(&Position {
            digest: file.digest,
            flights: done,
        })?;
        drop(
            producer
                .send(ProducerRecord::new(&position).key(POSITION_KEY).value(reached))
                .await?,
        );
        producer
            .commit_transaction()
            .await
            .with_context(|| format!("cannot load flights up to {done}"))?;
        progress.set(done as u64);
    }
    progress.finish();
    producer.close().await?;
    Ok(Loaded {
        before,
        now: done - before,
        watch,
    })
}

fn row(topic: &TopicName, record: &FlightRecord) -> anyhow::Result<ProducerRecord> {
    Ok(ProducerRecord::new(topic)
        .key(record.key.clone())
        .value(serde_json::to_vec(&record.flight)?)
        .timestamp(record.timestamp))
}

fn unloadable(before: usize, record: &FlightRecord) -> String {
    let flight = &record.flight;
    format!(
        "cannot load flight {} {} after {before} flights",
        flight.flight, flight.scheduled
    )
}

/// How many flights of `file` are in the topic.
async fn loaded_before(broker: &Broker, file: &FlightsFile, position: &TopicName) -> anyhow::Result<usize> {
    let Some(bytes) = last_value(broker, position).await? else {
        return Ok(0);
    };
    let position: Position = serde_json::from_slice(&bytes).context("the loader's position is unreadable")?;
    if position.digest != file.digest {
        return Err(Failure::failed(format!(
            "this data directory holds {} flights of another file than {}",
            position.flights, file.name
        ))
        .hint("choose another directory with --data, or the file it was loaded from with --flights")
        .into());
    }
    Ok(position.flights)
}
