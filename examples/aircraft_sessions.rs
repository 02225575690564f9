//! Session windows: the working days of aircraft, each a run of departures with no pause above twelve hours: `cargo run --example aircraft_sessions`
//!
//! Flights arrive in the order they really left, so *scheduled* times are out of order, by hours; sessions are merged as the pieces between them come in. Each
//! is told once, when stream time says that nothing can change it any more (`EmitStrategy::on_window_close`); those still open at the end are in the store.
//!
//! The same sessions are worked out from the file by sorting it, and compared.

use std::collections::BTreeMap;
use std::time::Duration;

use data::Flight;
use millpond::log::broker::{Broker, BrokerOptions};
use millpond::log::client::Admin;
use millpond::streams::dsl::{Consumed, EmitStrategy, SessionWindows, StreamsBuilder};
use millpond::streams::json_serde;
use millpond::streams::runtime::Streams;
use millpond::streams::topology::{Topology, TopologyError};
use serde::{Deserialize, Serialize};

mod data;

const PAUSE: Duration = Duration::from_hours(12);

/// What an aircraft did from the first to the last departure of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Day {
    tailnum: String,
    departures: u32,
    /// Ms since 1970.
    first: i64,
    last: i64,
    minutes_late: i64,
}

json_serde!(Day);

fn topology() -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let scheduled = Consumed::<String, Flight>::default().event_time(Flight::scheduled_ms);
    builder
        .stream_with("flights", scheduled)
        .filter(|_, flight| flight.dep_delay.is_some())
        .group_by_key()
        .windowed_by(SessionWindows::with_inactivity_gap(PAUSE).grace(Duration::from_hours(24)))
        .emit_strategy(EmitStrategy::on_window_close())
        .aggregate(
            "aircraft-days",
            Day::default,
            |_, flight, day| day.merged_with(Day::of(flight)),
            |_, day, other| day.merged_with(other),
        )
        .updates()
        .map(|session, day| (session.key, day))
        .to("aircraft-days");
    builder.build()
}

impl Day {
    /// A day with one departure.
    fn of(flight: &Flight) -> Day {
        let time = flight.scheduled_ms().unwrap_or_default();
        Day {
            tailnum: flight.tailnum.clone().unwrap_or_default(),
            departures: 1,
            first: time,
            last: time,
            minutes_late: flight.dep_delay.unwrap_or_default(),
        }
    }

    fn merged_with(self, other: Day) -> Day {
        if self.departures == 0 {
            return other;
        }
        if other.departures == 0 {
            return self;
        }
        Day {
            departures: self.departures + other.departures,
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            minutes_late: self.minutes_late + other.minutes_late,
            tailnum: self.tailnum,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let broker = Broker::start(BrokerOptions::at(dir.path().join("log"))).await?;
    let flights: Vec<Flight> = data::flights()?
        .into_iter()
        .filter(|flight| flight.tailnum.is_some())
        .collect();
    // Keyed by what is grouped by, so no repartition topic is needed.
    data::fill(&broker, "flights", 2, &flights, |flight| {
        Some((flight.tailnum.clone()?, flight.scheduled_ms()?))
    })
    .await?;
    Admin::new(&broker).create_topic("aircraft-days", 2).await?;

    let job = Streams::builder(topology()?)
        .application_id("aircraft")
        .embedded(&broker)
        .state_dir(dir.path().join("state"))
        .run()
        .await?;
    job.wait_until_caught_up().await?;

    let mut days: BTreeMap<(String, i64), Day> = BTreeMap::new();
    for record in data::committed(&broker, "aircraft-days").await? {
        let day: Day = serde_json::from_slice(&record.value.unwrap_or_default())?;
        let twice = days.insert((day.tailnum.clone(), day.first), day);
        anyhow::ensure!(twice.is_none(), "told twice: {twice:?}");
    }
    let told = days.len();
    for open in job
        .store::<String, Day>("aircraft-days")?
        .find_all_sessions(0, i64::MAX)?
    {
        days.insert((open.key, open.start_ms), open.value);
    }
    let late = job.metrics().late_records;

    let mut by_departures: BTreeMap<u32, (usize, i64)> = BTreeMap::new();
    for day in days.values() {
        let (count, minutes) = by_departures.entry(day.departures).or_default();
        *count += 1;
        *minutes += day.minutes_late;
    }
    println!(
        "{told} days of aircraft are over, {} go on; {late} departures came too late\n",
        days.len() - told
    );
    println!("{:>10} {:>6} {:>20}", "departures", "days", "mean minutes late");
    for (departures, (count, minutes)) in &by_departures {
        let mean = *minutes as f64 / (*count as f64 * f64::from(*departures));
        println!("{departures:>10} {count:>6} {mean:>20.1}");
    }
    println!();
    data::compare("days of aircraft", &days, &batch(&flights))?;
    job.shutdown(Duration::from_secs(10)).await?;
    broker.shutdown().await?;
    Ok(())
}

/// The same by sorting: what is known to the end of the month.
fn batch(flights: &[Flight]) -> BTreeMap<(String, i64), Day> {
    let pause_ms = PAUSE.as_millis() as i64;
    let mut by_aircraft: BTreeMap<String, Vec<Day>> = BTreeMap::new();
    for flight in flights.iter().filter(|flight| flight.dep_delay.is_some()) {
        let day = Day::of(flight);
        by_aircraft.entry(day.tailnum.clone()).or_default().push(day);
    }
    let mut days = BTreeMap::new();
    for mut departures in by_aircraft.into_values() {
        departures.sort_by_key(|day| day.first);
        let mut open = Day::default();
        for departure in departures {
            if open.departures > 0 && departure.first - open.last > pause_ms {
                days.insert((open.tailnum.clone(), open.first), open);
                open = Day::default();
            }
            open = open.merged_with(departure);
        }
        days.insert((open.tailnum.clone(), open.first), open);
    }
    days
}
