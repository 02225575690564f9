//! The state of a classic group and its bookkeeping: members, leader, protocols, what is stored.
//!
//! Always true: `static_members` names exactly the members with an instance id; the leader, if any, is a member; every member supports at
//! least one protocol that all others support too; `generation` never falls while the group exists. `Dead` is the moment between the decision to
//! remove the group and its durable removal. The steps that change state are in `join.rs`, `rebalance.rs`, `sync.rs` and `leave.rs`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::coordinator::group::error::GroupError;
use crate::coordinator::txn::Now;
use crate::types::{GroupId, GroupInstanceId, MemberId, NO_TIMESTAMP, Timestamp, TopicName};

use super::command::{ClassicTimer, JoinedMember, Protocol, Step};
use super::log_format::{GroupMetadata, StoredMember};
use super::member::ClassicMember;
use super::subscription::subscribed_topics;

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassicState {
    /// No members; it may have offsets.
    Empty,
    /// Members are joining.
    PreparingRebalance,
    /// Members have joined and wait for the leader's assignment.
    CompletingRebalance,
    /// Members have their assignment.
    Stable,
    /// Being removed.
    Dead,
}

impl ClassicState {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// A classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicGroup {
    pub(super) id: GroupId,
    pub(super) state: ClassicState,
    pub(super) previous_state: ClassicState,
    /// When it came into its state, by the wall clock.
    pub(super) state_since: Option<Timestamp>,
    /// None until the first member joins: then it only has offsets.
    pub(super) protocol_type: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) generation: i32,
    pub(super) leader: Option<MemberId>,
    pub(super) members: BTreeMap<MemberId, ClassicMember>,
    pub(super) static_members: BTreeMap<GroupInstanceId, MemberId>,
    /// Were given an id and have not come back with it yet (KIP-394).
    pub(super) pending_joins: BTreeSet<MemberId>,
    /// Have joined this generation and have not asked for their assignment yet.
    pub(super) pending_syncs: BTreeSet<MemberId>,
    /// Somebody joined since the initial wait was last prolonged.
    pub(super) new_member_added: bool,
    /// While an empty group waits for its first members: this pause, and what may be added to it, in milliseconds.
    pub(super) initial_wait: Option<(i32, i32)>,
    /// The generation whose assignment is being stored.
    pub(super) storing: Option<i32>,
}

impl ClassicGroup {
    /// A group without members.
    pub fn new(id: GroupId) -> Self {
        Self {
            id,
            state: ClassicState::Empty,
            previous_state: ClassicState::Empty,
            state_since: None,
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_joins: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            new_member_added: false,
            initial_wait: None,
            storing: None,
        }
    }

    /// The group as it was stored.
    pub fn replay(id: GroupId, stored: GroupMetadata) -> Self {
        let mut group = Self::new(id);
        group.state = match stored.members.is_empty() {
            true => ClassicState::Empty,
            false => ClassicState::Stable,
        };
        group.previous_state = group.state;
        group.state_since = Some(stored.state_since).filter(|since| *since != NO_TIMESTAMP);
        group.protocol_type = Some(stored.protocol_type).filter(|name| !name.is_empty());
        group.generation = stored.generation;
        for member in stored.members {
            let protocol = Protocol {
                name: stored.protocol.clone().unwrap_or_default(),
                metadata: member.subscription,
            };
            if let Some(instance) = &member.instance_id {
                group
                    .static_members
                    .insert(instance.clone(), member.member_id.clone());
            }
            let member = ClassicMember {
                id: member.member_id,
                instance_id: member.instance_id,
                client_id: member.client_id,
                client_host: member.client_host,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                session_timeout_ms: member.session_timeout_ms,
                protocols: vec![protocol],
                assignment: member.assignment,
                is_new: false,
                joining: None,
                syncing: None,
            };
            group.members.insert(member.id.clone(), member);
        }
        group.leader = stored.leader.filter(|leader| group.members.contains_key(leader));
        group.protocol = stored.protocol;
        group
    }

    /// After loading: every member has its session from now on to show that it lives.
    pub fn on_loaded(&self, step: &mut Step<'_>) {
        for member in self.members.values() {
            step.set(
                ClassicTimer::Session(member.id.clone()),
                member.session_timeout_ms,
            );
        }
    }

    /// Its name.
    pub fn id(&self) -> &GroupId {
        &self.id
    }

    /// Where it stands.
    pub fn state(&self) -> ClassicState {
        self.state
    }

    /// Its generation; 0 before the first.
    pub fn generation(&self) -> i32 {
        self.generation
    }

    /// Its members, by id.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &ClassicMember> {
        self.members.values()
    }

    /// Its leader.
    pub fn leader(&self) -> Option<&MemberId> {
        self.leader.as_ref()
    }

    /// `consumer` for consumers; none before the first member.
    pub fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// The chosen protocol of this generation.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// True while somebody was given an id and has not come back with it.
    pub fn has_pending_joins(&self) -> bool {
        !self.pending_joins.is_empty()
    }

    /// Marks that its removal is being stored: until then nobody can join or commit. Only an empty group can be removed.
    pub fn begin_removal(&mut self, now: Now) {
        assert_eq!(self.state, ClassicState::Empty, "group {} is removed", self.id);
        self.transition(ClassicState::Dead, now);
    }

    /// The removal could not be stored.
    pub fn cancel_removal(&mut self, since: Option<Timestamp>) {
        assert_eq!(
            self.state,
            ClassicState::Dead,
            "removal of group {} is taken back",
            self.id
        );
        self.state = ClassicState::Empty;
        self.previous_state = ClassicState::Empty;
        self.state_since = since;
    }

    /// When it came into its state; none if that was never stored.
    pub fn state_since(&self) -> Option<Timestamp> {
        self.state_since
    }

    pub(super) fn transition(&mut self, to: ClassicState, now: Now) {
        self.previous_state = self.state;
        self.state = to;
        self.state_since = Some(now.wall_ms);
    }

    pub(super) fn is_leader(&self, member: &MemberId) -> bool {
        self.leader.as_ref() == Some(member)
    }

    /// The member, and that it still holds its static place.
    pub(super) fn validate_member(
        &self,
        member: &MemberId,
        instance: Option<&GroupInstanceId>,
    ) -> Result<(), GroupError> {
        if let Some(instance) = instance
            && let Some(holder) = self.static_members.get(instance)
            && holder != member
        {
            return Err(GroupError::FencedInstance {
                instance: instance.clone(),
                member: member.clone(),
            });
        }
        let known = self.members.contains_key(member)
            && instance.is_none_or(|instance| self.static_members.contains_key(instance));
        if known {
            return Ok(());
        }
        Err(GroupError::UnknownMember {
            member: member.clone(),
        })
    }

    /// True if a member with this protocol type and these protocols can be in the group with all the others.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == ClassicState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols
                .iter()
                .any(|protocol| self.supporters(&protocol.name) == self.members.len())
    }

    fn supporters(&self, protocol: &str) -> usize {
        let supports = |member: &&ClassicMember| member.protocols.iter().any(|known| known.name == protocol);
        self.members.values().filter(supports).count()
    }

    /// The protocol that most members prefer among those that all support; the alphabetically last of equals.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let first = self.members.values().next()?;
        let candidates: Vec<&str> = first
            .protocols
            .iter()
            .map(|protocol| protocol.name.as_str())
            .filter(|name| self.supporters(name) == self.members.len())
            .collect();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for vote in self
            .members
            .values()
            .filter_map(|member| member.vote(&candidates))
        {
            *votes.entry(vote).or_default() += 1;
        }
        let winner = votes.into_iter().max_by_key(|(_, count)| *count);
        winner.map(|(name, _)| name.to_owned())
    }

    /// How long a rebalance waits: as long as its most patient member.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        let timeouts = self.members.values().map(|member| member.rebalance_timeout_ms);
        timeouts.max().unwrap_or(0)
    }

    pub(super) fn insert(&mut self, member: ClassicMember, protocol_type: &str) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), member.id.clone());
        }
        self.pending_joins.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Takes a member out and answers what it waits for: it may come back as a new one.
    pub(super) fn remove(&mut self, id: &MemberId, step: &mut Step<'_>) {
        step.cancel(ClassicTimer::Session(id.clone()));
        self.pending_joins.remove(id);
        self.pending_syncs.remove(id);
        let Some(member) = self.members.remove(id) else {
            return;
        };
        let unknown = || GroupError::UnknownMember { member: id.clone() };
        if let Some(request) = member.joining {
            step.refuse_join(request, unknown(), MemberId::new(""));
        }
        if let Some(request) = member.syncing {
            step.answer_sync(request, Err(unknown()));
        }
        if let Some(instance) = &member.instance_id
            && self.static_members.get(instance) == Some(id)
        {
            self.static_members.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.values().map(|member| JoinedMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        });
        members.collect()
    }

    /// What is to be stored, with these assignments; none means those the members have.
    pub(super) fn to_stored(&self, assignments: Option<&BTreeMap<MemberId, Bytes>>) -> GroupMetadata {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.values().map(|member| StoredMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: match assignments {
                Some(assignments) => assignments.get(&member.id).cloned().unwrap_or_default(),
                None => member.assignment.clone(),
            },
        });
        GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_since: self.state_since.unwrap_or(NO_TIMESTAMP),
            members: members.collect(),
        }
    }

    /// The topics its members consume; none if that cannot be told. Without members there are none.
    pub fn subscribed_topics(&self) -> Option<BTreeSet<TopicName>> {
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        if !self.is_of_consumers() {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscribed_topics(&member.metadata(protocol)).ok()?);
        }
        Some(topics)
    }

    pub(super) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }
}

/// The protocol type of consumers.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";
