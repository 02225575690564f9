//! Random lives of a group: clients that join, lag, lose answers, die and come back, while topics come and go and the coordinator restarts.
//!
//! After every step: no partition is owned twice, neither by the coordinator's books nor in the clients' hands; epochs never go back; the group is what its
//! log says. After some quiet heartbeats everybody is stable at the group's epoch and owns everything there is. At the end the log is compacted in every
//! way Kafka may do it, and still says the same (KAFKA-17306, KAFKA-16147).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::describe::ConsumerGroupState;
use super::group::keys;
use super::partitions::{PartitionSet, TopicIdPartition};
use super::record::MemberState;
use super::request::HeartbeatRequest;
use super::testing::{World, replay};
use super::topics::Topics;
use crate::broker::ErrorCode;
use crate::types::MemberId;

const TOPICS: [&str; 3] = ["orders", "orders.eu", "payments"];

/// What a consumer process knows and does.
#[derive(Clone, Debug, Default)]
struct Client {
    /// Counts the processes that had this place; part of the member id.
    life: u32,
    is_static: bool,
    /// 0: not in the group.
    epoch: i32,
    /// What it consumes: the last assignment, and what it has not let go of yet.
    owned: PartitionSet,
    /// The last assignment it was told.
    assignment: PartitionSet,
    /// It says everything again: after an error, or an answer that did not come.
    says_all: bool,
    names: BTreeSet<String>,
    pattern: Option<String>,
    assignor: Option<String>,
}

#[derive(Clone, Debug)]
enum Event {
    Join {
        client: usize,
        names: u8,
        pattern: Option<usize>,
        range: bool,
    },
    Heartbeat {
        client: usize,
        lets_go: bool,
        loses_answer: bool,
    },
    Subscribe {
        client: usize,
        names: u8,
        pattern: Option<usize>,
    },
    Leave {
        client: usize,
    },
    LeaveForAWhile {
        client: usize,
    },
    Die {
        client: usize,
    },
    Topic {
        topic: usize,
        partitions: i32,
    },
    DeleteTopic {
        topic: usize,
    },
    Wait {
        ms: i64,
    },
    Restart,
}

const PATTERNS: [&str; 3] = ["orders.*", "payments|orders", "nothing"];

fn event() -> impl Strategy<Value = Event> {
    let client = 0usize..4;
    let pattern = || proptest::option::weighted(0.3, 0usize..PATTERNS.len());
    prop_oneof![
        4 => (client.clone(), 0u8..8, pattern(), any::<bool>())
            .prop_map(|(client, names, pattern, range)| Event::Join { client, names, pattern, range }),
        12 => (client.clone(), any::<bool>(), proptest::bool::weighted(0.2))
            .prop_map(|(client, lets_go, loses_answer)| Event::Heartbeat { client, lets_go, loses_answer }),
        2 => (client.clone(), 0u8..8, pattern()).prop_map(|(client, names, pattern)| Event::Subscribe { client, names, pattern }),
        1 => client.clone().prop_map(|client| Event::Leave { client }),
        1 => client.clone().prop_map(|client| Event::LeaveForAWhile { client }),
        1 => client.prop_map(|client| Event::Die { client }),
        2 => (0..TOPICS.len(), 1i32..6).prop_map(|(topic, partitions)| Event::Topic { topic, partitions }),
        1 => (0..TOPICS.len()).prop_map(|topic| Event::DeleteTopic { topic }),
        2 => (0i64..50_000).prop_map(|ms| Event::Wait { ms }),
        1 => Just(Event::Restart),
    ]
}

struct Model {
    world: World,
    clients: Vec<Client>,
    epochs: (i32, i32),
}

impl Model {
    fn new() -> Self {
        let mut world = World::new();
        world.topics.set("orders", 4);
        let client = |at| Client {
            is_static: at == 0 || at == 1,
            ..Client::default()
        };
        Self {
            world,
            clients: (0..4).map(client).collect(),
            epochs: (0, 0),
        }
    }

    fn id(&self, at: usize) -> MemberId {
        MemberId::from(format!("m{at}-{}", self.clients[at].life))
    }

    fn request(&self, at: usize) -> HeartbeatRequest {
        let client = &self.clients[at];
        let mut request = HeartbeatRequest {
            member_id: self.id(at).as_str().to_owned(),
            member_epoch: client.epoch,
            instance_id: client.is_static.then(|| format!("i{at}")),
            client_id: "c".to_owned(),
            client_host: "h".to_owned(),
            ..HeartbeatRequest::default()
        };
        if client.says_all || client.epoch == 0 {
            request.rebalance_timeout_ms = Some(30_000);
            request.subscribed_names = Some(client.names.clone());
            request.subscribed_pattern = Some(client.pattern.clone().unwrap_or_default());
            request.server_assignor = client.assignor.clone();
        }
        if client.epoch >= 0 {
            request.owned = Some(client.owned.clone());
        }
        request
    }

    /// The process lost its place, and stops consuming.
    fn lose(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.epoch = 0;
        client.owned.clear();
        client.assignment.clear();
        client.says_all = true;
    }

    fn speak(&mut self, at: usize, loses_answer: bool) {
        let request = self.request(at);
        let answer = self.world.heartbeat(&request);
        if loses_answer {
            self.clients[at].says_all = true;
            return;
        }
        match answer {
            Ok(answer) => {
                let client = &mut self.clients[at];
                client.epoch = answer.member_epoch;
                client.says_all = false;
                if let Some(assignment) = answer.assignment {
                    client.owned.extend(assignment.iter().copied());
                    client.assignment = assignment;
                }
            }
            Err(error) => {
                // An instance id that is still taken: the process waits, it does not own anything.
                let expected = [
                    ErrorCode::FencedMemberEpoch,
                    ErrorCode::UnknownMemberId,
                    ErrorCode::UnreleasedInstanceId,
                    ErrorCode::FencedInstanceId,
                ];
                assert!(expected.contains(&error.code()), "{error:?} to {request:?}");
                self.lose(at);
            }
        }
    }

    fn subscribe(&mut self, at: usize, names: u8, pattern: Option<usize>) {
        let named = TOPICS
            .iter()
            .enumerate()
            .filter(|(bit, _)| names & (1 << bit) != 0);
        let client = &mut self.clients[at];
        client.names = named.map(|(_, name)| (*name).to_owned()).collect();
        client.pattern = pattern.map(|at| PATTERNS[at].to_owned());
        client.says_all = true;
    }

    /// A new process takes the place of the old one.
    fn new_life(&mut self, at: usize) {
        self.lose(at);
        self.clients[at].life += 1;
    }

    fn run(&mut self, event: Event) {
        match event {
            Event::Join {
                client,
                names,
                pattern,
                range,
            } => {
                if self.clients[client].epoch == 0 {
                    self.subscribe(client, names, pattern);
                    self.clients[client].assignor = range.then(|| "range".to_owned());
                    self.speak(client, false);
                }
            }
            Event::Heartbeat {
                client,
                lets_go,
                loses_answer,
            } => {
                if self.clients[client].epoch > 0 {
                    if lets_go {
                        let assignment = self.clients[client].assignment.clone();
                        self.clients[client]
                            .owned
                            .retain(|owned| assignment.contains(owned));
                    }
                    self.speak(client, loses_answer);
                }
            }
            Event::Subscribe {
                client,
                names,
                pattern,
            } => {
                if self.clients[client].epoch > 0 {
                    self.subscribe(client, names, pattern);
                }
            }
            Event::Leave { client } => self.leave(client, -1),
            Event::LeaveForAWhile { client } => {
                if self.clients[client].is_static {
                    self.leave(client, -2);
                }
            }
            Event::Die { client } => self.new_life(client),
            Event::Topic { topic, partitions } => {
                let topics = &mut self.world.topics;
                let known = topics
                    .id_of(TOPICS[topic])
                    .map_or(0, |id| topics.partition_count(&id));
                topics.set(TOPICS[topic], known.max(partitions));
            }
            Event::DeleteTopic { topic } => self.world.topics.delete(TOPICS[topic]),
            Event::Wait { ms } => self.wait(ms),
            Event::Restart => self.world.restart(),
        }
        self.check();
    }

    fn leave(&mut self, at: usize, epoch: i32) {
        if self.clients[at].epoch > 0 {
            self.clients[at].epoch = epoch;
            let request = self.request(at);
            if let Err(error) = self.world.heartbeat(&request) {
                let expected = [ErrorCode::UnknownMemberId, ErrorCode::FencedInstanceId];
                assert!(expected.contains(&error.code()), "{error:?}");
            }
            self.new_life(at);
        }
    }

    /// A client whose session is over stops by itself: it heard nothing for as long. One that was too slow to let go is told with its next heartbeat; until
    /// then it consumes what is no longer its own, which only its commits are protected from. The model lets it stop at once.
    fn wait(&mut self, ms: i64) {
        for timer in self.world.wait(ms) {
            let dropped = (0..self.clients.len()).find(|at| self.id(*at) == timer.member);
            if let Some(at) = dropped {
                self.lose(at);
            }
        }
    }

    fn check(&mut self) {
        let group = &self.world.group;
        let mut books: BTreeMap<TopicIdPartition, &MemberId> = BTreeMap::new();
        let mut targets = PartitionSet::new();
        for (id, current) in &group.current {
            for owned in current.assigned.keys().chain(current.revoking.keys()) {
                let other = books.insert(*owned, id);
                assert_eq!(other, None, "{owned:?} is owned by {id} too");
                assert_eq!(group.owner(owned), Some(id));
            }
            assert!(current.epoch <= group.assignment_epoch());
            assert!(
                group.members.contains_key(id),
                "{id} owns something and is not there"
            );
        }
        assert_eq!(group.owners.len(), books.len());
        for target in group.targets.values() {
            for partition in target.iter() {
                assert!(targets.insert(*partition), "{partition:?} is given twice");
            }
        }
        let mut hands = PartitionSet::new();
        for (at, client) in self.clients.iter().enumerate() {
            let current = group.current(&self.id(at));
            for owned in &client.owned {
                assert!(hands.insert(*owned), "{owned:?} is consumed twice");
                let on_the_books =
                    current.assigned.contains_key(owned) || current.revoking.contains_key(owned);
                assert!(
                    on_the_books,
                    "client {at} consumes {owned:?}, the coordinator says it has {current:?}"
                );
            }
        }
        let wanted = group
            .members
            .values()
            .filter_map(|it| it.subscribed_pattern.clone());
        let unresolved = wanted.filter(|pattern| !group.patterns.contains_key(pattern));
        assert_eq!(group.unresolved, unresolved.collect());
        let epochs = (group.epoch(), group.assignment_epoch());
        assert!(
            epochs.0 >= self.epochs.0 && epochs.1 >= self.epochs.1,
            "{epochs:?} after {:?}",
            self.epochs
        );
        assert!(epochs.1 <= epochs.0);
        self.epochs = epochs;
        assert_eq!(self.world.replayed(), *group);
    }

    /// Everybody speaks, and does as told, until nothing moves; then nothing is missing.
    fn settle(&mut self) {
        for at in 0..self.clients.len() {
            if self.clients[at].epoch == 0 {
                // Dead ones are dropped with their session meanwhile.
                self.new_life(at);
            }
        }
        for _ in 0..20 {
            self.wait(5_000);
            for at in 0..self.clients.len() {
                if self.clients[at].epoch > 0 || self.clients[at].life.is_multiple_of(2) {
                    let assignment = self.clients[at].assignment.clone();
                    self.clients[at].owned.retain(|owned| assignment.contains(owned));
                    self.speak(at, false);
                    self.check();
                }
            }
        }
        let group = &self.world.group;
        assert!(group.unresolved.is_empty(), "{:?}", group.unresolved);
        let mut given = PartitionSet::new();
        let mut wanted = PartitionSet::new();
        for (id, metadata) in &group.members {
            let current = group.current(id);
            assert_eq!(
                (current.state, current.epoch),
                (MemberState::Stable, group.epoch()),
                "{id}: {current:?}"
            );
            assert_eq!(keys(&current.assigned), *group.target(id));
            given.extend(current.assigned.keys().copied());
            for topic in group.subscribed_topics(metadata, &self.world.topics) {
                let count = self.world.topics.partition_count(&topic);
                wanted.extend((0..count).map(|number| TopicIdPartition::new(topic, number)));
            }
        }
        assert_eq!(given, wanted);
        let expected = match group.members.is_empty() {
            true => ConsumerGroupState::Empty,
            false => ConsumerGroupState::Stable,
        };
        assert_eq!(group.state(), expected);
        for (at, client) in self.clients.iter().enumerate() {
            assert_eq!(client.owned, keys(&group.current(&self.id(at)).assigned));
        }
    }
}

/// What compaction may leave: of each key the last few records, in their order; of a removed key perhaps nothing.
fn compacted(log: &[(Bytes, Option<Bytes>)], keep: &[u8]) -> Vec<(Bytes, Option<Bytes>)> {
    let mut places: BTreeMap<&Bytes, Vec<usize>> = BTreeMap::new();
    for (at, (key, _)) in log.iter().enumerate() {
        places.entry(key).or_default().push(at);
    }
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    for (number, at) in places.values().enumerate() {
        let of_key = usize::from(keep[number % keep.len()]);
        let is_removed = at.last().is_some_and(|last| log[*last].1.is_none());
        let least = usize::from(!is_removed);
        let count = (of_key % (at.len() + 1)).max(least);
        kept.extend(&at[at.len() - count..]);
    }
    kept.into_iter().map(|at| log[at].clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_group_stays_sound_through_whatever_its_members_do(
        events in proptest::collection::vec(event(), 1..80),
        keep in proptest::collection::vec(any::<u8>(), 1..30),
    ) {
        let mut model = Model::new();
        for event in events {
            model.run(event);
        }
        model.settle();
        let log = &model.world.log;
        prop_assert_eq!(&replay(&compacted(log, &keep)), &model.world.group);
        prop_assert_eq!(&replay(&compacted(log, &[0])), &model.world.group, "only the last record of each key");
        // A compacted log that is replayed up to some point and then goes on.
        let tail = log.len() / 2;
        let mut half = compacted(&log[..tail], &keep);
        half.extend_from_slice(&log[tail..]);
        prop_assert_eq!(&replay(&half), &model.world.group);
    }
}
