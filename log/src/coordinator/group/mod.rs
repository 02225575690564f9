//! Committed offsets of consumer groups: pure core and the shell that runs it. Membership is deliberately absent.
//!
//! `offsets.rs` the state and its rules · `log_format.rs` how it is stored: these do no I/O. `coordinator.rs` is the shell.

mod coordinator;
mod log_format;
mod offsets;

pub(crate) use coordinator::OffsetsCoordinator;
pub use log_format::{decode_key, decode_value, encode_key, encode_value};
pub use offsets::{OffsetsState, Unstable};

#[cfg(test)]
mod offsets_test;
