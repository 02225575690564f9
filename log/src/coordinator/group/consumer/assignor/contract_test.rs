//! What every assignor promises, and what `uniform` and `range` promise on top.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::{Assignor, GroupSpec, MemberSpec, RangeAssignor, UniformAssignor};
use crate::coordinator::group::consumer::partitions::{PartitionSet, TopicIdPartition};
use crate::types::{MemberId, PartitionId, TopicId};

type Targets = BTreeMap<MemberId, PartitionSet>;

fn topic(number: u128) -> TopicId {
    TopicId::new(Uuid::from_u128(number + 1))
}

fn member(name: &str) -> MemberId {
    MemberId::new(name)
}

/// Topics by partition count, members by the topics they want.
fn spec(topics: &[i32], members: &[(&str, &[u128])]) -> GroupSpec {
    let mut spec = GroupSpec::default();
    for (name, wanted) in members {
        let subscribed: BTreeSet<TopicId> = wanted.iter().map(|number| topic(*number)).collect();
        let wants = MemberSpec {
            subscribed,
            ..MemberSpec::default()
        };
        spec.members.insert(member(name), wants);
    }
    for (number, count) in topics.iter().enumerate() {
        spec.topics.insert(topic(number as u128), *count);
    }
    spec
}

/// The same group after it got these targets.
fn after(mut spec: GroupSpec, targets: &Targets) -> GroupSpec {
    for (id, wants) in &mut spec.members {
        wants.assigned = Arc::new(targets.get(id).cloned().unwrap_or_default());
    }
    spec
}

fn moved(before: &Targets, now: &Targets) -> usize {
    let gained = |(id, target): (&MemberId, &PartitionSet)| {
        let had = before.get(id).cloned().unwrap_or_default();
        target.difference(&had).count()
    };
    now.iter().map(gained).sum()
}

fn held(targets: &Targets, name: &str) -> Vec<(u128, i32)> {
    let named = |held: &TopicIdPartition| (held.topic.get().as_u128() - 1, held.partition.get());
    targets[&member(name)].iter().map(named).collect()
}

fn holds_to_the_contract(assignor: &dyn Assignor, spec: &GroupSpec) -> Targets {
    let targets = assignor.assign(spec);
    assert_eq!(
        targets,
        assignor.assign(spec),
        "the same question has the same answer"
    );
    assert!(targets.keys().eq(spec.members.keys()), "every member is answered");
    let mut given = PartitionSet::new();
    for (id, target) in &targets {
        for partition in target {
            assert!(given.insert(*partition), "{partition:?} is given twice");
            assert!(
                spec.may_hold(&spec.members[id], partition),
                "{id} does not want {partition:?}"
            );
        }
    }
    let wanted: BTreeSet<TopicId> = spec
        .members
        .values()
        .flat_map(|wants| wants.subscribed.clone())
        .collect();
    let all: PartitionSet = wanted
        .iter()
        .flat_map(|topic| spec.partitions_of(*topic))
        .collect();
    assert_eq!(given, all, "each wanted partition is given");
    let again = assignor.assign(&after(spec.clone(), &targets));
    assert_eq!(again, targets, "a reached target stays");
    targets
}

/// No chain of moves brings loads closer together.
fn is_even(spec: &GroupSpec, targets: &Targets) {
    for (from, target) in targets {
        let mut reached = BTreeSet::from([from.clone()]);
        let mut frontier = vec![from.clone()];
        while let Some(at) = frontier.pop() {
            let topics: BTreeSet<TopicId> = targets[&at].iter().map(|held| held.topic).collect();
            for (id, wants) in &spec.members {
                if !wants.subscribed.is_disjoint(&topics) && reached.insert(id.clone()) {
                    frontier.push(id.clone());
                }
            }
        }
        for id in reached {
            let (much, little) = (target.len(), targets[&id].len());
            assert!(
                much <= little + 1,
                "{from} has {much}, {id} could have more than its {little}"
            );
        }
    }
}

#[test]
fn uniform_gives_shares_that_differ_by_one_at_most() {
    let spec = spec(&[3, 4], &[("a", &[0, 1]), ("b", &[0, 1]), ("c", &[0, 1])]);
    let targets = holds_to_the_contract(&UniformAssignor, &spec);
    assert_eq!(held(&targets, "a"), [(0, 0), (1, 0), (1, 3)]);
    assert_eq!(held(&targets, "b"), [(0, 1), (1, 1)]);
    assert_eq!(held(&targets, "c"), [(0, 2), (1, 2)]);
}

#[test]
fn uniform_moves_only_the_share_of_a_member_that_joins() {
    let two = spec(&[6], &[("a", &[0]), ("b", &[0])]);
    let before = UniformAssignor.assign(&two);
    let mut three = after(two, &before);
    three
        .members
        .insert(member("0"), three.members[&member("a")].clone());
    three.members.get_mut(&member("0")).unwrap().assigned = Arc::default();
    let now = UniformAssignor.assign(&three);
    assert_eq!(moved(&before, &now), 2);
    assert!(now.values().all(|target| target.len() == 2));
}

#[test]
fn uniform_lets_go_of_the_topic_a_member_holds_most_of() {
    let one = spec(&[1, 3], &[("a", &[0, 1])]);
    let mut two = after(one.clone(), &UniformAssignor.assign(&one));
    let newcomer = MemberSpec {
        subscribed: one.members[&member("a")].subscribed.clone(),
        ..MemberSpec::default()
    };
    two.members.insert(member("b"), newcomer);
    let now = UniformAssignor.assign(&two);
    assert_eq!(held(&now, "a"), [(0, 0), (1, 0)]);
}

#[test]
fn uniform_evens_out_over_a_member_between_two_that_share_no_topic() {
    // a holds all of topic 0, b wants both, c wants topic 1 only: b must take from a and give to c.
    let mut chained = spec(&[5, 2], &[("a", &[0]), ("b", &[0, 1]), ("c", &[1])]);
    let all = |number, partitions: &[i32]| -> Arc<PartitionSet> {
        let one = |partition: &i32| TopicIdPartition::new(topic(number), PartitionId::new(*partition));
        Arc::new(partitions.iter().map(one).collect())
    };
    chained.members.get_mut(&member("a")).unwrap().assigned = all(0, &[0, 1, 2, 3, 4]);
    chained.members.get_mut(&member("b")).unwrap().assigned = all(1, &[0, 1]);
    let targets = holds_to_the_contract(&UniformAssignor, &chained);
    let loads: Vec<usize> = targets.values().map(PartitionSet::len).collect();
    assert_eq!(loads.iter().max(), Some(&3));
    is_even(&chained, &targets);
}

#[test]
fn range_gives_neighbours_and_meets_equal_numbers_at_one_member() {
    let spec = spec(
        &[5, 5, 2],
        &[("a", &[0, 1, 2]), ("b", &[0, 1, 2]), ("c", &[0, 1])],
    );
    let targets = holds_to_the_contract(&RangeAssignor, &spec);
    assert_eq!(held(&targets, "a"), [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]);
    assert_eq!(held(&targets, "b"), [(0, 2), (0, 3), (1, 2), (1, 3), (2, 1)]);
    assert_eq!(held(&targets, "c"), [(0, 4), (1, 4)]);
}

#[test]
fn range_keeps_the_order_of_members_when_the_first_leaves() {
    let three = spec(&[6], &[("a", &[0]), ("b", &[0]), ("c", &[0])]);
    let before = RangeAssignor.assign(&three);
    let mut two = after(three, &before);
    two.members.remove(&member("a"));
    let now = RangeAssignor.assign(&two);
    assert_eq!(held(&now, "b"), [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(held(&now, "c"), [(0, 3), (0, 4), (0, 5)]);
}

#[test]
fn topics_without_partitions_and_groups_without_members_are_no_trouble() {
    for assignor in [&UniformAssignor as &dyn Assignor, &RangeAssignor] {
        holds_to_the_contract(assignor, &GroupSpec::default());
        holds_to_the_contract(assignor, &spec(&[0, 2], &[("a", &[0]), ("b", &[])]));
    }
}

fn any_spec(alike: bool) -> impl Strategy<Value = GroupSpec> {
    let topics = proptest::collection::vec(0i32..8, 1..5);
    let members = proptest::collection::vec((any::<u8>(), 1u8..16), 1..7);
    (topics, members).prop_map(move |(topics, members)| {
        let names: Vec<String> = members.iter().map(|(name, _)| format!("m{name}")).collect();
        let mut group = spec(&topics, &[]);
        for (name, (_, mask)) in names.iter().zip(&members) {
            let wanted = (0..topics.len()).filter(|at| alike || mask & (1 << at) != 0);
            let wants = MemberSpec {
                subscribed: wanted.map(|at| topic(at as u128)).collect(),
                ..MemberSpec::default()
            };
            group.members.insert(member(name), wants);
        }
        group
    })
}

proptest! {
    #[test]
    fn every_assignor_holds_to_the_contract(group in any_spec(false)) {
        is_even(&group, &holds_to_the_contract(&UniformAssignor, &group));
        holds_to_the_contract(&RangeAssignor, &group);
    }

    #[test]
    fn uniform_moves_no_more_than_it_must(group in any_spec(true), grow in 0i32..5, leaves in any::<prop::sample::Index>()) {
        let before = holds_to_the_contract(&UniformAssignor, &group);
        // One member goes, another comes, a topic grows.
        let mut next = after(group, &before);
        let gone = leaves.get(&next.members.keys().cloned().collect::<Vec<_>>()).clone();
        let wants = next.members.remove(&gone).unwrap();
        next.members.insert(member("newcomer"), MemberSpec { assigned: Arc::default(), ..wants });
        if let Some(count) = next.topics.values_mut().next() {
            *count += grow;
        }
        let now = holds_to_the_contract(&UniformAssignor, &next);
        is_even(&next, &now);
        let total: usize = now.values().map(PartitionSet::len).sum();
        let share = total / next.members.len();
        let extra = total % next.members.len();
        // The most that could stay where it is: full shares, the larger ones for those that can use them.
        let mut could: Vec<usize> = next.members.keys().map(|id| before.get(id).map_or(0, PartitionSet::len)).collect();
        could.sort_unstable_by(|a, b| b.cmp(a));
        let stay: usize = could.iter().enumerate().map(|(at, had)| (*had).min(share + usize::from(at < extra))).sum();
        prop_assert_eq!(moved(&before, &now), total - stay);
    }

    #[test]
    fn uniform_stays_even_and_whole_when_mixed_groups_change(group in any_spec(false), leaves in any::<prop::sample::Index>()) {
        let before = holds_to_the_contract(&UniformAssignor, &group);
        let mut next = after(group, &before);
        let gone = leaves.get(&next.members.keys().cloned().collect::<Vec<_>>()).clone();
        next.members.remove(&gone);
        is_even(&next, &holds_to_the_contract(&UniformAssignor, &next));
    }
}
