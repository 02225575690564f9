//! How a worker waits: for whatever comes first, and no longer than until something is due.
//!
//! Always true: it wakes once a second at least; dropping a wait loses nothing, what was awaited stays in its slot.

use std::time::Duration;

use millpond_log::types::Timestamp;

use super::session_commit::Landed;
use super::session_fetch::Fetched;
use super::session_upkeep::Flushed;
use super::worker::Session;
use super::worker_status::Control;

/// How often the state of an idle worker is asked whether something is due to be written.
const STATE_CHECK: Duration = Duration::from_secs(1);

/// What ended a wait.
pub(super) enum Wake {
    Control,
    ControlGone,
    Landed(Landed),
    Fetched(Fetched),
    Purged,
    Flushed(Flushed),
    Timer,
}

impl Session<'_> {
    /// Waits for the next thing to react to; does not wait at all when there is `more` to process, but lets others run.
    pub(super) async fn wait(&mut self, more: bool) -> Wake {
        let clock = &self.app.calls.clock;
        let pause = self.pause();
        let Session {
            control,
            flight,
            fetch,
            purge,
            flushing,
            ..
        } = self;
        tokio::select! {
            biased;
            changed = control.changed() => if changed.is_ok() { Wake::Control } else { Wake::ControlGone },
            landed = landing(flight) => Wake::Landed(landed),
            fetched = landing(fetch) => Wake::Fetched(fetched),
            () = landing(purge) => Wake::Purged,
            flushed = landing(flushing) => Wake::Flushed(flushed),
            () = async { if more { tokio::task::yield_now().await } else { clock.sleep(pause).await } } => Wake::Timer,
        }
    }

    /// How long there is nothing to do if nothing arrives.
    fn pause(&self) -> Duration {
        let until = |due: Timestamp, now: Timestamp| {
            Duration::from_millis(u64::try_from(due.saturating_sub(now)).unwrap_or(0))
        };
        let commit = match self.machine.due_at() {
            Some(due) if self.flight.is_none() => until(due, self.now()),
            _ => STATE_CHECK,
        };
        let told = *self.control.borrow() == Control::Run && self.machine.may_process();
        let running = self.tasks.iter().filter(|task| !self.app.is_paused(task.id));
        let timers = running.flat_map(|task| task.graph.wall_clock_due().into_iter().chain(task.idle_due()));
        match timers.min().filter(|_| told) {
            Some(due) => commit.min(until(due, self.app.calls.clock.now_ms())),
            None => commit,
        }
    }
}

/// Awaits the future in `slot`; never, when there is none. The caller empties the slot.
async fn landing<F: Future + Unpin>(slot: &mut Option<F>) -> F::Output {
    match slot {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
