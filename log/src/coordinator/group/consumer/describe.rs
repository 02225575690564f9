//! What ConsumerGroupDescribe and ListGroups tell of a group.

use std::collections::BTreeSet;
use std::fmt;

use super::config::ConsumerGroupConfig;
use super::group::ConsumerGroup;
use super::partitions::{TopicIdPartition, by_topic};
use super::topics::Topics;
use crate::types::{MemberId, PartitionId, TopicId, TopicName};

/// State of a consumer group, by Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConsumerGroupState {
    /// It has no members.
    Empty,
    /// The target assignment is yet to be computed.
    Assigning,
    /// Members are on their way to the target.
    Reconciling,
    /// Everybody owns what it shall.
    Stable,
}

impl ConsumerGroupState {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

impl fmt::Display for ConsumerGroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A consumer group as ConsumerGroupDescribe shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumerGroup {
    /// Its state.
    pub state: ConsumerGroupState,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch its target was computed for.
    pub assignment_epoch: i32,
    /// The assignor most members ask for.
    pub assignor: String,
    /// Its members, by id.
    pub members: Vec<DescribedMember>,
}

/// A member as ConsumerGroupDescribe shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub id: MemberId,
    /// Name that outlives the process.
    pub instance_id: Option<String>,
    /// Where it runs.
    pub rack_id: Option<String>,
    /// Its epoch.
    pub epoch: i32,
    /// Its `client.id`.
    pub client_id: String,
    /// The address it came from.
    pub client_host: String,
    /// Topics it named.
    pub subscribed_names: BTreeSet<String>,
    /// Pattern of further topics.
    pub subscribed_pattern: Option<String>,
    /// What it owns.
    pub assigned: Vec<DescribedPartitions>,
    /// What it shall own.
    pub target: Vec<DescribedPartitions>,
    /// True if it speaks the classic protocol.
    pub is_classic: bool,
}

/// Some partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedPartitions {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The topic's name.
    pub topic: TopicName,
    /// The partitions.
    pub partitions: Vec<PartitionId>,
}

/// Partitions of topics that were deleted meanwhile are left out: they have no name.
fn described<'a>(
    partitions: impl IntoIterator<Item = &'a TopicIdPartition>,
    topics: &dyn Topics,
) -> Vec<DescribedPartitions> {
    let named = |(topic_id, partitions)| {
        let topic = topics.name_of(&topic_id)?;
        Some(DescribedPartitions {
            topic_id,
            topic,
            partitions,
        })
    };
    by_topic(partitions).into_iter().filter_map(named).collect()
}

impl ConsumerGroup {
    /// Its state now.
    pub fn state(&self) -> ConsumerGroupState {
        let target = self.assignment_epoch();
        if self.members.is_empty() {
            ConsumerGroupState::Empty
        } else if self.epoch() > target {
            ConsumerGroupState::Assigning
        } else if self
            .members
            .keys()
            .any(|id| !self.current(id).is_reconciled_to(target))
        {
            ConsumerGroupState::Reconciling
        } else {
            ConsumerGroupState::Stable
        }
    }

    /// The group with all its members.
    pub fn describe(&self, topics: &dyn Topics, config: &ConsumerGroupConfig) -> DescribedConsumerGroup {
        let member = |(id, metadata): (&MemberId, &std::sync::Arc<super::record::MemberMetadata>)| {
            let current = self.current(id);
            DescribedMember {
                id: id.clone(),
                instance_id: metadata.instance_id.clone(),
                rack_id: metadata.rack_id.clone(),
                epoch: current.epoch,
                client_id: metadata.client_id.clone(),
                client_host: metadata.client_host.clone(),
                subscribed_names: metadata.subscribed_names.clone(),
                subscribed_pattern: metadata.subscribed_pattern.clone(),
                assigned: described(current.assigned.keys(), topics),
                target: described(self.target(id).iter(), topics),
                is_classic: metadata.classic.is_some(),
            }
        };
        DescribedConsumerGroup {
            state: self.state(),
            epoch: self.epoch(),
            assignment_epoch: self.assignment_epoch(),
            assignor: self.preferred_assignor(config).to_owned(),
            members: self.members.iter().map(member).collect(),
        }
    }
}
