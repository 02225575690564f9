//! Random joins of two streams against a reference that works a record at a time over plain lists, however the input is cut and whatever is aborted.

use super::JoinWindows;
use super::stream_join_test::{branches, topology, windows};
use super::test_hosts::{Bench, Hosts, bench};
use crate::config::ProcessingConfig;
use crate::testing::{TestInputTopic, TestRecord, TopologyTestDriver};

/// One record of a random run.
#[derive(Clone, Debug)]
struct Step {
    is_left: bool,
    key: i64,
    value: String,
    time: i64,
}

/// Kafka Streams' joins, a record at a time over plain lists.
struct Reference {
    windows: JoinWindows,
    outer: [bool; 2],
    /// Left, right: all records and the largest time put.
    stores: [(Vec<Step>, i64); 2],
    waiting: Vec<Step>,
    stream_time: i64,
    min_time: i64,
}

impl Reference {
    fn new(kind: &str, windows: JoinWindows) -> Reference {
        Reference {
            windows,
            outer: [kind != "inner", kind == "outer"],
            stores: [(Vec::new(), -1), (Vec::new(), -1)],
            waiting: Vec::new(),
            stream_time: -1,
            min_time: i64::MAX,
        }
    }

    fn after(&self, is_left: bool) -> i64 {
        if is_left {
            self.windows.after_ms()
        } else {
            self.windows.before_ms()
        }
    }

    fn step(&mut self, step: &Step) -> Vec<(i64, String, i64)> {
        let (this, other) = if step.is_left { (0, 1) } else { (1, 0) };
        let mut out = Vec::new();
        self.stream_time = self.stream_time.max(step.time);
        if self.outer[0] && step.time == self.stream_time {
            self.close(step.is_left, &mut out);
        }
        let (from, to) = if step.is_left {
            (
                step.time - self.windows.before_ms(),
                step.time + self.windows.after_ms(),
            )
        } else {
            (
                step.time - self.windows.after_ms(),
                step.time + self.windows.before_ms(),
            )
        };
        let retention = self.windows.retention_ms();
        let (records, observed) = &self.stores[other];
        let from = from.max(0).max(observed - retention + 1);
        let mut partners: Vec<&Step> = records
            .iter()
            .filter(|partner| partner.key == step.key && (from..=to.max(0)).contains(&partner.time))
            .collect();
        partners.sort_by_key(|partner| partner.time);
        for partner in &partners {
            let (left, right) = if step.is_left {
                (step, *partner)
            } else {
                (*partner, step)
            };
            let joined = format!("{}+{}", left.value, right.value);
            out.push((step.key, joined, step.time.max(partner.time)));
            self.waiting.retain(|waiting| {
                !(waiting.is_left != step.is_left && waiting.key == step.key && waiting.time == partner.time)
            });
        }
        if partners.is_empty() && self.outer[this] {
            if to.max(0) < self.stream_time {
                out.push(alone(step));
            } else {
                self.min_time = self.min_time.min(step.time);
                self.waiting.push(step.clone());
                self.waiting
                    .sort_by_key(|waiting| (waiting.time, waiting.is_left, waiting.key));
            }
        }
        let (records, observed) = &mut self.stores[this];
        *observed = step.time.max(*observed);
        records.push(step.clone());
        out
    }

    fn close(&mut self, is_left: bool, out: &mut Vec<(i64, String, i64)>) {
        let grace = self.windows.grace_ms();
        let is_open = |reference: &Reference, time: i64, is_left: bool| {
            time + reference.after(is_left) + grace >= reference.stream_time
        };
        if self.min_time == i64::MAX || is_open(self, self.min_time, is_left) {
            return;
        }
        self.min_time = i64::MAX;
        let (mut left_open, mut right_open) = (false, false);
        let mut kept = Vec::new();
        let mut waiting = std::mem::take(&mut self.waiting).into_iter();
        for step in waiting.by_ref() {
            self.min_time = step.time;
            if left_open && right_open {
                kept.push(step);
                break;
            }
            if is_open(self, step.time, step.is_left) {
                if step.is_left {
                    left_open = true
                } else {
                    right_open = true
                }
                kept.push(step);
            } else {
                out.push(alone(&step));
            }
        }
        kept.extend(waiting);
        self.waiting = kept;
    }
}

fn alone(step: &Step) -> (i64, String, i64) {
    let value = &step.value;
    let text = if step.is_left {
        format!("{value}+null")
    } else {
        format!("null+{value}")
    };
    (step.key, text, step.time)
}

fn random_steps(rng: &mut fastrand::Rng, count: usize, spread: i64) -> Vec<Step> {
    let mut now = 0;
    (0..count)
        .map(|number| {
            now += rng.i64(0..spread);
            let is_left = rng.bool();
            let late = if rng.u8(0..4) == 0 {
                rng.i64(0..spread * 12)
            } else {
                0
            };
            Step {
                is_left,
                key: rng.i64(0..3),
                value: format!("{}{number}", if is_left { 'L' } else { 'R' }),
                time: (now - late).max(0),
            }
        })
        .collect()
}

fn random_windows(rng: &mut fastrand::Rng) -> JoinWindows {
    let mut pick = |most: i64| if rng.bool() { 0 } else { rng.i64(0..most) };
    windows(pick(30), pick(30), pick(40))
}

/// Everything a driver gave out, in order.
fn results(driver: &mut TopologyTestDriver) -> Vec<(i64, String, i64)> {
    let out = driver.output::<i64, String>("out");
    let records = driver.read(&out).unwrap().into_iter();
    records
        .map(|record| (record.key, record.value, record.timestamp))
        .collect()
}

fn pipe_steps(driver: &mut TopologyTestDriver, topic: &TestInputTopic<i64, String>, steps: &[Step]) {
    let records = steps
        .iter()
        .map(|step| TestRecord::new(step.key, step.value.clone(), step.time));
    driver.pipe_all(topic, records).unwrap();
}

const KINDS: [&str; 3] = ["inner", "left", "outer"];

#[test]
fn random_streams_are_joined_as_by_hand_however_they_are_cut() {
    for seed in 0..120 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let kind = KINDS[seed as usize % 3];
        let windows = random_windows(&mut rng);
        let hosts = if seed % 24 < 3 {
            Hosts::Rocks
        } else {
            Hosts::Memory
        };
        let steps = random_steps(&mut rng, 120, 6);
        let mut reference = Reference::new(kind, windows);
        let expected: Vec<_> = steps.iter().flat_map(|step| reference.step(step)).collect();
        let Bench { mut driver, _dir } = bench(
            &topology(kind, windows),
            hosts,
            false,
            ProcessingConfig::default(),
        );
        let (left, right) = (
            driver.input::<i64, String>("left"),
            driver.input::<i64, String>("right"),
        );
        let mut rest = &steps[..];
        while let Some(first) = rest.first() {
            let same = rest
                .iter()
                .take_while(|step| step.is_left == first.is_left)
                .count();
            let (batch, after) = rest.split_at(rng.usize(1..=same));
            pipe_steps(&mut driver, if first.is_left { &left } else { &right }, batch);
            if rng.u8(0..4) == 0 {
                driver.commit().unwrap();
            }
            rest = after;
        }
        driver.commit().unwrap();
        assert_eq!(results(&mut driver), expected, "seed {seed}, {kind}, {windows:?}");
    }
}

#[test]
fn aborts_change_nothing_and_branches_of_one_stream_keep_their_order() {
    for seed in 0..120 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let kind = KINDS[seed as usize % 3];
        let windows = random_windows(&mut rng);
        let hosts = if seed % 24 < 3 {
            Hosts::Rocks
        } else {
            Hosts::Memory
        };
        let steps = random_steps(&mut rng, 120, 6);
        let mut reference = Reference::new(kind, windows);
        let expected: Vec<_> = steps.iter().flat_map(|step| reference.step(step)).collect();
        let Bench { mut driver, _dir } = bench(
            &branches(kind, windows),
            hosts,
            false,
            ProcessingConfig::default(),
        );
        let all = driver.input::<i64, String>("all");
        let mut rest = &steps[..];
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(rng.usize(1..=rest.len().min(20)));
            pipe_steps(&mut driver, &all, batch);
            match rng.u8(0..4) {
                0 => driver.commit().unwrap(),
                1 => driver.abort().unwrap(),
                _ => {}
            }
            rest = after;
        }
        driver.commit().unwrap();
        assert_eq!(results(&mut driver), expected, "seed {seed}, {kind}, {windows:?}");
    }
}
