//! What ends offsets and groups: DeleteGroups, OffsetDelete, expiry (KIP-211).
//!
//! Always true: an acknowledged commit is never removed by an expiry that did not see it: a group with a commit under way is left alone, as is one that
//! rebalances or has an offset in an open transaction (KAFKA-13636). A group that is being removed takes no members and no commits until its removal is
//! durable; if that fails it is as it was.

use std::sync::Arc;

use crate::broker::{BrokerError, run_to_end};
use crate::types::{GroupId, Offset, Timestamp, TopicPartition};

use super::coordinator::GroupCoordinator;
use super::error::GroupError;
use super::log_format;
use super::offsets::{CommittedOffset, NEVER};
use super::rules::{GroupRecord, OffsetExpiry};
use super::shard::{Shard, ShardState, check_group};

/// Removals that go into one batch.
const REMOVALS_PER_BATCH: usize = 1_000;

impl GroupCoordinator {
    /// Deletes a group with its offsets. Errs with `GroupIdNotFound`, `NonEmptyGroup`.
    pub(crate) async fn delete_group(self: &Arc<Self>, group: &GroupId) -> Result<(), BrokerError> {
        check_group(group)?;
        let not_found = || GroupError::GroupIdNotFound { group: group.clone() };
        let shard = self.existing_shard_of(group).ok_or_else(not_found)?;
        let (coordinator, group) = (self.clone(), group.clone());
        run_to_end(async move {
            let all = |state: &ShardState| {
                state.groups.rules(&group)?.check_delete()?;
                Ok(Some(state.all_offsets_of(&group)))
            };
            coordinator.remove_group(&shard, &group, all).await.map(drop)
        })
        .await
    }

    /// Deletes committed offsets of single partitions; one answer each, in order. Errs with `GroupIdNotFound`, `NonEmptyGroup`; per partition
    /// with `GroupSubscribedToTopic`.
    pub(crate) async fn delete_offsets(
        self: &Arc<Self>,
        group: &GroupId,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<Result<(), BrokerError>>, BrokerError> {
        check_group(group)?;
        let not_found = || GroupError::GroupIdNotFound { group: group.clone() };
        let shard = self.existing_shard_of(group).ok_or_else(not_found)?;
        let (coordinator, group) = (self.clone(), group.clone());
        run_to_end(async move {
            let (answers, doomed) = {
                let state = shard.state.lock();
                let rules = state.groups.rules(&group)?;
                rules.check_offset_delete()?;
                let known = state.all_offsets_of(&group);
                let mut doomed = Vec::new();
                let answers = partitions.into_iter().map(|partition| {
                    if rules.is_subscribed_to(&partition.topic) {
                        let topic = partition.topic;
                        return Err(BrokerError::from(GroupError::Subscribed { topic }));
                    }
                    if known.contains(&partition) {
                        doomed.push((group.clone(), partition));
                    }
                    Ok(())
                });
                (answers.collect(), doomed)
            };
            coordinator.remove_offsets(&shard, doomed).await?;
            Ok(answers)
        })
        .await
    }

    /// Removes offsets whose time is over, and groups that have neither members nor offsets left. What cannot be removed now is tried next time.
    pub(crate) async fn expire_offsets(self: &Arc<Self>) {
        let retention_ms = self.node.config.groups.offsets_retention_ms;
        for shard in self.all_shards() {
            let groups: Vec<GroupId> = shard
                .state
                .lock()
                .groups
                .iter()
                .map(|(id, _)| id.clone())
                .collect();
            for group in groups {
                if let Err(error) = self.expire_group(&shard, &group, retention_ms).await {
                    tracing::warn!(%group, %error, "expired offsets could not be removed yet");
                }
            }
        }
    }

    async fn expire_group(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        group: &GroupId,
        retention_ms: i64,
    ) -> Result<(), BrokerError> {
        let (coordinator, shard, group) = (self.clone(), shard.clone(), group.clone());
        run_to_end(async move {
            let wall_ms = coordinator.now().wall_ms;
            let expired = |state: &ShardState| expired_offsets(state, &group, wall_ms, retention_ms);
            let whole = |state: &ShardState| {
                let Ok(rules) = state.groups.rules(&group) else {
                    return Ok(None);
                };
                let expired = expired(state);
                let all = expired.len() == state.offsets.committed(&group).count();
                let quiet = !state.has_offsets_in_flight(&group) && !state.offsets.has_pending(&group);
                Ok((all && quiet && rules.is_empty()).then_some(expired))
            };
            if coordinator.remove_group(&shard, &group, whole).await? {
                tracing::info!(%group, "group expired");
                return Ok(());
            }
            loop {
                let (chunk, append) = {
                    // Chosen and begun under one lock: a commit is either seen here or lies behind the removal.
                    let state = shard.state.lock();
                    if state.has_offsets_in_flight(&group) {
                        return Ok(());
                    }
                    let mut chunk = expired(&state);
                    chunk.truncate(REMOVALS_PER_BATCH);
                    if chunk.is_empty() {
                        return Ok(());
                    }
                    let chunk: Vec<_> = chunk
                        .into_iter()
                        .map(|partition| (group.clone(), partition))
                        .collect();
                    let append = shard.begin_append(wall_ms, None, removals(&chunk));
                    (chunk, append)
                };
                let ack = append.await?;
                take_on_removals(&mut shard.state.lock(), &chunk, ack.base_offset);
                tracing::info!(%group, offsets = chunk.len(), "offsets expired");
            }
        })
        .await
    }

    /// Removes an empty group with the offsets that `choose` names; false if it names none. From the choice on the group takes no commits.
    async fn remove_group(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        group: &GroupId,
        choose: impl FnOnce(&ShardState) -> Result<Option<Vec<TopicPartition>>, BrokerError>,
    ) -> Result<bool, BrokerError> {
        let (since, offsets, records) = {
            let mut state = shard.state.lock();
            let Some(offsets) = choose(&state)? else {
                return Ok(false);
            };
            if state.writing.contains_key(group) {
                return Err(GroupError::NotAvailable.into());
            }
            let now = self.now();
            let not_found = || GroupError::GroupIdNotFound { group: group.clone() };
            let since = state
                .groups
                .get_mut(group)
                .ok_or_else(not_found)?
                .begin_removal(now);
            (since, offsets, state.groups.rules(group)?.tombstones())
        };
        let doomed = offsets.into_iter().map(|partition| (group.clone(), partition));
        let removed = match self.remove_offsets(shard, doomed.collect()).await {
            Ok(()) if records.is_empty() => Ok(()),
            Ok(()) => {
                let append = {
                    let _order = shard.state.lock();
                    shard.begin_append(self.now().wall_ms, None, records)
                };
                append.await.map(drop)
            }
            Err(error) => Err(error),
        };
        let mut state = shard.state.lock();
        match removed {
            Ok(()) => {
                state.groups.remove(group);
                state.timers.cancel_all(group);
                if !state.offsets.partitions_of(group).is_empty() {
                    // Commits that were under way when the removal was decided.
                    state.groups.ensure(group);
                }
                Ok(true)
            }
            Err(error) => {
                if let Some(group) = state.groups.get_mut(group) {
                    group.cancel_removal(since);
                }
                Err(error)
            }
        }
    }

    /// Appends removals of offsets and takes them on.
    pub(super) async fn remove_offsets(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        doomed: Vec<(GroupId, TopicPartition)>,
    ) -> Result<(), BrokerError> {
        for chunk in doomed.chunks(REMOVALS_PER_BATCH) {
            let append = {
                let _order = shard.state.lock();
                shard.begin_append(self.now().wall_ms, None, removals(chunk))
            };
            let ack = append.await?;
            take_on_removals(&mut shard.state.lock(), chunk, ack.base_offset);
        }
        Ok(())
    }
}

fn removals(doomed: &[(GroupId, TopicPartition)]) -> Vec<GroupRecord> {
    let records = doomed.iter().map(|(group, partition)| GroupRecord {
        key: log_format::encode_key(group, partition),
        value: None,
    });
    records.collect()
}

fn take_on_removals(state: &mut ShardState, doomed: &[(GroupId, TopicPartition)], base_offset: Offset) {
    let mut logged_at = base_offset;
    for (group, partition) in doomed {
        state
            .offsets
            .on_record(group.clone(), partition.clone(), None, logged_at, None);
        logged_at = logged_at.next();
    }
    for (group, _) in doomed {
        if !state.has_offsets_in_flight(group) {
            state.offsets.forget_removed(group);
        }
    }
}

/// Offsets of a group whose time is over.
fn expired_offsets(
    state: &ShardState,
    group: &GroupId,
    now: Timestamp,
    retention_ms: i64,
) -> Vec<TopicPartition> {
    let Ok(rules) = state.groups.rules(group) else {
        return Vec::new();
    };
    let expiry = rules.offset_expiry();
    let is_over = |partition: &TopicPartition, committed: &CommittedOffset| {
        let since = match &expiry {
            OffsetExpiry::Never => return false,
            OffsetExpiry::Since(since) => *since,
            OffsetExpiry::SinceCommit { subscribed } if subscribed.contains(&partition.topic) => {
                return false;
            }
            OffsetExpiry::SinceCommit { .. } => committed.committed_at,
        };
        let is_over = match committed.expires_at {
            Some(NEVER) => false,
            Some(expires_at) => now >= expires_at,
            // A clock that was set back makes this negative: nothing expires.
            None => now.saturating_sub(since) >= retention_ms,
        };
        is_over && !state.offsets.is_pending(group, partition)
    };
    let all = state.offsets.committed(group);
    let expired = all.filter(|(partition, committed)| is_over(partition, committed));
    expired.map(|(partition, _)| partition.clone()).collect()
}
