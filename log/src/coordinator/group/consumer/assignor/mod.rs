//! Server-side assignors: subscriptions and the last target in, the next target out. Pure and deterministic.
//!
//! Always true, whichever it is: no partition is given twice, each partition of a topic somebody wants is given to somebody who wants it, and the same
//! question has the same answer. `contract_test.rs` holds every implementation to it.

mod range;
mod uniform;
mod uniform_mixed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::partitions::{PartitionSet, TopicIdPartition};
use crate::types::{MemberId, PartitionId, TopicId};

pub use range::RangeAssignor;
pub use uniform::UniformAssignor;

/// A member, for an assignor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberSpec {
    /// Name that outlives the process.
    pub instance_id: Option<String>,
    /// Where it runs.
    pub rack_id: Option<String>,
    /// Topics it wants; all of them are in [`GroupSpec::topics`].
    pub subscribed: BTreeSet<TopicId>,
    /// The last target: what it shall keep as far as balance allows.
    pub assigned: Arc<PartitionSet>,
}

/// A group, for an assignor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSpec {
    /// Its members.
    pub members: BTreeMap<MemberId, MemberSpec>,
    /// The topics somebody wants, with their partition counts.
    pub topics: BTreeMap<TopicId, i32>,
}

impl GroupSpec {
    /// How many partitions a topic has.
    pub(super) fn partition_count(&self, topic: TopicId) -> usize {
        let count = self.topics.get(&topic).copied().unwrap_or_default();
        usize::try_from(count).unwrap_or(0)
    }

    /// The partitions of a topic.
    pub(super) fn partitions_of(&self, topic: TopicId) -> impl Iterator<Item = TopicIdPartition> + use<> {
        let count = self.topics.get(&topic).copied().unwrap_or_default();
        (0..count).map(move |number| TopicIdPartition::new(topic, PartitionId::new(number)))
    }

    /// True if the partition exists and this member wants its topic.
    pub(super) fn may_hold(&self, member: &MemberSpec, partition: &TopicIdPartition) -> bool {
        let count = self.topics.get(&partition.topic).copied().unwrap_or_default();
        member.subscribed.contains(&partition.topic) && (0..count).contains(&partition.partition.get())
    }
}

/// Decides which member shall own which partitions.
pub trait Assignor: std::fmt::Debug + Send + Sync {
    /// The name members ask for it by.
    fn name(&self) -> &'static str;

    /// The next target of every member.
    fn assign(&self, spec: &GroupSpec) -> BTreeMap<MemberId, PartitionSet>;
}

/// The assignor with this name.
pub(super) fn by_name(name: &str) -> Option<&'static dyn Assignor> {
    let all: [&'static dyn Assignor; 2] = [&UniformAssignor, &RangeAssignor];
    all.into_iter().find(|assignor| assignor.name() == name)
}

#[cfg(test)]
#[path = "contract_test.rs"]
mod contract_test;
