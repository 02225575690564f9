//! Judges a history: what clients asked of a log, what they were told, and what they read, one JSON object a line.
//!
//! A value is written once and names its record for ever, so most promises of a log turn into questions about values: one place each
//! (A1, A2), every acknowledged one readable (A3, A10), none of a failed writer visible (A4), transactions whole (A6), order kept (A7–A9).
//! Always true: one pass over the lines, work linear in them but for sorting offsets; a clean history raises no alarm, and each planted
//! anomaly is caught by its rule (`checker_test.rs`). The model is Kafka's, so what Kafka allows is no anomaly: control records take
//! offsets, subscribed consumers move, and an operation without an answer may or may not have happened.
//! Look next: `history.rs` for the lines, `checker.rs` for the pass, `judge.rs` for the rules, `graph.rs` for cycles.

mod checker;
mod graph;
mod history;
mod judge;
mod report;

pub use checker::Checker;
pub use history::{Commit, Event, Function, Kind, Place, Producer, Read, Send};
pub use report::{Anomaly, Report, Rule};

#[cfg(test)]
mod checker_test;
#[cfg(test)]
mod simulated_history;
