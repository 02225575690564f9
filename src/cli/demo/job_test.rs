//! The job in memory, without a log: what each output says after a few flights.

use millpond::streams::testing::TopologyTestDriver;

use super::*;

/// 2013-01-01T10:00:00Z.
const TEN: i64 = 1_357_034_400_000;
const HOUR_MS: i64 = 3_600_000;

fn flight(origin: &str, dep_delay: Option<f64>) -> Json<Flight> {
    Json(Flight {
        carrier: "UA".to_owned(),
        flight: 1545,
        origin: origin.to_owned(),
        dest: "IAH".to_owned(),
        dep_delay,
        distance: 1400.0,
        scheduled: "2013-01-01T10:15:00Z".to_owned(),
    })
}

#[test]
fn departures_are_counted_per_hour_and_a_cancelled_flight_has_no_delay() {
    let mut driver = TopologyTestDriver::new(&topology().expect("a sound topology")).expect("runs in memory");
    let flights = driver.input::<String, Json<Flight>>(FLIGHTS_TOPIC);
    for (delay, timestamp) in [(Some(2.0), TEN), (None, TEN + 1), (Some(5.0), TEN + HOUR_MS)] {
        driver
            .pipe(&flights, "N1".to_owned(), flight("EWR", delay), timestamp)
            .expect("processed");
    }
    let hourly = driver.output::<String, Json<Departures>>(HOURLY_TOPIC);
    let last = driver.read_values(&hourly).expect("readable");
    assert_eq!(
        last[1].0,
        Departures {
            departures: 2,
            left: 1,
            delay_minutes_sum: 2.0
        }
    );
    assert_eq!(last[2].0.avg_delay(), Some(5.0));
}

#[test]
fn a_route_is_counted_in_four_windows_and_only_very_late_flights_are_copied() {
    let mut driver = TopologyTestDriver::new(&topology().expect("a sound topology")).expect("runs in memory");
    let flights = driver.input::<String, Json<Flight>>(FLIGHTS_TOPIC);
    for delay in [Some(119.0), Some(120.0), None] {
        driver
            .pipe(&flights, "N1".to_owned(), flight("EWR", delay), TEN)
            .expect("processed");
    }
    let routes = driver.output::<String, u64>(ROUTES_TOPIC);
    let counts = driver.read_values(&routes).expect("readable");
    assert_eq!(counts.iter().filter(|&&count| count == 3).count(), 4);
    let late = driver.output::<String, Json<Flight>>(VERY_LATE_TOPIC);
    let delays: Vec<_> = driver
        .read_values(&late)
        .expect("readable")
        .iter()
        .map(|late| late.dep_delay)
        .collect();
    assert_eq!(delays, [Some(120.0)]);
}
