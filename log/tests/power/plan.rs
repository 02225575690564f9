//! What happens in a test, drawn from its seed: settings of a machine, and for each of its lives the load and the moment of the cut.
//!
//! Always: parent and child draw the same plan from the same seed, and the content of every record follows from its name. The seed fixes
//! everything but the race of the two processes, so a replay hits about the same moment, not exactly the same.

use std::time::Duration;

use bytes::Bytes;
use millpond_log::config::BrokerConfig;
use millpond_log::rng::{Rng, SeededRng};

/// Cuts on one file system, one after the other.
pub(crate) const LIVES: u32 = 5;

pub(crate) const ONE: &str = "one";
pub(crate) const MANY: &str = "many";
pub(crate) const CACHE: &str = "cache";
pub(crate) const TXN: &str = "txn";
/// Topics, their partitions, and how durable they are.
pub(crate) const TOPICS: [(&str, i32, &str); 4] = [
    (ONE, 1, "fsync"),
    (MANY, 64, "fsync"),
    (CACHE, 2, "page-cache"),
    (TXN, 3, "fsync"),
];
/// Transactional id, and group whose offsets its transactions commit.
pub(crate) const TRANSACTIONAL: &str = "power";
pub(crate) const GROUP: &str = "power-readers";

fn rng(seed: u64, what: u64) -> SeededRng {
    SeededRng::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ what)
}

fn pick<T: Copy>(rng: &SeededRng, choices: &[T]) -> T {
    choices[rng.below(choices.len() as u64) as usize]
}

/// One file system and the broker that lives on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// What everything else is drawn from.
    pub(crate) seed: u64,
    /// 0 switches the journal off: every flush syncs the segments themselves.
    pub(crate) journal_bytes: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) checkpoint_interval: Duration,
}

impl Machine {
    pub(crate) fn of(seed: u64) -> Self {
        let rng = rng(seed, 1);
        Self {
            seed,
            journal_bytes: pick(&rng, &[0, 128 << 10, 1 << 20, 64 << 20]),
            segment_bytes: pick(&rng, &[32 << 10, 256 << 10, 1 << 30]),
            checkpoint_interval: Duration::from_millis(pick(&rng, &[20, 200, 1000])),
        }
    }

    pub(crate) fn config(&self) -> BrokerConfig {
        let mut config = BrokerConfig::default();
        config.topic_defaults.log.segment_bytes = self.segment_bytes;
        config.storage.journal_bytes = self.journal_bytes;
        config.storage.checkpoint_interval = self.checkpoint_interval;
        // The file system is small.
        config.storage.reserved_disk_bytes = 8 << 20;
        config
    }
}

/// From one power cut to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) number: u32,
    /// Which topics are written to besides the transactions.
    pub(crate) load: &'static [&'static str],
    /// Cut so long after the process was started, or after it began to write.
    pub(crate) cut: Cut,
    /// The process goes on so long on the dead disk before it is killed; none kills it just before the cut.
    pub(crate) kill_after: Option<Duration>,
    /// Dirty pages are written back in random order.
    pub(crate) write_back: bool,
    /// Look whether everything is there afterwards; else the next life begins at once, on what the cut left.
    pub(crate) look: bool,
}

/// The moment of a cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    AfterStart(Duration),
    AfterFirstWrites(Duration),
}

impl Life {
    pub(crate) fn of(machine: &Machine, number: u32) -> Self {
        let rng = rng(machine.seed, 100 + u64::from(number));
        let millis = |most| Duration::from_millis(rng.below(most));
        Self {
            number,
            load: pick(
                &rng,
                &[
                    &[ONE][..],
                    &[MANY, CACHE],
                    &[ONE, MANY, CACHE],
                    &[ONE, MANY, CACHE],
                ],
            ),
            cut: if rng.below(6) == 0 {
                Cut::AfterStart(millis(300))
            } else {
                Cut::AfterFirstWrites(millis(1200))
            },
            kill_after: pick(&rng, &[None, None, None, Some(40), Some(300)]).map(Duration::from_millis),
            write_back: rng.below(2) == 0,
            look: rng.below(5) > 0 || number + 1 == LIVES,
        }
    }

    /// For the control: long enough to have acknowledged much, too short for the kernel to have written it.
    pub(crate) fn of_control(number: u32) -> Self {
        Self {
            number,
            load: &[ONE, MANY],
            cut: Cut::AfterFirstWrites(Duration::from_millis(300)),
            kill_after: None,
            write_back: false,
            look: true,
        }
    }

    /// Names the process that writes in this life.
    pub(crate) fn writer(&self) -> u32 {
        self.number * 2
    }

    /// Names the one that looks afterwards, and then writes a little.
    pub(crate) fn looker(&self) -> u32 {
        self.number * 2 + 1
    }
}

/// A record: whose, and its number among those its writer sent to the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) writer: u32,
    pub(crate) number: u64,
}

impl Name {
    /// The value of the record of this name.
    pub(crate) fn value(self, topic: &str, partition: i32) -> Bytes {
        let Self { writer, number } = self;
        let place = topic
            .bytes()
            .fold(partition as u64, |all, byte| all * 257 + u64::from(byte));
        let rng = rng(place, (u64::from(writer) << 40) + number);
        let mut value = format!("{writer}.{number} ").into_bytes();
        let length = value.len() + pick(&rng, &[0, 20, 100, 100, 100, 1000, 1000, 9000]);
        let start = value.len();
        value.resize(length, 0);
        rng.fill(&mut value[start..]);
        value.into()
    }

    /// The name in a value; none if it is not one of ours.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let end = value.iter().position(|byte| *byte == b' ')?;
        let (writer, number) = std::str::from_utf8(&value[..end]).ok()?.split_once('.')?;
        Some(Self {
            writer: writer.parse().ok()?,
            number: number.parse().ok()?,
        })
    }
}

/// A transaction: whose, and its number among those of its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Txn {
    pub(crate) writer: u32,
    pub(crate) number: u64,
}

/// Names of records of a transaction: its number times this, and on.
const TXN_RECORDS_MAX: u64 = 10;

impl Txn {
    /// What it writes, in order.
    pub(crate) fn records(self) -> Vec<(i32, Name)> {
        let rng = rng(u64::from(self.writer), 1_000_000 + self.number);
        let name = |i| Name {
            writer: self.writer,
            number: self.number * TXN_RECORDS_MAX + i,
        };
        (0..1 + rng.below(TXN_RECORDS_MAX - 1))
            .map(|i| (rng.below(3) as i32, name(i)))
            .collect()
    }

    /// The transaction a record belongs to.
    pub(crate) fn of(record: Name) -> Self {
        Self {
            writer: record.writer,
            number: record.number / TXN_RECORDS_MAX,
        }
    }

    pub(crate) fn aborts(self) -> bool {
        self.number % 5 == 3
    }

    /// The offset it commits for the group: grows from transaction to transaction.
    pub(crate) fn group_offset(self) -> i64 {
        i64::from(self.writer) * 1_000_000 + self.number as i64 + 1
    }
}
