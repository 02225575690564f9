//! `range`: each topic is cut into runs of neighbouring partitions, one run a member.
//!
//! Topics of equal size and equal subscribers are cut alike, so their partitions of one number meet at one member (co-partitioning, for joins). Members are
//! ordered by what they hold already, so a leaving member shifts the others as little as neighbouring runs allow.

use std::collections::{BTreeMap, BTreeSet};

use super::{Assignor, GroupSpec, MemberSpec};
use crate::coordinator::group::consumer::partitions::PartitionSet;
use crate::types::{MemberId, PartitionId, TopicId};

/// The `range` assignor.
#[derive(Clone, Copy, Debug, Default)]
pub struct RangeAssignor;

impl Assignor for RangeAssignor {
    fn name(&self) -> &'static str {
        "range"
    }

    fn assign(&self, spec: &GroupSpec) -> BTreeMap<MemberId, PartitionSet> {
        let mut targets: BTreeMap<MemberId, PartitionSet> = spec
            .members
            .keys()
            .map(|id| (id.clone(), PartitionSet::new()))
            .collect();
        for (subscribers, topics) in topics_by_subscribers(spec) {
            let mut members: Vec<(&MemberId, &MemberSpec)> = subscribers
                .into_iter()
                .map(|id| (id, &spec.members[id]))
                .collect();
            members.sort_by_key(|(id, member)| (first_held(spec, member, &topics), name_of(id, member)));
            for topic in topics {
                let mut partitions = spec.partitions_of(topic);
                let count = spec.partition_count(topic);
                let (share, extra) = (count / members.len(), count % members.len());
                for (at, (id, _)) in members.iter().enumerate() {
                    let run = partitions.by_ref().take(share + usize::from(at < extra));
                    targets.entry((*id).clone()).or_default().extend(run);
                }
            }
        }
        targets
    }
}

/// Topics that the same members want are cut in the same order of members.
fn topics_by_subscribers(spec: &GroupSpec) -> BTreeMap<Vec<&MemberId>, BTreeSet<TopicId>> {
    let mut grouped: BTreeMap<Vec<&MemberId>, BTreeSet<TopicId>> = BTreeMap::new();
    for topic in spec.topics.keys() {
        let wants = |(id, member): (_, &MemberSpec)| member.subscribed.contains(topic).then_some(id);
        let subscribers: Vec<&MemberId> = spec.members.iter().filter_map(wants).collect();
        if !subscribers.is_empty() {
            grouped.entry(subscribers).or_default().insert(*topic);
        }
    }
    grouped
}

/// The lowest partition number it holds of these topics: runs ascend in this order. Newcomers come last.
fn first_held(spec: &GroupSpec, member: &MemberSpec, topics: &BTreeSet<TopicId>) -> PartitionId {
    let held = member
        .assigned
        .iter()
        .filter(|held| topics.contains(&held.topic) && spec.may_hold(member, held));
    held.map(|held| held.partition)
        .min()
        .unwrap_or(PartitionId::new(i32::MAX))
}

/// Static members by instance id, so that a new process in their place changes nothing.
fn name_of<'a>(id: &'a MemberId, member: &'a MemberSpec) -> &'a str {
    member.instance_id.as_deref().unwrap_or(id.as_str())
}
