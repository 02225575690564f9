//! Fetch sessions (KIP-227): a consumer names its partitions once, afterwards only what changes, and is told only what changed.
//!
//! A pure state machine; `handlers/fetch.rs` runs it. Always true: the cache holds at most its cap of sessions; a session belongs to one client's
//! sequence of epochs, and a request out of that sequence is told so instead of being answered wrongly; a partition with an error, new data or moved ends
//! is always in the answer; a partition that was answered goes to the end of the line, so that a full answer starves nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::broker::ErrorCode;

/// A partition as the client names it: by topic name below version 13, by topic id (and an empty name) from there on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionPartition {
    pub(super) name: Arc<str>,
    pub(super) id: Uuid,
    pub(super) index: i32,
}

/// What the client wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) current_leader_epoch: i32,
    pub(super) fetch_offset: i64,
    pub(super) max_bytes: i32,
}

/// What the client was told of it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) high_watermark: i64,
    pub(super) log_start_offset: i64,
}

/// Nothing yet: everything is news.
const UNTOLD: Told = Told {
    high_watermark: -1,
    log_start_offset: -1,
};

#[derive(Debug)]
struct Session {
    /// The epoch the next request must carry.
    epoch: i32,
    by_id: bool,
    last_used: Duration,
    partitions: BTreeMap<SessionPartition, (Wanted, Told)>,
    /// Who is answered first.
    order: Vec<SessionPartition>,
}

/// What a request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// No session: answer all that was asked.
    Sessionless,
    /// A full request that may begin a session.
    Full,
    /// A request within a session: answer what changed of these.
    Incremental {
        session_id: i32,
        partitions: Vec<(SessionPartition, Wanted)>,
    },
}

/// All sessions of a listener.
#[derive(Debug)]
pub(super) struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    limit: usize,
    /// A session not used for so long gives its place to a new one.
    evict_after: Duration,
}

const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

/// After the last epoch comes the first that is not the initial one.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

impl FetchSessions {
    pub(super) fn new(limit: usize, evict_after: Duration) -> Self {
        Self {
            sessions: BTreeMap::new(),
            limit,
            evict_after,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Judges a request. `wanted` are the partitions it names, `forgotten` those it gives up.
    pub(super) fn open(
        &mut self,
        session_id: i32,
        epoch: i32,
        by_id: bool,
        wanted: &[(SessionPartition, Wanted)],
        forgotten: &[SessionPartition],
        now: Duration,
    ) -> Result<Opened, ErrorCode> {
        if epoch == FINAL_EPOCH || epoch == INITIAL_EPOCH {
            // Whatever the client had, it has no longer.
            self.sessions.remove(&session_id);
            return Ok(if epoch == INITIAL_EPOCH {
                Opened::Full
            } else {
                Opened::Sessionless
            });
        }
        let session = self
            .sessions
            .get_mut(&session_id)
            .ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        session.epoch = next_epoch(epoch);
        session.last_used = now;
        for (partition, wanted) in wanted {
            session.want(partition, *wanted);
        }
        for partition in forgotten {
            session.partitions.remove(partition);
        }
        let known = &session.partitions;
        session.order.retain(|partition| known.contains_key(partition));
        let partitions = session
            .order
            .iter()
            .filter_map(|partition| Some((partition.clone(), known.get(partition)?.0)))
            .collect();
        Ok(Opened::Incremental {
            session_id,
            partitions,
        })
    }

    /// Begins a session after a full request was answered with `told`; 0 if there is no place for it. `fresh_id` is a random number.
    pub(super) fn begin(
        &mut self,
        by_id: bool,
        told: Vec<(SessionPartition, Wanted, Option<Told>)>,
        fresh_id: i32,
        now: Duration,
    ) -> i32 {
        if told.is_empty() || !self.make_place(now) {
            return 0;
        }
        let mut session_id = (fresh_id & i32::MAX).max(1);
        while self.sessions.contains_key(&session_id) {
            session_id = session_id.checked_add(1).unwrap_or(1);
        }
        let order = told.iter().map(|(partition, _, _)| partition.clone()).collect();
        let partitions = told
            .into_iter()
            .map(|(partition, wanted, told)| (partition, (wanted, told.unwrap_or(UNTOLD))))
            .collect();
        let session = Session {
            epoch: next_epoch(INITIAL_EPOCH),
            by_id,
            last_used: now,
            partitions,
            order,
        };
        self.sessions.insert(session_id, session);
        session_id
    }

    fn make_place(&mut self, now: Duration) -> bool {
        if self.sessions.len() < self.limit {
            return true;
        }
        let oldest = self.sessions.iter().min_by_key(|(_, session)| session.last_used);
        match oldest {
            Some((id, session)) if now.saturating_sub(session.last_used) >= self.evict_after => {
                let id = *id;
                self.sessions.remove(&id);
                true
            }
            _ => false,
        }
    }

    /// Takes note of what an answer within a session will say. True if it must be said: there is data or an error, or an end moved.
    pub(super) fn tell(
        &mut self,
        session_id: i32,
        partition: &SessionPartition,
        told: Option<Told>,
        has_data: bool,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&session_id) else {
            return true;
        };
        let Some((_, before)) = session.partitions.get_mut(partition) else {
            return true;
        };
        let Some(told) = told else {
            // Said again next time, whatever the ends are then.
            *before = UNTOLD;
            return true;
        };
        let moved = *before != told;
        *before = told;
        if has_data && let Some(at) = session.order.iter().position(|other| other == partition) {
            let answered = session.order.remove(at);
            session.order.push(answered);
        }
        has_data || moved
    }
}

impl Session {
    fn want(&mut self, partition: &SessionPartition, wanted: Wanted) {
        match self.partitions.get_mut(partition) {
            Some((before, _)) => *before = wanted,
            None => {
                self.partitions.insert(partition.clone(), (wanted, UNTOLD));
                self.order.push(partition.clone());
            }
        }
    }
}

#[cfg(test)]
#[path = "fetch_session_test.rs"]
mod fetch_session_test;
