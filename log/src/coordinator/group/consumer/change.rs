//! One change of a group under way: a copy of the state that takes on each record as it is decided, and what has to happen around it.
//!
//! Always true: the copy equals the old state plus the records, so nothing is decided on facts that replay would not find. The shell makes the
//! records durable, then puts the copy in place, then carries out the timers, then answers.

use imbl::OrdSet;

use super::config::ConsumerGroupConfig;
use super::group::ConsumerGroup;
use super::record::ConsumerGroupRecord;
use super::topics::Topics;
use crate::types::{MemberId, Timestamp};

/// What a decision depends on besides the group and the request.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The topics as of now.
    pub topics: &'a dyn Topics,
    /// The settings.
    pub config: &'a ConsumerGroupConfig,
    /// The wall clock.
    pub now: Timestamp,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("topics", &self.topics.version())
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// What a timer waits for. A member has at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// The member's next sign of life.
    Session,
    /// The member giving up partitions.
    Rebalance,
    /// A classic member joining again.
    Join,
    /// A classic member asking for its assignment.
    Sync,
}

/// A timer that went off, or will.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// Whose.
    pub member: MemberId,
    /// What for.
    pub kind: TimerKind,
}

/// What to do with a timer once the records are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerCommand {
    /// Start it, or start it anew.
    Start(Timer, i32),
    /// Start it unless it runs.
    StartIfAbsent(Timer, i32),
    /// Stop it. No-op if it does not run.
    Stop(Timer),
    /// Stop all timers of a member that is gone.
    StopAll(MemberId),
}

/// A decided change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<R> {
    /// What to make durable, in one batch; often nothing.
    pub records: Vec<ConsumerGroupRecord>,
    /// The group with these records.
    pub group: ConsumerGroup,
    /// What to do then.
    pub timers: Vec<TimerCommand>,
    /// What to answer then.
    pub response: R,
}

/// A change being decided.
pub(super) struct Draft {
    pub(super) group: ConsumerGroup,
    pub(super) records: Vec<ConsumerGroupRecord>,
    pub(super) timers: Vec<TimerCommand>,
    /// The patterns that an earlier change brought: this one looks them up.
    pub(super) due_patterns: OrdSet<String>,
}

impl Draft {
    pub(super) fn of(group: &ConsumerGroup) -> Self {
        Self {
            group: group.clone(),
            records: Vec::new(),
            timers: Vec::new(),
            due_patterns: group.unresolved.clone(),
        }
    }

    pub(super) fn write(&mut self, record: ConsumerGroupRecord) {
        self.group.apply(&record);
        self.records.push(record);
    }

    pub(super) fn start(&mut self, member: &MemberId, kind: TimerKind, after_ms: i32) {
        let member = member.clone();
        self.timers
            .push(TimerCommand::Start(Timer { member, kind }, after_ms));
    }

    pub(super) fn stop(&mut self, member: &MemberId, kind: TimerKind) {
        let member = member.clone();
        self.timers.push(TimerCommand::Stop(Timer { member, kind }));
    }

    pub(super) fn done<R>(self, response: R) -> Change<R> {
        Change {
            records: self.records,
            group: self.group,
            timers: self.timers,
            response,
        }
    }
}
