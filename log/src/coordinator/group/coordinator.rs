//! The shell of the group coordinator: loads groups and offsets from `__consumer_offsets`, runs their timers.
//!
//! Always true: an answer leaves only after the records it rests on are durable; a marker is reported as written only after the state took it on, so
//! whoever commits a transaction and then asks for its offsets sees them (KAFKA-17507); one task serves the timers of all groups, and sleeps while
//! there are none. Timers use the monotonic clock, so the wall clock may jump (KAFKA-8803).
//!
//! `membership.rs` joins, syncs, heartbeats, leaves · `consumer_membership.rs` the same for KIP-848 · `committing.rs` offsets · `removal.rs` deletion and expiry · `shard.rs` what all of these share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{join, pending, select};
use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::broker::{BrokerError, Node, OFFSETS_TOPIC};
use crate::coordinator::log_io;
use crate::coordinator::runtime::InternalTopic;
use crate::coordinator::txn::Now;
use crate::record::{ControlRecord, RecordBatch};
use crate::storage::PartitionHandle;
use crate::types::{GroupId, Offset, PartitionId, TopicPartition};

use super::classic::{ClassicRules, Step};
use super::groups::{Group, Groups};
use super::log_format;
use super::offsets::{CommittedOffset, OffsetsState};
use super::shard::{Shard, ShardState, check_group};
use super::timers::GroupTimer;

/// Membership and committed offsets of all groups.
#[derive(Debug)]
pub(crate) struct GroupCoordinator {
    pub(super) node: Arc<Node>,
    pub(super) topic: InternalTopic,
    pub(super) shards: RwLock<BTreeMap<PartitionId, Arc<Shard>>>,
    pub(super) rules: ClassicRules,
    /// Told when a timer is set that comes before all others.
    pub(super) wake: Arc<Notify>,
}

impl GroupCoordinator {
    /// Replays the offsets topic, if there is one.
    pub(crate) fn load(node: Arc<Node>) -> Result<Self, BrokerError> {
        let partitions = node.config.offsets_topic_num_partitions;
        let coordinator = Self {
            topic: InternalTopic::new(node.clone(), OFFSETS_TOPIC, partitions)?,
            rules: node.config.groups.classic_rules(),
            node,
            shards: RwLock::default(),
            wake: Arc::default(),
        };
        for log in coordinator.topic.existing()? {
            let shard = coordinator.load_shard(log)?;
            let partition = shard.log.topic_partition().partition;
            coordinator.shards.write().insert(partition, Arc::new(shard));
        }
        Ok(coordinator)
    }

    fn load_shard(&self, log: PartitionHandle) -> Result<Shard, BrokerError> {
        let mut state = ShardState::default();
        log_io::replay(&log, |batch| {
            replay_batch(&mut state.groups, &mut state.offsets, batch)
        })?;
        state.offsets.forget_all_removed();
        for group in state.offsets.groups() {
            state.groups.ensure(&group);
        }
        let mut step = Step::new(self.now(), &self.rules);
        let mut consumer_groups = Vec::new();
        for (id, group) in state.groups.iter() {
            match group {
                Group::Classic(group) => group.on_loaded(&mut step),
                Group::Consumer(group) => consumer_groups.push(group.clone()),
            }
            for command in step.commands.drain(..) {
                if let super::classic::ClassicCommand::SetTimer(timer, at) = command {
                    state.timers.set(id, GroupTimer::Classic(timer), at);
                }
            }
        }
        for group in consumer_groups {
            self.on_consumer_loaded(&mut state, &group);
        }
        Ok(Shard::new(log, state))
    }

    pub(super) fn now(&self) -> Now {
        Now {
            wall_ms: self.node.clock.now_ms(),
            monotonic: self.node.clock.monotonic(),
        }
    }

    /// The partition that holds a group; makes the topic if there is none.
    pub(crate) async fn partition_of(&self, group: &GroupId) -> Result<TopicPartition, BrokerError> {
        check_group(group)?;
        self.topic.name_of(group.as_str()).await
    }

    /// The shard of a group; makes the topic if there is none.
    pub(super) async fn shard_of(&self, group: &GroupId) -> Result<Arc<Shard>, BrokerError> {
        check_group(group)?;
        if let Some(shard) = self.existing_shard_of(group) {
            return Ok(shard);
        }
        let log = self.topic.partition_of(group.as_str()).await?;
        let partition = log.topic_partition().partition;
        let new = || Arc::new(Shard::new(log, ShardState::default()));
        Ok(self.shards.write().entry(partition).or_insert_with(new).clone())
    }

    /// The shard of a group, unless nothing was ever stored in it.
    pub(super) fn existing_shard_of(&self, group: &GroupId) -> Option<Arc<Shard>> {
        let partition = self.topic.existing_name_of(group.as_str())?;
        self.shards.read().get(&partition.partition).cloned()
    }

    pub(super) fn all_shards(&self) -> Vec<Arc<Shard>> {
        self.shards.read().values().cloned().collect()
    }

    /// Looks at a group of any kind; none if there is no such group.
    pub(crate) fn look_at<R>(&self, id: &GroupId, look: impl FnOnce(&Group) -> R) -> Option<R> {
        let shard = self.existing_shard_of(id)?;
        let state = shard.state.lock();
        state.groups.get(id).map(look)
    }

    /// Looks at the groups of every shard in turn.
    pub(crate) fn look_at_all(&self, mut look: impl FnMut(&Groups)) {
        for shard in self.all_shards() {
            look(&shard.state.lock().groups);
        }
    }

    /// Every group with the offsets it has committed.
    pub(crate) fn committed_offsets(&self) -> Vec<(GroupId, Vec<(TopicPartition, Offset)>)> {
        let mut groups = Vec::new();
        for shard in self.all_shards() {
            let state = shard.state.lock();
            let ids: BTreeSet<GroupId> = state
                .offsets
                .groups()
                .into_iter()
                .chain(state.groups.iter().map(|(id, _)| id.clone()))
                .collect();
            for id in ids {
                let committed = state.offsets.committed(&id);
                let offsets =
                    committed.map(|(partition, committed)| (partition.clone(), committed.offset.offset));
                let offsets = offsets.collect();
                groups.push((id, offsets));
            }
        }
        groups
    }

    /// Runs every timer whose moment has come; the next one's, if any is set.
    fn run_timers(self: &Arc<Self>) -> Option<Duration> {
        let mut next: Option<Duration> = None;
        for shard in self.all_shards() {
            let mut state = shard.state.lock();
            let now = self.now();
            while let Some((group, timer)) = state.timers.pop_due(now.monotonic) {
                match timer {
                    GroupTimer::Classic(timer) => {
                        self.on_classic_timer(&shard, &mut state, &group, &timer, now)
                    }
                    GroupTimer::Consumer(timer) => self.on_consumer_timer(&shard, group, timer),
                }
            }
            next = [next, state.timers.next()].into_iter().flatten().min();
        }
        next
    }

    /// Answers all waiting requests with an error, so that nobody waits for a broker that stops.
    pub(crate) fn close(&self) {
        for shard in self.all_shards() {
            let mut state = shard.state.lock();
            state.waiting.joins.clear();
            state.waiting.syncs.clear();
        }
    }
}

/// Runs timers and expiry until the coordinator is gone. Side by side: expiry waits for the disk, and timers must not wait for it.
pub(crate) async fn watch_groups(coordinator: Weak<GroupCoordinator>) {
    join(watch_timers(coordinator.clone()), watch_expiry(coordinator)).await;
}

async fn watch_timers(coordinator: Weak<GroupCoordinator>) {
    loop {
        let Some(strong) = coordinator.upgrade() else {
            return;
        };
        let (clock, wake) = (strong.node.clock.clone(), strong.wake.clone());
        let next = strong.run_timers();
        drop(strong);
        let sleep = match next {
            Some(next) => clock.sleep(next.saturating_sub(clock.monotonic())),
            None => pending().boxed(),
        };
        select(sleep, Box::pin(wake.notified())).await;
    }
}

async fn watch_expiry(coordinator: Weak<GroupCoordinator>) {
    loop {
        let Some(strong) = coordinator.upgrade() else {
            return;
        };
        let check_every = strong.node.config.groups.offsets_retention_check_interval;
        let pause = strong.node.clock.sleep(check_every);
        drop(strong);
        pause.await;
        if let Some(strong) = coordinator.upgrade() {
            strong.expire_offsets().await;
        }
    }
}

/// Folds one batch of the offsets topic into groups and offsets.
pub(super) fn replay_batch(
    groups: &mut Groups,
    offsets: &mut OffsetsState,
    batch: &RecordBatch,
) -> Result<(), BrokerError> {
    for record in batch.decode()?.iter() {
        let record = record?;
        if batch.is_control() {
            if let Some(marker) = ControlRecord::parse(record.key, record.value)? {
                offsets.on_marker(batch.producer_id(), marker.is_commit());
            }
            continue;
        }
        let key = record.key.unwrap_or_default();
        let Some((group, partition)) = log_format::decode_key(key)? else {
            groups.replay(key, record.value)?;
            continue;
        };
        let offset: Option<CommittedOffset> = record.value.map(log_format::decode_value).transpose()?;
        let producer = batch.is_transactional().then(|| batch.producer_id());
        offsets.on_record(group, partition, offset, record.offset, producer);
    }
    Ok(())
}
