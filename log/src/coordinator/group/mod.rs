//! Consumer groups: membership and committed offsets, as pure cores and the shell that runs them.
//!
//! `groups.rs` groups of all kinds side by side · `rules.rs` what every kind answers · `classic/` the classic protocol · `consumer/` the new one (KIP-848) · `offsets.rs` committed offsets · `log_format.rs` how
//! those are stored: these do no I/O. `coordinator.rs` is the shell.

pub mod classic;
pub mod consumer;
mod coordinator;
mod error;
mod groups;
mod log_format;
mod offsets;
mod rules;

pub(crate) use coordinator::OffsetsCoordinator;
pub use error::GroupError;
pub use groups::{Group, Groups};
pub use log_format::{decode_key, decode_value, encode_key, encode_value};
pub use offsets::{OffsetsState, Unstable};
pub use rules::{Committer, GroupRecord, GroupRules, GroupType, OffsetExpiry};

#[cfg(test)]
mod offsets_test;
