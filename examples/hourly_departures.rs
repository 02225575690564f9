//! The DSL in one page: departures per origin and hour, exactly-once: `cargo run --example hourly_departures`
//!
//! Reads two thousand real flights into a topic, counts them in tumbling windows by their *scheduled* time, and asks the
//! committed state. The topology is printed the way Kafka Streams prints it; every count is compared with that of a loop over the flights.

use std::collections::BTreeMap;
use std::time::Duration;

use data::Flight;
use millpond::log::broker::{Broker, BrokerOptions};
use millpond::streams::dsl::{Consumed, Materialized, StreamsBuilder, TimeWindows};
use millpond::streams::runtime::Streams;

mod data;

const HOUR_MS: i64 = 3_600_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let broker = Broker::start(BrokerOptions::at(dir.path().join("log"))).await?;
    let mut flights = data::flights()?;
    flights.truncate(2000);
    data::fill(&broker, "flights", 2, &flights, |flight| {
        Some((flight.carrier.clone(), flight.scheduled_ms()?))
    })
    .await?;

    let builder = StreamsBuilder::new();
    let scheduled = Consumed::<String, Flight>::default().event_time(Flight::scheduled_ms);
    // A window takes flights until a day after its end. Without `retention` it would be forgotten then: nobody could ask for it.
    builder
        .stream_with("flights", scheduled)
        .group_by(|_, flight| flight.origin.clone())
        .windowed_by(TimeWindows::of(Duration::from_hours(1)).grace(Duration::from_hours(24)))
        .count_with(
            "departures-by-hour",
            Materialized::default().retention(Duration::from_hours(24 * 31)),
        );
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
        let bar = "*".repeat(usize::try_from(window.value)?);
        println!("  {} {:>3} {bar}", window.start_ms / HOUR_MS, window.value);
    }

    let found = store.fetch_all(i64::MIN, i64::MAX)?.into_iter();
    let found: BTreeMap<(String, i64), u64> = found
        .map(|window| ((window.key, window.start_ms), window.value))
        .collect();
    let mut expected: BTreeMap<(String, i64), u64> = BTreeMap::new();
    for flight in &flights {
        let hour = flight.scheduled_ms().unwrap_or_default() / HOUR_MS * HOUR_MS;
        *expected.entry((flight.origin.clone(), hour)).or_default() += 1;
    }
    data::compare("departures by hour", &found, &expected)?;
    job.shutdown(Duration::from_secs(10)).await?;
    broker.shutdown().await?;
    Ok(())
}
