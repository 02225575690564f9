//! The shell of consumer groups (KIP-848): heartbeats and timers in, changes of the pure core made durable, answers out.
//!
//! Always true: of one group one change is being written at a time; a change is put in place when it is decided, so that commits are judged by it at
//! once, and taken back if it cannot be written; nobody is answered before that is known. Heartbeats that change nothing write nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::broker::{BrokerError, ErrorCode, run_to_end};
use crate::config::GroupSettings;
use crate::metadata::{ConfigOwner, MetadataImage, limits};
use crate::types::{GroupId, MemberId};

use super::consumer::{
    Change, ConsumerGroup, ConsumerGroupConfig, Context, HeartbeatRequest, HeartbeatResponse, Timer,
    TimerCommand, TimerKind,
};
use super::coordinator::GroupCoordinator;
use super::error::GroupError;
use super::groups::Group;
use super::rules::{GroupRecord, GroupRules};
use super::shard::{Shard, ShardState, check_group};
use super::timers::GroupTimer;

/// How long a member that could not be dropped stays before that is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A change of a group about to be written.
pub(super) struct Decision<R> {
    /// What to write.
    pub(super) records: Vec<GroupRecord>,
    /// What the group becomes.
    pub(super) group: Group,
    /// What to do with its members' timers then.
    pub(super) timers: Vec<TimerCommand>,
    /// What to answer then.
    pub(super) response: R,
}

impl<R> Decision<R> {
    /// A consumer group that changes.
    pub(super) fn of(change: Change<R>) -> Self {
        Self {
            records: change.group.encoded(&change.records),
            group: Group::Consumer(Box::new(change.group)),
            timers: change.timers,
            response: change.response,
        }
    }

    /// The same after these records.
    pub(super) fn after(mut self, mut first: Vec<GroupRecord>) -> Self {
        first.append(&mut self.records);
        self.records = first;
        self
    }
}

impl GroupCoordinator {
    /// A member of a consumer group joins, lives or leaves.
    pub(crate) async fn consumer_heartbeat(
        self: &Arc<Self>,
        group: &GroupId,
        request: HeartbeatRequest,
    ) -> Result<HeartbeatResponse, BrokerError> {
        check_group(group)?;
        check_names(&request)?;
        let joins = request.member_epoch == 0;
        let shard = match self.existing_shard_of(group) {
            Some(shard) => shard,
            None if joins => self.shard_of(group).await?,
            None => return Err(unknown(&request).into()),
        };
        let id = group.clone();
        self.change(&shard, group, move |coordinator, state, context| {
            match state.groups.get(&id) {
                Some(Group::Consumer(consumer)) => {
                    let change = consumer.heartbeat(&request, context)?;
                    Ok(coordinator.maybe_downgrade(change, context))
                }
                None if joins => {
                    state.check_room(&id)?;
                    Ok(Decision::of(
                        ConsumerGroup::new(id.clone()).heartbeat(&request, context)?,
                    ))
                }
                None => Err(unknown(&request)),
                Some(Group::Classic(classic)) if joins && classic.is_empty() => {
                    let change = ConsumerGroup::new(id.clone()).heartbeat(&request, context)?;
                    Ok(Decision::of(change).after(classic.tombstones()))
                }
                Some(Group::Classic(classic)) if joins => {
                    let classic = classic.clone();
                    coordinator.upgrade(state, &classic, &request, context)
                }
                Some(Group::Classic(_)) => Err(GroupError::WrongKind {
                    group: id,
                    expected: "consumer",
                }),
            }
        })
        .await
    }

    /// Decides a change of a group once no other is being written, writes it, and answers.
    pub(super) async fn change<R: Send + 'static>(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        group: &GroupId,
        decide: impl FnOnce(&Arc<Self>, &mut ShardState, Context<'_>) -> Result<Decision<R>, GroupError> + Send,
    ) -> Result<R, BrokerError> {
        let (before, append, is_classic, timers, response) = loop {
            let others = {
                let mut state = shard.state.lock();
                match state.writing.get_mut(group) {
                    Some(waiting) => {
                        let (wake, woken) = oneshot::channel();
                        waiting.push(wake);
                        woken
                    }
                    None => {
                        if let Some(Group::Consumer(consumer)) = state.groups.get(group)
                            && consumer.is_being_removed()
                        {
                            return Err(GroupError::NotAvailable.into());
                        }
                        let now = self.now();
                        let image = self.node.image();
                        let config = self.consumer_config_of(&image, group);
                        let context = Context {
                            topics: &image,
                            config: &config,
                            now: now.wall_ms,
                        };
                        let before = state.groups.get(group).cloned();
                        let decision = decide(self, &mut state, context)?;
                        let is_classic = matches!(decision.group, Group::Classic(_));
                        state.groups.insert(group.clone(), decision.group);
                        if decision.records.is_empty() {
                            self.run_consumer_timers(&mut state, group, decision.timers);
                            return Ok(decision.response);
                        }
                        state.writing.insert(group.clone(), Vec::new());
                        let append = shard.begin_append(now.wall_ms, None, decision.records);
                        break (before, append, is_classic, decision.timers, decision.response);
                    }
                }
            };
            // Whether it was woken or its waker is gone: it looks again.
            others.await.unwrap_or_default();
        };
        let (coordinator, shard, group) = (self.clone(), shard.clone(), group.clone());
        run_to_end(async move {
            let appended = append.await;
            let mut state = shard.state.lock();
            // Those that wait and are gone meanwhile need no answer.
            for wake in state.writing.remove(&group).unwrap_or_default() {
                wake.send(()).ok();
            }
            match appended {
                Ok(_) if is_classic => {
                    coordinator.start_classic(&shard, &mut state, &group);
                    Ok(response)
                }
                Ok(_) => {
                    coordinator.run_consumer_timers(&mut state, &group, timers);
                    Ok(response)
                }
                Err(error) => {
                    tracing::warn!(%group, %error, "change of a consumer group could not be stored");
                    coordinator.abandon_classic(&mut state, &group);
                    match before {
                        Some(before) => {
                            state.groups.insert(group.clone(), before);
                            coordinator.restart_timers(&shard, &mut state, &group);
                        }
                        None => {
                            state.groups.remove(&group);
                        }
                    }
                    Err(error)
                }
            }
        })
        .await
    }

    /// The settings that hold for a group: the broker's, and what the group was set to itself.
    pub(super) fn consumer_config_of(&self, image: &MetadataImage, group: &GroupId) -> ConsumerGroupConfig {
        let mut config = self.node.current_config().groups.consumer.clone();
        let overrides = image.owned_configs(&ConfigOwner::Group(group.as_str().to_owned()));
        // What is stored was checked when it was set; what this build does not know any more has no effect.
        let own = GroupSettings::from_overrides(&overrides).unwrap_or_default();
        if let Some(timeout) = own.consumer_session_timeout_ms {
            config.session_timeout_ms = timeout;
        }
        if let Some(interval) = own.consumer_heartbeat_interval_ms {
            config.heartbeat_interval_ms = interval;
        }
        config
    }

    /// Returns when no change of the group is being written; another may begin at once.
    pub(super) async fn when_quiet(&self, shard: &Shard, group: &GroupId) {
        loop {
            let woken = {
                let mut state = shard.state.lock();
                let Some(waiting) = state.writing.get_mut(group) else {
                    return;
                };
                let (wake, woken) = oneshot::channel();
                waiting.push(wake);
                woken
            };
            woken.await.unwrap_or_default();
        }
    }

    /// Makes way for a classic group of the same name if a consumer group has no members left; a group that has some stays.
    pub(super) fn take_over_empty(
        &self,
        shard: &Arc<Shard>,
        state: &mut ShardState,
        group: &GroupId,
    ) -> Result<(), GroupError> {
        let Some(Group::Consumer(consumer)) = state.groups.get(group) else {
            return Ok(());
        };
        if !consumer.is_empty() {
            return Ok(());
        }
        if consumer.is_being_removed() || state.writing.contains_key(group) {
            return Err(GroupError::NotAvailable);
        }
        // Whatever the classic group stores comes after these, and overrules what they would have removed should they get lost.
        let append = shard.begin_append(self.now().wall_ms, None, consumer.tombstones());
        state.groups.remove(group);
        state.timers.cancel_all(group);
        let group = group.clone();
        tokio::spawn(async move {
            if let Err(error) = append.await {
                tracing::warn!(%group, %error, "records of an empty consumer group could not be removed");
            }
        });
        Ok(())
    }

    fn run_consumer_timers(&self, state: &mut ShardState, group: &GroupId, commands: Vec<TimerCommand>) {
        let now = self.now().monotonic;
        let after = |after_ms: i32| now + Duration::from_millis(u64::try_from(after_ms).unwrap_or(0));
        for command in commands {
            let earliest = match command {
                TimerCommand::Start(timer, after_ms) => {
                    state
                        .timers
                        .set(group, GroupTimer::Consumer(timer), after(after_ms))
                }
                TimerCommand::StartIfAbsent(timer, after_ms) => {
                    let timer = GroupTimer::Consumer(timer);
                    !state.timers.is_set(group, &timer) && state.timers.set(group, timer, after(after_ms))
                }
                TimerCommand::Stop(timer) => {
                    state.timers.cancel(group, &GroupTimer::Consumer(timer));
                    false
                }
                TimerCommand::StopAll(member) => {
                    for kind in [
                        TimerKind::Session,
                        TimerKind::Rebalance,
                        TimerKind::Join,
                        TimerKind::Sync,
                    ] {
                        let member = member.clone();
                        state
                            .timers
                            .cancel(group, &GroupTimer::Consumer(Timer { member, kind }));
                    }
                    false
                }
            };
            if earliest {
                self.wake.notify_one();
            }
        }
    }

    /// Starts what a group needs that was just loaded.
    pub(super) fn on_consumer_loaded(&self, state: &mut ShardState, group: &ConsumerGroup) {
        let image = self.node.image();
        let config = self.consumer_config_of(&image, group.id());
        let context = Context {
            topics: &image,
            config: &config,
            now: self.now().wall_ms,
        };
        self.run_consumer_timers(state, group.id(), group.timers_after_load(context));
    }

    /// A timer went off: its member is dropped, unless it spoke while that waited for its turn.
    pub(super) fn on_consumer_timer(self: &Arc<Self>, shard: &Arc<Shard>, group: GroupId, timer: Timer) {
        let (coordinator, shard) = (self.clone(), shard.clone());
        tokio::spawn(async move {
            let (id, due) = (group.clone(), timer.clone());
            let dropped = coordinator
                .change(&shard, &group, move |coordinator, state, context| {
                    let restarted = state.timers.is_set(&id, &GroupTimer::Consumer(due.clone()));
                    let Some(Group::Consumer(consumer)) = state.groups.get(&id) else {
                        return Err(GroupError::GroupIdNotFound { group: id });
                    };
                    let change = match restarted {
                        true => None,
                        false => consumer.on_timer(&due, context)?,
                    };
                    match change {
                        Some(change) => {
                            tracing::info!(group = %id, member = %due.member, reason = ?due.kind, "member of a consumer group is dropped");
                            Ok(coordinator.maybe_downgrade(change, context))
                        }
                        None => Ok(Decision {
                            records: Vec::new(),
                            group: Group::Consumer(consumer.clone()),
                            timers: Vec::new(),
                            response: (),
                        }),
                    }
                })
                .await;
            match dropped {
                Ok(()) => {}
                Err(error) if error.code() == ErrorCode::GroupIdNotFound => {}
                Err(error) => {
                    tracing::warn!(%group, member = %timer.member, %error, "member could not be dropped; it is tried again");
                    let at = coordinator.now().monotonic + RETRY_AFTER;
                    let mut state = shard.state.lock();
                    if state.timers.set(&group, GroupTimer::Consumer(timer), at) {
                        coordinator.wake.notify_one();
                    }
                }
            }
        });
    }
}

fn unknown(request: &HeartbeatRequest) -> GroupError {
    GroupError::UnknownMember {
        member: MemberId::new(&request.member_id),
    }
}

/// Refuses names that the group's records could not hold.
fn check_names(request: &HeartbeatRequest) -> Result<(), BrokerError> {
    let optional = [
        &request.instance_id,
        &request.rack_id,
        &request.server_assignor,
        &request.subscribed_pattern,
    ];
    let optional = optional.into_iter().flatten().map(String::len);
    let names = request.subscribed_names.iter().flatten().map(String::len);
    let longest = optional
        .chain(names)
        .chain([request.member_id.len(), request.client_host.len()])
        .max()
        .unwrap_or(0);
    match longest {
        0..=limits::ID_BYTES if request.client_id.len() <= i16::MAX as usize => Ok(()),
        length => {
            let limit = limits::ID_BYTES;
            let message = format!("a name in the heartbeat has {length} bytes, at most {limit} are allowed");
            Err(BrokerError::new(ErrorCode::InvalidRequest, message))
        }
    }
}
