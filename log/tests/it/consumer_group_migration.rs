//! Groups that change their protocol while consumers go on: upgrade, both kinds of members in one group, downgrade.

use bytes::{BufMut, Bytes, BytesMut};
use millpond_log::broker::{
    Broker, ConsumerGroupHeartbeat, ErrorCode, GroupProtocol, GroupType, JoinGroup, JoinedGroup,
    LeavingMember, PartitionSet, SyncGroup,
};
use millpond_log::types::{GroupId, MemberId};

use crate::support::{Machine, create, simulate};

fn group() -> GroupId {
    GroupId::new("readers")
}

fn put_text(bytes: &mut BytesMut, text: &str) {
    bytes.put_i16(text.len() as i16);
    bytes.put_slice(text.as_bytes());
}

/// ConsumerProtocolSubscription v1 for topic `orders`.
fn subscription(owned: &[i32]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(1);
    bytes.put_i32(1);
    put_text(&mut bytes, "orders");
    bytes.put_i32(-1);
    put_partitions(&mut bytes, owned);
    bytes.freeze()
}

fn put_partitions(bytes: &mut BytesMut, numbers: &[i32]) {
    if numbers.is_empty() {
        bytes.put_i32(0);
        return;
    }
    bytes.put_i32(1);
    put_text(bytes, "orders");
    bytes.put_i32(numbers.len() as i32);
    for number in numbers {
        bytes.put_i32(*number);
    }
}

/// ConsumerProtocolAssignment v1.
fn assignment(numbers: &[i32]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(1);
    put_partitions(&mut bytes, numbers);
    bytes.put_i32(-1);
    bytes.freeze()
}

/// The numbers of an assignment of topic `orders`.
fn assigned(bytes: &Bytes) -> Vec<i32> {
    let number = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    match number(2) {
        0 => Vec::new(),
        _ => (0..number(14) as usize)
            .map(|index| number(18 + 4 * index))
            .collect(),
    }
}

async fn join(broker: &Broker, member: &str, owned: &[i32]) -> JoinedGroup {
    let request = JoinGroup {
        member_id: MemberId::new(member),
        instance_id: None,
        client_id: "classic".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 20_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![GroupProtocol {
            name: "cooperative-sticky".to_owned(),
            metadata: subscription(owned),
        }],
        requires_known_member_id: false,
        supports_skipping_assignment: true,
    };
    broker.join_group(group(), request).await.expect("joins")
}

async fn sync(
    broker: &Broker,
    joined: &JoinedGroup,
    assignments: Vec<(MemberId, Bytes)>,
) -> Result<Vec<i32>, ErrorCode> {
    let request = SyncGroup {
        member_id: joined.member_id.clone(),
        instance_id: None,
        generation: joined.generation,
        protocol_type: None,
        protocol: None,
        assignments,
    };
    let synced = broker.sync_group(group(), request).await;
    synced
        .map(|synced| assigned(&synced.assignment))
        .map_err(|error| error.code())
}

async fn heartbeat(broker: &Broker, joined: &JoinedGroup) -> Option<ErrorCode> {
    let lives = broker
        .heartbeat(&group(), &joined.member_id, None, joined.generation)
        .await;
    lives.err().map(|error| error.code())
}

fn new_member(epoch: i32, owned: &PartitionSet) -> ConsumerGroupHeartbeat {
    let mut request = ConsumerGroupHeartbeat {
        member_id: "new".to_owned(),
        member_epoch: epoch,
        owned: Some(owned.clone()),
        client_id: "new".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        ..ConsumerGroupHeartbeat::default()
    };
    if epoch == 0 {
        request.rebalance_timeout_ms = Some(60_000);
        request.subscribed_names = Some(std::iter::once("orders".to_owned()).collect());
    }
    request
}

async fn kind(broker: &Broker) -> GroupType {
    let listed = broker.list_groups(&[], &[]).await;
    assert_eq!(listed.len(), 1);
    listed[0].group_type
}

/// A classic group of two, with two partitions each.
async fn classic_pair(broker: &Broker) -> (JoinedGroup, JoinedGroup) {
    let (a, b) = futures::join!(join(broker, "", &[]), join(broker, "", &[]));
    let (leader, other) = if a.leader == a.member_id { (a, b) } else { (b, a) };
    let given = vec![
        (leader.member_id.clone(), assignment(&[0, 1])),
        (other.member_id.clone(), assignment(&[2, 3])),
    ];
    let (first, second) = futures::join!(sync(broker, &leader, given), sync(broker, &other, Vec::new()));
    assert_eq!((first, second), (Ok(vec![0, 1]), Ok(vec![2, 3])));
    (leader, other)
}

#[test]
fn a_classic_group_is_upgraded_and_downgraded_while_its_members_go_on() {
    simulate(async {
        let mut machine = Machine::new(1);
        let broker = machine.start().await;
        create(&broker, "orders", 4).await;
        let (a, b) = classic_pair(&broker).await;

        let told = broker
            .consumer_group_heartbeat(group(), new_member(0, &PartitionSet::new()))
            .await;
        let told = told.expect("joins");
        assert_eq!(kind(&broker).await, GroupType::Consumer);
        assert_eq!(told.member_epoch, a.generation + 1);
        assert!(
            told.assignment.expect("told").is_empty(),
            "all partitions are in use"
        );
        // Whatever kind of group it was, a restart finds the one it is.
        drop(broker);
        let broker = machine.start().await;
        assert_eq!(kind(&broker).await, GroupType::Consumer);

        assert_eq!(heartbeat(&broker, &a).await, Some(ErrorCode::RebalanceInProgress));
        let a = join(&broker, a.member_id.as_str(), &[0, 1]).await;
        let keeps_a = sync(&broker, &a, Vec::new()).await.expect("synced");
        let a = join(&broker, a.member_id.as_str(), &keeps_a).await;
        let b = join(&broker, b.member_id.as_str(), &[2, 3]).await;
        let keeps_b = sync(&broker, &b, Vec::new()).await.expect("synced");
        let b = join(&broker, b.member_id.as_str(), &keeps_b).await;
        assert_eq!(sync(&broker, &a, Vec::new()).await, Ok(keeps_a.clone()));
        assert_eq!(sync(&broker, &b, Vec::new()).await, Ok(keeps_b.clone()));
        assert_eq!(
            (heartbeat(&broker, &a).await, heartbeat(&broker, &b).await),
            (None, None)
        );
        let told = broker
            .consumer_group_heartbeat(group(), new_member(told.member_epoch, &PartitionSet::new()))
            .await;
        let told = told.expect("lives");
        let owned = told.assignment.expect("what others gave up");
        let mut all: Vec<i32> = owned.iter().map(|owned| owned.partition.get()).collect();
        all.extend(keeps_a.iter().chain(&keeps_b));
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
        let described = broker.consumer_group_describe(vec![group()]).await.pop();
        let described = described.expect("an answer").expect("a consumer group");
        assert_eq!(
            described
                .members
                .iter()
                .filter(|member| member.is_classic)
                .count(),
            2
        );

        // The last member of the new protocol leaves: the others go on by themselves.
        broker
            .consumer_group_heartbeat(group(), new_member(-1, &owned))
            .await
            .expect("leaves");
        assert_eq!(kind(&broker).await, GroupType::Classic);
        assert!(heartbeat(&broker, &a).await.is_some());
        let (a, b) = futures::join!(
            join(&broker, a.member_id.as_str(), &keeps_a),
            join(&broker, b.member_id.as_str(), &keeps_b)
        );
        assert!(a.generation > told.member_epoch && a.generation == b.generation);
        let (leader, other) = if a.leader == a.member_id { (a, b) } else { (b, a) };
        assert_eq!(leader.members.len(), 2);
        let given = vec![
            (leader.member_id.clone(), assignment(&[0, 1, 2, 3])),
            (other.member_id.clone(), assignment(&[])),
        ];
        let (first, second) =
            futures::join!(sync(&broker, &leader, given), sync(&broker, &other, Vec::new()));
        assert_eq!((first, second), (Ok(vec![0, 1, 2, 3]), Ok(Vec::new())));
        drop(broker);
        let broker = machine.start().await;
        assert_eq!(kind(&broker).await, GroupType::Classic);
        assert_eq!(heartbeat(&broker, &leader).await, None);
    });
}

#[test]
fn a_classic_member_joins_a_group_of_the_new_protocol_and_leaves_it() {
    simulate(async {
        let broker = Machine::new(2).start().await;
        create(&broker, "orders", 2).await;
        let told = broker
            .consumer_group_heartbeat(group(), new_member(0, &PartitionSet::new()))
            .await;
        let told = told.expect("joins");
        let old = join(&broker, "", &[]).await;
        assert_eq!(sync(&broker, &old, Vec::new()).await, Ok(Vec::new()));
        assert_eq!(
            heartbeat(&broker, &old).await,
            None,
            "what it shall own is not free"
        );
        let owned = told.assignment.expect("told");
        let told = broker
            .consumer_group_heartbeat(group(), new_member(told.member_epoch, &owned))
            .await
            .expect("lives");
        let keeps = told.assignment.expect("less");
        let told = broker
            .consumer_group_heartbeat(group(), new_member(told.member_epoch, &keeps))
            .await
            .expect("lives");
        assert_eq!(
            heartbeat(&broker, &old).await,
            Some(ErrorCode::RebalanceInProgress)
        );
        let old = join(&broker, old.member_id.as_str(), &[]).await;
        assert_eq!(sync(&broker, &old, Vec::new()).await.expect("synced").len(), 1);
        let leaving = vec![LeavingMember {
            member_id: old.member_id.clone(),
            instance_id: None,
        }];
        let left = broker.leave_group(&group(), leaving).await.expect("answers");
        assert!(left[0].is_ok());
        let told = broker
            .consumer_group_heartbeat(group(), new_member(told.member_epoch, &keeps))
            .await
            .expect("lives");
        assert_eq!(told.assignment.expect("all").len(), 2);
    });
}

#[test]
fn without_leave_to_migrate_groups_with_members_keep_their_kind() {
    simulate(async {
        let mut machine = Machine::new(3);
        machine
            .config
            .set("group.consumer.migration.policy", "disabled")
            .expect("a policy");
        let broker = machine.start().await;
        create(&broker, "orders", 4).await;
        let (a, _) = classic_pair(&broker).await;
        let refused = broker
            .consumer_group_heartbeat(group(), new_member(0, &PartitionSet::new()))
            .await;
        assert_eq!(refused.expect_err("refused").code(), ErrorCode::GroupIdNotFound);
        assert_eq!(kind(&broker).await, GroupType::Classic);
        assert_eq!(heartbeat(&broker, &a).await, None, "nobody was disturbed");
    });
}

#[test]
fn members_waiting_for_a_classic_rebalance_are_told_to_come_again_by_the_upgrade() {
    simulate(async {
        let broker = Machine::new(4).start().await;
        create(&broker, "orders", 4).await;
        let (a, _) = classic_pair(&broker).await;
        let waiting = {
            let (broker, request) = (broker.clone(), a.member_id.clone());
            tokio::spawn(async move {
                let again = JoinGroup {
                    member_id: request,
                    instance_id: None,
                    client_id: "classic".to_owned(),
                    client_host: "/127.0.0.1".to_owned(),
                    session_timeout_ms: 30_000,
                    rebalance_timeout_ms: 20_000,
                    protocol_type: "consumer".to_owned(),
                    protocols: vec![GroupProtocol {
                        name: "cooperative-sticky".to_owned(),
                        metadata: subscription(&[0]),
                    }],
                    requires_known_member_id: false,
                    supports_skipping_assignment: true,
                };
                broker
                    .join_group(group(), again)
                    .await
                    .map_err(|refused| refused.error.code())
            })
        };
        while broker
            .list_groups(&["PreparingRebalance".to_owned()], &[])
            .await
            .is_empty()
        {
            tokio::task::yield_now().await;
        }
        let told = broker
            .consumer_group_heartbeat(group(), new_member(0, &PartitionSet::new()))
            .await;
        told.expect("joins");
        let answer = waiting.await.expect("no panic");
        assert_eq!(
            answer.map(|joined| joined.generation),
            Err(ErrorCode::RebalanceInProgress)
        );
    });
}
