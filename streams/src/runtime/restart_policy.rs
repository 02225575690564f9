//! What happens when a worker fails: an error nobody caught, or a panic in an operator's closure.
//!
//! Always true: state is kept, and nothing of the open transaction counts. A worker that a newer instance fenced, or whose state and inputs disagree, is never started again,
//! whatever the policy says: it would do harm. Carried out by `worker.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::commit::StopReason;
use super::error::RuntimeError;

/// What happens when a worker fails. State is kept in any case.
#[derive(Clone, Default)]
pub enum RestartPolicy {
    /// The worker stops, the application's state becomes `Error`; the other workers go on.
    #[default]
    Stop,
    /// The worker opens its tasks again from the last commit. Being fenced and state that does not match its inputs still stop it.
    Restart {
        /// Give up after this many restarts in a row without a commit.
        attempts_max: u32,
        /// Wait this long before each.
        pause: Duration,
    },
    /// Ask for each failure, as Kafka Streams' `StreamsUncaughtExceptionHandler`; see [`decide`](Self::decide).
    Decide(UncaughtErrorHandler),
}

/// A closure that decides what becomes of a failed worker.
pub type UncaughtErrorHandler = Arc<dyn Fn(&UncaughtError<'_>) -> UncaughtResponse + Send + Sync>;

/// What failed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UncaughtError<'a> {
    /// The application.
    pub application_id: &'a str,
    /// Number of the worker, from 0.
    pub worker: usize,
    /// Why.
    pub error: &'a RuntimeError,
    /// How often this worker was replaced since it last committed something.
    pub replaced: u32,
}

/// The answer of an [`UncaughtErrorHandler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UncaughtResponse {
    /// A new worker takes the tasks, from their last commit (Kafka Streams: `REPLACE_THREAD`).
    ReplaceWorker {
        /// Wait this long before; an error that comes back at once would keep the machine busy otherwise.
        after: Duration,
    },
    /// This worker stops; the others go on.
    StopWorker,
    /// All workers of this process commit what they have, close their state and stop (`SHUTDOWN_CLIENT`).
    StopClient,
    /// The whole application stops (`SHUTDOWN_APPLICATION`). As long as one process runs all of an application, that is the same as `StopClient`.
    StopApplication,
}

impl RestartPolicy {
    /// Asks `handler` for each failure. It is called on the worker's thread.
    pub fn decide(
        handler: impl Fn(&UncaughtError<'_>) -> UncaughtResponse + Send + Sync + 'static,
    ) -> RestartPolicy {
        RestartPolicy::Decide(Arc::new(handler))
    }

    /// What becomes of the worker. Never `ReplaceWorker` where that would do harm.
    pub(super) fn response(&self, failed: &UncaughtError<'_>) -> UncaughtResponse {
        let asked = match self {
            RestartPolicy::Stop => UncaughtResponse::StopWorker,
            RestartPolicy::Restart { attempts_max, pause } if failed.replaced < *attempts_max => {
                UncaughtResponse::ReplaceWorker { after: *pause }
            }
            RestartPolicy::Restart { .. } => UncaughtResponse::StopWorker,
            RestartPolicy::Decide(handler) => handler(failed),
        };
        match asked {
            UncaughtResponse::ReplaceWorker { .. } if is_hopeless(failed.error) => {
                UncaughtResponse::StopWorker
            }
            asked => asked,
        }
    }
}

/// A newer instance owns the id, state and inputs disagree, or a topic will never take the output: starting again would not help, or would hurt.
fn is_hopeless(error: &RuntimeError) -> bool {
    match error {
        RuntimeError::Commit(reason) => !matches!(reason, StopReason::TooManyRecoveries { .. }),
        RuntimeError::StateMismatch { .. } => true,
        _ => false,
    }
}

impl fmt::Debug for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestartPolicy::Stop => f.write_str("Stop"),
            RestartPolicy::Restart { attempts_max, pause } => f
                .debug_struct("Restart")
                .field("attempts_max", attempts_max)
                .field("pause", pause)
                .finish(),
            RestartPolicy::Decide(_) => f.write_str("Decide(..)"),
        }
    }
}
