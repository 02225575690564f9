//! The transaction coordinator: pure core and the shell that runs it.
//!
//! `state.rs` what is known of a transactional id · `transition.rs` the rules · `marker.rs` what ends a transaction · `timeout.rs` which
//! are open for too long · `log_format.rs` how it is stored. These do no I/O. `coordinator.rs` is the shell.

mod coordinator;
mod error;
mod log_format;
mod marker;
mod state;
mod timeout;
mod transition;

pub(crate) use coordinator::TxnCoordinator;
pub use error::TxnError;
pub use log_format::{decode_key, decode_value, encode_key, encode_value};
pub use marker::MarkerPlan;
pub use state::{TxnMetadata, TxnState};
pub use timeout::{Now, TimeoutQueue};
pub use transition::{TxnCommand, TxnEvent, TxnReply, TxnRules, admits, handle};

#[cfg(test)]
mod txn_model_test;
#[cfg(test)]
mod txn_test;
