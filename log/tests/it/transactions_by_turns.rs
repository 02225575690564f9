//! Transactions as hasty clients make them: ended before anything was written, and written to topics that are still being made.

use std::time::Duration;

use millpond_log::broker::{
    Broker, ErrorCode, ProducePartition, ProduceRequest, ProducerIdentity, TxnResult,
};
use millpond_log::types::TransactionalId;

use crate::support::{Machine, batch, broker_at, committed_values, create, partition, produce, simulate};

fn job() -> TransactionalId {
    TransactionalId::new("job")
}

async fn init(broker: &Broker) -> ProducerIdentity {
    broker
        .init_producer_id(Some(job()), Duration::from_secs(60), None)
        .await
        .unwrap()
}

async fn end(broker: &Broker, id: ProducerIdentity, result: TxnResult) -> ProducerIdentity {
    broker
        .end_txn(&job(), id.producer_id, id.producer_epoch, result)
        .await
        .unwrap()
}

/// What Java's producer does that sends, aborts before the batch is on its way, and goes on: the abort comes first, at epoch after epoch.
#[tokio::test]
async fn aborting_nothing_and_committing_by_turns_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 1).await;
    let mut id = init(&broker).await;
    let mut expected = Vec::new();
    for round in 0..5 {
        let next = end(&broker, id, TxnResult::Abort).await;
        assert_eq!(next.producer_epoch.get(), id.producer_epoch.get() + 1);
        assert_eq!(end(&broker, id, TxnResult::Abort).await, next, "asked again");
        let value = format!("c{round}");
        let written = batch(&[&value], Some((next, 0)), true);
        produce(&broker, Some(&job()), &partition("out", 0), written)
            .await
            .unwrap();
        expected.push(value);
        id = end(&broker, next, TxnResult::Commit).await;
        assert_eq!(id.producer_epoch.get(), next.producer_epoch.get() + 1);
    }
    assert_eq!(committed_values(&broker, "out").await, expected);
    broker.shutdown().await.unwrap();
}

/// The partition that appears while the request waits for the coordinator was not asked about: a batch written there would be open for ever.
#[test]
fn no_batch_is_written_outside_its_transaction_to_a_topic_that_is_just_being_made() {
    simulate(async {
        let broker = Machine::new(7).start().await;
        create(&broker, "out", 1).await;
        let mut id = init(&broker).await;
        let (mut refused, mut written) = (0, 0);
        for round in 0..80 {
            let late = format!("late{round}");
            let asked = [partition("out", 0), partition(&late, 0)].map(|partition| ProducePartition {
                partition,
                batches: batch(&["x"], Some((id, 0)), true).into(),
            });
            let request = ProduceRequest {
                transactional_id: Some(job()),
                partitions: asked.into(),
                ..ProduceRequest::default()
            };
            let producing = async {
                broker.clock().sleep(Duration::from_micros(round * 100)).await;
                broker.produce(request).await
            };
            let (answers, _) = futures::future::join(producing, create(&broker, &late, 1)).await;
            assert!(answers[0].is_ok(), "{answers:?}");
            match &answers[1] {
                Ok(_) => written += 1,
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::UnknownTopicOrPartition);
                    refused += 1;
                }
            }
            id = end(&broker, id, TxnResult::Commit).await;
            let offsets = broker.partition_log(&partition(&late, 0)).unwrap().offsets();
            assert_eq!(
                offsets.last_stable_offset, offsets.log_end_offset,
                "open for ever in {late}: {answers:?}"
            );
        }
        assert!(refused > 0 && written > 0, "{refused} refused, {written} written");
    });
}
