//! The examples, run as a reader of the README runs them: each ends by itself and checks itself against a batch.
//!
//! `cargo test` builds them; with `cargo test --test it` alone they are what the last build left.

use std::path::PathBuf;
use std::process::Command;

/// Where cargo puts examples: beside the folder of the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let target = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("target/debug/deps");
    let path = target.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: cargo build --example {name}",
        path.display()
    );
    path
}

/// Runs an example; its output must have these lines among others.
fn run(name: &str, expected: &[&str]) {
    let output = Command::new(example(name)).output().expect("it starts");
    let (shown, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{name}: {}\n{shown}\n{errors}",
        output.status
    );
    for line in expected {
        assert!(
            shown.lines().any(|found| found == *line),
            "{name} does not say {line:?}:\n{shown}"
        );
    }
}

#[cfg(feature = "streams")]
#[test]
fn hourly_departures_counts_every_hour_as_a_batch_does() {
    run(
        "hourly_departures",
        &["checked: departures by hour, 126 rows, as a batch finds them"],
    );
}

#[cfg(feature = "streams")]
#[test]
fn delays_with_weather_joins_as_a_batch_does_before_and_after_planes_change() {
    run(
        "delays_with_weather",
        &[
            "checked: delays by sky, 5 rows, as a batch finds them",
            "checked: flights by maker, planes changed, 15 rows, as a batch finds them",
        ],
    );
}

#[cfg(feature = "streams")]
#[test]
fn aircraft_sessions_finds_every_session_once() {
    run(
        "aircraft_sessions",
        &["checked: days of aircraft, 19853 rows, as a batch finds them"],
    );
}

#[cfg(feature = "streams")]
#[test]
fn fan_out_leaves_every_line_somewhere() {
    run(
        "fan_out",
        &["checked: lines by where they went, 14 rows, as a batch finds them"],
    );
}

#[test]
fn produce_consume_reads_what_it_sent() {
    run("produce_consume", &["read EWR UA1545 from departures-1"]);
}

#[cfg(feature = "sql")]
#[test]
fn sql_view_answers() {
    run("sql_view", &[]);
}
