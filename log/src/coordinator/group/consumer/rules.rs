//! What a consumer group answers to the requests that all kinds of groups share.
//!
//! An epoch older than the member's is still good for committing partitions the member has had since that epoch (KIP-1251): nobody else can have
//! committed them in between, so a commit that crossed an epoch bump on the wire is not refused.

use std::collections::BTreeSet;

use super::group::ConsumerGroup;
use super::heartbeat::unknown_member;
use super::log_format::encode;
use super::partitions::TopicIdPartition;
use crate::broker::ErrorCode;
use crate::coordinator::group::error::GroupError;
use crate::coordinator::group::rules::{Committer, GroupRecord, GroupRules, GroupType, OffsetExpiry};
use crate::types::{MemberId, TopicName};

impl GroupRules for ConsumerGroup {
    fn group_type(&self) -> GroupType {
        GroupType::Consumer
    }

    fn state_name(&self) -> &'static str {
        self.state().name()
    }

    fn protocol_type(&self) -> &str {
        "consumer"
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn check_commit(&self, committer: &Committer) -> Result<(), GroupError> {
        self.check_commit_of(committer, &[])
    }

    fn check_fetch(&self, member_id: Option<&MemberId>, member_epoch: i32) -> Result<(), GroupError> {
        let Some(id) = member_id.filter(|id| !id.as_str().is_empty()) else {
            return Ok(());
        };
        let metadata = self.members.get(id).ok_or_else(|| unknown_member(id))?;
        let known = self.current(id).epoch;
        if member_epoch == known {
            return Ok(());
        }
        Err(wrong_epoch(id, member_epoch, known, metadata.classic.is_some()))
    }

    fn check_offset_delete(&self) -> Result<(), GroupError> {
        Ok(())
    }

    fn is_subscribed_to(&self, topic: &TopicName) -> bool {
        self.members
            .values()
            .any(|metadata| metadata.subscribed_names.contains(topic.as_str()))
            || self
                .patterns
                .values()
                .any(|resolved| resolved.topics.contains(topic.as_str()))
    }

    fn check_delete(&self) -> Result<(), GroupError> {
        match self.members.is_empty() {
            _ if self.being_removed => Err(GroupError::GroupIdNotFound {
                group: self.id.clone(),
            }),
            true => Ok(()),
            false => Err(GroupError::NonEmpty),
        }
    }

    fn offset_expiry(&self) -> OffsetExpiry {
        let named = self
            .members
            .values()
            .flat_map(|metadata| &metadata.subscribed_names);
        let matched = self.patterns.values().flat_map(|resolved| &resolved.topics);
        let subscribed: BTreeSet<TopicName> = named
            .chain(matched)
            .filter_map(|name| TopicName::new(name).ok())
            .collect();
        OffsetExpiry::SinceCommit { subscribed }
    }

    fn tombstones(&self) -> Vec<GroupRecord> {
        self.encoded(&self.delete().records)
    }
}

impl ConsumerGroup {
    /// The same records as bytes.
    pub fn encoded(&self, records: &[super::record::ConsumerGroupRecord]) -> Vec<GroupRecord> {
        let encoded = |record| {
            let (key, value) = encode(&self.id, record);
            GroupRecord { key, value }
        };
        records.iter().map(encoded).collect()
    }

    /// Errs if the committer may not commit offsets of these partitions. A group without members takes commits from outside (an administrator's reset).
    pub fn check_commit_of(
        &self,
        committer: &Committer,
        partitions: &[TopicIdPartition],
    ) -> Result<(), GroupError> {
        if self.being_removed {
            return Err(GroupError::NotAvailable);
        }
        let epoch = committer.generation_or_epoch;
        // A transaction that names no member is not checked, as in Kafka.
        if epoch < 0 && (self.members.is_empty() || (committer.transactional && !committer.names_a_member()))
        {
            return Ok(());
        }
        let id = &committer.member_id;
        if let Some(instance) = &committer.instance_id {
            self.check_instance(id, instance.as_str())?;
        }
        let metadata = self.members.get(id).ok_or_else(|| unknown_member(id))?;
        let is_classic = metadata.classic.is_some();
        if !committer.transactional && !is_classic && !committer.knows_member_epochs {
            let message =
                "members of the consumer group protocol commit with OffsetCommit version 9 or above"
                    .to_owned();
            return Err(GroupError::refused(ErrorCode::UnsupportedVersion, message));
        }
        let current = self.current(id);
        if epoch == current.epoch {
            return Ok(());
        }
        let held_since_then = |partition: &TopicIdPartition| {
            let assigned = current.assigned.get(partition);
            let since = assigned.or_else(|| current.revoking.get(partition));
            since.is_some_and(|since| *since <= epoch)
        };
        let crossed =
            epoch < current.epoch && !partitions.is_empty() && partitions.iter().all(held_since_then);
        if !is_classic && crossed {
            return Ok(());
        }
        Err(wrong_epoch(
            id,
            epoch,
            current.epoch,
            is_classic || committer.transactional,
        ))
    }
}

/// The classic protocol and TxnOffsetCommit know no stale member epoch.
fn wrong_epoch(id: &MemberId, found: i32, known: i32, as_generation: bool) -> GroupError {
    let code = match as_generation {
        true => ErrorCode::IllegalGeneration,
        false => ErrorCode::StaleMemberEpoch,
    };
    let message = format!("member {id} has epoch {found}, the coordinator knows {known}; heartbeat first");
    GroupError::refused(code, message)
}
