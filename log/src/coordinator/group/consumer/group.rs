//! The state of one consumer group: a fold of its records, and questions to it.
//!
//! Always true: each record kind has a map of its own, so records of different keys may be taken on in any order (a compacted log keeps the last
//! record of each key, not their first order; KAFKA-17306, KAFKA-16147). `owners` follows from `current`: a partition's entry belongs to the member
//! that took it last, and only that member's records take it away.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::partitions::{OwnedPartitions, PartitionSet, TopicIdPartition};
use super::record::{
    ConsumerGroupRecord, CurrentAssignment, GroupMetadata, MemberMetadata, ResolvedPattern, TargetMetadata,
};
use super::topics::Topics;
use crate::types::{GroupId, MemberId, Timestamp, TopicId};

/// One consumer group. Cheap to clone: a change works on a copy.
#[derive(Clone, Debug)]
pub struct ConsumerGroup {
    pub(super) id: GroupId,
    pub(super) metadata: Option<GroupMetadata>,
    pub(super) target_metadata: Option<TargetMetadata>,
    pub(super) members: OrdMap<MemberId, Arc<MemberMetadata>>,
    pub(super) current: OrdMap<MemberId, Arc<CurrentAssignment>>,
    pub(super) targets: OrdMap<MemberId, Arc<PartitionSet>>,
    pub(super) patterns: OrdMap<String, Arc<ResolvedPattern>>,
    /// Kafka before 4.1 kept topic metadata in a record; it goes with the next change.
    pub(super) old_partition_metadata: bool,
    /// Derived: who owns a partition, those that still have to give it up included.
    pub(super) owners: OrdMap<TopicIdPartition, MemberId>,
    /// Derived: static members.
    pub(super) instances: OrdMap<String, MemberId>,
    /// Derived: patterns of members whose topics were not looked up yet.
    pub(super) unresolved: OrdSet<String>,
    /// Not stored: the version of the topics this group was last compared with.
    pub(super) topics_seen: Option<i64>,
    /// Not stored: when the patterns were last looked up.
    pub(super) patterns_looked_at: Option<Timestamp>,
    /// Not stored: its removal is being written.
    pub(super) being_removed: bool,
}

/// Equal if the same records lead to them.
impl PartialEq for ConsumerGroup {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.metadata == other.metadata
            && self.target_metadata == other.target_metadata
            && self.members == other.members
            && self.current == other.current
            && self.targets == other.targets
            && self.patterns == other.patterns
            && self.old_partition_metadata == other.old_partition_metadata
            && self.owners == other.owners
            && self.instances == other.instances
            && self.unresolved == other.unresolved
    }
}

impl Eq for ConsumerGroup {}

impl ConsumerGroup {
    /// A group of which nothing is known.
    pub fn new(id: GroupId) -> Self {
        Self {
            id,
            metadata: None,
            target_metadata: None,
            members: OrdMap::new(),
            current: OrdMap::new(),
            targets: OrdMap::new(),
            patterns: OrdMap::new(),
            old_partition_metadata: false,
            owners: OrdMap::new(),
            instances: OrdMap::new(),
            unresolved: OrdSet::new(),
            topics_seen: None,
            patterns_looked_at: None,
            being_removed: false,
        }
    }

    /// Its name.
    pub fn id(&self) -> &GroupId {
        &self.id
    }

    /// Notes that its removal is being written, or that this failed.
    pub fn set_being_removed(&mut self, being_removed: bool) {
        self.being_removed = being_removed;
    }

    /// True while its removal is being written: it takes no members and no commits then.
    pub fn is_being_removed(&self) -> bool {
        self.being_removed
    }

    /// Takes on one record. Records of different keys commute; of one key the last counts.
    pub fn apply(&mut self, record: &ConsumerGroupRecord) {
        match record {
            ConsumerGroupRecord::Metadata(metadata) => self.metadata = *metadata,
            ConsumerGroupRecord::PartitionMetadata(there) => self.old_partition_metadata = there.is_some(),
            ConsumerGroupRecord::TargetMetadata(metadata) => self.target_metadata = *metadata,
            ConsumerGroupRecord::Member(id, metadata) => self.set_member(id, metadata.clone()),
            ConsumerGroupRecord::Current(id, current) => self.set_current(id, current.clone()),
            ConsumerGroupRecord::Target(id, Some(target)) => {
                self.targets.insert(id.clone(), target.clone());
            }
            ConsumerGroupRecord::Target(id, None) => {
                self.targets.remove(id);
            }
            ConsumerGroupRecord::Pattern(pattern, Some(resolved)) => {
                self.patterns.insert(pattern.clone(), resolved.clone());
                self.unresolved.remove(pattern);
            }
            ConsumerGroupRecord::Pattern(pattern, None) => {
                self.patterns.remove(pattern);
                if self.is_wanted(pattern) {
                    self.unresolved.insert(pattern.clone());
                }
            }
        }
    }

    fn set_member(&mut self, id: &MemberId, metadata: Option<Arc<MemberMetadata>>) {
        let old = self.members.get(id).cloned();
        let old_instance = old.as_ref().and_then(|old| old.instance_id.clone());
        if let Some(instance) = old_instance.filter(|instance| self.instances.get(instance) == Some(id)) {
            self.instances.remove(&instance);
        }
        match metadata {
            Some(metadata) => {
                if let Some(instance) = &metadata.instance_id {
                    self.instances.insert(instance.clone(), id.clone());
                }
                let pattern = metadata.subscribed_pattern.as_ref();
                if let Some(pattern) = pattern.filter(|pattern| !self.patterns.contains_key(*pattern)) {
                    self.unresolved.insert(pattern.clone());
                }
                self.members.insert(id.clone(), metadata);
            }
            None => {
                self.members.remove(id);
            }
        }
        let left = old.as_ref().and_then(|old| old.subscribed_pattern.as_ref());
        if let Some(pattern) = left.filter(|pattern| self.unresolved.contains(*pattern))
            && !self.is_wanted(pattern)
        {
            self.unresolved.remove(pattern);
        }
    }

    /// True if some member has the pattern.
    fn is_wanted(&self, pattern: &str) -> bool {
        let mut members = self.members.values();
        members.any(|member| member.subscribed_pattern.as_deref() == Some(pattern))
    }

    fn set_current(&mut self, id: &MemberId, current: Option<Arc<CurrentAssignment>>) {
        if let Some(old) = self.current.get(id).cloned() {
            for partition in old.assigned.keys().chain(old.revoking.keys()) {
                if self.owners.get(partition) == Some(id) {
                    self.owners.remove(partition);
                }
            }
        }
        match current {
            Some(current) => {
                for partition in current.assigned.keys().chain(current.revoking.keys()) {
                    self.owners.insert(*partition, id.clone());
                }
                self.current.insert(id.clone(), current);
            }
            None => {
                self.current.remove(id);
            }
        }
    }

    /// True if no record leads to it: the group does not exist.
    pub fn is_gone(&self) -> bool {
        self.metadata.is_none()
            && self.target_metadata.is_none()
            && self.members.is_empty()
            && self.current.is_empty()
            && self.targets.is_empty()
            && self.patterns.is_empty()
    }

    /// Grows with each change that asks for another assignment; 0 for a group that does not exist yet.
    pub fn epoch(&self) -> i32 {
        self.metadata.unwrap_or_default().epoch
    }

    /// The group epoch the target assignment was computed for.
    pub fn assignment_epoch(&self) -> i32 {
        self.target_metadata.unwrap_or_default().epoch
    }

    /// How many members it has, static ones that are away included.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Its members' ids.
    pub fn member_ids(&self) -> impl Iterator<Item = &MemberId> {
        self.members.keys()
    }

    /// What a member told about itself; none if there is no such member.
    pub fn member(&self, id: &MemberId) -> Option<&Arc<MemberMetadata>> {
        self.members.get(id)
    }

    /// The member that has this instance id.
    pub fn static_member(&self, instance_id: &str) -> Option<&MemberId> {
        self.instances.get(instance_id)
    }

    /// What a member owns; nothing for one that was never answered.
    pub fn current(&self, id: &MemberId) -> Arc<CurrentAssignment> {
        self.current.get(id).cloned().unwrap_or_default()
    }

    /// What a member shall own.
    pub fn target(&self, id: &MemberId) -> Arc<PartitionSet> {
        self.targets.get(id).cloned().unwrap_or_default()
    }

    /// Who owns a partition, perhaps a member that has to give it up.
    pub fn owner(&self, partition: &TopicIdPartition) -> Option<&MemberId> {
        self.owners.get(partition)
    }

    /// True if there are members and all of them speak the classic protocol, not counting `but`.
    pub fn all_classic_but(&self, but: Option<&MemberId>) -> bool {
        let mut others = self.members.iter().filter(|(id, _)| Some(*id) != but);
        others.all(|(_, metadata)| metadata.classic.is_some())
    }

    /// The topics a member wants that exist.
    pub(super) fn subscribed_topics(
        &self,
        metadata: &MemberMetadata,
        topics: &dyn Topics,
    ) -> BTreeSet<TopicId> {
        let resolved = metadata
            .subscribed_pattern
            .as_ref()
            .and_then(|pattern| self.patterns.get(pattern));
        let matched = resolved.into_iter().flat_map(|resolved| &resolved.topics);
        let names = metadata.subscribed_names.iter().chain(matched);
        names.filter_map(|name| topics.id_of(name)).collect()
    }

    /// True if the target gives the member partitions that others still own.
    pub fn waits_for_others(&self, id: &MemberId) -> bool {
        let current = self.current(id);
        self.target(id).iter().any(|partition| {
            !current.assigned.contains_key(partition)
                && self.owner(partition).is_some_and(|owner| owner != id)
        })
    }
}

/// The partitions alone.
pub(super) fn keys(owned: &OwnedPartitions) -> PartitionSet {
    owned.keys().copied().collect()
}
