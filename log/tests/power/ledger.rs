//! What was acknowledged: the lines of the writers, added up over the lives of a machine.
//!
//! Lines: `@ready`; `@ack TOPIC PARTITION OFFSET NUMBER`; `@commit NUMBER OFFSET…`, one offset per record of the transaction; `@abort NUMBER`;
//! `@stopped WHAT: ERROR`. Others are the test harness's own and are passed over, and so is a last line without its end.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{CACHE, Name, Txn};

/// A partition by the name of its topic.
pub(crate) type Place = (String, i32);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With the offsets of its records.
    Committed(Vec<i64>),
    Aborted,
}

/// Everything that was promised.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Offset → record.
    pub(crate) records: BTreeMap<Place, BTreeMap<i64, Name>>,
    pub(crate) transactions: BTreeMap<Txn, Outcome>,
    /// Said to be committed after the cut: may be or not.
    pub(crate) late: BTreeSet<Txn>,
    /// Acknowledged records of the page-cache topic whose offsets were given to others.
    pub(crate) cache_overwritten: u64,
    /// Records acknowledged after the cut.
    pub(crate) late_records: u64,
}

impl Ledger {
    /// Adds a line of a writer. Errs if two records were acknowledged at one offset.
    pub(crate) fn add(&mut self, writer: u32, line: &str) -> Result<(), String> {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let topic = if kind == "@ack" { words.next() } else { None };
        if !["@ack", "@commit", "@abort"].contains(&kind) {
            return Ok(());
        }
        let numbers: Result<Vec<i64>, _> = words.map(str::parse).collect();
        let numbers = numbers.map_err(|error| format!("line {line:?}: {error}"))?;
        let (topic, numbers) = (topic.unwrap_or_default(), &numbers[..]);
        match (kind, numbers) {
            ("@ack", &[partition, offset, number]) => {
                let name = Name {
                    writer,
                    number: number as u64,
                };
                let place = (topic.to_owned(), partition as i32);
                match self.records.entry(place).or_default().insert(offset, name) {
                    None => Ok(()),
                    // Lost in a cut after which nobody looked, as it may be.
                    Some(_) if topic == CACHE => {
                        self.cache_overwritten += 1;
                        Ok(())
                    }
                    Some(other) => Err(format!(
                        "acknowledged twice at one offset: {line:?} and {other:?}"
                    )),
                }
            }
            ("@commit", [number, offsets @ ..]) => {
                self.decide(writer, *number, Outcome::Committed(offsets.to_vec()));
                Ok(())
            }
            ("@abort", &[number]) => {
                self.decide(writer, number, Outcome::Aborted);
                Ok(())
            }
            _ => Err(format!("line {line:?} is not one of the writer's")),
        }
    }

    /// Adds a line that was said after the cut: a promise nobody could have heard.
    pub(crate) fn add_late(&mut self, writer: u32, line: &str) {
        if line.starts_with("@ack") {
            self.late_records += 1;
        }
        let committed = line
            .strip_prefix("@commit ")
            .and_then(|rest| rest.split(' ').next());
        if let Some(Ok(number)) = committed.map(str::parse) {
            self.late.insert(Txn { writer, number });
        }
    }

    fn decide(&mut self, writer: u32, number: i64, outcome: Outcome) {
        let number = number as u64;
        self.transactions.insert(Txn { writer, number }, outcome);
    }

    /// Records acknowledged in topics that pass.
    pub(crate) fn count(&self, is_meant: impl Fn(&str) -> bool) -> u64 {
        let places = self.records.iter().filter(|((topic, _), _)| is_meant(topic));
        places.map(|(_, records)| records.len() as u64).sum()
    }

    /// Records of committed transactions.
    pub(crate) fn count_transactional(&self) -> u64 {
        let committed = self.transactions.values().map(|outcome| match outcome {
            Outcome::Committed(offsets) => offsets.len() as u64,
            Outcome::Aborted => 0,
        });
        committed.sum()
    }
}
