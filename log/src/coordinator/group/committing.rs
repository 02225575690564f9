//! Committed offsets: commits by members, outsiders and transactions, fetches, markers, deleted topics.
//!
//! Always true: a commit is judged by the group's rules and its append begun under one lock, so a commit that was allowed lies in the log before
//! whatever ends the generation that allowed it; it is answered only after its record is durable.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::broker::{BrokerError, ErrorCode, ErrorKind, OFFSETS_TOPIC, OffsetAndMetadata, run_to_end};
use crate::metadata::limits;
use crate::types::{GroupId, MemberId, ProducerEpoch, ProducerId, Timestamp, TopicName, TopicPartition};

use super::classic::Step;
use super::consumer::TopicIdPartition;
use super::coordinator::GroupCoordinator;
use super::error::GroupError;
use super::groups::Group;
use super::log_format;
use super::offsets::CommittedOffset;
use super::rules::{Committer, GroupRecord};
use super::shard::{Shard, ShardState, check_group};

type Offsets = Vec<(TopicPartition, OffsetAndMetadata)>;

/// Offsets with what they became: an offset, or none, or why it cannot be told.
pub(crate) type FetchedOffsets = Vec<(TopicPartition, Result<Option<OffsetAndMetadata>, BrokerError>)>;

/// As the retention of a commit: it does not expire.
pub(crate) const FOR_EVER: i64 = i64::MAX;

/// Offsets to commit.
#[derive(Clone, Debug)]
pub(crate) struct OffsetsToCommit {
    pub(crate) group: GroupId,
    pub(crate) committer: Committer,
    /// Whose transaction they are part of. The caller has added the group's partition to it.
    pub(crate) producer: Option<(ProducerId, ProducerEpoch)>,
    /// After how many milliseconds they expire, if the committer says so.
    pub(crate) retention_ms: Option<i64>,
    pub(crate) offsets: Offsets,
}

/// Offsets to fetch.
#[derive(Clone, Debug)]
pub(crate) struct OffsetsToFetch {
    pub(crate) group: GroupId,
    /// KIP-848: who asks; the group checks it.
    pub(crate) member_id: Option<MemberId>,
    pub(crate) member_epoch: i32,
    /// None: all there are.
    pub(crate) partitions: Option<Vec<TopicPartition>>,
    pub(crate) require_stable: bool,
}

impl GroupCoordinator {
    /// Commits offsets on behalf of nobody in the group: all or none. They do not expire: a job embedded in this process has no members
    /// that would keep them, and stands on them however long its input was silent.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        group: &GroupId,
        producer: Option<(ProducerId, ProducerEpoch)>,
        offsets: Offsets,
    ) -> Result<(), BrokerError> {
        let committer = match producer {
            Some(_) => Committer::transaction(),
            None => Committer::outsider(),
        };
        let group = group.clone();
        let commit = OffsetsToCommit {
            group,
            committer,
            producer,
            retention_ms: Some(FOR_EVER),
            offsets,
        };
        self.commit_as(commit).await
    }

    /// Commits offsets: all or none. In a transaction they stay pending. Runs to its end once begun.
    pub(crate) async fn commit_as(self: &Arc<Self>, commit: OffsetsToCommit) -> Result<(), BrokerError> {
        self.check_metadata(&commit.offsets)?;
        let shard = self.shard_of(&commit.group).await?;
        let coordinator = self.clone();
        run_to_end(async move {
            let OffsetsToCommit {
                group,
                committer,
                producer,
                retention_ms,
                offsets,
            } = commit;
            let now = coordinator.now().wall_ms;
            let committed: Vec<(TopicPartition, CommittedOffset)> = offsets
                .into_iter()
                .map(|(partition, offset)| (partition, committed_at(offset, now, retention_ms)))
                .collect();
            let append = {
                let mut state = shard.state.lock();
                let partitions: Vec<&TopicPartition> =
                    committed.iter().map(|(partition, _)| partition).collect();
                coordinator.admit(&shard, &mut state, &group, &committer, &partitions)?;
                if committed.is_empty() {
                    return Ok(());
                }
                state.begin_offsets(&group, committed.iter().map(|(partition, _)| partition));
                let records = committed.iter().map(|(partition, offset)| GroupRecord {
                    key: log_format::encode_key(&group, partition),
                    value: Some(log_format::encode_value(offset)),
                });
                shard.begin_append(now, producer, records.collect())
            };
            let appended = append.await;
            if appended.is_ok() {
                coordinator.node.faults.point("K15");
            }
            let mut state = shard.state.lock();
            let partitions: Vec<TopicPartition> =
                committed.iter().map(|(partition, _)| partition.clone()).collect();
            if let Ok(ack) = &appended {
                let mut logged_at = ack.base_offset;
                for (partition, offset) in committed {
                    let producer = producer.map(|(id, _)| id);
                    state
                        .offsets
                        .on_record(group.clone(), partition, Some(offset), logged_at, producer);
                    logged_at = logged_at.next();
                }
            }
            state.end_offsets(&group, &partitions);
            if state.offsets.offsets_of(&group) > 0 {
                // It may have been removed while these were on their way.
                state.groups.ensure(&group);
            }
            appended.map(drop)
        })
        .await
    }

    /// May these offsets be committed? Nothing is done yet.
    pub(crate) fn check_commit(
        &self,
        group: &GroupId,
        committer: &Committer,
        offsets: &Offsets,
    ) -> Result<(), BrokerError> {
        check_group(group)?;
        self.check_metadata(offsets)?;
        let partitions: Vec<&TopicPartition> = offsets.iter().map(|(partition, _)| partition).collect();
        match self.look_at(group, |group| self.judge(group, committer, &partitions)) {
            Some(checked) => Ok(checked?),
            None => Ok(check_commit_to_nothing(group, committer)?),
        }
    }

    /// What the group says to a commit of these partitions.
    fn judge(
        &self,
        group: &Group,
        committer: &Committer,
        partitions: &[&TopicPartition],
    ) -> Result<(), GroupError> {
        let Group::Consumer(consumer) = group else {
            return group.rules().check_commit(committer);
        };
        let image = self.node.image();
        let by_id = partitions.iter().filter_map(|partition| {
            let topic = image.topic(&partition.topic)?;
            Some(TopicIdPartition::new(topic.id, partition.partition))
        });
        consumer.check_commit_of(committer, &by_id.collect::<Vec<_>>())
    }

    /// Judges a commit by the group's rules; a member's commit shows that it lives. An outsider's commit to no group makes one.
    fn admit(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        state: &mut ShardState,
        group: &GroupId,
        committer: &Committer,
        partitions: &[&TopicPartition],
    ) -> Result<(), BrokerError> {
        let added = partitions.len();
        let known = state.offsets.offsets_of(group);
        if known + added > limits::OFFSETS_PER_GROUP {
            let limit = limits::OFFSETS_PER_GROUP;
            let message = format!("group {group} would have offsets for more than {limit} partitions");
            return Err(BrokerError::new(ErrorCode::PolicyViolation, message));
        }
        if let Some(existing) = state.groups.get(group) {
            self.judge(existing, committer, partitions)?;
        }
        match state.groups.get_mut(group) {
            None => {
                check_commit_to_nothing(group, committer)?;
                state.check_room(group)?;
                state.groups.ensure(group);
            }
            Some(Group::Consumer(_)) => {}
            Some(Group::Classic(classic)) => {
                let mut step = Step::new(self.now(), &self.rules);
                classic.on_commit(&committer.member_id, &mut step);
                let commands = step.commands;
                self.run(shard, state, group, commands);
            }
        }
        Ok(())
    }

    /// Refuses metadata that is too long.
    fn check_metadata(&self, offsets: &Offsets) -> Result<(), BrokerError> {
        match offsets
            .iter()
            .find_map(|(partition, offset)| self.metadata_too_large(partition, offset))
        {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The error of an offset with too much metadata.
    pub(crate) fn metadata_too_large(
        &self,
        partition: &TopicPartition,
        offset: &OffsetAndMetadata,
    ) -> Option<BrokerError> {
        let limit = self.node.config.offset_metadata_max_bytes;
        let found = offset.metadata.len();
        (found > limit).then(|| {
            let message = format!(
                "offset metadata of {partition} has {found} bytes, offset.metadata.max.bytes allows {limit}"
            );
            BrokerError::new(ErrorCode::OffsetMetadataTooLarge, message)
        })
    }

    /// Takes on a marker that is durable in a partition of the offsets topic. No-op for other topics.
    pub(crate) fn on_marker(&self, partition: &TopicPartition, producer: ProducerId, committed: bool) {
        if partition.topic.as_str() != OFFSETS_TOPIC {
            return;
        }
        let shard = self.shards.read().get(&partition.partition).cloned();
        let Some(shard) = shard else {
            return;
        };
        let mut state = shard.state.lock();
        let groups = state.offsets.groups_of(producer);
        state.offsets.on_marker(producer, committed);
        for group in groups {
            if !state.has_offsets_in_flight(&group) {
                state.offsets.forget_removed(&group);
            }
        }
    }

    /// The committed offsets of a group, of each asked partition or of all there are. The outer error refuses the request.
    pub(crate) fn fetch(&self, fetch: &OffsetsToFetch) -> Result<FetchedOffsets, BrokerError> {
        let group = &fetch.group;
        check_group(group)?;
        let none = |partition: &TopicPartition| (partition.clone(), Ok(None));
        let nothing = || fetch.partitions.iter().flatten().map(none).collect();
        let Some(shard) = self.existing_shard_of(group) else {
            return Ok(nothing());
        };
        let state = shard.state.lock();
        let Some(existing) = state.groups.get(group) else {
            return Ok(nothing());
        };
        existing
            .rules()
            .check_fetch(fetch.member_id.as_ref(), fetch.member_epoch)?;
        let one = |partition: &TopicPartition| {
            let found = if fetch.require_stable && state.offsets.is_pending(group, partition) {
                let message =
                    format!("offset of {partition} in group {group} is pending in an open transaction");
                Err(BrokerError::new(ErrorCode::UnstableOffsetCommit, message))
            } else {
                let stored = state.offsets.get(group, partition);
                Ok(stored.map(|committed| committed.offset.clone()))
            };
            (partition.clone(), found)
        };
        Ok(match &fetch.partitions {
            Some(asked) => asked.iter().map(one).collect(),
            None if fetch.require_stable => {
                let mut all = state.offsets.partitions_of(group);
                all.sort_unstable();
                all.dedup();
                all.iter().map(one).collect()
            }
            None => {
                let all = state.offsets.committed(group);
                all.map(|(partition, committed)| (partition.clone(), Ok(Some(committed.offset.clone()))))
                    .collect()
            }
        })
    }

    /// Removes the offsets of topics that the metadata does not know: a crash came between their deletion and `forget_topic`. Offsets of unknown
    /// topics are refused, so these can only be of deleted ones. On a full disk they stay until the next start, with a warning.
    pub(crate) async fn forget_unknown_topics(self: &Arc<Self>) -> Result<(), BrokerError> {
        let image = self.node.image();
        let shards = self.all_shards();
        let topics = shards.iter().map(|shard| shard.state.lock().offsets.topics());
        let topics: BTreeSet<TopicName> = topics.flatten().collect();
        for topic in topics.iter().filter(|topic| image.topic(topic).is_none()) {
            match self.forget_topic(topic).await {
                Err(error) if error.kind() == ErrorKind::Retriable => {
                    tracing::warn!(%topic, %error, "committed offsets of a deleted topic are still there; the next start removes them");
                }
                forgotten => forgotten?,
            }
        }
        Ok(())
    }

    /// Removes the committed offsets of a deleted topic: one made again under the same name starts afresh.
    pub(crate) async fn forget_topic(self: &Arc<Self>, topic: &TopicName) -> Result<(), BrokerError> {
        for shard in self.all_shards() {
            let doomed = shard.state.lock().all_offsets_on(topic);
            self.remove_offsets(&shard, doomed).await?;
        }
        Ok(())
    }
}

fn committed_at(offset: OffsetAndMetadata, now: Timestamp, retention_ms: Option<i64>) -> CommittedOffset {
    CommittedOffset {
        offset,
        committed_at: now,
        expires_at: retention_ms.map(|retention| now.max(0).saturating_add(retention)),
    }
}

/// Members of a group that does not exist are behind; outsiders need none.
fn check_commit_to_nothing(group: &GroupId, committer: &Committer) -> Result<(), GroupError> {
    if committer.generation_or_epoch < 0 {
        return Ok(());
    }
    Err(GroupError::GroupIdNotFound { group: group.clone() })
}
