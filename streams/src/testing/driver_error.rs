//! Why a driver could not do what it was asked.

use millpond_log::record::BatchError;

use crate::processor::{ClockStateError, ProcessError};
use crate::serde::SerdeError;
use crate::state::StateError;
use crate::topology::TopologyError;

/// Why a driver could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The topology cannot run.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A node failed. As in the runtime, the transaction was aborted.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// State failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A record of the test cannot be written, or an output cannot be read as that type.
    #[error("record of topic {topic}: {cause}")]
    Serde {
        /// The topic.
        topic: String,
        /// What is wrong.
        #[source]
        cause: SerdeError,
    },
    /// The record is too large for a batch.
    #[error(transparent)]
    Record(#[from] BatchError),
    /// A saved clock cannot be read.
    #[error(transparent)]
    Clock(#[from] ClockStateError),
    /// No store of that name.
    #[error("the topology has no store {name:?}; it has {known:?}")]
    UnknownStore {
        /// The name asked for.
        name: String,
        /// The stores there are.
        known: Vec<String>,
    },
}
