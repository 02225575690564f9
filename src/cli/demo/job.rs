//! The DSL job of the demo: three results from topic `flights`, one topology.
//!
//! What is always true: an output record carries the whole result of its key so far, so the last record of a key is its
//! result; the very late flights alone are a record-for-record copy, where one record too many or too few would show.
//! Where to look next: `mod.rs` runs it; `read_back.rs` reads the output topics; `batch.rs` asks the same in SQL.

use std::time::Duration;

use millpond::streams::dsl::{StreamsBuilder, TimeWindows};
use millpond::streams::serde::{Bincode, Json};
use millpond::streams::topology::{Topology, TopologyError};
use serde::{Deserialize, Serialize};

use super::batch::hour_key;
use super::flights::Flight;

/// The demo's input.
pub(crate) const FLIGHTS_TOPIC: &str = "flights";
/// Partitions of the input, and so of the job's first sub-topology.
pub(crate) const FLIGHTS_PARTITIONS: i32 = 4;

/// Departures and mean delay per origin and hour; key `origin @ window start`.
pub(crate) const HOURLY_TOPIC: &str = "departures-by-hour";
/// Departures per route in windows of a day that start every six hours; key `route @ window start`.
pub(crate) const ROUTES_TOPIC: &str = "busiest-routes";
/// Flights that left two hours late or more, as they came.
pub(crate) const VERY_LATE_TOPIC: &str = "very-late-flights";

/// Group of the job's offsets and prefix of its internal topics.
pub(crate) const APPLICATION_ID: &str = "demo";

/// Tasks with state: two windowed stores, each behind a repartition topic of the input's partition count.
pub(crate) const STATEFUL_TASKS: usize = 2 * FLIGHTS_PARTITIONS as usize;

const HOUR: Duration = Duration::from_secs(3600);
/// Scheduled times of one day are out of order by up to 19 hours (`flights.rs`), so a day of grace loses none.
const GRACE: Duration = Duration::from_secs(24 * 3600);

const VERY_LATE_MINUTES: f64 = 120.0;

/// What is known about the departures of one key and window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Departures {
    pub(crate) departures: u64,
    /// Flights that did leave; a cancelled one has no delay.
    pub(crate) left: u64,
    pub(crate) delay_minutes_sum: f64,
}

impl Departures {
    fn with(mut self, flight: &Flight) -> Departures {
        self.departures += 1;
        if let Some(delay) = flight.dep_delay {
            self.left += 1;
            self.delay_minutes_sum += delay;
        }
        self
    }

    /// Mean delay in minutes of those that left.
    pub(crate) fn avg_delay(&self) -> Option<f64> {
        (self.left > 0).then(|| self.delay_minutes_sum / self.left as f64)
    }
}

/// Builds the job.
pub(crate) fn topology() -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let flights = builder.stream::<String, Json<Flight>>(FLIGHTS_TOPIC);

    flights
        .group_by(|_, flight| flight.origin.clone())
        .windowed_by(TimeWindows::of(HOUR).grace(GRACE))
        .aggregate(
            "departures-by-hour",
            Bincode::<Departures>::default,
            |_, flight, so_far| Bincode(so_far.with(flight)),
        )
        .updates()
        .map(|origin, departures| (hour_key(&origin.key, origin.window.start_ms), Json(departures.0)))
        .to(HOURLY_TOPIC);

    flights
        .group_by(|_, flight| format!("{}-{}", flight.origin, flight.dest))
        .windowed_by(TimeWindows::of(24 * HOUR).advance_by(6 * HOUR).grace(GRACE))
        .count("busiest-routes")
        .updates()
        .map(|route, departures| (hour_key(&route.key, route.window.start_ms), departures))
        .to(ROUTES_TOPIC);

    flights
        .filter(|_, flight| flight.dep_delay.is_some_and(|delay| delay >= VERY_LATE_MINUTES))
        .to(VERY_LATE_TOPIC);

    builder.build()
}

#[cfg(test)]
#[path = "job_test.rs"]
mod job_test;
