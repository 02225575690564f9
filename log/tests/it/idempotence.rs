//! Idempotent producers through the `Broker` handle: a batch sent again is answered as before, a gap is refused, and power loss forgets nobody.

use std::time::Duration;

use millpond_log::broker::{Broker, ErrorCode, ErrorKind, ProducerIdentity};
use millpond_log::storage::disk_sim::CrashMode;
use millpond_log::types::Offset;

use crate::support::{Machine, batch, broker_at, create, partition, produce, simulate};

async fn identity(broker: &Broker) -> ProducerIdentity {
    broker
        .init_producer_id(None, Duration::from_secs(60), None)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_batch_sent_again_is_answered_with_its_first_offset() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "orders", 1).await;
    let orders = partition("orders", 0);
    let id = identity(&broker).await;
    for sequence in 0..5 {
        let ack = produce(&broker, None, &orders, batch(&["x"], Some((id, sequence)), false))
            .await
            .unwrap();
        assert_eq!(ack.base_offset, Offset::new(sequence.into()));
    }
    // Each of the last five, in any order.
    for sequence in [4, 0, 2] {
        let again = produce(&broker, None, &orders, batch(&["x"], Some((id, sequence)), false))
            .await
            .unwrap();
        assert_eq!(again.base_offset, Offset::new(sequence.into()));
    }
    let next = produce(&broker, None, &orders, batch(&["x"], Some((id, 5)), false))
        .await
        .unwrap();
    assert_eq!(next.base_offset, Offset::new(5), "nothing was written twice");
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_gap_is_refused_and_the_missing_batch_may_still_come() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "orders", 1).await;
    let orders = partition("orders", 0);
    let id = identity(&broker).await;
    produce(&broker, None, &orders, batch(&["a", "b"], Some((id, 0)), false))
        .await
        .unwrap();
    let gap = produce(&broker, None, &orders, batch(&["d"], Some((id, 3)), false))
        .await
        .unwrap_err();
    assert_eq!(
        (gap.code(), gap.kind()),
        (ErrorCode::OutOfOrderSequenceNumber, ErrorKind::Fatal)
    );
    let ack = produce(&broker, None, &orders, batch(&["c"], Some((id, 2)), false))
        .await
        .unwrap();
    assert_eq!(ack.base_offset, Offset::new(2));
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn producer_ids_are_unique_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let broker = broker_at(dir.path()).await;
        for _ in 0..5 {
            assert!(seen.insert(identity(&broker).await.producer_id));
        }
        broker.shutdown().await.unwrap();
    }
}

#[test]
fn duplicates_are_known_after_power_loss() {
    simulate(async {
        let mut machine = Machine::new(21);
        let broker = machine.start().await;
        create(&broker, "orders", 1).await;
        let orders = partition("orders", 0);
        let id = identity(&broker).await;
        for sequence in 0..3 {
            produce(&broker, None, &orders, batch(&["x"], Some((id, sequence)), false))
                .await
                .unwrap();
        }
        machine.disk.crash(CrashMode::LoseUnsynced);
        drop(broker);
        let broker = machine.start().await;
        let again = produce(&broker, None, &orders, batch(&["x"], Some((id, 2)), false))
            .await
            .unwrap();
        assert_eq!(again.base_offset, Offset::new(2));
        let next = produce(&broker, None, &orders, batch(&["x"], Some((id, 3)), false))
            .await
            .unwrap();
        assert_eq!(next.base_offset, Offset::new(3));
        assert!(identity(&broker).await.producer_id > id.producer_id);
    });
}
