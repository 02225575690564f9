//! What the coordinator holds for one partition of `__consumer_offsets`: its groups, their offsets, their timers, requests that wait.
//!
//! Always true: everything in here changes under one lock, and appends to the partition are begun under that lock, so the order of records in the log is
//! the order of the decisions behind them. `offsets` holds what is durable; `in_flight` holds the keys of offsets whose append is under way, so that
//! nothing that removes a group overlooks them.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::broker::{BrokerError, ErrorCode};
use crate::coordinator::log_io;
use crate::metadata::limits;
use crate::storage::{AppendAck, PartitionHandle};
use crate::types::{GroupId, ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use super::classic::{JoinRefusal, JoinedGroup, RequestId, SyncedGroup};
use super::error::GroupError;
use super::groups::Groups;
use super::offsets::OffsetsState;
use super::rules::GroupRecord;
use super::timers::Timers;

/// One partition of `__consumer_offsets` and what follows from it.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) log: PartitionHandle,
    pub(super) state: Mutex<ShardState>,
}

/// The changing part.
#[derive(Debug, Default)]
pub(super) struct ShardState {
    pub(super) groups: Groups,
    pub(super) offsets: OffsetsState,
    pub(super) timers: Timers,
    pub(super) waiting: Waiting,
    /// Consumer groups a change of which is being written, with those that wait for that.
    pub(super) writing: BTreeMap<GroupId, Vec<oneshot::Sender<()>>>,
    in_flight: BTreeMap<GroupId, BTreeMap<TopicPartition, usize>>,
}

/// Requests that wait for their group.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    next: u64,
    pub(super) joins: BTreeMap<RequestId, oneshot::Sender<Result<JoinedGroup, JoinRefusal>>>,
    pub(super) syncs: BTreeMap<RequestId, oneshot::Sender<Result<SyncedGroup, GroupError>>>,
}

impl Waiting {
    pub(super) fn next_id(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }
}

impl Shard {
    pub(super) fn new(log: PartitionHandle, state: ShardState) -> Self {
        let state = Mutex::new(state);
        Self { log, state }
    }

    /// Begins to append records, after everything begun before; the future completes when they are durable. To be called under the lock.
    pub(super) fn begin_append(
        &self,
        now: Timestamp,
        producer: Option<(ProducerId, ProducerEpoch)>,
        records: Vec<GroupRecord>,
    ) -> BoxFuture<'static, Result<AppendAck, BrokerError>> {
        let records = records.into_iter().map(|record| (Some(record.key), record.value));
        let batch = match log_io::build_batch(now, producer, records) {
            Ok(batch) => batch,
            Err(error) => return std::future::ready(Err(error)).boxed(),
        };
        let log = self.log.clone();
        let mut append = async move { log_io::append(&log, batch, true).await }.boxed();
        // The order of two appends is that of their first polls.
        match (&mut append).now_or_never() {
            Some(done) => std::future::ready(done).boxed(),
            None => append,
        }
    }
}

impl ShardState {
    /// Notes that offsets of these partitions are being appended.
    pub(super) fn begin_offsets<'a>(
        &mut self,
        group: &GroupId,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) {
        let of_group = self.in_flight.entry(group.clone()).or_default();
        for partition in partitions {
            *of_group.entry(partition.clone()).or_default() += 1;
        }
    }

    /// Notes that the append is over, whatever became of it.
    pub(super) fn end_offsets<'a>(
        &mut self,
        group: &GroupId,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) {
        let Some(of_group) = self.in_flight.get_mut(group) else {
            return;
        };
        for partition in partitions {
            if let Some(count) = of_group.get_mut(partition) {
                *count -= 1;
                if *count == 0 {
                    of_group.remove(partition);
                }
            }
        }
        if of_group.is_empty() {
            self.in_flight.remove(group);
            self.offsets.forget_removed(group);
        }
    }

    /// True while offsets of the group are being appended.
    pub(super) fn has_offsets_in_flight(&self, group: &GroupId) -> bool {
        self.in_flight.contains_key(group)
    }

    /// Every partition of a group with an offset: committed, pending in a transaction, or being appended.
    pub(super) fn all_offsets_of(&self, group: &GroupId) -> Vec<TopicPartition> {
        let mut partitions = self.offsets.partitions_of(group);
        let in_flight = self.in_flight.get(group);
        partitions.extend(in_flight.into_iter().flat_map(BTreeMap::keys).cloned());
        partitions.sort_unstable();
        partitions.dedup();
        partitions
    }

    /// The same for a topic: the groups and partitions with offsets on it.
    pub(super) fn all_offsets_on(&self, topic: &crate::types::TopicName) -> Vec<(GroupId, TopicPartition)> {
        let mut found = self.offsets.offsets_on(topic);
        for (group, partitions) in &self.in_flight {
            let on_topic = partitions.keys().filter(|partition| partition.topic == *topic);
            found.extend(on_topic.map(|partition| (group.clone(), partition.clone())));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Refuses a group name that cannot be stored, and a new group if there are too many.
    pub(super) fn check_room(&self, group: &GroupId) -> Result<(), GroupError> {
        let limit = limits::GROUPS_PER_SHARD;
        match self.groups.get(group) {
            None if self.groups.len() >= limit => Err(GroupError::TooManyGroups { limit }),
            _ => Ok(()),
        }
    }
}

/// Refuses a name that no group can have.
pub(super) fn check_group(group: &GroupId) -> Result<(), BrokerError> {
    match group.as_str().len() {
        1..=limits::ID_BYTES => Ok(()),
        0 => Err(BrokerError::new(ErrorCode::InvalidGroupId, "group id is empty")),
        length => {
            let limit = limits::ID_BYTES;
            let message = format!("group id has {length} bytes, at most {limit} are allowed");
            Err(BrokerError::new(ErrorCode::InvalidGroupId, message))
        }
    }
}
