//! Stream time of one task.
//!
//! Ordinary sources: the largest timestamp seen. Repartition sources: every upstream task tells its own time in the header `mp.time`; the time here is the
//! **minimum** over all upstream partitions, unknown until all of them were heard. So a result never depends on which upstream task ran first. The timestamps of an
//! upstream task's records are times of it as well: behind a single one, time is at least what the records show, wherever its headers are.
//! An upstream task that tells [`NO_TIME`] is idle and never had a record: it was heard, and holds nobody back.
//! Time never goes back, except when a task is put back to its last commit (`restore`).
//! A task that reads both kinds takes the minimum of the repartition side and ignores the ordinary one: the slower side decides.
//! Beside it the times of operators (`operator_time.rs`), which are those of the records that reached them.
//! The state is small text, saved in the metadata of the committed offsets and beside the stores.

use std::collections::BTreeMap;

use millpond_log::types::Timestamp;

use super::operator_time::{OperatorIndex, OperatorTime};
use super::operator_times::{LIST, OperatorTimes};

/// Behind a topic's name in the saved state: what follows is the time of its partition.
const PARTITION_MARK: char = '@';

/// Stream time before anything was seen: below every timestamp.
pub const NO_TIME: Timestamp = i64::MIN;

/// Stream time of a task; see the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskClock {
    time: Timestamp,
    /// Per repartition source (by its name in the topology): number of upstream tasks, and the latest time of each that was heard.
    upstreams: BTreeMap<String, Upstream>,
    /// Largest time of the task's partition of a topic, for the topics whose decoders ask for it.
    partitions: BTreeMap<String, Timestamp>,
    /// How often time went on while input was idle.
    idle_advances: u64,
    operators: OperatorTimes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Upstream {
    expected: usize,
    times: BTreeMap<i32, Timestamp>,
}

/// Saved clock state that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("saved stream time is damaged: {text:?}")]
pub struct ClockStateError {
    /// What was found.
    pub text: String,
}

impl TaskClock {
    /// A clock that has seen nothing. `upstreams`: repartition sources with the number of upstream tasks writing to each.
    pub fn new(upstreams: impl IntoIterator<Item = (String, i32)>) -> TaskClock {
        let upstreams = upstreams
            .into_iter()
            .map(|(name, count)| {
                (
                    name,
                    Upstream {
                        expected: count.max(0) as usize,
                        times: BTreeMap::new(),
                    },
                )
            })
            .collect();
        TaskClock {
            time: NO_TIME,
            upstreams,
            partitions: BTreeMap::new(),
            idle_advances: 0,
            operators: OperatorTimes::default(),
        }
    }

    /// The clock with operators of these names, which have seen nothing; an operator's index is its place.
    pub(super) fn with_operators(self, names: &[String]) -> TaskClock {
        TaskClock {
            operators: OperatorTimes::new(names),
            ..self
        }
    }

    /// The time of an operator.
    pub(super) fn operator(&self, index: OperatorIndex) -> OperatorTime {
        self.operators.get(index, self.follows_upstreams())
    }

    /// The time of an operator at the last commit, [`NO_TIME`] when it was not known.
    pub(super) fn operator_committed(&self, index: OperatorIndex) -> Timestamp {
        self.operators.committed(index)
    }

    /// An operator's time went on.
    pub(super) fn set_operator(&mut self, index: OperatorIndex, time: OperatorTime) {
        self.operators.set(index, time);
    }

    /// Time is at least `time` for all operators, without a record: input was idle.
    pub(super) fn advance_operators(&mut self, time: Timestamp) {
        self.operators.advance(time);
    }

    /// What is now belongs to a commit.
    pub(super) fn commit_operators(&mut self) {
        self.operators.commit(self.time, self.follows_upstreams());
    }

    /// Stream time now; [`NO_TIME`] before it is known.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// True when time comes from upstream tasks rather than from timestamps.
    pub fn follows_upstreams(&self) -> bool {
        !self.upstreams.is_empty()
    }

    /// A record of an ordinary source was seen. Returns the stream time after it (the record itself counted).
    pub fn observe(&mut self, timestamp: Timestamp) -> Timestamp {
        if self.upstreams.is_empty() && timestamp > self.time {
            self.time = timestamp;
        }
        self.time
    }

    /// How often time went on while input was idle: the number of the last [`TimeMark`](super::TimeMark).
    pub fn idle_advances(&self) -> u64 {
        self.idle_advances
    }

    /// Time went on to `time` while input was idle, for the `number`th time.
    pub fn advance_idle(&mut self, number: u64, time: Timestamp) {
        self.idle_advances = number;
        self.observe(time);
        self.operators.advance(time.min(self.time));
    }

    /// Largest time seen in the task's partition of `topic`, if anybody keeps it.
    pub fn partition_time(&self, topic: &str) -> Option<Timestamp> {
        self.partitions.get(topic).copied()
    }

    /// A record with this time was seen in the task's partition of `topic`.
    pub fn observe_partition(&mut self, topic: &str, time: Timestamp) {
        match self.partitions.get_mut(topic) {
            Some(known) => *known = time.max(*known),
            None => {
                self.partitions.insert(topic.to_owned(), time);
            }
        }
    }

    /// An upstream task told its time, or a record of it showed it. Returns the stream time after it. Older news than already heard is ignored.
    pub fn observe_upstream(&mut self, source: &str, upstream_partition: i32, time: Timestamp) -> Timestamp {
        if let Some(upstream) = self.upstreams.get_mut(source) {
            let before = match upstream.times.get_mut(&upstream_partition) {
                Some(known) => {
                    let before = *known;
                    *known = time.max(before);
                    Some(before)
                }
                None => {
                    upstream.times.insert(upstream_partition, time);
                    None
                }
            };
            // The minimum is another's, so it stays.
            let is_ahead = before.is_some_and(|before| before > self.time || before >= time);
            if !is_ahead && let Some(lowest) = self.lowest() {
                self.time = lowest.max(self.time);
            }
        }
        self.time
    }

    fn lowest(&self) -> Option<Timestamp> {
        let mut lowest = None::<Timestamp>;
        for upstream in self.upstreams.values() {
            if upstream.times.len() < upstream.expected {
                return None;
            }
            // One that said it is idle and knows no time does not hold the others back.
            let known = upstream.times.values().filter(|time| **time != NO_TIME);
            if let Some(here) = known.min().copied() {
                lowest = Some(lowest.map_or(here, |other| other.min(here)));
            }
        }
        lowest
    }

    /// The state as text: `v1;time;source=partition:time,…;…;topic@=0:time;…;@=0:idle advances;%=operators`. Unknown time is an empty field; `@` and `%`
    /// are no characters of a name, so times of partitions and operators are told from those of upstream tasks.
    pub fn encode(&self) -> String {
        let field = |time: Timestamp| {
            if time == NO_TIME {
                String::new()
            } else {
                time.to_string()
            }
        };
        let mut text = format!("v1;{}", field(self.time));
        for (name, upstream) in &self.upstreams {
            let times: Vec<String> = upstream
                .times
                .iter()
                .map(|(partition, time)| format!("{partition}:{}", field(*time)))
                .collect();
            text.push_str(&format!(";{name}={}", times.join(",")));
        }
        for (topic, time) in &self.partitions {
            text.push_str(&format!(";{topic}{PARTITION_MARK}=0:{}", field(*time)));
        }
        if self.idle_advances > 0 {
            text.push_str(&format!(";{PARTITION_MARK}=0:{}", self.idle_advances));
        }
        if !self.operators.is_empty() {
            text.push_str(&format!(";{LIST}={}", self.operators.encode(self.time)));
        }
        text
    }

    /// Takes over a saved state. Sources that no longer exist are ignored; new ones start unheard. Empty text = seen nothing.
    pub fn restore(&mut self, text: &str) -> Result<(), ClockStateError> {
        let damaged = || ClockStateError {
            text: text.to_owned(),
        };
        let parse = |field: &str| {
            if field.is_empty() {
                Ok(NO_TIME)
            } else {
                field.parse::<Timestamp>().map_err(|_| damaged())
            }
        };
        let mut fresh = TaskClock {
            time: NO_TIME,
            upstreams: self
                .upstreams
                .iter()
                .map(|(name, up)| {
                    (
                        name.clone(),
                        Upstream {
                            expected: up.expected,
                            times: BTreeMap::new(),
                        },
                    )
                })
                .collect(),
            partitions: BTreeMap::new(),
            idle_advances: 0,
            operators: self.operators.clone(),
        };
        let (mut operators, mut saved_time) = (None, NO_TIME);
        if !text.is_empty() {
            let mut fields = text.split(';');
            if fields.next() != Some("v1") {
                return Err(damaged());
            }
            fresh.time = parse(fields.next().ok_or_else(damaged)?)?;
            saved_time = fresh.time;
            for source in fields {
                let (name, times) = source.split_once('=').ok_or_else(damaged)?;
                if name == LIST {
                    operators = Some(times);
                    continue;
                }
                if let Some(topic) = name.strip_suffix(PARTITION_MARK) {
                    let (_, time) = times.split_once(':').ok_or_else(damaged)?;
                    if topic.is_empty() {
                        fresh.idle_advances = time.parse().map_err(|_| damaged())?;
                    } else {
                        fresh.partitions.insert(topic.to_owned(), parse(time)?);
                    }
                    continue;
                }
                let Some(upstream) = fresh.upstreams.get_mut(name) else {
                    continue;
                };
                for entry in times.split(',').filter(|entry| !entry.is_empty()) {
                    let (partition, time) = entry.split_once(':').ok_or_else(damaged)?;
                    upstream
                        .times
                        .insert(partition.parse().map_err(|_| damaged())?, parse(time)?);
                }
            }
        }
        if let Some(lowest) = fresh.lowest() {
            // A source that held it back may be gone.
            fresh.time = lowest.max(fresh.time);
        }
        match operators {
            Some(list) => fresh.operators.restore(list, saved_time).ok_or_else(damaged)?,
            None => fresh.operators.restore_without_list(saved_time),
        }
        *self = fresh;
        self.commit_operators();
        Ok(())
    }
}
