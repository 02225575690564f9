//! Foreign-key joins against a batch computation: random changes of both sides, over partitions, and crossing each other on their ways.

use std::collections::BTreeMap;

use super::StreamsBuilder;
use super::foreign_join_test::{foreign_key, join, text};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

#[test]
fn any_order_of_updates_over_many_partitions_ends_in_the_join_of_both_tables() {
    for is_left in [false, true] {
        for (every_update, batch) in [(false, 1), (false, 40), (true, 1), (true, 40)] {
            let builder = StreamsBuilder::new();
            let left = builder.table::<String, String>("left", "left");
            let right = builder.table::<String, String>("right", "right");
            join(&left, &right, is_left, true);
            let mut options = DriverOptions {
                partitions: [("left".to_owned(), 3), ("right".to_owned(), 2)].into(),
                ..DriverOptions::default()
            };
            options.config.emit_every_update = every_update;
            let topology = builder.build().expect("a sound topology");
            let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
            let inputs = ["left", "right"].map(|topic| driver.input::<String, Option<String>>(topic));
            let mut models = [BTreeMap::new(), BTreeMap::new()];
            let mut rng = fastrand::Rng::with_seed(3);
            for round in 0..400 / batch {
                let side = usize::from(rng.bool());
                let mut records = Vec::new();
                for _ in 0..batch {
                    let (key, value) = match side {
                        0 => (
                            format!("l{}", rng.u8(..12)),
                            format!("{}|r{}", rng.u8(..3), rng.u8(..6)),
                        ),
                        _ => (format!("r{}", rng.u8(..6)), format!("{}", rng.u8(..9))),
                    };
                    let value = (rng.u8(..5) > 0).then_some(value);
                    models[side].insert(key.clone(), value.clone());
                    records.push(TestRecord::new(key, value, i64::from(round)));
                }
                driver.pipe_all(&inputs[side], records).expect("goes through");
            }
            let [left, right] = models;
            let mut expected = Vec::new();
            for (key, value) in left {
                let Some(value) = value else { continue };
                let found = foreign_key(&key, &value).and_then(|wanted| right.get(&wanted)?.clone());
                if is_left || found.is_some() {
                    expected.push((key, text(&value, found.as_ref())));
                }
            }
            let found = driver.entries::<String, String>("joined").expect("a store");
            assert_eq!(
                found, expected,
                "left {is_left}, every update {every_update}, {batch} at a time"
            );
        }
    }
}

#[test]
fn changes_of_both_sides_that_cross_each_other_end_in_the_join_of_both_tables() {
    for is_left in [false, true] {
        for every_update in [false, true] {
            for seed in 0..40 {
                let builder = StreamsBuilder::new();
                let left = builder.table::<String, String>("left", "left");
                let right = builder.table::<String, String>("right", "right");
                join(&left, &right, is_left, false).to_stream().to("out");
                let mut options = DriverOptions {
                    auto_commit: false,
                    ..DriverOptions::default()
                };
                options.config.emit_every_update = every_update;
                let topology = builder.build().expect("a sound topology");
                let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
                let inputs = ["left", "right"].map(|topic| driver.input::<String, Option<String>>(topic));
                let mut models = [BTreeMap::new(), BTreeMap::new()];
                let mut rng = fastrand::Rng::with_seed(seed);
                for timestamp in 0..60 {
                    let side = usize::from(rng.bool());
                    let (key, value) = match side {
                        0 => (
                            format!("l{}", rng.u8(..3)),
                            format!("{}|r{}", rng.u8(..3), rng.u8(..2)),
                        ),
                        _ => (format!("r{}", rng.u8(..2)), format!("{}", rng.u8(..9))),
                    };
                    let value = (rng.u8(..3) > 0).then_some(value);
                    models[side].insert(key.clone(), value.clone());
                    driver
                        .pipe(&inputs[side], key, value, timestamp)
                        .expect("goes through");
                    // Several changes of both sides are under way at once.
                    if rng.u8(..6) == 0 {
                        driver.commit().expect("it commits");
                    }
                }
                driver.commit().expect("it commits");
                let [left, right] = models;
                let mut expected = BTreeMap::new();
                for (key, value) in left {
                    let Some(value) = value else { continue };
                    let found = foreign_key(&key, &value).and_then(|wanted| right.get(&wanted)?.clone());
                    if is_left || found.is_some() {
                        expected.insert(key, text(&value, found.as_ref()));
                    }
                }
                let mut found = BTreeMap::new();
                let output = driver.output::<String, Option<String>>("out");
                for record in driver.read(&output).expect("text") {
                    match record.value {
                        Some(value) => found.insert(record.key, value),
                        None => found.remove(&record.key),
                    };
                }
                assert_eq!(
                    found, expected,
                    "left {is_left}, every update {every_update}, seed {seed}"
                );
            }
        }
    }
}
