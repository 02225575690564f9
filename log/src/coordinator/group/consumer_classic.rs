//! Classic members of consumer groups, and groups that change their kind: the shell around `consumer/classic.rs` and `consumer/migrate.rs`.
//!
//! Always true: a group changes its kind in one batch, the removal of the old facts first; requests that waited in the old one are told to come again.

use std::sync::Arc;

use crate::broker::BrokerError;
use crate::types::{GroupId, GroupInstanceId, MemberId};

use super::classic::{
    ClassicCommand, ClassicGroup, JoinRefusal, JoinRequest, JoinedGroup, LeavingMember, Step, SyncRequest,
    SyncedGroup, encode_group_key, encode_group_value,
};
use super::consumer::{Change, ConsumerGroup, Context, HeartbeatRequest, HeartbeatResponse};
use super::consumer_membership::Decision;
use super::coordinator::GroupCoordinator;
use super::error::GroupError;
use super::groups::Group;
use super::rules::{GroupRecord, GroupRules};
use super::shard::{Shard, ShardState};

impl GroupCoordinator {
    /// True if the group is one of the new protocol now.
    pub(super) fn is_consumer_group(&self, group: &GroupId) -> bool {
        self.look_at(group, |group| matches!(group, Group::Consumer(_))) == Some(true)
    }

    /// A classic member joins a consumer group.
    pub(super) async fn classic_join_to_consumer(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        group: &GroupId,
        request: JoinRequest,
        fresh: MemberId,
    ) -> Result<Result<JoinedGroup, JoinRefusal>, BrokerError> {
        self.change_consumer(shard, group, move |consumer, context| {
            match consumer.classic_join(&request, fresh, context) {
                Ok(change) => Ok(answering(change, Ok)),
                Err(refusal) => Ok(Change {
                    records: Vec::new(),
                    group: consumer.clone(),
                    timers: Vec::new(),
                    response: Err(refusal),
                }),
            }
        })
        .await
    }

    /// A classic member of a consumer group asks for its assignment.
    pub(super) async fn classic_sync_to_consumer(
        self: &Arc<Self>,
        group: &GroupId,
        request: SyncRequest,
    ) -> Result<SyncedGroup, BrokerError> {
        let shard = self.shard_of(group).await?;
        let answer = self
            .change_consumer(&shard, group, move |consumer, context| {
                consumer.classic_sync(&request, context)
            })
            .await?;
        Ok(answer?)
    }

    /// A classic member of a consumer group shows that it lives.
    pub(super) async fn classic_heartbeat_to_consumer(
        self: &Arc<Self>,
        group: &GroupId,
        member: &MemberId,
        instance: Option<&GroupInstanceId>,
        generation: i32,
    ) -> Result<(), BrokerError> {
        let shard = self.shard_of(group).await?;
        let (member, instance) = (member.clone(), instance.cloned());
        let answer = self
            .change_consumer(&shard, group, move |consumer, _| {
                consumer.classic_heartbeat(&member, instance.as_ref(), generation)
            })
            .await?;
        Ok(answer?)
    }

    /// Classic members leave a consumer group.
    pub(super) async fn classic_leave_to_consumer(
        self: &Arc<Self>,
        group: &GroupId,
        leaving: &[LeavingMember],
    ) -> Result<Vec<Result<(), GroupError>>, BrokerError> {
        let shard = self.shard_of(group).await?;
        let leaving = leaving.to_vec();
        self.change_consumer(&shard, group, move |consumer, context| {
            consumer.classic_leave(&leaving, context)
        })
        .await
    }

    async fn change_consumer<R: Send + 'static>(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        group: &GroupId,
        decide: impl FnOnce(&ConsumerGroup, Context<'_>) -> Result<Change<R>, GroupError> + Send,
    ) -> Result<R, BrokerError> {
        let id = group.clone();
        self.change(shard, group, move |coordinator, state, context| {
            match state.groups.get(&id) {
                Some(Group::Consumer(consumer)) => {
                    Ok(coordinator.maybe_downgrade(decide(consumer, context)?, context))
                }
                // It changed its kind since it was looked at.
                _ => Err(GroupError::NotAvailable),
            }
        })
        .await
    }

    /// A member of the new protocol joins a classic group that has members.
    pub(super) fn upgrade(
        self: &Arc<Self>,
        state: &mut ShardState,
        classic: &ClassicGroup,
        request: &HeartbeatRequest,
        context: Context<'_>,
    ) -> Result<Decision<HeartbeatResponse>, GroupError> {
        let (consumer, mut records) = ConsumerGroup::upgraded(classic, context)?;
        let change = consumer.heartbeat(request, context)?;
        let mut timers = consumer.timers_after_load(context);
        timers.extend(change.timers.iter().cloned());
        records.extend(change.records.iter().cloned());
        tracing::info!(group = %classic.id(), "classic group becomes a consumer group");
        let mut step = Step::new(self.now(), &self.rules);
        let mut left = classic.clone();
        left.dissolve(&mut step);
        self.refuse_waiting(state, classic.id(), step.commands);
        let change = Change {
            records,
            timers,
            ..change
        };
        Ok(Decision::of(change).after(classic.tombstones()))
    }

    /// Turns a change that leaves only classic members into one that makes the group a classic one.
    pub(super) fn maybe_downgrade<R>(&self, change: Change<R>, context: Context<'_>) -> Decision<R> {
        let Some(metadata) = change.group.downgraded(self.rules.max_size, context) else {
            return Decision::of(change);
        };
        let id = change.group.id().clone();
        tracing::info!(group = %id, "consumer group becomes a classic group");
        // And what the change itself removes: the group after it knows nothing of that any more.
        let mut records = change.group.tombstones();
        let written: Vec<GroupRecord> = change.group.encoded(&change.records);
        let removed_now = written.into_iter().filter(|record| record.value.is_none());
        records.extend(removed_now);
        records.push(GroupRecord {
            key: encode_group_key(&id),
            value: Some(encode_group_value(&metadata)),
        });
        Decision {
            records,
            group: Group::Classic(Box::new(ClassicGroup::replay(id, metadata))),
            timers: Vec::new(),
            response: change.response,
        }
    }
}

impl GroupCoordinator {
    /// Carries out the answers among these commands; the timers of the group are gone with it.
    fn refuse_waiting(&self, state: &mut ShardState, group: &GroupId, commands: Vec<ClassicCommand>) {
        state.timers.cancel_all(group);
        for command in commands {
            match command {
                // Nobody may listen any more: the client is gone.
                ClassicCommand::AnswerJoin(request, answer) => {
                    if let Some(waiting) = state.waiting.joins.remove(&request) {
                        waiting.send(answer).ok();
                    }
                }
                ClassicCommand::AnswerSync(request, answer) => {
                    if let Some(waiting) = state.waiting.syncs.remove(&request) {
                        waiting.send(answer).ok();
                    }
                }
                ClassicCommand::SetTimer(..) | ClassicCommand::CancelTimer(_) | ClassicCommand::Store(..) => {
                }
            }
        }
    }

    /// A consumer group has just become a classic one: its members rebalance by themselves.
    pub(super) fn start_classic(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        state: &mut ShardState,
        group: &GroupId,
    ) {
        state.timers.cancel_all(group);
        let Ok(classic) = state.groups.classic_mut(group) else {
            return;
        };
        let mut step = Step::new(self.now(), &self.rules);
        classic.start_rebalance(&mut step);
        let commands = step.commands;
        self.run(shard, state, group, commands);
    }

    /// A change was taken back: the members get their time anew, whichever kind of group it is again.
    pub(super) fn restart_timers(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        state: &mut ShardState,
        group: &GroupId,
    ) {
        match state.groups.get(group) {
            Some(Group::Consumer(consumer)) => {
                let consumer = consumer.clone();
                self.on_consumer_loaded(state, &consumer);
            }
            Some(Group::Classic(classic)) if !classic.is_empty() => self.start_classic(shard, state, group),
            Some(Group::Classic(_)) | None => {}
        }
    }

    /// The change that made it classic could not be written: whoever came to it meanwhile must come again.
    pub(super) fn abandon_classic(&self, state: &mut ShardState, group: &GroupId) {
        if let Ok(classic) = state.groups.classic_mut(group) {
            let mut step = Step::new(self.now(), &self.rules);
            classic.dissolve(&mut step);
            let commands = step.commands;
            self.refuse_waiting(state, group, commands);
        }
    }
}

fn answering<R, S>(change: Change<R>, answer: impl FnOnce(R) -> S) -> Change<S> {
    Change {
        records: change.records,
        group: change.group,
        timers: change.timers,
        response: answer(change.response),
    }
}
