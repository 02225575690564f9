//! Consumer groups: membership and committed offsets, as pure cores and the shell that runs them.
//!
//! `groups.rs` groups of all kinds side by side · `rules.rs` what every kind answers · `classic/` the classic protocol · `consumer/` the new one (KIP-848) · `offsets.rs` committed offsets · `log_format.rs` how
//! those are stored · `timers.rs` deadlines: these do no I/O. `coordinator.rs` is the shell, with `membership.rs`, `consumer_membership.rs`, `consumer_classic.rs`, `committing.rs` and `removal.rs`.

pub mod classic;
mod committing;
pub mod consumer;
mod consumer_classic;
mod consumer_membership;
mod coordinator;
mod error;
mod groups;
#[doc(hidden)]
pub mod hostile;
mod log_format;
mod membership;
mod offsets;
mod removal;
mod rules;
mod shard;
mod timers;

pub(crate) use committing::{FOR_EVER, OffsetsToCommit, OffsetsToFetch};
pub(crate) use coordinator::{GroupCoordinator, watch_groups};
pub use error::GroupError;
pub use groups::{Group, Groups};
pub use log_format::{decode_key, decode_value, encode_key, encode_value};
pub use offsets::{CommittedOffset, NEVER, OffsetsState, Unstable};
pub use rules::{Committer, GroupRecord, GroupRules, GroupType, OffsetExpiry};

#[cfg(test)]
mod offsets_test;
#[cfg(test)]
mod replay_test;
#[cfg(test)]
mod timers_test;
