//! From a classic group to a consumer group and back, while consumers go on (KIP-848, "online upgrade" and "downgrade").
//!
//! Upgrade: a member of the new protocol joins a classic group of consumers. Each classic member keeps what its leader gave it; generation becomes epoch. Downgrade: nobody
//! of the new protocol is left. The members rebalance by themselves, by the assignors they brought along.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::{Context, Draft};
use super::classic_format::{by_id, read_assignment, read_subscription, write_assignment};
use super::group::ConsumerGroup;
use super::partitions::{OwnedPartitions, PartitionSet};
use super::record::{
    ClassicMemberMetadata, ConsumerGroupRecord, CurrentAssignment, GroupMetadata, MemberMetadata,
    MemberState, TargetMetadata,
};
use crate::coordinator::group::classic::{
    CONSUMER_PROTOCOL_TYPE, ClassicGroup, ClassicMember, GroupMetadata as ClassicGroupMetadata, StoredMember,
};
use crate::coordinator::group::error::GroupError;
use crate::metadata::limits::MEMBERS_PER_GROUP;
use crate::types::{GroupInstanceId, MemberId};

impl ConsumerGroup {
    /// The classic group as a consumer group, and the records that make it one. Errs if the settings do not allow it, or if it is not one of consumers
    /// whose subscriptions can be read.
    pub fn upgraded(
        group: &ClassicGroup,
        context: Context<'_>,
    ) -> Result<(ConsumerGroup, Vec<ConsumerGroupRecord>), GroupError> {
        let cannot = || GroupError::WrongKind {
            group: group.id().clone(),
            expected: "consumer",
        };
        let config = context.config;
        let limit = usize::try_from(config.max_size)
            .unwrap_or(0)
            .min(MEMBERS_PER_GROUP);
        let is_of_consumers = group.protocol_type() == Some(CONSUMER_PROTOCOL_TYPE);
        // A member more is about to join.
        if !config.migration_policy.allows_upgrade() || !is_of_consumers || group.members().len() >= limit {
            return Err(cannot());
        }
        let mut draft = Draft::of(&ConsumerGroup::new(group.id().clone()));
        let epoch = group.generation();
        let mut given = PartitionSet::new();
        let mut owned: Vec<(MemberId, PartitionSet)> = Vec::new();
        for member in group.members() {
            let metadata = metadata_of(member).ok_or_else(cannot)?;
            let assigned = read_assignment(&member.assignment).map_err(|_| cannot())?;
            let mut assigned = by_id(&assigned, context.topics);
            // A leader that gave a partition twice does not get it twice here.
            assigned.retain(|partition| given.insert(*partition));
            owned.push((member.id.clone(), assigned));
            draft.write(ConsumerGroupRecord::Member(
                member.id.clone(),
                Some(Arc::new(metadata)),
            ));
        }
        draft.write(ConsumerGroupRecord::Metadata(Some(GroupMetadata {
            epoch,
            metadata_hash: 0,
        })));
        for (id, assigned) in &owned {
            draft.write(ConsumerGroupRecord::Target(
                id.clone(),
                Some(Arc::new(assigned.clone())),
            ));
        }
        draft.write(ConsumerGroupRecord::TargetMetadata(Some(TargetMetadata {
            epoch,
            computed_at: context.now,
        })));
        for (id, assigned) in owned {
            let current = CurrentAssignment {
                epoch,
                previous_epoch: epoch,
                state: MemberState::Stable,
                assigned: assigned.into_iter().map(|partition| (partition, epoch)).collect(),
                revoking: OwnedPartitions::new(),
            };
            draft.write(ConsumerGroupRecord::Current(id, Some(Arc::new(current))));
        }
        Ok((draft.group, draft.records))
    }

    /// The group as a classic one, if nobody of the new protocol is left and the settings allow it. `max_size` is that of classic groups.
    pub fn downgraded(&self, max_size: usize, context: Context<'_>) -> Option<ClassicGroupMetadata> {
        let allowed = context.config.migration_policy.allows_downgrade();
        if !allowed || self.members.is_empty() || self.members.len() > max_size || !self.all_classic_but(None)
        {
            return None;
        }
        let protocol = self.common_protocol()?;
        let mut members = Vec::with_capacity(self.members.len());
        for (id, metadata) in &self.members {
            let classic = metadata.classic.as_ref()?;
            let (_, subscription) = classic.protocols.iter().find(|(name, _)| *name == protocol)?;
            let version = read_subscription(subscription).ok()?.version;
            members.push(StoredMember {
                member_id: id.clone(),
                instance_id: metadata.instance_id.as_deref().map(GroupInstanceId::new),
                client_id: metadata.client_id.clone(),
                client_host: metadata.client_host.clone(),
                rebalance_timeout_ms: metadata.rebalance_timeout_ms,
                session_timeout_ms: classic.session_timeout_ms,
                subscription: subscription.clone(),
                assignment: write_assignment(version, self.target(id).iter(), context.topics),
            });
        }
        Some(ClassicGroupMetadata {
            protocol_type: CONSUMER_PROTOCOL_TYPE.to_owned(),
            generation: self.epoch(),
            protocol: Some(protocol),
            leader: members.first().map(|member| member.member_id.clone()),
            state_since: context.now,
            members,
        })
    }

    /// The assignor that all classic members have, by the first member's preference.
    fn common_protocol(&self) -> Option<String> {
        let mut members = self
            .members
            .values()
            .filter_map(|metadata| metadata.classic.as_ref());
        let mut candidates: Vec<&str> = members
            .next()?
            .protocols
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        for member in members {
            let has: BTreeSet<&str> = member.protocols.iter().map(|(name, _)| name.as_str()).collect();
            candidates.retain(|name| has.contains(name));
        }
        candidates.first().map(|name| (*name).to_owned())
    }
}

fn metadata_of(member: &ClassicMember) -> Option<MemberMetadata> {
    let subscription = read_subscription(&member.protocols.first()?.metadata).ok()?;
    let protocols = member.protocols.iter();
    Some(MemberMetadata {
        instance_id: member.instance_id.as_ref().map(|id| id.as_str().to_owned()),
        rack_id: subscription.rack_id,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        subscribed_names: subscription.topics,
        subscribed_pattern: None,
        server_assignor: None,
        classic: Some(ClassicMemberMetadata {
            session_timeout_ms: member.session_timeout_ms,
            protocols: protocols
                .map(|protocol| (protocol.name.clone(), protocol.metadata.clone()))
                .collect(),
        }),
    })
}
