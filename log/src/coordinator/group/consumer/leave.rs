//! Members that go: by their own word, for a while (static ones), or because they were silent or too slow. And the timers that find that out.

use std::sync::Arc;

use super::change::{Change, Context, Draft, Timer, TimerCommand, TimerKind};
use super::group::ConsumerGroup;
use super::heartbeat::unknown_member;
use super::partitions::OwnedPartitions;
use super::record::{ConsumerGroupRecord, CurrentAssignment, MemberState};
use super::request::{HeartbeatRequest, HeartbeatResponse, LEAVE_STATIC_EPOCH};
use crate::coordinator::group::error::GroupError;
use crate::types::MemberId;

impl ConsumerGroup {
    pub(super) fn leave(
        &self,
        id: &MemberId,
        request: &HeartbeatRequest,
        context: Context<'_>,
    ) -> Result<Change<HeartbeatResponse>, GroupError> {
        match &request.instance_id {
            Some(instance) => self.check_instance(id, instance)?,
            None if !self.members.contains_key(id) => return Err(unknown_member(id)),
            None => {}
        }
        let mut draft = Draft::of(self);
        if request.member_epoch == LEAVE_STATIC_EPOCH {
            draft.leave_for_a_while(id, context);
        } else {
            draft.remove_members([id], context)?;
        }
        Ok(draft.done(HeartbeatResponse {
            member_id: id.clone(),
            member_epoch: request.member_epoch,
            heartbeat_interval_ms: 0,
            assignment: None,
        }))
    }

    /// A timer went off. None if there is nothing left to do: what it waited for came meanwhile.
    pub fn on_timer(&self, timer: &Timer, context: Context<'_>) -> Result<Option<Change<()>>, GroupError> {
        if !self.members.contains_key(&timer.member) {
            return Ok(None);
        }
        let in_time = timer.kind == TimerKind::Rebalance
            && self.current(&timer.member).state != MemberState::UnrevokedPartitions;
        if in_time {
            return Ok(None);
        }
        self.without_members([&timer.member], context).map(Some)
    }

    /// The group without these members.
    pub fn without_members<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a MemberId>,
        context: Context<'_>,
    ) -> Result<Change<()>, GroupError> {
        let mut draft = Draft::of(self);
        draft.remove_members(ids, context)?;
        Ok(draft.done(()))
    }

    /// The timers a group needs that was just loaded: everybody gets as much time as after a heartbeat.
    pub fn timers_after_load(&self, context: Context<'_>) -> Vec<TimerCommand> {
        let mut timers = Vec::new();
        for (id, metadata) in &self.members {
            let mut start = |kind, after_ms| {
                let member = id.clone();
                timers.push(TimerCommand::Start(Timer { member, kind }, after_ms));
            };
            match &metadata.classic {
                Some(classic) => start(TimerKind::Session, classic.session_timeout_ms),
                None => start(TimerKind::Session, context.config.session_timeout_ms),
            }
            if metadata.classic.is_none() && self.current(id).state == MemberState::UnrevokedPartitions {
                start(TimerKind::Rebalance, metadata.rebalance_timeout_ms);
            }
        }
        timers
    }

    /// Removes every record of the group. The caller has checked that it is empty.
    pub fn delete(&self) -> Change<()> {
        let mut draft = Draft::of(self);
        let ids: Vec<MemberId> = self
            .members
            .keys()
            .chain(self.current.keys())
            .chain(self.targets.keys())
            .cloned()
            .collect();
        for id in ids {
            if draft.group.members.contains_key(&id)
                || draft.group.current.contains_key(&id)
                || draft.group.targets.contains_key(&id)
            {
                draft.remove_member(&id);
            }
        }
        draft.forget_unused_patterns();
        if draft.group.target_metadata.is_some() {
            draft.write(ConsumerGroupRecord::TargetMetadata(None));
        }
        if draft.group.old_partition_metadata {
            draft.write(ConsumerGroupRecord::PartitionMetadata(None));
        }
        draft.write(ConsumerGroupRecord::Metadata(None));
        draft.done(())
    }
}

impl Draft {
    /// Removes members; the group gets its next epoch, so that the others share what they owned.
    pub(super) fn remove_members<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a MemberId>,
        context: Context<'_>,
    ) -> Result<(), GroupError> {
        for id in ids {
            self.remove_member(id);
        }
        self.forget_unused_patterns();
        self.bump_epoch_if(true, context)
    }

    /// A static member keeps its place and what it owned, until its session times out. What it had to give up is free: its process is gone.
    fn leave_for_a_while(&mut self, id: &MemberId, context: Context<'_>) {
        let current = self.group.current(id);
        let away = CurrentAssignment {
            epoch: LEAVE_STATIC_EPOCH,
            previous_epoch: current.epoch,
            state: MemberState::Stable,
            assigned: current.assigned.clone(),
            revoking: OwnedPartitions::new(),
        };
        self.write(ConsumerGroupRecord::Current(id.clone(), Some(Arc::new(away))));
        self.stop(id, TimerKind::Rebalance);
        self.start(id, TimerKind::Session, context.config.session_timeout_ms);
    }
}
