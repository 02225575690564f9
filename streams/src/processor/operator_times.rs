//! The times of all operators of a task, and how they are saved: a part of [`TaskClock`](super::TaskClock).
//!
//! Saved, `%=` and per operator six characters for its name and how far it is behind the task's time (base 36, `~` in front: ahead; `!`: nothing seen;
//! nothing: not at all), commas between; `+` at the end when there were more operators than are saved. An operator that is not in a text that has such a
//! list is new; without a list the text is of a version in which every operator went by the task's time.

use millpond_log::types::Timestamp;

use super::NO_TIME;
use super::operator_time::{OPERATOR_TIMES_MAX, OperatorIndex, OperatorTime, TimeLimit};

/// Name of the list among the fields of the saved clock: no character of a topic's name.
pub(super) const LIST: &str = "%";
const NAME_LEN: usize = 6;
const MORE: char = '+';
const AHEAD: char = '~';
const NOTHING: &str = "!";

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OperatorTimes {
    operators: Vec<Operator>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Operator {
    /// Its name as it is saved.
    short_name: String,
    /// Largest timestamp that reached it, or the time an idle task went on to.
    own: Timestamp,
    /// Its time at the last commit.
    committed: Timestamp,
}

impl OperatorTimes {
    pub(super) fn new(names: &[String]) -> OperatorTimes {
        let mut times = OperatorTimes::default();
        for name in names {
            let mut salted = name.clone();
            let mut short = short_name(&salted);
            while times
                .operators
                .iter()
                .any(|operator| operator.short_name == short)
            {
                salted.push('\'');
                short = short_name(&salted);
            }
            times.operators.push(Operator {
                short_name: short,
                own: NO_TIME,
                committed: NO_TIME,
            });
        }
        times
    }

    pub(super) fn is_empty(&self) -> bool {
        self.operators.is_empty()
    }

    pub(super) fn get(&self, index: OperatorIndex, follows_upstreams: bool) -> OperatorTime {
        let place = index.0 as usize;
        let limit = match follows_upstreams {
            _ if place >= OPERATOR_TIMES_MAX => TimeLimit::IsTask,
            true => TimeLimit::Task,
            false => TimeLimit::None,
        };
        let own = self.operators[place].own;
        OperatorTime { own, limit }
    }

    pub(super) fn set(&mut self, index: OperatorIndex, time: OperatorTime) {
        self.operators[index.0 as usize].own = time.own;
    }

    pub(super) fn committed(&self, index: OperatorIndex) -> Timestamp {
        self.operators[index.0 as usize].committed
    }

    /// Time went on without records.
    pub(super) fn advance(&mut self, time: Timestamp) {
        for operator in &mut self.operators {
            operator.own = operator.own.max(time);
        }
    }

    /// A commit holds what is now, at this stream time of the task.
    pub(super) fn commit(&mut self, task_time: Timestamp, follows_upstreams: bool) {
        for place in 0..self.operators.len() {
            let time = self.get(OperatorIndex(place as u32), follows_upstreams);
            self.operators[place].committed = time.at(task_time);
        }
    }

    /// The list, for a task at `task_time`.
    pub(super) fn encode(&self, task_time: Timestamp) -> String {
        let saved = self.operators.iter().take(OPERATOR_TIMES_MAX);
        let entries: Vec<String> = saved
            .map(|operator| {
                let behind = match operator.own {
                    NO_TIME if task_time != NO_TIME => NOTHING.to_owned(),
                    0 if task_time == NO_TIME => base_36(0),
                    own => encode_behind(reference(task_time).wrapping_sub(reference(own))),
                };
                format!("{}{behind}", operator.short_name)
            })
            .collect();
        let mut list = entries.join(",");
        if self.operators.len() > OPERATOR_TIMES_MAX {
            list.push(MORE);
        }
        list
    }

    /// What was saved in a version where every operator went by the task's time.
    pub(super) fn restore_without_list(&mut self, task_time: Timestamp) {
        for operator in &mut self.operators {
            operator.own = task_time;
        }
    }

    /// Takes over a saved list. Operators that no longer exist are ignored. `None` when it is damaged.
    pub(super) fn restore(&mut self, list: &str, task_time: Timestamp) -> Option<()> {
        let (list, had_more) = match list.strip_suffix(MORE) {
            Some(list) => (list, true),
            None => (list, false),
        };
        for operator in &mut self.operators {
            operator.own = if had_more { task_time } else { NO_TIME };
        }
        for entry in list.split(',').filter(|entry| !entry.is_empty()) {
            let (name, behind) = entry.split_at_checked(NAME_LEN)?;
            let own = match behind {
                NOTHING => NO_TIME,
                "" => task_time,
                behind => reference(task_time).wrapping_sub(decode_behind(behind)?),
            };
            let known = self
                .operators
                .iter_mut()
                .find(|operator| operator.short_name == name);
            if let Some(operator) = known {
                operator.own = own;
            }
        }
        Some(())
    }
}

/// What differences are counted from.
fn reference(time: Timestamp) -> Timestamp {
    if time == NO_TIME { 0 } else { time }
}

/// Six characters that are the same in every version: FNV-1a of 32 bits, cut to 31, in base 36.
fn short_name(name: &str) -> String {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{:0>6}", base_36(u64::from(hash >> 1)))
}

fn encode_behind(behind: i64) -> String {
    match behind {
        0 => String::new(),
        1.. => base_36(behind.unsigned_abs()),
        _ => format!("{AHEAD}{}", base_36(behind.unsigned_abs())),
    }
}

fn decode_behind(text: &str) -> Option<i64> {
    let number = |text: &str| u64::from_str_radix(text, 36).ok();
    match text.strip_prefix(AHEAD) {
        Some(ahead) => Some((number(ahead)? as i64).wrapping_neg()),
        None => Some(number(text)? as i64),
    }
}

fn base_36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}
