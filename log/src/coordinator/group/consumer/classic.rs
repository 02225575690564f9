//! Members of the classic protocol inside a consumer group: the coordinator assigns for them too, and speaks to them in their words.
//!
//! A JoinGroup is a heartbeat that tells everything, a generation is a member epoch, SyncGroup only reads what the join decided, and a heartbeat is answered with
//! `RebalanceInProgress` whenever joining again would change something. No leader is named, so nobody assigns but us (KIP-848, "online upgrade").

use std::collections::BTreeSet;

use super::change::{Change, Context, Draft, Timer, TimerCommand, TimerKind};
use super::classic_format::{Subscription, by_id, read_subscription, write_assignment};
use super::group::ConsumerGroup;
use super::heartbeat::unknown_member;
use super::record::{ClassicMemberMetadata, MemberMetadata, MemberState};
use crate::coordinator::group::classic::{
    CONSUMER_PROTOCOL_TYPE, JoinRefusal, JoinRequest, JoinedGroup, LeavingMember, SyncRequest, SyncedGroup,
};
use crate::coordinator::group::error::GroupError;
use crate::types::{GroupInstanceId, MemberId};

impl ConsumerGroup {
    /// A classic member joins, or joins again. `fresh` is its id if it has none.
    pub fn classic_join(
        &self,
        request: &JoinRequest,
        fresh: MemberId,
        context: Context<'_>,
    ) -> Result<Change<JoinedGroup>, JoinRefusal> {
        let is_unknown = request.member_id.as_str().is_empty();
        let id = if is_unknown {
            fresh
        } else {
            request.member_id.clone()
        };
        if is_unknown && request.requires_known_member_id && request.instance_id.is_none() {
            let error = GroupError::MemberIdRequired;
            return Err(JoinRefusal { error, member_id: id });
        }
        self.decide_classic_join(request, &id, is_unknown, context)
            .map_err(|error| JoinRefusal {
                error,
                member_id: request.member_id.clone(),
            })
    }

    fn decide_classic_join(
        &self,
        request: &JoinRequest,
        id: &MemberId,
        is_unknown: bool,
        context: Context<'_>,
    ) -> Result<Change<JoinedGroup>, GroupError> {
        let subscription = self.supported_subscription(request, id)?;
        let mut draft = Draft::of(self);
        let instance = request.instance_id.as_ref().map(GroupInstanceId::as_str);
        let replaced = match instance {
            Some(instance) if is_unknown => self.releasable_instance(id, instance, true)?,
            Some(instance) => {
                self.check_instance(id, instance)?;
                None
            }
            None => None,
        };
        if replaced.is_none() && !self.members.contains_key(id) {
            self.check_room(context)?;
        }
        let before = match &replaced {
            Some(old) => draft.replace_member(old, id),
            None => self.members.get(id).cloned(),
        };
        let protocols = request.protocols.iter();
        let metadata = MemberMetadata {
            instance_id: instance.map(str::to_owned),
            rack_id: subscription.rack_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            subscribed_names: subscription.topics.clone(),
            subscribed_pattern: None,
            server_assignor: None,
            classic: Some(ClassicMemberMetadata {
                session_timeout_ms: request.session_timeout_ms,
                protocols: protocols
                    .map(|protocol| (protocol.name.clone(), protocol.metadata.clone()))
                    .collect(),
            }),
        };
        draft.take_on_metadata(id, metadata, before.is_none(), before.as_deref(), context)?;
        draft.update_target(context)?;
        draft.reconcile(id, Some(&by_id(&subscription.owned, context.topics)))?;
        // A member that spoke the new protocol before is watched in the classic way from now on.
        draft.stop(id, TimerKind::Rebalance);
        draft.stop(id, TimerKind::Join);
        draft.start(id, TimerKind::Session, request.session_timeout_ms);
        draft.start(id, TimerKind::Sync, request.rebalance_timeout_ms);
        let response = JoinedGroup {
            generation: draft.group.current(id).epoch,
            protocol_type: Some(CONSUMER_PROTOCOL_TYPE.to_owned()),
            protocol: request.protocols.first().map(|protocol| protocol.name.clone()),
            leader: MemberId::new(""),
            skip_assignment: false,
            member_id: id.clone(),
            members: Vec::new(),
        };
        Ok(draft.done(response))
    }

    /// The member's subscription, if it is a consumer and shares an assignor with the other classic members: they must be able to go on as a classic group.
    fn supported_subscription(
        &self,
        request: &JoinRequest,
        id: &MemberId,
    ) -> Result<Subscription, GroupError> {
        let first = request
            .protocols
            .first()
            .ok_or(GroupError::InconsistentProtocol)?;
        if request.protocol_type != CONSUMER_PROTOCOL_TYPE {
            return Err(GroupError::InconsistentProtocol);
        }
        let mut common: BTreeSet<&str> = request
            .protocols
            .iter()
            .map(|protocol| protocol.name.as_str())
            .collect();
        let others = self.members.iter().filter(|(other, _)| *other != id);
        for classic in others.filter_map(|(_, member)| member.classic.as_ref()) {
            common.retain(|name| classic.protocols.iter().any(|(has, _)| has == name));
        }
        if common.is_empty() {
            return Err(GroupError::InconsistentProtocol);
        }
        read_subscription(&first.metadata).map_err(|_| GroupError::InconsistentProtocol)
    }

    /// A classic member asks for what the join gave it. The inner error tells it to join again.
    pub fn classic_sync(
        &self,
        request: &SyncRequest,
        context: Context<'_>,
    ) -> Result<Change<Result<SyncedGroup, GroupError>>, GroupError> {
        let id = &request.member_id;
        let (metadata, classic) =
            self.classic_member(id, request.instance_id.as_ref(), request.generation)?;
        let (name, subscription) = classic
            .protocols
            .first()
            .ok_or(GroupError::InconsistentProtocol)?;
        let other_type = request
            .protocol_type
            .as_ref()
            .is_some_and(|kind| kind != CONSUMER_PROTOCOL_TYPE);
        if other_type || request.protocol.as_ref().is_some_and(|protocol| protocol != name) {
            return Err(GroupError::InconsistentProtocol);
        }
        let mut draft = Draft::of(self);
        let current = self.current(id);
        // One that has to give up partitions first learns that from what it is given here.
        if self.epoch() > current.epoch && current.state != MemberState::UnrevokedPartitions {
            draft.expect_join(id, metadata.rebalance_timeout_ms);
            return Ok(draft.done(Err(GroupError::RebalanceInProgress)));
        }
        let version = read_subscription(subscription)
            .map_err(|_| GroupError::InconsistentProtocol)?
            .version;
        draft.stop(id, TimerKind::Sync);
        draft.start(id, TimerKind::Session, classic.session_timeout_ms);
        let synced = SyncedGroup {
            protocol_type: Some(CONSUMER_PROTOCOL_TYPE.to_owned()),
            protocol: Some(name.clone()),
            assignment: write_assignment(version, current.assigned.keys(), context.topics),
        };
        Ok(draft.done(Ok(synced)))
    }

    /// A classic member shows that it lives. The inner error tells it to join again: the group moved on, it has to give up partitions, or what it waited for
    /// is free.
    pub fn classic_heartbeat(
        &self,
        id: &MemberId,
        instance: Option<&GroupInstanceId>,
        generation: i32,
    ) -> Result<Change<Result<(), GroupError>>, GroupError> {
        let (metadata, classic) = self.classic_member(id, instance, generation)?;
        let mut draft = Draft::of(self);
        draft.start(id, TimerKind::Session, classic.session_timeout_ms);
        let current = self.current(id);
        let must_join = current.epoch < self.epoch()
            || match current.state {
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !self.waits_for_others(id),
                MemberState::Stable | MemberState::Unknown => false,
            };
        if !must_join {
            return Ok(draft.done(Ok(())));
        }
        draft.expect_join(id, metadata.rebalance_timeout_ms);
        Ok(draft.done(Err(GroupError::RebalanceInProgress)))
    }

    /// Classic members leave; one answer each, in order.
    pub fn classic_leave(
        &self,
        leaving: &[LeavingMember],
        context: Context<'_>,
    ) -> Result<Change<Vec<Result<(), GroupError>>>, GroupError> {
        let mut gone: BTreeSet<MemberId> = BTreeSet::new();
        let mut answers = Vec::with_capacity(leaving.len());
        for leaving in leaving {
            let found = self
                .leaving_member(leaving)
                .and_then(|id| match gone.contains(&id) {
                    true => Err(unknown_member(&id)),
                    false => Ok(id),
                });
            answers.push(found.map(|id| {
                gone.insert(id);
            }));
        }
        let mut draft = Draft::of(self);
        if !gone.is_empty() {
            draft.remove_members(&gone, context)?;
        }
        Ok(draft.done(answers))
    }

    fn leaving_member(&self, leaving: &LeavingMember) -> Result<MemberId, GroupError> {
        let mut id = leaving.member_id.clone();
        if let Some(instance) = &leaving.instance_id {
            // An administrator knows only the instance.
            match self.static_member(instance.as_str()) {
                Some(member) if id.as_str().is_empty() => id = member.clone(),
                _ => self.check_instance(&id, instance.as_str())?,
            }
        }
        let metadata = self.members.get(&id).ok_or_else(|| unknown_member(&id))?;
        match metadata.classic {
            Some(_) => Ok(id),
            None => Err(unknown_member(&id)),
        }
    }

    fn classic_member(
        &self,
        id: &MemberId,
        instance: Option<&GroupInstanceId>,
        generation: i32,
    ) -> Result<(&MemberMetadata, &ClassicMemberMetadata), GroupError> {
        if let Some(instance) = instance {
            self.check_instance(id, instance.as_str())?;
        }
        let metadata = self.members.get(id).ok_or_else(|| unknown_member(id))?;
        let classic = metadata.classic.as_ref().ok_or_else(|| unknown_member(id))?;
        let current = self.current(id).epoch;
        match generation == current {
            true => Ok((metadata, classic)),
            false => Err(GroupError::IllegalGeneration {
                found: generation,
                current,
            }),
        }
    }
}

impl Draft {
    /// The member was told to join again, and has its rebalance timeout for that.
    fn expect_join(&mut self, id: &MemberId, rebalance_timeout_ms: i32) {
        let member = id.clone();
        let kind = TimerKind::Join;
        self.timers.push(TimerCommand::StartIfAbsent(
            Timer { member, kind },
            rebalance_timeout_ms,
        ));
    }
}
