//! Classic groups through the `Broker` handle: membership, crashes, deletion. On a paused clock, so that timeouts cost nothing.

use std::time::Duration;

use bytes::Bytes;
use millpond_log::broker::{
    Broker, Committer, CoordinatorKind, ErrorCode, GroupOffsetCommit, GroupProtocol, JoinGroup, JoinRefused,
    JoinedGroup, LeavingMember, OffsetAndMetadata, SyncGroup, SyncedGroup,
};
use millpond_log::clock::Clock;
use millpond_log::storage::disk_sim::CrashMode;
use millpond_log::types::{GroupId, GroupInstanceId, MemberId, Offset};

use crate::support::{Machine, create, partition, simulate};

pub(crate) fn readers() -> GroupId {
    GroupId::new("readers")
}

/// A `ConsumerProtocolSubscription` of version 0.
fn subscription(topic: &str) -> Bytes {
    let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, topic.len() as u8];
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0]);
    bytes.into()
}

pub(crate) fn join(member: &str, instance: Option<&str>) -> JoinGroup {
    JoinGroup {
        member_id: MemberId::new(member),
        instance_id: instance.map(GroupInstanceId::new),
        client_id: "reader".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![GroupProtocol {
            name: "range".to_owned(),
            metadata: subscription("orders"),
        }],
        requires_known_member_id: true,
        supports_skipping_assignment: true,
    }
}

/// Joins, with the id it is given.
async fn joined(broker: &Broker, member: &str, instance: Option<&str>) -> Result<JoinedGroup, JoinRefused> {
    match broker.join_group(readers(), join(member, instance)).await {
        Err(refused) if refused.error.code() == ErrorCode::MemberIdRequired => {
            broker
                .join_group(readers(), join(refused.member_id.as_str(), instance))
                .await
        }
        answer => answer,
    }
}

pub(crate) fn sync(member: &MemberId, generation: i32, assignments: &[(&MemberId, &str)]) -> SyncGroup {
    let assignments = assignments.iter();
    SyncGroup {
        member_id: member.clone(),
        instance_id: None,
        generation,
        protocol_type: Some("consumer".to_owned()),
        protocol: Some("range".to_owned()),
        assignments: assignments
            .map(|(member, assigned)| ((*member).clone(), Bytes::copy_from_slice(assigned.as_bytes())))
            .collect(),
    }
}

/// One member alone in a stable group.
async fn alone(broker: &Broker, instance: Option<&str>) -> JoinedGroup {
    let me = joined(broker, "", instance).await.expect("joined");
    let request = sync(&me.member_id, me.generation, &[(&me.member_id, "all")]);
    let synced = broker.sync_group(readers(), request).await.expect("synced");
    assert_eq!(synced.assignment, "all");
    me
}

pub(crate) fn by(member: &JoinedGroup) -> Committer {
    Committer {
        member_id: member.member_id.clone(),
        generation_or_epoch: member.generation,
        ..Committer::outsider()
    }
}

pub(crate) async fn commit(broker: &Broker, committer: Committer, offset: i64) -> Result<(), ErrorCode> {
    let commit = GroupOffsetCommit {
        group: readers(),
        committer,
        retention_ms: None,
        offsets: vec![(
            partition("orders", 0),
            OffsetAndMetadata::new(Offset::new(offset)),
        )],
    };
    let answered = broker
        .offset_commit_by(commit)
        .await
        .map_err(|error| error.code())?;
    answered
        .into_iter()
        .try_for_each(|answer| answer.map_err(|error| error.code()))
}

pub(crate) async fn committed(broker: &Broker) -> Vec<i64> {
    let offsets = broker.offset_fetch(&readers(), None).await.expect("stable");
    offsets
        .into_iter()
        .map(|(_, offset)| offset.offset.get())
        .collect()
}

pub(crate) async fn state(broker: &Broker) -> &'static str {
    match broker.describe_groups(vec![readers()]).await.remove(0) {
        Ok(described) => described.state,
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::GroupIdNotFound);
            "gone"
        }
    }
}

pub(crate) fn leaving(member: &MemberId) -> Vec<LeavingMember> {
    vec![LeavingMember {
        member_id: member.clone(),
        instance_id: None,
    }]
}

#[test]
fn two_consumers_share_a_group_until_one_leaves() {
    simulate(async {
        let mut machine = Machine::new(51);
        let broker = machine.start().await;
        create(&broker, "orders", 2).await;
        assert_eq!(
            broker
                .find_coordinator(CoordinatorKind::Group, "readers")
                .await
                .unwrap(),
            broker.node_id()
        );
        let (first, second) = futures::join!(joined(&broker, "", None), joined(&broker, "", None));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!((first.generation, second.generation), (1, 1));
        assert_eq!(first.leader, second.leader);
        let (leader, follower) = if first.leader == first.member_id {
            (first, second)
        } else {
            (second, first)
        };
        assert_eq!((leader.members.len(), follower.members.len()), (2, 0));
        let assigned = [(&leader.member_id, "0"), (&follower.member_id, "1")];
        let (of_leader, of_follower): (Result<SyncedGroup, _>, Result<SyncedGroup, _>) = futures::join!(
            broker.sync_group(readers(), sync(&leader.member_id, 1, &assigned)),
            broker.sync_group(readers(), sync(&follower.member_id, 1, &[]))
        );
        assert_eq!(of_leader.unwrap().assignment, "0");
        assert_eq!(of_follower.unwrap().assignment, "1");
        assert_eq!(state(&broker).await, "Stable");
        let described = broker.describe_groups(vec![readers()]).await.remove(0).unwrap();
        assert_eq!(described.members.len(), 2);
        assert!(
            described
                .members
                .iter()
                .all(|member| member.metadata == subscription("orders"))
        );

        let left = broker
            .leave_group(&readers(), leaving(&follower.member_id))
            .await
            .unwrap();
        assert!(left[0].is_ok());
        let told = broker.heartbeat(&readers(), &leader.member_id, None, 1).await;
        assert_eq!(told.unwrap_err().code(), ErrorCode::RebalanceInProgress);
        let again = joined(&broker, leader.member_id.as_str(), None).await.unwrap();
        assert_eq!((again.generation, again.members.len()), (2, 1));
        broker.shutdown().await.unwrap();
    });
}

#[test]
fn a_static_member_restarts_without_a_rebalance_even_across_power_loss() {
    simulate(async {
        let mut machine = Machine::new(52);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let me = alone(&broker, Some("reader-1")).await;
        let again = joined(&broker, "", Some("reader-1")).await.unwrap();
        assert_eq!(again.generation, me.generation, "no rebalance");
        assert!(again.skip_assignment, "the leader keeps what it decided");
        assert_ne!(again.member_id, me.member_id);
        let fenced = broker
            .heartbeat(&readers(), &me.member_id, Some(&"reader-1".into()), me.generation)
            .await;
        assert_eq!(fenced.unwrap_err().code(), ErrorCode::FencedInstanceId);

        machine.disk.crash(CrashMode::LoseUnsynced);
        drop(broker);
        let broker = machine.start().await;
        let request = sync(&again.member_id, again.generation, &[]);
        let synced = broker.sync_group(readers(), request).await.unwrap();
        assert_eq!(synced.assignment, "all");
        broker.shutdown().await.unwrap();
    });
}

#[test]
fn power_loss_keeps_generation_and_offsets() {
    simulate(async {
        let mut machine = Machine::new(53);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let me = alone(&broker, None).await;
        commit(&broker, by(&me), 7).await.unwrap();

        machine.disk.crash(CrashMode::LoseUnsynced);
        drop(broker);
        let broker = machine.start().await;
        assert_eq!(state(&broker).await, "Stable");
        broker
            .heartbeat(&readers(), &me.member_id, None, me.generation)
            .await
            .unwrap();
        assert_eq!(committed(&broker).await, [7]);
        commit(&broker, by(&me), 8).await.unwrap();
        let older = Committer {
            generation_or_epoch: 0,
            ..by(&me)
        };
        assert_eq!(commit(&broker, older, 9).await, Err(ErrorCode::IllegalGeneration));
        assert_eq!(committed(&broker).await, [8]);
        broker.shutdown().await.unwrap();
    });
}

#[test]
fn a_silent_member_is_taken_out_whatever_the_wall_clock_does() {
    simulate(async {
        let mut machine = Machine::new(54);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let me = alone(&broker, None).await;
        // KAFKA-8803: people and NTP set the wall clock; sessions do not care.
        machine.clock.jump_wall(3_600_000);
        machine.clock.sleep(Duration::from_millis(9_900)).await;
        broker
            .heartbeat(&readers(), &me.member_id, None, me.generation)
            .await
            .unwrap();
        machine.clock.jump_wall(-7_200_000);
        machine.clock.sleep(Duration::from_millis(9_900)).await;
        assert_eq!(state(&broker).await, "Stable");
        machine.clock.sleep(Duration::from_millis(200)).await;
        assert_eq!(state(&broker).await, "Empty");
        let told = broker
            .heartbeat(&readers(), &me.member_id, None, me.generation)
            .await;
        assert_eq!(told.unwrap_err().code(), ErrorCode::UnknownMemberId);
        broker.shutdown().await.unwrap();
    });
}

#[test]
fn only_members_commit_while_a_group_is_in_use() {
    simulate(async {
        let mut machine = Machine::new(55);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        commit(&broker, Committer::outsider(), 1).await.unwrap();
        let me = alone(&broker, None).await;
        let outsider = commit(&broker, Committer::outsider(), 2).await;
        assert_eq!(outsider, Err(ErrorCode::UnknownMemberId));
        commit(&broker, by(&me), 3).await.unwrap();
        let nobody = Committer {
            member_id: MemberId::new("nobody"),
            ..by(&me)
        };
        assert_eq!(commit(&broker, nobody, 4).await, Err(ErrorCode::UnknownMemberId));
        broker
            .leave_group(&readers(), leaving(&me.member_id))
            .await
            .unwrap();
        commit(&broker, Committer::outsider(), 5).await.unwrap();
        assert_eq!(committed(&broker).await, [5]);
        broker.shutdown().await.unwrap();
    });
}

#[test]
fn a_group_can_be_deleted_once_its_members_are_gone() {
    simulate(async {
        let mut machine = Machine::new(56);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        create(&broker, "bills", 1).await;
        let me = alone(&broker, None).await;
        commit(&broker, by(&me), 7).await.unwrap();
        let codes = |answers: Vec<Result<(), millpond_log::broker::BrokerError>>| -> Vec<Option<ErrorCode>> {
            answers
                .into_iter()
                .map(|answer| answer.err().map(|error| error.code()))
                .collect()
        };
        let refused = broker.delete_groups(vec![readers(), "others".into()]).await;
        assert_eq!(
            codes(refused),
            [Some(ErrorCode::NonEmptyGroup), Some(ErrorCode::GroupIdNotFound)]
        );
        let asked = vec![
            partition("orders", 0),
            partition("bills", 0),
            partition("unheard", 0),
        ];
        let deleted = broker.offset_delete(&readers(), asked).await.unwrap();
        assert_eq!(
            codes(deleted),
            [
                Some(ErrorCode::GroupSubscribedToTopic),
                None,
                Some(ErrorCode::UnknownTopicOrPartition)
            ]
        );
        broker
            .leave_group(&readers(), leaving(&me.member_id))
            .await
            .unwrap();
        let deleted = broker.delete_groups(vec![readers()]).await;
        assert_eq!(codes(deleted), [None]);
        assert_eq!(state(&broker).await, "gone");
        assert_eq!(committed(&broker).await, [0i64; 0]);

        machine.disk.crash(CrashMode::LoseUnsynced);
        drop(broker);
        let broker = machine.start().await;
        assert_eq!(state(&broker).await, "gone");
        assert_eq!(committed(&broker).await, [0i64; 0]);
        broker.shutdown().await.unwrap();
    });
}

#[test]
fn a_join_that_waits_is_answered_when_the_broker_stops() {
    simulate(async {
        let mut machine = Machine::new(59);
        let broker = machine.start().await;
        let (waiting, stopped) = futures::join!(joined(&broker, "", Some("reader-1")), async {
            machine.clock.sleep(Duration::from_millis(100)).await;
            broker.shutdown().await
        });
        stopped.unwrap();
        assert_eq!(
            waiting.unwrap_err().error.code(),
            ErrorCode::CoordinatorNotAvailable
        );
    });
}

#[test]
fn groups_are_listed_by_state_and_kind() {
    simulate(async {
        let mut machine = Machine::new(60);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        alone(&broker, None).await;
        let offsets = vec![(partition("orders", 0), OffsetAndMetadata::new(Offset::new(1)))];
        broker.offset_commit(&"archive".into(), offsets).await.unwrap();
        let names = |states: Vec<String>| {
            let broker = broker.clone();
            async move {
                let listed = broker.list_groups(&states, &[]).await;
                let names = listed.into_iter().map(|group| {
                    (
                        group.group.as_str().to_owned(),
                        group.state,
                        group.protocol_type,
                        group.group_type.name(),
                    )
                });
                names.collect::<Vec<_>>()
            }
        };
        let archive = ("archive".to_owned(), "Empty", String::new(), "classic");
        let readers = ("readers".to_owned(), "Stable", "consumer".to_owned(), "classic");
        assert_eq!(names(vec![]).await, [archive.clone(), readers.clone()]);
        assert_eq!(names(vec!["stable".to_owned()]).await, [readers]);
        assert_eq!(names(vec!["EMPTY".to_owned()]).await, [archive]);
        broker.shutdown().await.unwrap();
    });
}
