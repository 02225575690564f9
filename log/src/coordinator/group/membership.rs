//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup: requests in, commands of the classic core carried out.
//!
//! Always true: a request waits as an entry of its shard, not as a task; whoever asked and is gone leaves an answer nobody reads.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::broker::{BrokerError, ErrorCode};
use crate::coordinator::txn::Now;
use crate::metadata::limits;
use crate::types::{GroupId, GroupInstanceId, MemberId};

use super::classic::{
    AfterStore, ClassicCommand, ClassicGroup, ClassicTimer, GroupMetadata, JoinRefusal, JoinRequest,
    JoinedGroup, LeavingMember, Step, SyncRequest, SyncedGroup, encode_group_key, encode_group_value,
};
use super::coordinator::GroupCoordinator;
use super::error::GroupError;
use super::rules::GroupRecord;
use super::shard::{Shard, ShardState};
use super::timers::GroupTimer;

/// Longest part of a client id that goes into a member id.
const CLIENT_ID_IN_MEMBER_ID: usize = 255;

impl GroupCoordinator {
    /// A member joins; the answer comes when the rebalance it joins has all its members. The outer error is one of the coordinator, not of the group.
    pub(crate) async fn join(
        self: &Arc<Self>,
        group: &GroupId,
        request: JoinRequest,
    ) -> Result<Result<JoinedGroup, JoinRefusal>, BrokerError> {
        check_names(&request)?;
        let refused = |error| JoinRefusal {
            error,
            member_id: request.member_id.clone(),
        };
        if let Err(error) = self.rules.check_session_timeout(request.session_timeout_ms) {
            return Ok(Err(refused(error)));
        }
        let shard = self.shard_of(group).await?;
        let fresh = self.fresh_member_id(&request);
        self.when_quiet(&shard, group).await;
        let made_way = self.take_over_empty(&shard, &mut shard.state.lock(), group);
        if let Err(error) = made_way {
            return Ok(Err(refused(error)));
        }
        if self.is_consumer_group(group) {
            return self.classic_join_to_consumer(&shard, group, request, fresh).await;
        }
        let answer = {
            let mut state = shard.state.lock();
            let is_new = request.member_id.as_str().is_empty();
            if !is_new && state.groups.get(group).is_none() {
                let member = request.member_id.clone();
                return Ok(Err(refused(GroupError::UnknownMember { member })));
            }
            if let Err(error) = state.check_room(group) {
                return Ok(Err(refused(error)));
            }
            let state = &mut *state;
            let classic = match state.groups.classic_or_new(group) {
                Ok(classic) => classic,
                // It became a consumer group this very moment.
                Err(_) => return Ok(Err(refused(GroupError::NotAvailable))),
            };
            let id = state.waiting.next_id();
            let (answer, answered) = oneshot::channel();
            state.waiting.joins.insert(id, answer);
            let mut step = Step::new(self.now(), &self.rules);
            classic.join(request, id, fresh, &mut step);
            let commands = step.commands;
            self.run(&shard, state, group, commands);
            answered
        };
        answer.await.map_err(|_| stopping())
    }

    /// A member asks for its assignment; the answer comes when the leader's is durable.
    pub(crate) async fn sync(
        self: &Arc<Self>,
        group: &GroupId,
        request: SyncRequest,
    ) -> Result<SyncedGroup, BrokerError> {
        if self.is_consumer_group(group) {
            return self.classic_sync_to_consumer(group, request).await;
        }
        let member = request.member_id.clone();
        let answer = self.with_classic(group, &member, |classic, waiting, step| {
            let id = waiting.next_id();
            let (answer, answered) = oneshot::channel();
            waiting.syncs.insert(id, answer);
            classic.sync(request, id, step);
            Ok(answered)
        })?;
        Ok(answer.await.map_err(|_| stopping())??)
    }

    /// A member shows that it lives.
    pub(crate) async fn heartbeat(
        self: &Arc<Self>,
        group: &GroupId,
        member: &MemberId,
        instance: Option<&GroupInstanceId>,
        generation: i32,
    ) -> Result<(), BrokerError> {
        if self.is_consumer_group(group) {
            return self
                .classic_heartbeat_to_consumer(group, member, instance, generation)
                .await;
        }
        self.with_classic(group, member, |classic, _, step| {
            classic.heartbeat(member, instance, generation, step)
        })
    }

    /// Members leave; one answer each, in order.
    pub(crate) async fn leave(
        self: &Arc<Self>,
        group: &GroupId,
        leaving: &[LeavingMember],
    ) -> Result<Vec<Result<(), GroupError>>, BrokerError> {
        if self.is_consumer_group(group) {
            return self.classic_leave_to_consumer(group, leaving).await;
        }
        let nobody = MemberId::new("");
        let left = self.with_classic(group, &nobody, |classic, _, step| classic.leave(leaving, step));
        match left {
            Err(error) if error.code() == ErrorCode::UnknownMemberId => {
                let unknown = |leaving: &LeavingMember| {
                    Err(GroupError::UnknownMember {
                        member: leaving.member_id.clone(),
                    })
                };
                Ok(leaving.iter().map(unknown).collect())
            }
            left => left,
        }
    }

    /// Calls into a classic group and carries out what it asks for. A group that does not exist does not know its members.
    fn with_classic<R>(
        self: &Arc<Self>,
        group: &GroupId,
        member: &MemberId,
        call: impl FnOnce(&mut ClassicGroup, &mut super::shard::Waiting, &mut Step<'_>) -> Result<R, GroupError>,
    ) -> Result<R, BrokerError> {
        super::shard::check_group(group)?;
        let unknown = || GroupError::UnknownMember {
            member: member.clone(),
        };
        let shard = self.existing_shard_of(group).ok_or_else(unknown)?;
        let mut state = shard.state.lock();
        let state = &mut *state;
        let classic = state.groups.classic_mut(group).map_err(|_| unknown())?;
        let mut step = Step::new(self.now(), &self.rules);
        let answer = call(classic, &mut state.waiting, &mut step);
        let commands = step.commands;
        self.run(&shard, state, group, commands);
        Ok(answer?)
    }

    pub(super) fn on_classic_timer(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        state: &mut ShardState,
        group: &GroupId,
        timer: &ClassicTimer,
        now: Now,
    ) {
        let Ok(classic) = state.groups.classic_mut(group) else {
            return;
        };
        let mut step = Step::new(now, &self.rules);
        classic.on_timer(timer, &mut step);
        let commands = step.commands;
        self.run(shard, state, group, commands);
    }

    /// Carries out commands, in order.
    pub(super) fn run(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        state: &mut ShardState,
        group: &GroupId,
        commands: Vec<ClassicCommand>,
    ) {
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
                ClassicCommand::SetTimer(timer, at) => {
                    if state.timers.set(group, GroupTimer::Classic(timer), at) {
                        self.wake.notify_one();
                    }
                }
                ClassicCommand::CancelTimer(timer) => {
                    state.timers.cancel(group, &GroupTimer::Classic(timer));
                }
                ClassicCommand::Store(metadata, then) => self.store(shard, group, &metadata, then),
            }
        }
    }

    fn store(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        group: &GroupId,
        metadata: &GroupMetadata,
        then: AfterStore,
    ) {
        let record = GroupRecord {
            key: encode_group_key(group),
            value: Some(encode_group_value(metadata)),
        };
        let append = shard.begin_append(self.now().wall_ms, None, vec![record]);
        let (coordinator, shard, group) = (self.clone(), shard.clone(), group.clone());
        tokio::spawn(async move {
            let stored = append.await;
            if let Err(error) = &stored {
                tracing::warn!(%group, %error, "group could not be stored");
            }
            let mut state = shard.state.lock();
            let state = &mut *state;
            let Ok(classic) = state.groups.classic_mut(&group) else {
                return;
            };
            let mut step = Step::new(coordinator.now(), &coordinator.rules);
            classic.on_stored(then, stored.is_ok(), &mut step);
            let commands = step.commands;
            coordinator.run(&shard, state, &group, commands);
        });
    }

    fn fresh_member_id(&self, request: &JoinRequest) -> MemberId {
        let name = match &request.instance_id {
            Some(instance) => instance.as_str(),
            None => &request.client_id,
        };
        let end = name
            .char_indices()
            .map(|(at, _)| at)
            .take_while(|at| *at <= CLIENT_ID_IN_MEMBER_ID)
            .last()
            .unwrap_or(0);
        let name = if name.len() <= CLIENT_ID_IN_MEMBER_ID {
            name
        } else {
            &name[..end]
        };
        MemberId::from(format!("{name}-{}", self.node.rng.uuid()))
    }
}

/// Refuses names that the group's record could not hold.
fn check_names(request: &JoinRequest) -> Result<(), BrokerError> {
    let instance = request.instance_id.as_ref().map(GroupInstanceId::as_str);
    let protocols = request.protocols.iter().map(|protocol| protocol.name.as_str());
    let names = [
        request.protocol_type.as_str(),
        request.member_id.as_str(),
        &request.client_host,
    ];
    let longest = names.into_iter().chain(instance).chain(protocols);
    match longest.map(str::len).max().unwrap_or(0) {
        0..=limits::ID_BYTES if request.client_id.len() <= i16::MAX as usize => Ok(()),
        length => {
            let limit = limits::ID_BYTES;
            let message =
                format!("a name in the join request has {length} bytes, at most {limit} are allowed");
            Err(BrokerError::new(ErrorCode::InvalidRequest, message))
        }
    }
}

fn stopping() -> BrokerError {
    BrokerError::new(
        ErrorCode::CoordinatorNotAvailable,
        "group coordinator is stopping",
    )
}
