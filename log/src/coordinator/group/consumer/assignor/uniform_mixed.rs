//! `uniform` for members that want different topics.
//!
//! Members keep what they have, free partitions go to whoever wants them and has least, and then partitions move along chains (from a member with much over
//! others to one with at least two less) until no chain is left. Each move brings loads closer together, so it ends; a loading without such chains is as even as
//! the subscriptions allow.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use super::GroupSpec;
use super::uniform::kept;
use crate::coordinator::group::consumer::partitions::{PartitionSet, TopicIdPartition};
use crate::types::{MemberId, TopicId};

/// A member with what it holds.
struct Load<'a> {
    id: &'a MemberId,
    held: BTreeMap<TopicId, Vec<TopicIdPartition>>,
    /// How many partitions that are.
    count: usize,
}

struct Loading<'a> {
    members: Vec<Load<'a>>,
    /// Who wants a topic.
    subscribers: BTreeMap<TopicId, Vec<usize>>,
}

impl Load<'_> {
    fn take(&mut self, partition: TopicIdPartition) {
        self.held.entry(partition.topic).or_default().push(partition);
        self.count += 1;
    }
}

pub(super) fn assign_mixed(spec: &GroupSpec) -> BTreeMap<MemberId, PartitionSet> {
    let mut subscribers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
    for (at, member) in spec.members.values().enumerate() {
        for topic in &member.subscribed {
            subscribers.entry(*topic).or_default().push(at);
        }
    }
    let mut free: PartitionSet = subscribers
        .keys()
        .flat_map(|topic| spec.partitions_of(*topic))
        .collect();
    let mut members = Vec::with_capacity(spec.members.len());
    for (id, keeps) in kept(spec) {
        let mut held: BTreeMap<TopicId, Vec<TopicIdPartition>> = BTreeMap::new();
        let count = keeps.len();
        for partition in keeps {
            free.remove(&partition);
            held.entry(partition.topic).or_default().push(partition);
        }
        members.push(Load { id, held, count });
    }
    let mut loading = Loading { members, subscribers };
    loading.give_out(free);
    loading.even_out();
    let done = loading.members.into_iter();
    done.map(|member| (member.id.clone(), member.held.into_values().flatten().collect()))
        .collect()
}

impl Loading<'_> {
    /// Topics that few want first: later ones can still even out the loads.
    fn give_out(&mut self, free: PartitionSet) {
        let mut free: Vec<TopicIdPartition> = free.into_iter().collect();
        free.sort_by_key(|partition| {
            (
                self.subscribers.get(&partition.topic).map_or(0, Vec::len),
                *partition,
            )
        });
        for partition in free {
            let subscribers = self.subscribers.get(&partition.topic);
            let least =
                subscribers.and_then(|all| all.iter().min_by_key(|at| (self.members[**at].count, **at)));
            if let Some(at) = least.copied() {
                self.members[at].take(partition);
            }
        }
    }

    fn even_out(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            let mut order: Vec<usize> = (0..self.members.len()).collect();
            order.sort_by_key(|at| (Reverse(self.members[*at].count), *at));
            for from in order {
                while let Some(chain) = self.chain_from(from) {
                    self.shift(from, &chain);
                    moved = true;
                }
            }
        }
    }

    /// The shortest chain of (topic to give, member that takes it) to a member with at least two less; of several the one with the least.
    fn chain_from(&self, from: usize) -> Option<Vec<(TopicId, usize)>> {
        let enough = self.members[from].count.checked_sub(2)?;
        let mut came_by: Vec<Option<(usize, TopicId)>> = vec![None; self.members.len()];
        let mut seen_topics = std::collections::BTreeSet::new();
        let mut queue = VecDeque::from([from]);
        let mut best: Option<usize> = None;
        while let Some(at) = queue.pop_front() {
            for (topic, held) in &self.members[at].held {
                if held.is_empty() || !seen_topics.insert(*topic) {
                    continue;
                }
                for next in self.subscribers.get(topic).into_iter().flatten().copied() {
                    if next == from || came_by[next].is_some() {
                        continue;
                    }
                    came_by[next] = Some((at, *topic));
                    let load = self.members[next].count;
                    if load <= enough && best.is_none_or(|best| load < self.members[best].count) {
                        best = Some(next);
                    }
                    queue.push_back(next);
                }
            }
        }
        let mut chain = Vec::new();
        let mut at = best?;
        while at != from {
            let (before, topic) = came_by[at]?;
            chain.push((topic, at));
            at = before;
        }
        chain.reverse();
        Some(chain)
    }

    fn shift(&mut self, from: usize, chain: &[(TopicId, usize)]) {
        let mut giver = from;
        for (topic, taker) in chain {
            let given = self.members[giver].held.get_mut(topic).and_then(Vec::pop);
            if let Some(partition) = given {
                self.members[giver].count -= 1;
                self.members[*taker].take(partition);
            }
            giver = *taker;
        }
    }
}
