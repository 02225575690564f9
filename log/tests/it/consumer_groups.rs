//! Consumer groups of the new protocol (KIP-848) over the typed calls: sharing, restart, silence, offsets, and the other kind of group beside them.

use std::collections::BTreeSet;
use std::time::Duration;

use millpond_log::broker::{
    AlterConfigs, Broker, BrokerError, Committer, ConfigChange, ConfigResource, ConsumerGroupHeartbeat,
    ConsumerGroupHeartbeatAnswer, ConsumerGroupState, ErrorCode, GroupOffsetCommit, GroupType, JoinGroup,
    OffsetAndMetadata, PartitionSet, TopicIdPartition,
};
use millpond_log::storage::disk_sim::CrashMode;
use millpond_log::types::{GroupId, MemberId, Offset};

use crate::support::{Machine, create, partition, simulate};

fn group() -> GroupId {
    GroupId::new("readers")
}

fn joining(member: &str, names: &[&str]) -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat {
        member_id: member.to_owned(),
        rebalance_timeout_ms: Some(60_000),
        subscribed_names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        owned: Some(PartitionSet::new()),
        client_id: "test".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        ..ConsumerGroupHeartbeat::default()
    }
}

/// A consumer that does as it is told.
struct Member {
    id: &'static str,
    epoch: i32,
    owned: PartitionSet,
}

impl Member {
    async fn join(broker: &Broker, id: &'static str, names: &[&str]) -> Self {
        let told = broker
            .consumer_group_heartbeat(group(), joining(id, names))
            .await
            .expect("joins");
        let mut member = Self {
            id,
            epoch: 0,
            owned: PartitionSet::new(),
        };
        member.obey(told);
        member
    }

    fn obey(&mut self, told: ConsumerGroupHeartbeatAnswer) {
        self.epoch = told.member_epoch;
        if let Some(assignment) = told.assignment {
            self.owned = assignment;
        }
    }

    async fn heartbeat(&mut self, broker: &Broker) -> Result<(), BrokerError> {
        let request = ConsumerGroupHeartbeat {
            member_id: self.id.to_owned(),
            member_epoch: self.epoch,
            owned: Some(self.owned.clone()),
            client_id: "test".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            ..ConsumerGroupHeartbeat::default()
        };
        let told = broker.consumer_group_heartbeat(group(), request).await?;
        self.obey(told);
        Ok(())
    }

    fn committer(&self) -> Committer {
        Committer {
            member_id: MemberId::new(self.id),
            generation_or_epoch: self.epoch,
            ..Committer::outsider()
        }
    }
}

/// Heartbeats of all until nothing moves.
async fn settle(broker: &Broker, members: &mut [&mut Member]) {
    for _ in 0..4 {
        for member in members.iter_mut() {
            member.heartbeat(broker).await.expect("lives");
        }
    }
}

async fn state(broker: &Broker) -> ConsumerGroupState {
    let described = broker.consumer_group_describe(vec![group()]).await.pop();
    described.expect("an answer").expect("a consumer group").state
}

fn numbers(owned: &PartitionSet) -> Vec<i32> {
    owned.iter().map(|owned| owned.partition.get()).collect()
}

fn commit(member: &Member, number: i32, offset: i64) -> GroupOffsetCommit {
    GroupOffsetCommit {
        group: group(),
        committer: member.committer(),
        retention_ms: None,
        offsets: vec![(
            partition("orders", number),
            OffsetAndMetadata::new(Offset::new(offset)),
        )],
    }
}

#[test]
fn members_share_a_topic_and_take_over_from_each_other() {
    simulate(async {
        let broker = Machine::new(1).start().await;
        create(&broker, "orders", 4).await;
        let mut a = Member::join(&broker, "a", &["orders"]).await;
        assert_eq!(numbers(&a.owned), [0, 1, 2, 3]);
        let mut b = Member::join(&broker, "b", &["orders"]).await;
        assert_eq!(numbers(&b.owned), [0; 0], "nothing before a gave it up");
        assert_eq!(state(&broker).await, ConsumerGroupState::Reconciling);
        settle(&broker, &mut [&mut a, &mut b]).await;
        assert_eq!((numbers(&a.owned), numbers(&b.owned)), (vec![0, 1], vec![2, 3]));
        assert_eq!(state(&broker).await, ConsumerGroupState::Stable);

        // b falls silent: its session is over after 45 s, a lives on.
        for _ in 0..10 {
            broker.clock().sleep(Duration::from_secs(5)).await;
            a.heartbeat(&broker).await.expect("lives");
        }
        assert_eq!(numbers(&a.owned), [0, 1, 2, 3]);
        let late = b.heartbeat(&broker).await.expect_err("dropped");
        assert_eq!(late.code(), ErrorCode::UnknownMemberId);
    });
}

#[test]
fn a_restart_changes_nothing_for_the_members() {
    simulate(async {
        let mut machine = Machine::new(2);
        let broker = machine.start().await;
        create(&broker, "orders", 4).await;
        let mut a = Member::join(&broker, "a", &["orders"]).await;
        let mut b = Member::join(&broker, "b", &["orders"]).await;
        settle(&broker, &mut [&mut a, &mut b]).await;
        let described = broker.consumer_group_describe(vec![group()]).await;
        // Without a goodbye: what was answered is durable.
        drop(broker);
        machine.disk.crash(CrashMode::LoseUnsynced);
        let broker = machine.start().await;
        let after = broker.consumer_group_describe(vec![group()]).await;
        assert_eq!(after[0].as_ref().unwrap(), described[0].as_ref().unwrap());
        let epochs = (a.epoch, b.epoch);
        settle(&broker, &mut [&mut a, &mut b]).await;
        assert_eq!((a.epoch, b.epoch), epochs, "nobody had to move");
        broker.clock().sleep(Duration::from_secs(46)).await;
        assert_eq!(
            state(&broker).await,
            ConsumerGroupState::Empty,
            "timers run after a restart"
        );
    });
}

#[test]
fn new_topics_and_partitions_reach_the_members() {
    simulate(async {
        let broker = Machine::new(3).start().await;
        create(&broker, "orders.eu", 1).await;
        let mut request = joining("a", &[]);
        request.subscribed_pattern = Some(r"orders\..*".to_owned());
        let told = broker
            .consumer_group_heartbeat(group(), request)
            .await
            .expect("joins");
        assert_eq!(told.assignment.expect("told").len(), 0, "looked up afterwards");
        let alive = |member_epoch| ConsumerGroupHeartbeat {
            member_id: "a".to_owned(),
            member_epoch,
            ..ConsumerGroupHeartbeat::default()
        };
        let told = broker
            .consumer_group_heartbeat(group(), alive(told.member_epoch))
            .await
            .expect("lives");
        assert_eq!(told.assignment.expect("told").len(), 1);
        create(&broker, "orders.us", 2).await;
        create(&broker, "payments", 2).await;
        broker.clock().sleep(Duration::from_secs(2)).await;
        let told = broker
            .consumer_group_heartbeat(group(), alive(told.member_epoch))
            .await
            .expect("lives");
        assert_eq!(told.assignment.expect("more").len(), 3);
        let wrong = ConsumerGroupHeartbeat {
            subscribed_pattern: Some("(".to_owned()),
            ..joining("b", &[])
        };
        let refused = broker
            .consumer_group_heartbeat(group(), wrong)
            .await
            .expect_err("no pattern");
        assert_eq!(refused.code(), ErrorCode::InvalidRegularExpression);
    });
}

#[test]
fn only_members_that_own_a_partition_commit_its_offsets() {
    simulate(async {
        let broker = Machine::new(4).start().await;
        create(&broker, "orders", 2).await;
        let mut a = Member::join(&broker, "a", &["orders"]).await;
        broker.offset_commit_by(commit(&a, 1, 5)).await.expect("owns it");
        let old = Member {
            owned: a.owned.clone(),
            ..a
        };
        let mut b = Member::join(&broker, "b", &["orders"]).await;
        settle(&broker, &mut [&mut a, &mut b]).await;
        assert_eq!(numbers(&a.owned), [0]);
        broker
            .offset_commit_by(commit(&old, 0, 7))
            .await
            .expect("has had it all along");
        let stale = broker
            .offset_commit_by(commit(&old, 1, 8))
            .await
            .expect_err("b owns it now");
        assert_eq!(stale.code(), ErrorCode::StaleMemberEpoch);
        let outsider = GroupOffsetCommit {
            committer: Committer::outsider(),
            ..commit(&a, 0, 1)
        };
        let refused = broker
            .offset_commit_by(outsider)
            .await
            .expect_err("group has members");
        assert_eq!(refused.code(), ErrorCode::UnknownMemberId);
        let fetched = broker.offset_fetch(&group(), None).await.expect("fetches");
        let offsets: BTreeSet<i64> = fetched.iter().map(|(_, offset)| offset.offset.get()).collect();
        assert_eq!(offsets, BTreeSet::from([5, 7]));
    });
}

#[test]
fn groups_of_both_kinds_are_listed_and_only_empty_ones_deleted() {
    simulate(async {
        let mut machine = Machine::new(5);
        let broker = machine.start().await;
        create(&broker, "orders", 2).await;
        let mut a = Member::join(&broker, "a", &["orders"]).await;
        broker.offset_commit_by(commit(&a, 1, 5)).await.expect("commits");
        let other = vec![(partition("orders", 0), OffsetAndMetadata::new(Offset::new(1)))];
        broker
            .offset_commit(&GroupId::new("outside"), other)
            .await
            .expect("commits");

        let consumers = broker.list_groups(&[], &[GroupType::Consumer]).await;
        let listed: Vec<_> = consumers.iter().map(|it| (it.group.as_str(), it.state)).collect();
        assert_eq!(listed, [("readers", "Stable")]);
        assert_eq!(broker.list_groups(&[], &[]).await.len(), 2);
        let wrong = broker
            .consumer_group_describe(vec![GroupId::new("outside"), GroupId::new("none")])
            .await;
        assert!(
            wrong
                .iter()
                .all(|it| it.as_ref().unwrap_err().code() == ErrorCode::GroupIdNotFound)
        );
        let classic = broker.describe_groups(vec![group()]).await;
        assert_eq!(
            classic[0].as_ref().unwrap_err().code(),
            ErrorCode::GroupIdNotFound
        );

        let subscribed = broker
            .offset_delete(&group(), vec![partition("orders", 1)])
            .await
            .expect("answers");
        assert_eq!(
            subscribed[0].as_ref().unwrap_err().code(),
            ErrorCode::GroupSubscribedToTopic
        );
        let deleted = broker.delete_groups(vec![group()]).await;
        assert_eq!(deleted[0].as_ref().unwrap_err().code(), ErrorCode::NonEmptyGroup);
        a.epoch = -1;
        a.heartbeat(&broker).await.expect("leaves");
        let deleted = broker.delete_groups(vec![group()]).await;
        assert!(deleted[0].is_ok());
        drop(broker);
        let broker = machine.start().await;
        let left: Vec<_> = broker.list_groups(&[], &[]).await;
        assert_eq!(
            left.iter().map(|it| it.group.as_str()).collect::<Vec<_>>(),
            ["outside"]
        );
        assert_eq!(broker.offset_fetch(&group(), None).await.expect("answers"), []);
    });
}

fn classic(member: &str) -> JoinGroup {
    JoinGroup {
        member_id: MemberId::new(member),
        instance_id: None,
        client_id: "test".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![millpond_log::broker::GroupProtocol {
            name: "range".to_owned(),
            metadata: bytes::Bytes::from_static(b"\x00\x00\x00\x00\x00\x01\x00\x06orders\xff\xff\xff\xff"),
        }],
        requires_known_member_id: false,
        supports_skipping_assignment: false,
    }
}

#[test]
fn an_empty_group_changes_its_kind_with_its_first_member() {
    simulate(async {
        let mut machine = Machine::new(6);
        let broker = machine.start().await;
        create(&broker, "orders", 2).await;
        let other = vec![(partition("orders", 0), OffsetAndMetadata::new(Offset::new(3)))];
        broker.offset_commit(&group(), other).await.expect("commits");
        let mut a = Member::join(&broker, "a", &["orders"]).await;
        assert_eq!(numbers(&a.owned), [0, 1]);
        a.epoch = -1;
        a.heartbeat(&broker).await.expect("leaves");
        let joined = broker.join_group(group(), classic("")).await.expect("joins");
        assert_eq!(joined.generation, 1);
        let kinds: Vec<_> = broker
            .list_groups(&[], &[])
            .await
            .iter()
            .map(|it| it.group_type)
            .collect();
        assert_eq!(kinds, [GroupType::Classic]);
        let fetched = broker.offset_fetch(&group(), None).await.expect("fetches");
        assert_eq!(fetched.len(), 1, "offsets stay");
        drop(broker);
        let broker = machine.start().await;
        let kinds: Vec<_> = broker
            .list_groups(&[], &[])
            .await
            .iter()
            .map(|it| it.group_type)
            .collect();
        assert_eq!(kinds, [GroupType::Classic]);
    });
}

#[test]
fn many_members_at_once_never_share_a_partition() {
    simulate(async {
        let broker = Machine::new(7).start().await;
        create(&broker, "orders", 16).await;
        let ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let joins = ids.map(|id| Member::join(&broker, id, &["orders"]));
        let mut members = futures::future::join_all(joins).await;
        for _ in 0..8 {
            let beats = members.iter_mut().map(|member| member.heartbeat(&broker));
            for beat in futures::future::join_all(beats).await {
                beat.expect("lives");
            }
            let mut seen: BTreeSet<TopicIdPartition> = BTreeSet::new();
            for member in &members {
                for owned in &member.owned {
                    assert!(seen.insert(*owned), "{owned:?} twice");
                }
            }
        }
        assert!(members.iter().all(|member| member.owned.len() == 2));
    });
}

#[test]
fn a_groups_own_settings_hold_for_its_members() {
    simulate(async {
        let broker = Machine::new(8).start().await;
        create(&broker, "orders", 1).await;
        let changes = vec![
            ConfigChange::set("consumer.session.timeout.ms", "60000"),
            ConfigChange::set("consumer.heartbeat.interval.ms", "7000"),
        ];
        let resource = ConfigResource::Group("readers".to_owned());
        let altered = broker
            .alter_configs(vec![AlterConfigs::new(resource, changes)])
            .await;
        assert!(altered[0].is_ok(), "{altered:?}");
        let told = broker
            .consumer_group_heartbeat(group(), joining("a", &["orders"]))
            .await
            .expect("joins");
        assert_eq!(told.heartbeat_interval_ms, 7_000);
        broker.clock().sleep(Duration::from_secs(59)).await;
        assert_eq!(state(&broker).await, ConsumerGroupState::Stable);
        broker.clock().sleep(Duration::from_secs(2)).await;
        assert_eq!(state(&broker).await, ConsumerGroupState::Empty);
    });
}

#[test]
fn a_change_that_cannot_be_written_is_taken_back() {
    simulate(async {
        const RESERVE: u64 = 256 << 10;
        let mut machine = Machine::new(9);
        machine.config.storage.reserved_disk_bytes = RESERVE;
        machine.config.storage.journal_bytes = 0;
        let broker = machine.start().await;
        create(&broker, "orders", 2).await;
        let mut a = Member::join(&broker, "a", &["orders"]).await;
        let described = broker.consumer_group_describe(vec![group()]).await;
        machine.disk.set_capacity(machine.disk.used_bytes() + RESERVE / 2);
        // Free space is asked for at most once a second while there seems to be plenty.
        tokio::time::advance(Duration::from_secs(2)).await;
        let refused = broker
            .consumer_group_heartbeat(group(), joining("b", &["orders"]))
            .await
            .expect_err("disk is full");
        assert!(refused.is_retriable(), "{refused:?}");
        let after = broker.consumer_group_describe(vec![group()]).await;
        assert_eq!(after[0].as_ref().unwrap(), described[0].as_ref().unwrap());
        a.heartbeat(&broker).await.expect("needs no write");
        machine.disk.set_capacity(u64::MAX);
        tokio::time::advance(Duration::from_secs(2)).await;
        let b = Member::join(&broker, "b", &["orders"]).await;
        assert_eq!(b.epoch, 2);
    });
}
