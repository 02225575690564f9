//! A full disk: what is refused, what goes on, and that nothing is lost.

use std::time::Duration;

use millpond_log::broker::{Broker, ErrorCode, ErrorKind, Isolation, NewTopic, OffsetAndMetadata, TxnResult};
use millpond_log::types::{GroupId, Offset, TransactionalId};

use crate::support::{Machine, batch, committed_values, create, partition, produce, simulate, topic, values};

const RESERVE: u64 = 256 << 10;

async fn leave_free(machine: &Machine, bytes: u64) {
    machine.disk.set_capacity(machine.disk.used_bytes() + bytes);
    // Free space is asked for at most once a second while there seems to be plenty.
    tokio::time::advance(Duration::from_secs(2)).await;
}

async fn open_txn(broker: &Broker, name: &str) -> impl AsyncFnOnce(TxnResult) {
    let id = TransactionalId::new(name);
    let producer = broker
        .init_producer_id(Some(id.clone()), Duration::from_secs(600), None)
        .await
        .unwrap();
    let data = batch(&[name], Some((producer, 0)), true);
    produce(broker, Some(&id), &partition("kept", 0), data)
        .await
        .unwrap();
    let broker = broker.clone();
    async move |result| {
        broker
            .end_txn(&id, producer.producer_id, producer.producer_epoch, result)
            .await
            .expect("ends although the disk is full");
    }
}

#[test]
fn a_full_disk_refuses_records_and_lets_topics_be_deleted_and_transactions_end() {
    simulate(async {
        let mut machine = Machine::new(61);
        machine.config.storage.reserved_disk_bytes = RESERVE;
        machine.config.storage.journal_bytes = 0;
        let broker = machine.start().await;
        create(&broker, "kept", 1).await;
        create(&broker, "old", 1).await;
        create(&broker, "__millpond_catalog", 1).await;
        let readers = GroupId::new("readers");
        let offset = || vec![(partition("kept", 0), OffsetAndMetadata::new(Offset::new(1)))];
        broker.offset_commit(&readers, offset()).await.unwrap();
        let commit = open_txn(&broker, "committed").await;
        let abort = open_txn(&broker, "aborted").await;
        let big = "x".repeat(50_000);
        leave_free(&machine, RESERVE + 500_000).await;
        let mut written = 0;
        let refused = loop {
            match produce(&broker, None, &partition("old", 0), batch(&[&big], None, false)).await {
                Ok(_) => written += 1,
                Err(error) => break error,
            }
            assert!(written < 100, "never refused");
        };
        assert_eq!(refused.code(), ErrorCode::KafkaStorageError);
        assert_eq!(refused.kind(), ErrorKind::Retriable);
        assert!(refused.to_string().contains("below the reserve"), "{refused}");

        // In the lower half of the reserve nothing is written any more, and nothing breaks.
        leave_free(&machine, RESERVE / 2).await;
        let refused = broker.offset_commit(&readers, offset()).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::KafkaStorageError);

        leave_free(&machine, RESERVE * 3 / 4).await;
        let small = || batch(&["v"], None, false);
        let refused = produce(&broker, None, &partition("kept", 0), small()).await;
        assert_eq!(refused.unwrap_err().code(), ErrorCode::KafkaStorageError);
        let refused = broker.create_topics(vec![NewTopic::new(topic("new"), 1)]).await;
        assert_eq!(
            refused[0].as_ref().unwrap_err().code(),
            ErrorCode::KafkaStorageError
        );
        assert_eq!(broker.partition_count(&topic("new")), None, "decided by halves");
        produce(&broker, None, &partition("__millpond_catalog", 0), small())
            .await
            .expect("what is dropped is first taken off the catalogue");
        commit(TxnResult::Commit).await;
        abort(TxnResult::Abort).await;
        assert_eq!(committed_values(&broker, "kept").await, ["committed"]);
        assert_eq!(
            values(&broker, "old", Isolation::ReadUncommitted).await.len(),
            written
        );
        let deleted = broker.delete_topics(vec![topic("old")]).await;
        deleted[0].as_ref().expect("deleted although the disk is full");

        produce(&broker, None, &partition("kept", 0), small())
            .await
            .expect("there is room again");
        create(&broker, "new", 1).await;
        assert_eq!(committed_values(&broker, "kept").await, ["committed", "v"]);
        broker.shutdown().await.unwrap();
    });
}
