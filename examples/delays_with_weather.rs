//! Three joins: what the weather did to departures, and whose aircraft fly which flights: `cargo run --example delays_with_weather`
//!
//! - a **stream-table join**: every departure meets the weather at its airport in its hour;
//! - a **global table**: the worst of them get the name of the airport they were bound for;
//! - a **foreign-key join**: each flight number, as it flew last, meets the aircraft it flew with, and the makers are counted; when a tail number changes hands,
//!   the count changes with it.
//!
//! The same answers are worked out from the files by plain loops, and compared.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use data::{Airport, Flight, Plane, Weather};
use millpond::log::broker::{Broker, BrokerOptions};
use millpond::log::client::{Admin, Producer, ProducerOptions, ProducerRecord};
use millpond::log::types::TopicName;
use millpond::streams::dsl::{Consumed, Joined, StreamsBuilder};
use millpond::streams::json_serde;
use millpond::streams::runtime::{Streams, StreamsHandle};
use millpond::streams::topology::{Topology, TopologyError};
use serde::{Deserialize, Serialize};

mod data;

/// A departure and the sky it left under.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Departure {
    flight: Flight,
    sky: String,
}

/// How many left, and how late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Delays {
    flights: u64,
    minutes: i64,
    over_an_hour: u64,
}

json_serde!(Departure, Delays);

fn topology() -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let scheduled = Consumed::<String, Flight>::default().event_time(Flight::scheduled_ms);
    let flights = builder.stream_with("flights", scheduled);
    let weather = builder.table::<String, Weather>("weather", "weather");
    let airports = builder.global_table::<String, Airport>("airports", "airports");
    let planes = builder.table::<String, Plane>("planes", "planes");

    // Flights come keyed by their number and weather by airport and hour: the join puts a repartition topic between.
    let departures = flights
        .filter(|_, flight| flight.dep_delay.is_some())
        .select_key(|_, flight| place_and_hour(&flight.origin, &flight.time_hour))
        .left_join_table(&weather, depart, Joined::named("departures-in-weather"));
    departures
        .group_by(|_, departure| departure.sky.clone())
        .aggregate("delays-by-sky", Delays::default, |_, departure, delays| {
            delays.with(departure)
        });
    departures
        .filter(|_, departure| departure.flight.dep_delay > Some(5 * 60) && departure.sky != "fair")
        .join_global_table(
            &airports,
            |_, departure| departure.flight.dest.clone(),
            line,
            Joined::named("to-airport"),
        )
        .to("stranded");

    flights
        .to_table("flights-as-last-flown")
        .foreign_key_join(
            "flights-with-planes",
            &planes,
            |_, flight| flight.tailnum.clone(),
            |_, plane| plane.manufacturer.clone(),
        )
        .group_by(|number, maker| (maker, number.clone()))
        .count("flights-by-maker");
    builder.build()
}

fn place_and_hour(airport: &str, hour: &str) -> String {
    format!("{airport} {hour}")
}

fn depart(flight: &Flight, weather: Option<&Weather>) -> Departure {
    let sky = match weather {
        None => "unknown",
        Some(weather) if weather.visib < 2.0 => "fog",
        Some(weather) if weather.precip > 0.0 => "rain or snow",
        Some(weather) if weather.wind_speed >= Some(20.0) => "wind",
        Some(_) => "fair",
    };
    let (flight, sky) = (flight.clone(), sky.to_owned());
    Departure { flight, sky }
}

impl Delays {
    fn with(self, departure: &Departure) -> Delays {
        let minutes = departure.flight.dep_delay.unwrap_or(0);
        Delays {
            flights: self.flights + 1,
            minutes: self.minutes + minutes,
            over_an_hour: self.over_an_hour + u64::from(minutes > 60),
        }
    }
}

fn line(departure: &Departure, airport: &Airport) -> String {
    let Departure { flight, sky } = departure;
    let hours = flight.dep_delay.unwrap_or(0) / 60;
    let (number, day, name) = (flight.number(), &flight.time_hour[..10], &airport.name);
    format!("{number} of {day} to {name}: {hours} hours late, {sky}")
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let broker = Broker::start(BrokerOptions::at(dir.path().join("log"))).await?;
    let (flights, weather, planes, airports) = (
        data::flights()?,
        data::weather()?,
        data::planes()?,
        data::airports()?,
    );
    // Topics that are joined by key need the same number of partitions; a global table may have any.
    data::fill(&broker, "weather", 2, &weather, |hour| {
        Some((place_and_hour(&hour.origin, &hour.time_hour), hour.time_ms()?))
    })
    .await?;
    data::fill(&broker, "planes", 2, &planes, |plane| {
        Some((plane.tailnum.clone(), 0))
    })
    .await?;
    data::fill(&broker, "airports", 1, &airports, |airport| {
        Some((airport.faa.clone(), 0))
    })
    .await?;
    data::fill(&broker, "flights", 2, &flights, |flight| {
        Some((flight.number(), flight.scheduled_ms()?))
    })
    .await?;
    Admin::new(&broker).create_topic("stranded", 1).await?;

    let job = Streams::builder(topology()?)
        .application_id("delays")
        .embedded(&broker)
        .state_dir(dir.path().join("state"))
        .run()
        .await?;
    job.wait_until_caught_up().await?;

    let by_sky: BTreeMap<String, Delays> = job.store("delays-by-sky")?.all()?.into_iter().collect();
    println!(
        "{:<14} {:>8} {:>10} {:>12}",
        "sky", "flights", "mean min", "over an hour"
    );
    for (sky, delays) in &by_sky {
        let flights = delays.flights as f64;
        let (mean, late) = (
            delays.minutes as f64 / flights,
            100.0 * delays.over_an_hour as f64 / flights,
        );
        println!("{sky:<14} {:>8} {mean:>10.1} {late:>10.1} %", delays.flights);
    }
    let mut stranded: BTreeMap<String, usize> = BTreeMap::new();
    for record in data::committed(&broker, "stranded").await? {
        let text = String::from_utf8(record.value.context("no line")?.to_vec())?;
        *stranded.entry(text).or_default() += 1;
    }
    println!(
        "\nmore than five hours late under a bad sky, {} of them:",
        stranded.len()
    );
    stranded.keys().take(5).for_each(|line| println!("  {line}"));

    let by_maker = makers(&job)?;
    println!("\nflight numbers by the maker of the aircraft they flew with last:");
    let mut most: Vec<_> = by_maker.iter().collect();
    most.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    most.iter()
        .take(5)
        .for_each(|(maker, count)| println!("  {count:>5} {maker}"));

    println!();
    let expected = batch(&flights, &weather, &airports);
    data::compare("delays by sky", &by_sky, &expected.by_sky)?;
    data::compare("stranded flights", &stranded, &expected.stranded)?;
    data::compare(
        "flights by maker",
        &by_maker,
        &by_maker_in_batch(&flights, &planes),
    )?;

    // A change on the table's other side: all BOEINGs with a tail number ending in UA are given to another maker, and every flight they fly moves.
    let changed = repaint(&broker, &planes).await?;
    job.wait_until_caught_up().await?;
    data::compare(
        "flights by maker, planes changed",
        &makers(&job)?,
        &by_maker_in_batch(&flights, &changed),
    )?;
    job.shutdown(Duration::from_secs(10)).await?;
    broker.shutdown().await?;
    Ok(())
}

/// How many flight numbers each maker's aircraft fly; a maker who lost all of them stays in the table with none.
fn makers(job: &StreamsHandle) -> anyhow::Result<BTreeMap<String, u64>> {
    let all = job.store::<String, u64>("flights-by-maker")?.all()?;
    Ok(all.into_iter().filter(|(_, flights)| *flights > 0).collect())
}

/// Writes new rows for some planes; returns all planes as they are then.
async fn repaint(broker: &Broker, planes: &[Plane]) -> anyhow::Result<Vec<Plane>> {
    let topic = TopicName::new("planes")?;
    let producer = Producer::new(broker, ProducerOptions::default()).await?;
    let mut all = planes.to_vec();
    for plane in &mut all {
        if plane.manufacturer == "BOEING" && plane.tailnum.ends_with("UA") {
            plane.manufacturer = "MILLPOND".to_owned();
            let record = ProducerRecord::new(&topic).key(plane.tailnum.clone());
            let record = record.value(serde_json::to_vec(plane)?).timestamp(1);
            drop(producer.send(record).await?);
        }
    }
    producer.flush().await?;
    Ok(all)
}

/// What the job should find.
struct Expected {
    by_sky: BTreeMap<String, Delays>,
    stranded: BTreeMap<String, usize>,
}

fn batch(flights: &[Flight], weather: &[Weather], airports: &[Airport]) -> Expected {
    let weather: BTreeMap<(&str, &str), &Weather> = weather
        .iter()
        .map(|hour| ((hour.origin.as_str(), hour.time_hour.as_str()), hour))
        .collect();
    let airports: BTreeMap<&str, &Airport> = airports
        .iter()
        .map(|airport| (airport.faa.as_str(), airport))
        .collect();
    let (mut by_sky, mut stranded) = (BTreeMap::new(), BTreeMap::new());
    for flight in flights {
        let Some(minutes) = flight.dep_delay else { continue };
        let hour = weather.get(&(flight.origin.as_str(), flight.time_hour.as_str()));
        let departure = depart(flight, hour.copied());
        let delays: &mut Delays = by_sky.entry(departure.sky.clone()).or_default();
        *delays = delays.with(&departure);
        if let Some(airport) = airports.get(flight.dest.as_str())
            && minutes > 300
            && departure.sky != "fair"
        {
            *stranded.entry(line(&departure, airport)).or_default() += 1;
        }
    }
    Expected { by_sky, stranded }
}

fn by_maker_in_batch(flights: &[Flight], planes: &[Plane]) -> BTreeMap<String, u64> {
    let planes: BTreeMap<&str, &Plane> = planes
        .iter()
        .map(|plane| (plane.tailnum.as_str(), plane))
        .collect();
    let last: BTreeMap<String, &Flight> = flights.iter().map(|flight| (flight.number(), flight)).collect();
    let mut makers = BTreeMap::new();
    for flight in last.values() {
        let plane = flight.tailnum.as_deref().and_then(|tailnum| planes.get(tailnum));
        if let Some(plane) = plane {
            *makers.entry(plane.manufacturer.clone()).or_default() += 1;
        }
    }
    makers
}
