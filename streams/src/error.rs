//! The one public error of the crate: what happened, and what kind of thing the caller must do about it.
//!
//! Inside, each area has its own enum (`TopologyError`, `ProcessError`, `StateError`, the runtime's); here they meet, with `kind()` on top.

use crate::processor::ProcessError;
use crate::state::StateError;
use crate::topology::TopologyError;

/// An error of a streams application.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamsError {
    /// The topology is wrong.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A record could not be processed and the policy is to fail.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// State on disk failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// Saved stream time cannot be read.
    #[error(transparent)]
    Clock(#[from] crate::processor::ClockStateError),
}

/// What the caller must do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Change the program: the topology or a setting is wrong.
    Usage,
    /// Look at the data or the code of an operator: trying again gives the same.
    Processing,
    /// Look at the machine: disk or saved state.
    State,
}

impl StreamsError {
    /// What must be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            StreamsError::Topology(_) => ErrorKind::Usage,
            StreamsError::Process(ProcessError::State(_)) => ErrorKind::State,
            StreamsError::Process(_) => ErrorKind::Processing,
            StreamsError::State(_) | StreamsError::Clock(_) => ErrorKind::State,
        }
    }
}
