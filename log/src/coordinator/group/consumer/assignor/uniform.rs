//! `uniform`: every member gets as many partitions as any other, give or take one, and keeps what it has.
//!
//! Here the usual case, in which all members want the same topics: then a share is a number, and only what exceeds the share moves, which is the least
//! that can. Where subscriptions differ, `uniform_mixed.rs` does it.

use std::collections::BTreeMap;

use super::uniform_mixed::assign_mixed;
use super::{Assignor, GroupSpec, MemberSpec};
use crate::coordinator::group::consumer::partitions::{PartitionSet, TopicIdPartition};
use crate::types::{MemberId, TopicId};

/// The `uniform` assignor, Kafka's default.
#[derive(Clone, Copy, Debug, Default)]
pub struct UniformAssignor;

impl Assignor for UniformAssignor {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn assign(&self, spec: &GroupSpec) -> BTreeMap<MemberId, PartitionSet> {
        let mut members = spec.members.values();
        let first = members.next();
        match first {
            None => BTreeMap::new(),
            Some(first) if members.all(|member| member.subscribed == first.subscribed) => {
                assign_alike(spec, first)
            }
            Some(_) => assign_mixed(spec),
        }
    }
}

/// What each member may keep, at most once over all members.
pub(super) fn kept(spec: &GroupSpec) -> Vec<(&MemberId, PartitionSet)> {
    let mut taken = PartitionSet::new();
    let mut kept = Vec::with_capacity(spec.members.len());
    for (id, member) in &spec.members {
        let keeps = member
            .assigned
            .iter()
            .filter(|held| spec.may_hold(member, held) && taken.insert(**held));
        kept.push((id, keeps.copied().collect()));
    }
    kept
}

fn assign_alike(spec: &GroupSpec, any: &MemberSpec) -> BTreeMap<MemberId, PartitionSet> {
    let all: PartitionSet = any
        .subscribed
        .iter()
        .flat_map(|topic| spec.partitions_of(*topic))
        .collect();
    let (share, extra) = (all.len() / spec.members.len(), all.len() % spec.members.len());
    let mut kept = kept(spec);
    // Those with the most get the larger shares, so that the fewest partitions move; the order is otherwise that of the ids.
    kept.sort_by_key(|(_, held)| std::cmp::Reverse(held.len()));
    let mut free = all;
    for (at, (_, held)) in kept.iter_mut().enumerate() {
        shed(held, share + usize::from(at < extra));
        for partition in held.iter() {
            free.remove(partition);
        }
    }
    // Dealt in turns, so that the partitions of one topic spread over the members.
    let mut free = free.into_iter();
    let mut left = free.len();
    while left > 0 {
        for (at, (_, held)) in kept.iter_mut().enumerate() {
            if held.len() < share + usize::from(at < extra)
                && let Some(partition) = free.next()
            {
                held.insert(partition);
                left -= 1;
            }
        }
    }
    kept.into_iter().map(|(id, held)| (id.clone(), held)).collect()
}

/// Lets go of partitions beyond `share`, always of the topic it holds most of.
fn shed(held: &mut PartitionSet, share: usize) {
    if held.len() <= share {
        return;
    }
    let mut topics: BTreeMap<TopicId, Vec<TopicIdPartition>> = BTreeMap::new();
    for partition in held.iter() {
        topics.entry(partition.topic).or_default().push(*partition);
    }
    while held.len() > share {
        let largest = topics.values_mut().max_by_key(|partitions| partitions.len());
        let Some(partition) = largest.and_then(Vec::pop) else {
            return;
        };
        held.remove(&partition);
    }
}
