//! Subscriptions by pattern: a regular expression must match the whole name of a topic, as RE2 does it for Kafka.
//!
//! The `regex` crate takes linear time whatever the pattern, and its size is capped here, so a hostile pattern costs little.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};

use super::topics::Topics;
use crate::broker::ErrorCode;
use crate::coordinator::group::error::GroupError;

/// A compiled pattern may take so much memory.
const COMPILED_BYTES: usize = 1 << 20;

/// Compiles a pattern. Errs with `InvalidRegularExpression`.
pub(super) fn compile(pattern: &str) -> Result<Regex, GroupError> {
    let build = |text: &str| {
        RegexBuilder::new(text)
            .size_limit(COMPILED_BYTES)
            .dfa_size_limit(COMPILED_BYTES)
            .build()
    };
    let refused = |error: regex::Error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or("it does not compile").trim();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason).to_owned();
        let message = format!("topic pattern {pattern:?} is not a regular expression: {reason}");
        GroupError::refused(ErrorCode::InvalidRegularExpression, message)
    };
    // Alone first, so that a stray parenthesis cannot close the group it is put into.
    build(pattern).map_err(refused)?;
    build(&format!(r"\A(?:{pattern})\z")).map_err(refused)
}

/// The topics whose whole name matches.
pub(super) fn matching(pattern: &Regex, topics: &dyn Topics) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    topics.for_each_name(&mut |name| {
        if pattern.is_match(name.as_str()) {
            names.insert(name.as_str().to_owned());
        }
    });
    names
}
