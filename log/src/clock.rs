//! Time, handed in: nothing else in the crate asks the machine what time it is, or sleeps.
//!
//! Always true: [`Clock::monotonic`] never goes back, [`Clock::now_ms`] may (the wall clock is set by people and NTP),
//! so durations and timeouts use the first and record timestamps the second.
//!
//! [`SystemClock`] for real runs, [`SimClock`] on tokio's paused time for simulations, [`ManualClock`] without any
//! runtime for drivers that turn the hands themselves.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::types::Timestamp;

/// A source of time. Shared as `Arc<dyn Clock>`.
pub trait Clock: Send + Sync + Debug {
    /// Wall clock in milliseconds since 1970; may jump either way.
    fn now_ms(&self) -> Timestamp;

    /// Time since some fixed start; never goes back.
    fn monotonic(&self) -> Duration;

    /// Completes once [`Clock::monotonic`] has advanced by `duration`. Cancelled by dropping it.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's clock. `sleep` needs a tokio runtime with time enabled.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[allow(
        clippy::disallowed_methods,
        reason = "this module owns the wall and monotonic clocks"
    )]
    pub fn new() -> SystemClock {
        SystemClock {
            started: std::time::Instant::now(),
        }
    }

    /// The same, ready to be handed around.
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(SystemClock::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this module owns the wall clock")]
    fn now_ms(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_millis() as Timestamp,
            Err(before) => -(before.duration().as_millis() as Timestamp),
        }
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[allow(clippy::disallowed_methods, reason = "this module owns sleeping")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }
}

/// The clock of simulations: monotonic time is tokio's (start the runtime paused), the wall clock is a settable base
/// plus it. With time paused, tokio jumps to the next timer whenever every task waits, so hours pass in milliseconds.
#[derive(Debug)]
pub struct SimClock {
    started: tokio::time::Instant,
    wall_at_start: AtomicI64,
}

impl SimClock {
    /// A clock that shows `wall_ms` now.
    #[allow(clippy::disallowed_methods, reason = "this module owns the monotonic clock")]
    pub fn new(wall_ms: Timestamp) -> SimClock {
        SimClock {
            started: tokio::time::Instant::now(),
            wall_at_start: AtomicI64::new(wall_ms),
        }
    }

    /// Moves the wall clock alone, as an operator or NTP would; negative moves it back.
    pub fn jump_wall(&self, by_ms: i64) {
        self.wall_at_start.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> Timestamp {
        self.wall_at_start.load(Ordering::SeqCst) + self.monotonic().as_millis() as Timestamp
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[allow(clippy::disallowed_methods, reason = "this module owns sleeping")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }
}

/// A clock that moves only when told to; needs no runtime.
#[derive(Debug, Default)]
pub struct ManualClock {
    state: Mutex<ManualState>,
}

#[derive(Debug, Default)]
struct ManualState {
    wall_ms: Timestamp,
    elapsed: Duration,
    sleepers: Vec<(Duration, oneshot::Sender<()>)>,
}

impl ManualClock {
    /// A clock that shows `wall_ms` until moved.
    pub fn new(wall_ms: Timestamp) -> ManualClock {
        ManualClock {
            state: Mutex::new(ManualState {
                wall_ms,
                ..ManualState::default()
            }),
        }
    }

    /// Moves both clocks forward and wakes the sleepers whose time has come, earliest first.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock();
        state.elapsed += by;
        state.wall_ms += by.as_millis() as Timestamp;
        let now = state.elapsed;
        let (mut due, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut state.sleepers)
            .into_iter()
            .partition(|(deadline, _)| *deadline <= now);
        state.sleepers = waiting;
        drop(state);
        due.sort_by_key(|(deadline, _)| *deadline);
        for (_, sleeper) in due {
            // A sleeper that was dropped no longer listens.
            sleeper.send(()).ok();
        }
    }

    /// Sets the wall clock alone.
    pub fn set_wall(&self, wall_ms: Timestamp) {
        self.state.lock().wall_ms = wall_ms;
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> Timestamp {
        self.state.lock().wall_ms
    }

    fn monotonic(&self) -> Duration {
        self.state.lock().elapsed
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration.is_zero() {
            return std::future::ready(()).boxed();
        }
        let mut state = self.state.lock();
        let deadline = state.elapsed + duration;
        let (wake, woken) = oneshot::channel();
        state.sleepers.push((deadline, wake));
        drop(state);
        // The clock going away means nobody can wake us: sleep for ever, as time has stopped.
        async move {
            if woken.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}

#[cfg(test)]
#[path = "clock_test.rs"]
mod clock_test;
