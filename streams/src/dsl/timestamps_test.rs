//! Where event time comes from: cases of Kafka Streams' `FailOnInvalidTimestampTest`, `LogAndSkipOnInvalidTimestampTest`,
//! `UsePartitionTimeOnInvalidTimestampTest` and `WallclockTimestampExtractorTest`.

use super::{Consumed, RecordTimes, StreamsBuilder, TimestampExtractor};
use crate::config::{ErrorPolicy, ProcessingConfig};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

fn driver(timestamps: TimestampExtractor<String, i64>, options: DriverOptions) -> TopologyTestDriver {
    let builder = StreamsBuilder::new();
    let consumed = Consumed::default().timestamps(timestamps);
    builder.stream_with::<String, i64>("in", consumed).to("out");
    TopologyTestDriver::with_options(&builder.build().expect("sound"), options).expect("it runs")
}

/// Time and value of what comes out when each value is sent with a timestamp.
fn times(driver: &mut TopologyTestDriver, records: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let input = driver.input::<String, i64>("in");
    for (value, time) in records {
        let record = TestRecord::new("k".to_owned(), *value, *time);
        driver.pipe_all(&input, [record]).expect("goes through");
    }
    let output = driver.output::<String, i64>("out");
    let found = driver.read(&output).expect("readable");
    found
        .into_iter()
        .map(|record| (record.value, record.timestamp))
        .collect()
}

#[test]
fn records_without_a_time_are_skipped_and_counted() {
    let mut driver = driver(TimestampExtractor::record(), DriverOptions::default());
    assert_eq!(times(&mut driver, &[(1, -1), (2, 5)]), [(2, 5)]);
    assert_eq!(driver.counters().skipped, 1);
    assert!(driver.dead_letters().is_empty());
}

#[test]
fn a_record_without_a_time_stops_the_task_when_asked_to() {
    let extractor = TimestampExtractor::record().fail_on_invalid();
    let mut driver = driver(extractor, DriverOptions::default());
    let input = driver.input::<String, i64>("in");
    assert!(driver.pipe(&input, "k".to_owned(), 1, -1).is_err());
}

#[test]
fn a_record_without_a_time_gets_the_largest_of_its_partition() {
    let extractor = TimestampExtractor::record().use_partition_time();
    let mut driver = driver(extractor, DriverOptions::default());
    let found = times(&mut driver, &[(1, -1), (2, 50), (3, 40), (4, -1), (5, -1)]);
    assert_eq!(found, [(2, 50), (3, 40), (4, 50), (5, 50)]);
    assert_eq!(driver.dead_letters().len(), 1, "there was no time yet");
}

#[test]
fn without_any_time_of_its_partition_the_policy_decides() {
    let options = DriverOptions {
        config: ProcessingConfig {
            on_error: ErrorPolicy::Fail,
            ..ProcessingConfig::default()
        },
        ..DriverOptions::default()
    };
    let mut driver = driver(TimestampExtractor::record().use_partition_time(), options);
    let input = driver.input::<String, i64>("in");
    assert!(driver.pipe(&input, "k".to_owned(), 1, -1).is_err());
}

#[test]
fn times_of_partitions_are_apart_and_go_back_with_a_lost_transaction() {
    let extractor = TimestampExtractor::with_times(|_: &String, value: &i64, times: RecordTimes| {
        Some(*value).filter(|value| *value > 0).or(times.partition)
    });
    let builder = StreamsBuilder::new();
    let consumed = Consumed::default().timestamps(extractor);
    builder
        .streams_with::<String, i64>(&["in", "other"], consumed)
        .to("out");
    let options = DriverOptions {
        auto_commit: false,
        ..DriverOptions::default()
    };
    let topology = builder.build().expect("sound");
    let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
    let input = driver.input::<String, i64>("in");
    driver.pipe(&input, "k".to_owned(), 70, 0).expect("goes through");
    driver.commit().expect("commits");
    let other = driver.input::<String, i64>("other");
    driver.pipe(&other, "k".to_owned(), 30, 0).expect("goes through");
    driver.abort().expect("aborts");
    driver.pipe(&other, "k".to_owned(), 0, 0).expect("goes through");
    driver.pipe(&input, "k".to_owned(), 0, 0).expect("goes through");
    driver.commit().expect("commits");
    let output = driver.output::<String, i64>("out");
    let found = driver.read(&output).expect("readable");
    let found: Vec<i64> = found.into_iter().map(|record| record.timestamp).collect();
    assert_eq!(found, [70, 30, 30, 70]);
}

#[test]
fn the_wall_clock_is_that_of_the_driver() {
    let options = DriverOptions {
        wall_clock_ms: 1_000,
        ..DriverOptions::default()
    };
    let mut driver = driver(TimestampExtractor::wall_clock(), options);
    assert_eq!(times(&mut driver, &[(1, 5)]), [(1, 1_000)]);
    driver.advance_wall_clock(10).expect("time passes");
    assert_eq!(times(&mut driver, &[(2, 5)]), [(2, 1_010)]);
}
