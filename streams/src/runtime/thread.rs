//! The only owner of threads in this crate: one named thread per worker and per client of a cluster, each with a tokio runtime of its own that runs nothing else, and
//! beside a worker's one for what blocks (flushes of state).
//!
//! A worker is CPU-bound between its awaits, so it must not share an executor with the broker's loops or the user's tasks. Simulations do not
//! come here: they await `Worker::run` directly on their paused runtime.

use std::future::Future;

use futures::FutureExt;
use tokio::sync::oneshot;

use super::error::RuntimeError;

/// A running worker thread. Dropping it detaches the thread; it ends by itself when its worker sees the stop signal.
#[derive(Debug)]
pub(crate) struct WorkerThread {
    ended: oneshot::Receiver<()>,
}

impl WorkerThread {
    /// Starts a thread that drives the future `make` builds on it.
    pub(crate) fn spawn<F, Fut>(name: String, make: F) -> Result<WorkerThread, RuntimeError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()>,
    {
        let failed = |error: std::io::Error| RuntimeError::Thread {
            message: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(failed)?;
        let (done, ended) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name(name)
            .spawn(move || {
                // Dropped last, also by a panic, and after the runtime, which waits for what runs apart: whoever waits learns that nothing of the worker is left.
                let _done = done;
                let runtime = runtime;
                runtime.block_on(make());
            })
            .map_err(failed)?;
        Ok(WorkerThread { ended })
    }

    /// Waits until the thread's future has ended, normally or by a panic.
    pub(crate) async fn ended(&mut self) {
        // The sender is never used, only dropped: an error is the signal.
        let _closed = (&mut self.ended).await;
    }
}

/// A thread with a runtime for sockets, for clients whose callers run on runtimes without any. What is spawned on its handle ends when this is
/// dropped.
#[derive(Debug)]
pub(crate) struct IoThread {
    handle: tokio::runtime::Handle,
    _stop: oneshot::Sender<()>,
}

impl IoThread {
    /// Starts it.
    pub(crate) fn spawn(name: &str) -> Result<IoThread, RuntimeError> {
        let failed = |error: std::io::Error| RuntimeError::Thread {
            message: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // The sender is never used, only dropped: an error is the signal.
                let _dropped = runtime.block_on(stopped);
            })
            .map_err(failed)?;
        Ok(IoThread { handle, _stop: stop })
    }

    /// Where its tasks are spawned.
    pub(crate) fn handle(&self) -> &tokio::runtime::Handle {
        &self.handle
    }
}

/// Runs what blocks on a thread beside the worker's, and gives its result, or the message of its panic. It runs to its end even when nobody waits for it any more; the worker's
/// thread ends after it.
///
/// # Panics
/// Outside of a worker's thread.
pub(crate) fn run_apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, String>> + Send {
    tokio::task::spawn_blocking(work).map(|ended| ended.map_err(|error| error.to_string()))
}

#[cfg(test)]
#[path = "thread_test.rs"]
mod thread_test;
