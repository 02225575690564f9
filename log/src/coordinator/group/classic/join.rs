//! JoinGroup: new members, members that come back, and static members that take their old place (KIP-345, KIP-394, KIP-814).
//!
//! Always true: every request is answered once, at once or when the rebalance it joined completes; a second request of the same member
//! answers the first with `RebalanceInProgress`. A follower that joins a stable group again unchanged causes no rebalance.

use crate::coordinator::group::error::GroupError;
use crate::metadata::limits;
use crate::types::{GroupInstanceId, MemberId};

use super::command::{
    AfterStore, ClassicCommand, ClassicTimer, JoinRequest, JoinedGroup, ReplacedMember, RequestId, Step,
};
use super::group::{ClassicGroup, ClassicState};
use super::member::ClassicMember;

impl ClassicGroup {
    /// A member joins. `fresh` is a member id never used before, for one that has none.
    pub fn join(&mut self, request: JoinRequest, id: RequestId, fresh: MemberId, step: &mut Step<'_>) {
        let member = request.member_id.clone();
        if !self.accepts(&member, step.rules.max_size) {
            if self.pending_joins.contains(&member) || self.members.contains_key(&member) {
                self.remove(&member, step);
            }
            let limit = step.rules.max_size;
            step.refuse_join(id, GroupError::GroupFull { limit }, MemberId::new(""));
        } else if self.state == ClassicState::Dead {
            step.refuse_join(id, GroupError::NotAvailable, member);
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            step.refuse_join(id, GroupError::InconsistentProtocol, member);
        } else if member.as_str().is_empty() {
            self.join_new(request, id, fresh, step);
        } else {
            self.join_again(request, id, step);
        }
    }

    fn accepts(&self, member: &MemberId, max_size: usize) -> bool {
        match self.state {
            ClassicState::Empty | ClassicState::Dead => true,
            // Whoever waits already is in. The number that waits counts, not the group's size: members that do not come back make place.
            ClassicState::PreparingRebalance => {
                let waiting = |member: &ClassicMember| member.joining.is_some();
                self.members.get(member).is_some_and(waiting)
                    || self.members.values().filter(|member| waiting(member)).count() < max_size
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.members.contains_key(member) || self.members.len() < max_size
            }
        }
    }

    fn join_new(&mut self, request: JoinRequest, id: RequestId, fresh: MemberId, step: &mut Step<'_>) {
        let holder = request
            .instance_id
            .as_ref()
            .and_then(|instance| Some((instance.clone(), self.static_members.get(instance)?.clone())));
        match holder {
            Some((instance, old)) => self.replace_static(request, id, instance, old, fresh, step),
            None if request.instance_id.is_none() && request.requires_known_member_id => {
                if self.pending_joins.len() >= limits::MEMBERS_PER_GROUP {
                    let limit = limits::MEMBERS_PER_GROUP;
                    return step.refuse_join(id, GroupError::GroupFull { limit }, MemberId::new(""));
                }
                step.set(ClassicTimer::Session(fresh.clone()), request.session_timeout_ms);
                self.pending_joins.insert(fresh.clone());
                step.refuse_join(id, GroupError::MemberIdRequired, fresh);
            }
            None => self.add_member(request, id, fresh, step),
        }
    }

    fn join_again(&mut self, request: JoinRequest, id: RequestId, step: &mut Step<'_>) {
        let member = request.member_id.clone();
        if self.pending_joins.contains(&member) && request.instance_id.is_none() {
            return self.add_member(request, id, member, step);
        }
        if let Err(error) = self.validate_member(&member, request.instance_id.as_ref()) {
            return step.refuse_join(id, error, member);
        }
        let unchanged = self.members[&member].protocols == request.protocols;
        let rebalances = match self.state {
            ClassicState::PreparingRebalance => true,
            // It may have missed the answer to its last request.
            ClassicState::CompletingRebalance => !unchanged,
            ClassicState::Stable => !unchanged || self.is_leader(&member),
            ClassicState::Empty | ClassicState::Dead => {
                return step.refuse_join(
                    id,
                    GroupError::UnknownMember {
                        member: member.clone(),
                    },
                    member,
                );
            }
        };
        if rebalances {
            self.update_member(&member, request, id, step);
            self.prepare_rebalance_or_complete_join(step);
        } else {
            let members = match self.state == ClassicState::CompletingRebalance && self.is_leader(&member) {
                true => self.joined_members(),
                false => Vec::new(),
            };
            let leader = self.leader.clone();
            let joined = JoinedGroup {
                members,
                ..self.joined(member, leader)
            };
            step.commands.push(ClassicCommand::AnswerJoin(id, Ok(joined)));
        }
    }

    fn add_member(&mut self, request: JoinRequest, id: RequestId, member: MemberId, step: &mut Step<'_>) {
        if self.state == ClassicState::PreparingRebalance && self.previous_state == ClassicState::Empty {
            self.new_member_added = true;
        }
        let mut new = ClassicMember::new(member.clone(), &request);
        new.is_new = true;
        new.joining = Some(id);
        self.insert(new, &request.protocol_type);
        // Its session does not count yet: it has no id to send heartbeats with. Whoever is gone meanwhile must still be noticed some day.
        step.set(
            ClassicTimer::Session(member),
            step.rules.new_member_join_timeout_ms,
        );
        self.prepare_rebalance_or_complete_join(step);
    }

    /// Takes on what a member says about itself now, and parks its request.
    fn update_member(&mut self, member: &MemberId, request: JoinRequest, id: RequestId, step: &mut Step<'_>) {
        let Some(known) = self.members.get_mut(member) else {
            return;
        };
        known.protocols = request.protocols;
        known.rebalance_timeout_ms = request.rebalance_timeout_ms;
        known.session_timeout_ms = request.session_timeout_ms;
        if let Some(superseded) = known.joining.replace(id) {
            step.refuse_join(superseded, GroupError::RebalanceInProgress, member.clone());
        }
    }

    fn replace_static(
        &mut self,
        request: JoinRequest,
        id: RequestId,
        instance: GroupInstanceId,
        old: MemberId,
        new: MemberId,
        step: &mut Step<'_>,
    ) {
        let old_leader = self.leader.clone();
        let before = self.members[&old].clone();
        let skips = request.supports_skipping_assignment;
        self.move_static(&instance, &old, &new, step);
        if let Some(member) = self.members.get_mut(&new) {
            member.client_id.clone_from(&request.client_id);
            member.client_host.clone_from(&request.client_host);
        }
        self.update_member(&new, request, id, step);
        let timeout = self.members[&new].session_timeout_ms;
        step.set(ClassicTimer::Session(new.clone()), timeout);
        match self.state {
            ClassicState::Stable if self.select_protocol() == self.protocol => {
                let replaced = ReplacedMember {
                    request: id,
                    instance_id: instance,
                    old_id: old,
                    new_id: new,
                    old_leader,
                    old_protocols: before.protocols,
                    old_timeouts_ms: (before.rebalance_timeout_ms, before.session_timeout_ms),
                    supports_skipping_assignment: skips,
                };
                let then = AfterStore::StaticMember(Box::new(replaced));
                step.commands
                    .push(ClassicCommand::Store(self.to_stored(None), then));
            }
            // While the group completes a rebalance the leader may assign to the old id already: the new one would get nothing.
            _ => self.prepare_rebalance_or_complete_join(step),
        }
    }

    /// Gives a static place to another member id. Whatever the old one waits for is refused.
    fn move_static(
        &mut self,
        instance: &GroupInstanceId,
        old: &MemberId,
        new: &MemberId,
        step: &mut Step<'_>,
    ) {
        let Some(mut member) = self.members.remove(old) else {
            return;
        };
        let fenced = || GroupError::FencedInstance {
            instance: instance.clone(),
            member: old.clone(),
        };
        if let Some(request) = member.joining.take() {
            step.refuse_join(request, fenced(), old.clone());
        }
        if let Some(request) = member.syncing.take() {
            step.answer_sync(request, Err(fenced()));
        }
        step.cancel(ClassicTimer::Session(old.clone()));
        member.id = new.clone();
        self.members.insert(new.clone(), member);
        self.static_members.insert(instance.clone(), new.clone());
        if self.pending_syncs.remove(old) {
            self.pending_syncs.insert(new.clone());
        }
        if self.is_leader(old) {
            self.leader = Some(new.clone());
        }
    }

    /// The new id of a static member is durable, or is not.
    pub(super) fn on_static_stored(&mut self, replaced: ReplacedMember, stored: bool, step: &mut Step<'_>) {
        let waits = |member: &ClassicMember| member.joining == Some(replaced.request);
        if !self.members.get(&replaced.new_id).is_some_and(waits) {
            // A rebalance, a newer request or its removal has answered it meanwhile.
            return;
        }
        if let Some(member) = self.members.get_mut(&replaced.new_id) {
            member.joining = None;
        }
        if !stored {
            if let Some(member) = self.members.get_mut(&replaced.new_id) {
                member.protocols = replaced.old_protocols;
                (member.rebalance_timeout_ms, member.session_timeout_ms) = replaced.old_timeouts_ms;
            }
            step.cancel(ClassicTimer::Session(replaced.new_id.clone()));
            self.move_static(&replaced.instance_id, &replaced.new_id, &replaced.old_id, step);
            step.set(ClassicTimer::Session(replaced.old_id), replaced.old_timeouts_ms.1);
            return step.refuse_join(replaced.request, GroupError::NotAvailable, MemberId::new(""));
        }
        let leads = self.is_leader(&replaced.new_id);
        let joined = if replaced.supports_skipping_assignment {
            JoinedGroup {
                members: if leads { self.joined_members() } else { Vec::new() },
                skip_assignment: leads,
                ..self.joined(replaced.new_id, self.leader.clone())
            }
        } else {
            // Told the old leader's id, a leader of before KIP-814 does not assign anew.
            self.joined(replaced.new_id, replaced.old_leader)
        };
        step.commands
            .push(ClassicCommand::AnswerJoin(replaced.request, Ok(joined)));
    }

    pub(super) fn joined(&self, member_id: MemberId, leader: Option<MemberId>) -> JoinedGroup {
        JoinedGroup {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: leader.unwrap_or_else(|| MemberId::new("")),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        }
    }
}
