//! What was found: how often each rule was broken, a few examples of each, and figures that are no verdict.

use std::collections::BTreeMap;
use std::fmt;

/// The promises, numbered as in `docs/reliability.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A1: one offset of a partition holds two values.
    InconsistentOffset,
    /// A2: one value lies at two places.
    Duplicate,
    /// A3: an acknowledged value was passed over by every reader.
    LostWrite,
    /// A4: a value of a failed writer was read.
    AbortedRead,
    /// A5: a transaction read what it had not yet committed.
    PrecommittedRead,
    /// A6: part of a transaction was visible, part was not.
    TornTransaction,
    /// A7: one poll skipped a visible record or went back.
    PollSkip,
    /// A8: a process skipped a visible record or went back between two polls.
    PollSkipBetween,
    /// A9: acknowledged offsets of one process went back.
    SendOrder,
    /// A10: an acknowledged value is missing from the final reads.
    Unseen,
    /// A11: operations that each saw the other's writes, or saw them before they began.
    Cycle,
    /// A13: a group's offset went back.
    OffsetRegression,
    /// A14: a fenced producer wrote after its successor had been told that it is alone.
    ZombieWrite,
    /// A15: a value was read and is gone.
    ReadThenLost,
    /// The history itself is wrong: an answer without a question, a value sent twice, a value nobody sent.
    BadHistory,
}

impl Rule {
    /// Its number.
    pub fn id(self) -> &'static str {
        match self {
            Rule::InconsistentOffset => "A1",
            Rule::Duplicate => "A2",
            Rule::LostWrite => "A3",
            Rule::AbortedRead => "A4",
            Rule::PrecommittedRead => "A5",
            Rule::TornTransaction => "A6",
            Rule::PollSkip => "A7",
            Rule::PollSkipBetween => "A8",
            Rule::SendOrder => "A9",
            Rule::Unseen => "A10",
            Rule::Cycle => "A11",
            Rule::OffsetRegression => "A13",
            Rule::ZombieWrite => "A14",
            Rule::ReadThenLost => "A15",
            Rule::BadHistory => "history",
        }
    }
}

/// Examples kept of one rule.
const EXAMPLES_MAX: usize = 5;

/// One broken rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anomaly {
    /// How often.
    pub count: u64,
    /// The first few, told in words.
    pub examples: Vec<String>,
}

/// The verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Broken rules.
    pub anomalies: BTreeMap<Rule, Anomaly>,
    /// Operations answered with ok.
    pub operations: u64,
    /// Acknowledged values.
    pub acknowledged: u64,
    /// Values read at least once.
    pub read: u64,
    /// A12, no verdict: longest time from an acknowledgement to the first read of its value, microseconds.
    pub visible_after_max: u64,
}

impl Report {
    /// Whether no rule was broken.
    pub fn is_clean(&self) -> bool {
        self.anomalies.is_empty()
    }

    /// Whether this rule was broken.
    pub fn has(&self, rule: Rule) -> bool {
        self.anomalies.contains_key(&rule)
    }

    pub(crate) fn add(&mut self, rule: Rule, example: impl FnOnce() -> String) {
        let anomaly = self.anomalies.entry(rule).or_default();
        anomaly.count += 1;
        if anomaly.examples.len() < EXAMPLES_MAX {
            anomaly.examples.push(example());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} operations, {} values acknowledged, {} read, visible after at most {} µs",
            self.operations, self.acknowledged, self.read, self.visible_after_max
        )?;
        if self.is_clean() {
            writeln!(f, "no anomaly")?;
        }
        for (rule, anomaly) in &self.anomalies {
            writeln!(f, "{} {rule:?}: {} times", rule.id(), anomaly.count)?;
            for example in &anomaly.examples {
                writeln!(f, "    {example}")?;
            }
        }
        Ok(())
    }
}
