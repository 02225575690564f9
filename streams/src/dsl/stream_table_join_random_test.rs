//! Random joins with versioned tables, with and without grace, against plain lists.

use std::collections::BTreeMap;

use super::stream_table_join_test::{Key, LEFT, Shape, results, text, topology};
use super::test_hosts::{Bench, Hosts, bench};
use crate::config::ProcessingConfig;
use crate::testing::TestRecord;

/// A record of a random run: of the table or of the stream.
#[derive(Clone, Debug)]
struct Step {
    is_table: bool,
    key: i64,
    value: Option<String>,
    time: i64,
}

/// A versioned table with a queue in front of the stream, over plain lists.
struct Reference {
    retention: i64,
    grace: Option<i64>,
    versions: BTreeMap<i64, BTreeMap<i64, Option<String>>>,
    table_time: i64,
    queue: Vec<Step>,
    stream_time: i64,
}

impl Reference {
    fn step(&mut self, step: &Step) -> Vec<String> {
        if step.is_table {
            if step.time >= self.table_time.saturating_sub(self.retention) {
                self.table_time = self.table_time.max(step.time);
                let versions = self.versions.entry(step.key).or_default();
                versions.insert(step.time, step.value.clone());
            }
            return Vec::new();
        }
        let Some(grace) = self.grace else {
            return vec![self.join(step)];
        };
        if self.stream_time - grace > step.time {
            return vec![self.join(step)];
        }
        self.stream_time = self.stream_time.max(step.time);
        self.queue.push(step.clone());
        self.queue.sort_by_key(|queued| (queued.time, queued.key));
        let due = self
            .queue
            .partition_point(|queued| queued.time <= self.stream_time - grace);
        let due: Vec<Step> = self.queue.drain(..due).collect();
        due.iter().map(|step| self.join(step)).collect()
    }

    fn join(&self, step: &Step) -> String {
        let versions = self.versions.get(&step.key);
        let latest = versions.and_then(|versions| versions.last_key_value());
        let entry = if step.time < self.table_time.saturating_sub(self.retention) {
            // Older than the past that is kept: only what still stands can be told.
            latest
                .filter(|(time, _)| **time <= step.time)
                .and_then(|(_, value)| value.clone())
        } else {
            versions
                .and_then(|versions| versions.range(..=step.time).next_back())
                .and_then(|(_, value)| value.clone())
        };
        format!("{}-{}@{}", text(&step.value), text(&entry), step.time)
    }
}

fn random_steps(rng: &mut fastrand::Rng) -> Vec<Step> {
    let mut now = 0;
    (0..150)
        .map(|number| {
            now += rng.i64(0..5);
            let is_table = rng.bool();
            let late = if rng.u8(0..3) == 0 { rng.i64(0..60) } else { 0 };
            let deletes = is_table && rng.u8(0..4) == 0;
            Step {
                is_table,
                key: rng.i64(0..3),
                value: (!deletes).then(|| format!("{}{number}", if is_table { 't' } else { 's' })),
                time: (now - late).max(0),
            }
        })
        .collect()
}

#[test]
fn random_versions_are_read_as_from_a_list_however_the_input_is_cut() {
    for seed in 0..160 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let retention = rng.u64(0..60);
        let grace = rng.bool().then(|| rng.u64(0..=retention));
        let shape = Shape {
            versioned: Some(retention),
            grace,
            ..LEFT
        };
        let hosts = if seed % 32 < 3 {
            Hosts::Rocks
        } else {
            Hosts::Memory
        };
        let steps = random_steps(&mut rng);
        let mut reference = Reference {
            retention: retention as i64,
            grace: grace.map(|grace| grace as i64),
            versions: BTreeMap::new(),
            table_time: -1,
            queue: Vec::new(),
            stream_time: -1,
        };
        let expected: Vec<String> = steps.iter().flat_map(|step| reference.step(step)).collect();
        let Bench { mut driver, _dir } = bench(&topology(shape), hosts, false, ProcessingConfig::default());
        let left = driver.input::<Key, Option<String>>("left");
        let right = driver.input::<Key, Option<String>>("right");
        let mut rest = &steps[..];
        while let Some(first) = rest.first() {
            let same = rest
                .iter()
                .take_while(|step| step.is_table == first.is_table)
                .count();
            let (batch, after) = rest.split_at(rng.usize(1..=same));
            let records = batch
                .iter()
                .map(|step| TestRecord::new(Some(step.key), step.value.clone(), step.time));
            let topic = if first.is_table { &right } else { &left };
            driver.pipe_all(topic, records).unwrap();
            match rng.u8(0..6) {
                0 | 1 => driver.commit().unwrap(),
                // Only what was not processed is lost here, so nothing is read again in another order.
                2 => {
                    driver.commit().unwrap();
                    driver.abort().unwrap();
                }
                _ => {}
            }
            rest = after;
        }
        driver.commit().unwrap();
        assert_eq!(
            results(&mut driver),
            expected,
            "seed {seed}, {retention} ms, grace {grace:?}"
        );
    }
}
