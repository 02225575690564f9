//! What goes into the jobs: a function of the record's number and a seed, so that every side gets the same bytes in the same order.

use std::io::Write;

use crate::job::{Job, PARTITIONS};

/// Where a record goes and when it happened. Its key and value are in buffers of the caller's.
pub(crate) struct Address {
    /// Index among the job's inputs.
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    pub(crate) timestamp: i64,
}

pub(crate) struct Inputs {
    job: Job,
    keys: u64,
    base_ms: i64,
    random: fastrand::Rng,
}

impl Inputs {
    /// Input over `keys` keys, its event time from `base_ms` on.
    pub(crate) fn new(job: Job, keys: u64, base_ms: i64) -> Inputs {
        Inputs {
            job,
            keys,
            base_ms,
            random: fastrand::Rng::with_seed(7),
        }
    }

    /// Record `number`; to be asked in order.
    pub(crate) fn write(&mut self, number: u64, key: &mut Vec<u8>, value: &mut Vec<u8>) -> Address {
        let which = match self.job {
            Job::Stateless => number,
            // Every key once, in no order that a tree of files likes, then any.
            Job::Restart if number < self.keys => number * 7_919 % self.keys,
            _ => self.random.u64(..self.keys),
        };
        key.clear();
        write!(key, "key-{which:010}").expect("memory takes everything");
        value.clear();
        value.extend_from_slice(&number.to_be_bytes());
        let bytes = match self.job {
            Job::Stateless => 86,
            Job::WindowedCount => 80,
            Job::Restart => 1000,
            Job::StreamJoin | Job::TableJoin | Job::Sessions => 50,
        };
        value.resize(bytes, b'v');
        if self.job == Job::Restart {
            // State that compresses would not be as large as it is said to be.
            self.random.fill(&mut value[8..]);
        }
        let base_ms = self.base_ms;
        let address = |topic, offset_ms: u64| Address {
            topic,
            partition: i32::try_from(which).unwrap_or(0) % PARTITIONS,
            timestamp: base_ms + i64::try_from(offset_ms).expect("hours"),
        };
        match self.job {
            Job::Stateless => address(0, number / 1_000),
            // Two records a key and window.
            Job::WindowedCount => address(0, number * 3_600_000 / (2 * self.keys)),
            // One partner a record within a minute before and after it.
            Job::StreamJoin => address(side(number), number * 60_000 / self.keys),
            Job::TableJoin => address(side(number), number / 10),
            // One and a half records a key and gap: sessions of four or five, and each record up to two seconds early.
            Job::Sessions => address(0, number * 20_000 / self.keys + self.random.u64(..2_000)),
            Job::Restart => address(0, number / 10),
        }
    }
}

/// Left and right in turn.
fn side(number: u64) -> usize {
    usize::from(number % 2 == 1)
}
