//! A materialised view of the catalogue as this engine runs it, or cannot run it.

use std::sync::Arc;

use millpond_streams::runtime::StreamsState;

use crate::runtime::{Failure, ViewJob, ViewPlan};

/// What became of a view of the catalogue.
pub(super) enum View {
    /// Its job was started; how it fares is asked of the job.
    Started(Arc<ViewJob>),
    /// It has no job.
    Failed {
        /// What the job would run; none if the view's query cannot be planned.
        plan: Option<ViewPlan>,
        /// Why there is no job.
        failure: Failure,
    },
}

impl View {
    /// A view whose job is about to be started. Whoever sees it in this state for long sees a start that was interrupted.
    pub(super) fn starting(plan: ViewPlan) -> View {
        View::Failed {
            plan: Some(plan),
            failure: Failure::new("its job is not started yet"),
        }
    }

    /// What its job runs, or would.
    pub(super) fn plan(&self) -> Option<&ViewPlan> {
        match self {
            View::Started(job) => Some(&job.view),
            View::Failed { plan, .. } => plan.as_ref(),
        }
    }

    /// Its job, if it was started.
    pub(super) fn job(&self) -> Option<&Arc<ViewJob>> {
        match self {
            View::Started(job) => Some(job),
            View::Failed { .. } => None,
        }
    }

    /// Why it is failed, if it is: it could not be started, or its job failed later.
    pub(super) fn failure(&self) -> Option<Failure> {
        match self {
            View::Started(job) => job.failure(),
            View::Failed { failure, .. } => Some(failure.clone()),
        }
    }

    /// Its state in a word.
    pub(super) fn state(&self) -> &'static str {
        match self {
            View::Failed { .. } => "failed",
            View::Started(job) => match job.handle().state() {
                StreamsState::Starting => "starting",
                StreamsState::Restoring => "restoring",
                StreamsState::Running => "running",
                StreamsState::PendingShutdown => "stopping",
                StreamsState::Stopped => "stopped",
                StreamsState::Error(_) => "failed",
                _ => "unknown",
            },
        }
    }
}
