//! The transaction coordinator: pure core and the shell that runs it.
//!
//! `state.rs` what is known of a transactional id · `transition.rs` the rules, with `takeover.rs` (new producers) and `ending.rs` (ends, by both
//! protocols) · `verification.rs` what is in a transaction · `marker.rs` what ends one · `timeout.rs` which are open for too long ·
//! `log_format.rs` how it is stored. These do no I/O. `coordinator.rs` is the shell, with `requests.rs`, `marker_writer.rs` and `listing.rs`.

mod coordinator;
mod ending;
mod error;
mod listing;
mod log_format;
mod marker;
mod marker_writer;
mod requests;
mod state;
mod takeover;
mod timeout;
mod transition;
mod verification;

pub(crate) use coordinator::TxnCoordinator;
pub use error::TxnError;
pub use log_format::{decode_key, decode_value, encode_key, encode_value};
pub use marker::MarkerPlan;
pub(crate) use requests::not_in_txn;
pub use state::{TxnMetadata, TxnState};
pub use timeout::{Now, TimeoutQueue};
pub use transition::{TxnCommand, TxnEvent, TxnReply, TxnRules, admits, handle};
pub use verification::missing;

#[cfg(test)]
mod timeout_test;
#[cfg(test)]
mod txn_model_test;
#[cfg(test)]
mod txn_race_test;
#[cfg(test)]
mod txn_test;
#[cfg(test)]
mod txn_v0_test;
