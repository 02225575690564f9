//! Two answers to one question, compared row by row.
//!
//! What is always true: a row is identified by its key text; a key that arrives twice in one answer is a difference
//! by itself, never silently merged. Values are compared as exact text (`f64` with all its digits).

use std::collections::BTreeMap;
use std::fmt;

/// Rows by key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    rows: BTreeMap<String, String>,
    repeated: Vec<String>,
}

/// One row in which two answers disagree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Expected, and not there.
    Missing { key: String, expected: String },
    /// There, and not expected.
    Unexpected { key: String, found: String },
    /// There with another value.
    Differs {
        key: String,
        expected: String,
        found: String,
    },
    /// There more than once.
    Repeated { key: String },
}

impl Answer {
    /// Adds a row.
    pub(crate) fn insert(&mut self, key: String, value: String) {
        if self.rows.insert(key.clone(), value).is_some() {
            self.repeated.push(key);
        }
    }

    /// Number of different rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Every row in which `self` is not what `expected` says, in key order.
    pub(crate) fn differences_from(&self, expected: &Answer) -> Vec<Difference> {
        let repeated = self
            .repeated
            .iter()
            .map(|key| Difference::Repeated { key: key.clone() });
        let wrong = expected
            .rows
            .iter()
            .filter_map(|(key, value)| match self.rows.get(key) {
                None => Some(Difference::Missing {
                    key: key.clone(),
                    expected: value.clone(),
                }),
                Some(found) if found != value => Some(Difference::Differs {
                    key: key.clone(),
                    expected: value.clone(),
                    found: found.clone(),
                }),
                Some(_) => None,
            });
        let unexpected = self
            .rows
            .iter()
            .filter(|(key, _)| !expected.rows.contains_key(*key))
            .map(|(key, value)| Difference::Unexpected {
                key: key.clone(),
                found: value.clone(),
            });
        repeated.chain(wrong).chain(unexpected).collect()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing { key, expected } => write!(f, "missing: {key} = {expected}"),
            Difference::Unexpected { key, found } => write!(f, "unexpected: {key} = {found}"),
            Difference::Differs { key, expected, found } => {
                write!(f, "differs: {key} = {found}, batch says {expected}")
            }
            Difference::Repeated { key } => write!(f, "repeated: {key}"),
        }
    }
}

#[cfg(test)]
#[path = "answer_test.rs"]
mod answer_test;
