//! Committed offsets through the `Broker` handle, in transactions and across restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millpond_log::broker::{ErrorCode, ErrorKind, OffsetAndMetadata, TxnOffsetCommit, TxnResult};
use millpond_log::client::{Consumer, ConsumerOptions, Producer, ProducerOptions, ProducerRecord};
use millpond_log::faults::Faults;
use millpond_log::storage::disk_sim::CrashMode;
use millpond_log::types::{GroupId, LeaderEpoch, Offset, TransactionalId};

use crate::support::{Machine, broker_at, create, partition, simulate, topic};

fn readers() -> GroupId {
    GroupId::new("readers")
}

fn at(offset: i64) -> OffsetAndMetadata {
    OffsetAndMetadata::new(Offset::new(offset))
}

#[tokio::test]
async fn committed_offsets_come_back_with_their_metadata_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "orders", 3).await;
    let full = OffsetAndMetadata {
        leader_epoch: Some(LeaderEpoch::new(2)),
        ..at(5).with_metadata("state")
    };
    let offsets = vec![
        (partition("orders", 0), full.clone()),
        (partition("orders", 2), at(7)),
    ];
    broker.offset_commit(&readers(), offsets.clone()).await.unwrap();
    broker
        .offset_commit(&readers(), vec![(partition("orders", 2), at(9))])
        .await
        .unwrap();
    broker.shutdown().await.unwrap();

    let broker = broker_at(dir.path()).await;
    let all = broker.offset_fetch(&readers(), None).await.unwrap();
    assert_eq!(
        all,
        [(partition("orders", 0), full), (partition("orders", 2), at(9))]
    );
    let asked = broker
        .offset_fetch(
            &readers(),
            Some(vec![partition("orders", 2), partition("orders", 1)]),
        )
        .await
        .unwrap();
    assert_eq!(asked, [(partition("orders", 2), at(9))]);
    assert_eq!(
        broker.offset_fetch(&GroupId::new("others"), None).await.unwrap(),
        []
    );
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn bad_commits_are_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "orders", 1).await;
    let orders = partition("orders", 0);
    let long = at(1).with_metadata("x".repeat(40_000));
    let refused = broker
        .offset_commit(&readers(), vec![(orders.clone(), at(1)), (orders.clone(), long)])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::OffsetMetadataTooLarge);
    let refused = broker
        .offset_commit(
            &readers(),
            vec![(orders.clone(), at(1)), (partition("nothing", 0), at(1))],
        )
        .await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::UnknownTopicOrPartition);
    let refused = broker
        .offset_commit(&GroupId::new(""), vec![(orders, at(1))])
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.kind()),
        (ErrorCode::InvalidGroupId, ErrorKind::Usage)
    );
    assert_eq!(broker.offset_fetch(&readers(), None).await.unwrap(), []);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn offsets_of_a_deleted_topic_do_not_haunt_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "orders", 1).await;
    create(&broker, "kept", 1).await;
    let offsets = vec![(partition("orders", 0), at(5)), (partition("kept", 0), at(6))];
    broker.offset_commit(&readers(), offsets).await.unwrap();
    broker
        .delete_topics(vec![topic("orders")])
        .await
        .remove(0)
        .unwrap();
    create(&broker, "orders", 1).await;
    assert_eq!(
        broker.offset_fetch(&readers(), None).await.unwrap(),
        [(partition("kept", 0), at(6))]
    );
    broker.shutdown().await.unwrap();
    let broker = broker_at(dir.path()).await;
    assert_eq!(
        broker.offset_fetch(&readers(), None).await.unwrap(),
        [(partition("kept", 0), at(6))]
    );
    broker.shutdown().await.unwrap();
}

#[test]
fn offsets_of_a_deleted_topic_are_forgotten_though_a_crash_came_before_it() {
    simulate(async {
        let mut machine = Machine::new(37);
        let armed = Arc::new(AtomicBool::new(false));
        let (crashes, disk) = (armed.clone(), machine.disk.clone());
        // The first acknowledgement of the deletion is that of the metadata log.
        machine.faults = Faults::none().on_point(Arc::new(move |name: &str| {
            if name == "K3" && crashes.swap(false, Ordering::SeqCst) {
                disk.crash(CrashMode::LoseUnsynced);
            }
        }));
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        create(&broker, "kept", 1).await;
        let offsets = vec![(partition("orders", 0), at(5)), (partition("kept", 0), at(6))];
        broker.offset_commit(&readers(), offsets).await.unwrap();
        armed.store(true, Ordering::SeqCst);
        let deleted = broker.delete_topics(vec![topic("orders")]).await.remove(0);
        assert!(deleted.is_err() && !armed.load(Ordering::SeqCst), "{deleted:?}");
        drop(broker);

        for _ in 0..2 {
            let broker = machine.start().await;
            assert_eq!(broker.partition_count(&topic("orders")), None);
            create(&broker, "orders", 1).await;
            assert_eq!(
                broker.offset_fetch(&readers(), None).await.unwrap(),
                [(partition("kept", 0), at(6))]
            );
            broker
                .delete_topics(vec![topic("orders")])
                .await
                .remove(0)
                .unwrap();
            broker.shutdown().await.unwrap();
        }
    });
}

#[test]
fn offsets_of_a_transaction_are_unstable_until_it_ends_even_across_power_loss() {
    simulate(async {
        let mut machine = Machine::new(31);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let orders = partition("orders", 0);
        broker
            .offset_commit(&readers(), vec![(orders.clone(), at(1))])
            .await
            .unwrap();
        let transactional_id = TransactionalId::new("job");
        let id = broker
            .init_producer_id(Some(transactional_id.clone()), Duration::from_secs(60), None)
            .await
            .unwrap();
        let commit = TxnOffsetCommit {
            transactional_id: transactional_id.clone(),
            group: readers(),
            producer_id: id.producer_id,
            producer_epoch: id.producer_epoch,
            offsets: vec![(orders.clone(), at(9))],
        };
        broker.txn_offset_commit(commit).await.unwrap();
        machine.disk.crash(CrashMode::LoseUnsynced);
        drop(broker);

        let broker = machine.start().await;
        let unstable = broker
            .offset_fetch(&readers(), Some(vec![orders.clone()]))
            .await
            .unwrap_err();
        assert_eq!(
            (unstable.code(), unstable.kind()),
            (ErrorCode::UnstableOffsetCommit, ErrorKind::Retriable)
        );
        broker
            .end_txn(
                &transactional_id,
                id.producer_id,
                id.producer_epoch,
                TxnResult::Commit,
            )
            .await
            .unwrap();
        assert_eq!(
            broker.offset_fetch(&readers(), None).await.unwrap(),
            [(orders.clone(), at(9))]
        );
        machine.disk.crash(CrashMode::LoseUnsynced);
        drop(broker);
        let broker = machine.start().await;
        assert_eq!(
            broker.offset_fetch(&readers(), None).await.unwrap(),
            [(orders, at(9))]
        );
    });
}

#[tokio::test]
async fn a_consumer_resumes_where_its_group_committed() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let orders = create(&broker, "orders", 1).await;
    let producer = Producer::new(&broker, ProducerOptions::default()).await.unwrap();
    for number in 0..10 {
        producer
            .send(ProducerRecord::new(&orders).value(format!("{number}")))
            .await
            .unwrap()
            .await
            .unwrap();
    }
    let mut first = Consumer::new(&broker, ConsumerOptions::group("readers"));
    first.assign_topic(&orders).await.unwrap();
    for _ in 0..4 {
        first.recv().await.unwrap();
    }
    first.commit().await.unwrap();
    let mut second = Consumer::new(&broker, ConsumerOptions::group("readers"));
    second.assign_topic(&orders).await.unwrap();
    assert_eq!(second.recv().await.unwrap().record.offset, Offset::new(4));
    broker.shutdown().await.unwrap();
}
