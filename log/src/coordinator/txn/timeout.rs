//! Which open transactions have been open for too long.
//!
//! Deadlines are kept on the monotonic clock: a wall clock that steps back neither hangs a transaction nor aborts one early (KAFKA-8803). The wall clock is
//! used once, when a transaction is loaded after a restart, to tell how much of its time is left; never more than its whole timeout.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::types::{Timestamp, TransactionalId};

use super::state::{TxnMetadata, TxnState};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, milliseconds since the epoch.
    pub wall_ms: Timestamp,
    /// Time since the process began; never goes back.
    pub monotonic: Duration,
}

/// Deadlines of open transactions.
#[derive(Debug, Default)]
pub struct TimeoutQueue {
    by_deadline: BTreeSet<(Duration, TransactionalId)>,
    by_id: BTreeMap<TransactionalId, (Duration, Timestamp)>,
}

impl TimeoutQueue {
    /// Takes note of a new state of a transactional id.
    pub fn on_state(&mut self, id: &TransactionalId, metadata: &TxnMetadata, now: Now) {
        let open_since = metadata
            .started_at
            .filter(|_| metadata.state == TxnState::Ongoing);
        match (open_since, self.by_id.get(id)) {
            (Some(started_at), Some((_, known))) if started_at == *known => {}
            (Some(started_at), _) => {
                self.forget(id);
                let timeout = i64::from(metadata.timeout_ms);
                let left = (timeout - (now.wall_ms - started_at)).clamp(0, timeout);
                let deadline = now.monotonic + Duration::from_millis(left.unsigned_abs());
                self.by_deadline.insert((deadline, id.clone()));
                self.by_id.insert(id.clone(), (deadline, started_at));
            }
            (None, _) => self.forget(id),
        }
    }

    fn forget(&mut self, id: &TransactionalId) {
        if let Some((deadline, _)) = self.by_id.remove(id) {
            self.by_deadline.remove(&(deadline, id.clone()));
        }
    }

    /// The transactions whose time is up, oldest first, each with the time it began. They stay in the queue until a new state says they
    /// ended, so an abort that fails is tried again.
    pub fn poll_expired(&self, now: Duration) -> Vec<(TransactionalId, Timestamp)> {
        self.by_deadline
            .iter()
            .take_while(|(deadline, _)| *deadline <= now)
            .filter_map(|(_, id)| {
                self.by_id
                    .get(id)
                    .map(|(_, started_at)| (id.clone(), *started_at))
            })
            .collect()
    }
}
