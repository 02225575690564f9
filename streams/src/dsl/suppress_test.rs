//! Cases of Kafka Streams' `SuppressScenarioTest` and `KTableSuppressProcessorTest`, and that a buffer survives what happens to its task.

use std::time::Duration;

use super::table_test_support::{Texts, pipe, read, start, write_changes};
use super::{EagerBuffer, StreamsBuilder, StrictBuffer, SuppressBuffer, Suppressed};
use crate::testing::{DriverError, DriverOptions, TopologyTestDriver};

const NOTHING: Vec<String> = Vec::new();

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn until_limit(limit: u64, buffer: impl Into<SuppressBuffer>) -> Suppressed<String> {
    Suppressed::until_time_limit(ms(limit), buffer)
}

/// Counts of the values in a table, suppressed and raw.
fn value_counts(suppressed: Suppressed<String>) -> (TopologyTestDriver, Texts) {
    let builder = StreamsBuilder::new();
    let counts = builder
        .table::<String, String>("in", "in")
        .group_by(|key, value| (value, key.clone()))
        .count("counts");
    let counts = counts.map_values(|count| count.to_string());
    counts
        .suppress("suppressed", suppressed)
        .to_stream()
        .to("suppressed");
    counts.to_stream().to("raw");
    let driver = start(&builder, true);
    let input = driver.input("in");
    (driver, input)
}

fn first_three(driver: &mut TopologyTestDriver, input: &Texts) {
    pipe(driver, input, "k1", "v1", 0);
    pipe(driver, input, "k1", "v2", 1);
    pipe(driver, input, "k2", "v1", 2);
    assert_eq!(read(driver, "raw"), ["v1 1@0", "v1 0@1", "v2 1@1", "v1 1@2"]);
}

#[test]
fn a_time_limit_of_zero_holds_nothing_back() {
    let (mut driver, input) = value_counts(until_limit(0, StrictBuffer::unbounded()));
    first_three(&mut driver, &input);
    assert_eq!(
        read(&mut driver, "suppressed"),
        ["v1 1@0", "v1 0@1", "v2 1@1", "v1 1@2"]
    );
    pipe(&mut driver, &input, "x", "x", 3);
    assert_eq!(read(&mut driver, "suppressed"), ["x 1@3"]);
    pipe(&mut driver, &input, "x", "y", 4);
    assert_eq!(read(&mut driver, "suppressed"), ["x 0@4", "y 1@4"]);
}

#[test]
fn updates_wait_until_stream_time_is_the_limit_past_the_first() {
    let (mut driver, input) = value_counts(until_limit(2, StrictBuffer::unbounded()));
    first_three(&mut driver, &input);
    assert_eq!(read(&mut driver, "suppressed"), ["v1 1@2"]);
    pipe(&mut driver, &input, "tick", "tick", 3);
    assert_eq!(read(&mut driver, "suppressed"), ["v2 1@1"]);
    pipe(&mut driver, &input, "tick", "tock", 4);
    assert_eq!(read(&mut driver, "raw"), ["tick 1@3", "tick 0@4", "tock 1@4"]);
    assert_eq!(read(&mut driver, "suppressed"), NOTHING);
}

#[test]
fn a_buffer_over_its_records_lets_the_oldest_go_early() {
    let (mut driver, input) = value_counts(until_limit(u64::MAX, EagerBuffer::max_records(1)));
    first_three(&mut driver, &input);
    assert_eq!(read(&mut driver, "suppressed"), ["v1 0@1", "v2 1@1"]);
    pipe(&mut driver, &input, "x", "x", 3);
    assert_eq!(read(&mut driver, "suppressed"), ["v1 1@2"]);
}

#[test]
fn a_buffer_over_its_bytes_lets_the_oldest_go_early() {
    // An entry is 24 bytes, its key (2), its value (1) and the one before (1 or none): one fits, two do not.
    let (mut driver, input) = value_counts(until_limit(u64::MAX, EagerBuffer::max_bytes(40)));
    first_three(&mut driver, &input);
    assert_eq!(read(&mut driver, "suppressed"), ["v1 0@1", "v2 1@1"]);
    pipe(&mut driver, &input, "x", "x", 3);
    assert_eq!(read(&mut driver, "suppressed"), ["v1 1@2"]);
}

#[test]
fn a_strict_buffer_over_its_bounds_stops_the_task() {
    for buffer in [
        EagerBuffer::max_records(1),
        EagerBuffer::max_bytes(40),
        EagerBuffer::max_records(9).and_max_bytes(40),
    ] {
        let builder = StreamsBuilder::new();
        let table = builder.table::<String, String>("in", "in");
        table
            .suppress("suppressed", until_limit(100_000, buffer.shut_down_when_full()))
            .to_stream()
            .to("suppressed");
        let mut driver = start(&builder, true);
        let input = driver.input::<String, Option<String>>("in");
        driver
            .pipe(&input, "hey".to_owned(), Some("1".to_owned()), 100)
            .expect("there is room");
        let full = driver.pipe(&input, "dummyKey".to_owned(), Some("1".to_owned()), 100);
        let Err(DriverError::Process(error)) = full else {
            panic!("the buffer is full, but: {full:?}");
        };
        let cause = std::error::Error::source(&error)
            .expect("it says why")
            .to_string();
        assert!(
            cause.starts_with("the suppression buffer is over its bounds: 2 of"),
            "{cause}"
        );
    }
}

#[test]
fn deletions_are_held_back_like_other_updates() {
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("in", "in");
    let suppressed = table.suppress("suppressed", until_limit(1, StrictBuffer::unbounded()));
    write_changes(&suppressed, "suppressed");
    let mut driver = start(&builder, true);
    let input = driver.input("in");
    pipe(&mut driver, &input, "hey", "1", 0);
    pipe(&mut driver, &input, "tick", "a", 1);
    assert_eq!(read(&mut driver, "suppressed"), ["hey 1<--@0"]);
    pipe(&mut driver, &input, "hey", "", 2);
    assert_eq!(read(&mut driver, "suppressed"), ["tick a<--@1"]);
    pipe(&mut driver, &input, "tick", "b", 3);
    assert_eq!(read(&mut driver, "suppressed"), ["hey -<-1@2"]);
}

#[test]
fn the_old_value_of_what_leaves_is_what_the_receivers_know() {
    // Kafka Streams sends the value before the last update here, which nobody below has seen, so that subtractors take away what was never added.
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("in", "in");
    let suppressed = table.suppress("suppressed", until_limit(10, StrictBuffer::unbounded()));
    write_changes(&suppressed, "suppressed");
    suppressed
        .group_by(|_, value| ("all".to_owned(), value))
        .aggregate(
            "all",
            String::new,
            |_, value, so_far| so_far + value,
            |_, value, so_far| so_far.replacen(value.as_str(), "", 1),
        )
        .to_stream()
        .to("all");
    let mut driver = start(&builder, true);
    let input = driver.input("in");
    for (value, timestamp) in [("1", 0), ("2", 1), ("3", 2)] {
        pipe(&mut driver, &input, "A", value, timestamp);
    }
    pipe(&mut driver, &input, "tick", "", 10);
    for (value, timestamp) in [("4", 11), ("5", 12)] {
        pipe(&mut driver, &input, "A", value, timestamp);
    }
    pipe(&mut driver, &input, "tick", "", 21);
    assert_eq!(
        read(&mut driver, "suppressed"),
        ["A 3<--@2", "tick -<--@21", "A 5<-3@12"]
    );
    assert_eq!(read(&mut driver, "all"), ["all 3@2", "all 5@12"]);
}

#[test]
fn a_suppressed_table_can_be_grouped() {
    let builder = StreamsBuilder::new();
    builder
        .table::<String, String>("in", "in")
        .suppress("suppressed", until_limit(10, StrictBuffer::unbounded()))
        .group_by(|key, value| (key.clone(), value))
        .count("counts")
        .map_values(|count| count.to_string())
        .to_stream()
        .to("out");
    let mut driver = start(&builder, false);
    let input = driver.input("in");
    pipe(&mut driver, &input, "A", "a", 0);
    pipe(&mut driver, &input, "tick", "tick", 10);
    assert_eq!(read(&mut driver, "out"), ["A 1@0"]);
}

#[test]
fn a_join_sees_a_suppressed_table_as_its_receivers_do() {
    for suppressed_left in [false, true] {
        let builder = StreamsBuilder::new();
        let plain = builder.table::<String, String>("plain", "plain");
        let held = builder
            .table::<String, String>("held", "held")
            .suppress("suppressed", until_limit(10, StrictBuffer::unbounded()));
        let text = |one: Option<&String>, other: Option<&String>| {
            let side = |side: Option<&String>| side.map_or("null".to_owned(), String::clone);
            format!("({},{})", side(one), side(other))
        };
        let joined = match suppressed_left {
            true => held.outer_join(&plain, move |held, plain| text(plain, held)),
            false => plain.outer_join(&held, text),
        };
        joined.to_stream().to("output");
        let mut driver = start(&builder, false);
        let (plain, held) = (driver.input("plain"), driver.input("held"));
        pipe(&mut driver, &held, "B", "1", 0);
        pipe(&mut driver, &held, "A", "1", 0);
        assert_eq!(read(&mut driver, "output"), NOTHING);
        pipe(&mut driver, &held, "tick", "tick", 10);
        assert_eq!(read(&mut driver, "output"), ["A (null,1)@0", "B (null,1)@0"]);
        pipe(&mut driver, &held, "A", "2", 11);
        assert_eq!(read(&mut driver, "output"), NOTHING);
        pipe(&mut driver, &plain, "A", "a", 12);
        assert_eq!(read(&mut driver, "output"), ["A (a,1)@12"]);
        pipe(&mut driver, &plain, "B", "b", 12);
        assert_eq!(read(&mut driver, "output"), ["B (b,1)@12"]);
        pipe(&mut driver, &plain, "A", "b", 13);
        assert_eq!(read(&mut driver, "output"), ["A (b,1)@13"]);
        pipe(&mut driver, &held, "tick", "tick1", 21);
        assert_eq!(
            read(&mut driver, "output"),
            ["tick (null,tick1)@21", "A (b,2)@13"]
        );
    }
}

#[test]
fn an_abort_puts_the_buffer_back_to_the_last_commit() {
    let builder = StreamsBuilder::new();
    let table = builder.table::<String, String>("in", "in");
    let buffer = EagerBuffer::max_records(100).and_max_bytes(10_000);
    let suppressed = table.suppress("suppressed", until_limit(10, buffer));
    write_changes(&suppressed, "out");
    let options = DriverOptions {
        auto_commit: false,
        ..DriverOptions::default()
    };
    let topology = builder.build().expect("a sound topology");
    let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
    let input = driver.input("in");
    for (key, value, timestamp) in [("A", "1", 1), ("B", "1", 2)] {
        pipe(&mut driver, &input, key, value, timestamp);
    }
    driver.commit().expect("it commits");
    pipe(&mut driver, &input, "A", "2", 3);
    pipe(&mut driver, &input, "tick", "x", 11);
    driver.abort().expect("it goes back");
    // The same input again, in one batch, and one more.
    pipe(&mut driver, &input, "tick", "y", 12);
    driver.commit().expect("it commits");
    assert_eq!(read(&mut driver, "out"), ["A 2<--@3", "B 1<--@2"]);
    pipe(&mut driver, &input, "tock", "z", 30);
    driver.commit().expect("it commits");
    assert_eq!(read(&mut driver, "out"), ["tick y<--@12"]);
}
