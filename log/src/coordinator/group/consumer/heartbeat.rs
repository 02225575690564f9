//! ConsumerGroupHeartbeat: a member joins, lives, changes its mind, or leaves.
//!
//! In order: the request's form, the member's identity and epoch, what it tells about itself, the group's epoch if that asks for another assignment, the
//! target if the epoch moved, the member's own next step towards it. A heartbeat that changes nothing yields no record.

use std::sync::Arc;

use super::change::{Change, Context, Draft, TimerCommand, TimerKind};
use super::group::{ConsumerGroup, keys};
use super::partitions::PartitionSet;
use super::record::{ConsumerGroupRecord, CurrentAssignment, MemberMetadata};
use super::request::{HeartbeatRequest, HeartbeatResponse, JOIN_EPOCH, LEAVE_STATIC_EPOCH};
use crate::broker::ErrorCode;
use crate::coordinator::group::error::GroupError;
use crate::metadata::limits::MEMBERS_PER_GROUP;
use crate::types::MemberId;

impl ConsumerGroup {
    /// Decides what a heartbeat does. The group is unchanged; the change holds what it becomes.
    pub fn heartbeat(
        &self,
        request: &HeartbeatRequest,
        context: Context<'_>,
    ) -> Result<Change<HeartbeatResponse>, GroupError> {
        request.check(context.config)?;
        let id = MemberId::new(&request.member_id);
        if request.member_epoch < JOIN_EPOCH {
            return self.leave(&id, request, context);
        }
        let joins = request.member_epoch == JOIN_EPOCH;
        let mut draft = Draft::of(self);
        let replaced = match &request.instance_id {
            Some(instance) if joins => self.releasable_instance(&id, instance, false)?,
            Some(instance) => {
                self.check_instance(&id, instance)?;
                None
            }
            None => None,
        };
        match self.members.get(&id) {
            Some(_) if joins => {}
            Some(_) => self.check_epoch(&id, request.member_epoch, request.owned.as_ref())?,
            None if joins => {
                if replaced.is_none() {
                    self.check_room(context)?;
                }
            }
            None => return Err(unknown_member(&id)),
        }
        let before = match &replaced {
            Some(old) => draft.replace_member(old, &id),
            None => self.members.get(&id).cloned(),
        };
        let owned_before = keys(&draft.group.current(&id).assigned);
        let is_new = before.is_none();
        let metadata = merged(before.as_deref(), request);
        draft.take_on_metadata(&id, metadata, is_new, before.as_deref(), context)?;
        draft.update_target(context)?;
        draft.reconcile(&id, request.owned.as_ref())?;
        draft.start(&id, TimerKind::Session, context.config.session_timeout_ms);

        let current = draft.group.current(&id);
        let assigned = keys(&current.assigned);
        let response = HeartbeatResponse {
            member_id: id,
            member_epoch: current.epoch,
            heartbeat_interval_ms: context.config.heartbeat_interval_ms,
            assignment: (request.is_full() || assigned != owned_before).then_some(assigned),
        };
        Ok(draft.done(response))
    }

    pub(super) fn check_room(&self, context: Context<'_>) -> Result<(), GroupError> {
        let limit = usize::try_from(context.config.max_size)
            .unwrap_or(0)
            .min(MEMBERS_PER_GROUP);
        if self.members.len() < limit {
            return Ok(());
        }
        let message = format!("group is full: it may have {limit} members (group.consumer.max.size)");
        Err(GroupError::refused(ErrorCode::GroupMaxSizeReached, message))
    }

    /// The member to be replaced by a joining one with the same instance id. Errs if that one has not left: two processes share the instance id.
    /// A change of protocol replaces it in any case, as the process that left for it could not say goodbye in the old one.
    pub(super) fn releasable_instance(
        &self,
        id: &MemberId,
        instance: &str,
        joins_as_classic: bool,
    ) -> Result<Option<MemberId>, GroupError> {
        let Some(old) = self.static_member(instance).filter(|old| *old != id) else {
            return Ok(None);
        };
        let was_classic = self.members.get(old).is_some_and(|old| old.classic.is_some());
        if !joins_as_classic && !was_classic && self.current(old).epoch != LEAVE_STATIC_EPOCH {
            let message = format!(
                "instance id {instance} is in use by member {old}; give each process an instance id of its own"
            );
            return Err(GroupError::refused(ErrorCode::UnreleasedInstanceId, message));
        }
        Ok(Some(old.clone()))
    }

    /// Errs unless the instance id belongs to this member.
    pub(super) fn check_instance(&self, id: &MemberId, instance: &str) -> Result<(), GroupError> {
        match self.static_member(instance) {
            Some(member) if member == id => Ok(()),
            Some(member) => {
                let message =
                    format!("member {id} with instance id {instance} was replaced by member {member}");
                Err(GroupError::refused(ErrorCode::FencedInstanceId, message))
            }
            None => {
                let message = format!("instance id {instance} is not a member's; join first");
                Err(GroupError::refused(ErrorCode::UnknownMemberId, message))
            }
        }
    }

    /// The epoch must be the member's. The one before will do if the answer with the new one was lost: then it owns nothing beyond what it has now.
    fn check_epoch(&self, id: &MemberId, epoch: i32, owned: Option<&PartitionSet>) -> Result<(), GroupError> {
        let current = self.current(id);
        let lost_answer = || {
            epoch == current.previous_epoch
                && owned.is_some_and(|owned| owned.iter().all(|owned| current.assigned.contains_key(owned)))
        };
        if epoch == current.epoch || (epoch < current.epoch && lost_answer()) {
            return Ok(());
        }
        let message = format!(
            "member {id} has epoch {epoch}, the coordinator knows {}; it must give up its partitions and join again",
            current.epoch
        );
        Err(GroupError::refused(ErrorCode::FencedMemberEpoch, message))
    }
}

pub(super) fn unknown_member(id: &MemberId) -> GroupError {
    let message = match id.as_str() {
        "" => "group has members, so that only they may ask; name one".to_owned(),
        id => format!("member {id} is not in the group; join first"),
    };
    GroupError::refused(ErrorCode::UnknownMemberId, message)
}

/// What is known of the member after this request: what it left out stays.
fn merged(before: Option<&MemberMetadata>, request: &HeartbeatRequest) -> MemberMetadata {
    let mut metadata = before.cloned().unwrap_or_default();
    let told = request.clone();
    metadata.instance_id = told.instance_id.or(metadata.instance_id);
    metadata.rack_id = told.rack_id.or(metadata.rack_id);
    metadata.rebalance_timeout_ms = told.rebalance_timeout_ms.unwrap_or(metadata.rebalance_timeout_ms);
    metadata.subscribed_names = told.subscribed_names.unwrap_or(metadata.subscribed_names);
    if let Some(pattern) = told.subscribed_pattern {
        metadata.subscribed_pattern = Some(pattern).filter(|pattern| !pattern.is_empty());
    }
    metadata.server_assignor = told.server_assignor.or(metadata.server_assignor);
    metadata.client_id = told.client_id;
    metadata.client_host = told.client_host;
    metadata.classic = None;
    metadata
}

impl Draft {
    /// Takes on what a member tells; gives the group its next epoch if that asks for another assignment.
    pub(super) fn take_on_metadata(
        &mut self,
        id: &MemberId,
        metadata: MemberMetadata,
        is_new: bool,
        before: Option<&MemberMetadata>,
        context: Context<'_>,
    ) -> Result<(), GroupError> {
        if let Some(pattern) = &metadata.subscribed_pattern {
            self.check_new_pattern(pattern)?;
        }
        let subscription_changed = before.is_none_or(|before| !before.subscribes_as(&metadata));
        if self.group.members.get(id).is_none_or(|known| **known != metadata) {
            self.write(ConsumerGroupRecord::Member(id.clone(), Some(Arc::new(metadata))));
        }
        if subscription_changed {
            self.forget_unused_patterns();
        }
        self.bump_epoch_if(is_new || subscription_changed, context)
    }

    /// Puts a static member's new process in the place of the old one, with its target and what it owned. Returns what was known of the old one;
    /// the new one's metadata is still to be written.
    pub(super) fn replace_member(&mut self, old: &MemberId, id: &MemberId) -> Option<Arc<MemberMetadata>> {
        let metadata = self.group.members.get(old).cloned();
        let target = self.group.targets.get(old).cloned();
        let current = self.group.current(old);
        self.remove_member(old);
        if target.is_some() {
            self.write(ConsumerGroupRecord::Target(id.clone(), target));
        }
        let taken_over = CurrentAssignment {
            assigned: current.assigned.clone(),
            ..CurrentAssignment::default()
        };
        self.write(ConsumerGroupRecord::Current(
            id.clone(),
            Some(Arc::new(taken_over)),
        ));
        metadata
    }

    /// Removes every fact about a member, and its timers.
    pub(super) fn remove_member(&mut self, id: &MemberId) {
        if self.group.current.contains_key(id) {
            self.write(ConsumerGroupRecord::Current(id.clone(), None));
        }
        if self.group.targets.contains_key(id) {
            self.write(ConsumerGroupRecord::Target(id.clone(), None));
        }
        self.write(ConsumerGroupRecord::Member(id.clone(), None));
        self.timers.push(TimerCommand::StopAll(id.clone()));
    }
}
