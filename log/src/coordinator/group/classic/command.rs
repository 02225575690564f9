//! What goes into a classic group and what comes out of it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::coordinator::group::error::GroupError;
use crate::coordinator::txn::Now;
use crate::types::{GroupInstanceId, MemberId};

use super::log_format::GroupMetadata;

/// Names a request that waits for its answer; given by the shell, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A way of assigning partitions that a member can follow, with what the member says about itself in that way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// `range`, `cooperative-sticky` …
    pub name: String,
    /// The leader's to read; for consumers a `ConsumerProtocolSubscription`.
    pub metadata: Bytes,
}

/// JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// Empty for a member that has none yet.
    pub member_id: MemberId,
    /// Of a static member (v5).
    pub instance_id: Option<GroupInstanceId>,
    /// Who asks, for describing.
    pub client_id: String,
    /// Where from, for describing.
    pub client_host: String,
    /// The member is removed when it is silent for longer.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// In order of preference.
    pub protocols: Vec<Protocol>,
    /// v4 (KIP-394): a member without an id is given one and must come back with it.
    pub requires_known_member_id: bool,
    /// v9 (KIP-814): a static leader that comes back can be told not to assign.
    pub supports_skipping_assignment: bool,
}

/// Answer to JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedGroup {
    /// The generation joined.
    pub generation: i32,
    /// `consumer` for consumers.
    pub protocol_type: Option<String>,
    /// The protocol chosen.
    pub protocol: Option<String>,
    /// Who assigns.
    pub leader: MemberId,
    /// KIP-814: the leader keeps the assignment.
    pub skip_assignment: bool,
    /// Who is answered.
    pub member_id: MemberId,
    /// For the leader: all members.
    pub members: Vec<JoinedMember>,
}

/// A member as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: MemberId,
    /// Of a static member.
    pub instance_id: Option<GroupInstanceId>,
    /// What it says about itself in the chosen protocol.
    pub metadata: Bytes,
}

/// A refusal of JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefusal {
    /// Why.
    pub error: GroupError,
    /// The id to come back with; empty to come back as a new member.
    pub member_id: MemberId,
}

/// SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    /// Who.
    pub member_id: MemberId,
    /// Of a static member.
    pub instance_id: Option<GroupInstanceId>,
    /// The generation it joined.
    pub generation: i32,
    /// v5 (KIP-559): what it believes to be the group's.
    pub protocol_type: Option<String>,
    /// v5 (KIP-559): what it believes to be chosen.
    pub protocol: Option<String>,
    /// From the leader: what each member gets.
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// Answer to SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedGroup {
    /// The group's.
    pub protocol_type: Option<String>,
    /// The chosen one.
    pub protocol: Option<String>,
    /// What the member gets.
    pub assignment: Bytes,
}

/// One member of a LeaveGroup batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingMember {
    /// Empty if only the instance is named: an administrator removes it.
    pub member_id: MemberId,
    /// Of a static member (v3).
    pub instance_id: Option<GroupInstanceId>,
}

/// Clocks of a classic group. One of each at most; setting one again replaces it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassicTimer {
    /// The end of the wait for members to join.
    Join,
    /// The end of the wait for members to sync.
    Sync,
    /// The end of the patience with a silent member, or with one that was given an id and has not come back.
    Session(MemberId),
}

/// What to do when a stored record is durable, or could not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterStore {
    /// Hand out the leader's assignment.
    Assignment {
        /// Of this generation.
        generation: i32,
        /// To each member its own.
        assignments: BTreeMap<MemberId, Bytes>,
    },
    /// Nothing: the group has no members.
    Emptied,
    /// Answer the static member that took its old place, or give the place back.
    StaticMember(Box<ReplacedMember>),
}

/// A static member that came back under a new id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedMember {
    /// Its request.
    pub request: RequestId,
    /// Its place.
    pub instance_id: GroupInstanceId,
    /// Its id before.
    pub old_id: MemberId,
    /// Its id now.
    pub new_id: MemberId,
    /// The leader before.
    pub old_leader: Option<MemberId>,
    /// What it said of itself before.
    pub old_protocols: Vec<Protocol>,
    /// Its timeouts before: rebalance, session.
    pub old_timeouts_ms: (i32, i32),
    /// KIP-814.
    pub supports_skipping_assignment: bool,
}

/// What to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassicCommand {
    /// Answer a waiting JoinGroup.
    AnswerJoin(RequestId, Result<JoinedGroup, JoinRefusal>),
    /// Answer a waiting SyncGroup.
    AnswerSync(RequestId, Result<SyncedGroup, GroupError>),
    /// Make this the group's record, then call `on_stored`.
    Store(GroupMetadata, AfterStore),
    /// Call `on_timer` at this moment, in terms of `Now::monotonic`.
    SetTimer(ClassicTimer, Duration),
    /// Do not call it any more.
    CancelTimer(ClassicTimer),
}

/// Limits and pauses of classic groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassicRules {
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members than the first.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`.
    pub max_size: usize,
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// How long a new member may wait in a rebalance: it cannot send heartbeats yet, and its connection may be gone.
    pub new_member_join_timeout_ms: i32,
}

impl Default for ClassicRules {
    fn default() -> Self {
        Self {
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX as usize,
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            new_member_join_timeout_ms: 5 * 60 * 1_000,
        }
    }
}

impl ClassicRules {
    /// Refuses a session timeout out of bounds.
    pub fn check_session_timeout(&self, found: i32) -> Result<(), GroupError> {
        let (min, max) = (self.min_session_timeout_ms, self.max_session_timeout_ms);
        if (min..=max).contains(&found) {
            return Ok(());
        }
        Err(GroupError::InvalidSessionTimeout { found, min, max })
    }
}

/// One call into a group: when it is, by which rules, and what it has asked for so far.
#[derive(Debug)]
pub struct Step<'a> {
    /// Now.
    pub now: Now,
    /// The rules.
    pub rules: &'a ClassicRules,
    /// What to do, in order.
    pub commands: Vec<ClassicCommand>,
}

impl<'a> Step<'a> {
    /// A call at this moment.
    pub fn new(now: Now, rules: &'a ClassicRules) -> Self {
        Self {
            now,
            rules,
            commands: Vec::new(),
        }
    }

    pub(super) fn set(&mut self, timer: ClassicTimer, after_ms: i32) {
        let after = Duration::from_millis(u64::try_from(after_ms).unwrap_or(0));
        let at = self.now.monotonic.saturating_add(after);
        self.commands.push(ClassicCommand::SetTimer(timer, at));
    }

    pub(super) fn cancel(&mut self, timer: ClassicTimer) {
        self.commands.push(ClassicCommand::CancelTimer(timer));
    }

    pub(super) fn refuse_join(&mut self, request: RequestId, error: GroupError, member_id: MemberId) {
        let refusal = JoinRefusal { error, member_id };
        self.commands
            .push(ClassicCommand::AnswerJoin(request, Err(refusal)));
    }

    pub(super) fn answer_sync(&mut self, request: RequestId, answer: Result<SyncedGroup, GroupError>) {
        self.commands.push(ClassicCommand::AnswerSync(request, answer));
    }
}
