//! The DSL in one page: departures per origin and hour, exactly-once: `cargo run --example hourly_departures`
//!
//! Reads two thousand real flights into a topic, counts them in tumbling windows by their *scheduled* time, and asks the
//! committed state. The topology is printed the way Kafka Streams prints it.

use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use millpond::log::broker::{Broker, BrokerOptions};
use millpond::log::client::{Admin, Producer, ProducerOptions, ProducerRecord};
use millpond::streams::dsl::{Consumed, StreamsBuilder, TimeWindows};
use millpond::streams::runtime::Streams;
use millpond::streams::serde::{DefaultSerde, Json};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Flight {
    origin: String,
    carrier: String,
    /// Start of the scheduled hour, RFC 3339 in UTC.
    time_hour: String,
    minute: u8,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let broker = Broker::start(BrokerOptions::at(dir.path().join("log"))).await?;
    let flights = Admin::new(&broker).create_topic("flights", 2).await?.name;
    let producer = Producer::new(&broker, ProducerOptions::default()).await?;
    for flight in some_flights(2000)? {
        let record = ProducerRecord::new(&flights)
            .key(flight.carrier.clone())
            .value(serde_json::to_vec(&flight)?);
        drop(producer.send(record).await?);
    }
    producer.flush().await?;

    let builder = StreamsBuilder::new();
    let by_schedule = Consumed::with(String::default_serde(), Json::<Flight>::default_serde()).timestamps(
        millpond::streams::dsl::TimestampExtractor::value(|flight: &Json<Flight>| scheduled_ms(flight)),
    );
    builder
        .stream_with::<String, Json<Flight>>("flights", by_schedule)
        .group_by(|_, flight| flight.origin.clone())
        .windowed_by(TimeWindows::of(Duration::from_secs(3600)).grace(Duration::from_secs(24 * 3600)))
        .count("departures-by-hour");
    let topology = builder.build()?;
    println!("{}", topology.describe());

    let job = Streams::builder(topology)
        .application_id("departures")
        .embedded(&broker)
        .state_dir(dir.path().join("state"))
        .run()
        .await?;
    job.wait_until_caught_up().await?;

    println!("departures from JFK, hour by hour:");
    let store = job.store::<String, u64>("departures-by-hour")?;
    for window in store
        .fetch(&"JFK".to_owned(), i64::MIN, i64::MAX)?
        .into_iter()
        .take(12)
    {
        println!(
            "  {} {:>3} {}",
            window.start_ms / 3_600_000,
            window.value,
            "*".repeat(usize::try_from(window.value)?)
        );
    }
    job.shutdown(Duration::from_secs(10)).await?;
    broker.shutdown().await?;
    Ok(())
}

fn some_flights(count: usize) -> anyhow::Result<Vec<Flight>> {
    let mut csv = String::new();
    GzDecoder::new(&include_bytes!("data/flights-2013-01.csv.gz")[..]).read_to_string(&mut csv)?;
    let rows = csv::Reader::from_reader(csv.as_bytes())
        .into_deserialize()
        .take(count)
        .collect::<Result<Vec<Flight>, _>>()?;
    Ok(rows)
}

/// All flights of the file are in January 2013, so day and hour are enough to tell the time.
fn scheduled_ms(flight: &Flight) -> Option<i64> {
    const JANUARY_2013: i64 = 1_356_998_400_000;
    let day: i64 = flight.time_hour.get(8..10)?.parse().ok()?;
    let hour: i64 = flight.time_hour.get(11..13)?.parse().ok()?;
    Some(JANUARY_2013 + (((day - 1) * 24 + hour) * 60 + i64::from(flight.minute)) * 60_000)
}
