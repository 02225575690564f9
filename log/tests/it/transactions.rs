//! Transactions through the `Broker` handle as clients after KIP-890 make them: seen whole or never, fenced, timed out, kept over power loss.
//!
//! Clients before it are `old_protocol.rs`, hasty ones `transactions_by_turns.rs`; sockets are `wire_transactions.rs`.

use std::time::Duration;

use millpond_log::broker::{
    Broker, ErrorCode, ErrorKind, Isolation, OffsetAndMetadata, ProducerIdentity, TxnOffsetCommit, TxnResult,
};
use millpond_log::client::{Consumer, ConsumerOptions, Producer, ProducerOptions, ProducerRecord};
use millpond_log::clock::Clock;
use millpond_log::faults::{Faults, Sabotage};
use millpond_log::types::{GroupId, Offset, ProducerEpoch, TransactionalId};

use crate::support::{
    Machine, batch, broker_at, committed_values, create, fetch, partition, produce, simulate, values,
};

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

/// Writes one value to a partition in the open transaction.
async fn write(broker: &Broker, id: ProducerIdentity, number: i32, sequence: i32, value: &str) {
    let batch = batch(&[value], Some((id, sequence)), true);
    produce(broker, Some(&job()), &partition("out", number), batch)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_transaction_is_seen_whole_when_it_commits_and_never_when_it_aborts() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 3).await;
    let id = init(&broker).await;
    for number in 0..3 {
        write(&broker, id, number, 0, &format!("c{number}")).await;
    }
    assert_eq!(committed_values(&broker, "out").await, Vec::<String>::new());
    assert_eq!(
        values(&broker, "out", Isolation::ReadUncommitted).await,
        ["c0", "c1", "c2"]
    );
    let id = end(&broker, id, TxnResult::Commit).await;
    assert_eq!(committed_values(&broker, "out").await, ["c0", "c1", "c2"]);
    for number in 0..3 {
        write(&broker, id, number, 0, &format!("a{number}")).await;
    }
    end(&broker, id, TxnResult::Abort).await;
    assert_eq!(committed_values(&broker, "out").await, ["c0", "c1", "c2"]);
    let data = fetch(&broker, &partition("out", 0), 0, Isolation::ReadCommitted)
        .await
        .unwrap();
    assert_eq!(
        data.last_stable_offset, data.high_watermark,
        "no transaction hangs"
    );
    assert_eq!(data.aborted.len(), 1);
    assert_eq!(
        (data.aborted[0].producer_id, data.aborted[0].first_offset),
        (id.producer_id, Offset::new(2))
    );
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn reading_to_the_end_passes_markers_and_aborted_records_and_waits_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let topic = create(&broker, "out", 3).await;
    let mut consumer = Consumer::new(&broker, ConsumerOptions::default());
    assert!(
        consumer.read_to_end().await.unwrap().is_empty(),
        "nothing is assigned"
    );
    consumer.assign_topic(&topic).await.unwrap();
    assert!(
        consumer.read_to_end().await.unwrap().is_empty(),
        "nothing is there"
    );
    let id = init(&broker).await;
    for number in [2, 0] {
        write(&broker, id, number, 0, &format!("c{number}")).await;
    }
    let id = end(&broker, id, TxnResult::Commit).await;
    for number in 0..3 {
        write(&broker, id, number, 0, "aborted").await;
    }
    let id = end(&broker, id, TxnResult::Abort).await;
    write(&broker, id, 1, 0, "open").await;
    let found = consumer.read_to_end().await.unwrap();
    let values: Vec<_> = found
        .iter()
        .map(|found| found.record.value.clone().unwrap())
        .collect();
    assert_eq!(values, ["c0", "c2"], "partition by partition");
    assert!(consumer.read_to_end().await.unwrap().is_empty());
    end(&broker, id, TxnResult::Commit).await;
    assert_eq!(consumer.read_to_end().await.unwrap().len(), 1);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn ending_bumps_the_epoch_and_a_retry_is_answered_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 1).await;
    let first = init(&broker).await;
    write(&broker, first, 0, 0, "a").await;
    let second = end(&broker, first, TxnResult::Commit).await;
    assert_eq!(second.producer_id, first.producer_id);
    assert_eq!(
        second.producer_epoch,
        ProducerEpoch::new(first.producer_epoch.get() + 1)
    );
    assert_eq!(end(&broker, first, TxnResult::Commit).await, second);
    let other = broker
        .end_txn(&job(), first.producer_id, first.producer_epoch, TxnResult::Abort)
        .await
        .unwrap_err();
    assert_eq!(other.code(), ErrorCode::InvalidTxnState);
    // A late one of the first transaction must not end the second (KAFKA-17754).
    write(&broker, second, 0, 0, "b").await;
    let late = broker
        .end_txn(&job(), first.producer_id, first.producer_epoch, TxnResult::Commit)
        .await
        .unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Fenced);
    assert_eq!(committed_values(&broker, "out").await, ["a"]);
    end(&broker, second, TxnResult::Commit).await;
    assert_eq!(committed_values(&broker, "out").await, ["a", "b"]);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_late_batch_of_an_ended_transaction_is_fenced_at_the_partition_too() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 1).await;
    let id = init(&broker).await;
    write(&broker, id, 0, 0, "in").await;
    end(&broker, id, TxnResult::Abort).await;
    let late = produce(
        &broker,
        Some(&job()),
        &partition("out", 0),
        batch(&["late"], Some((id, 1)), true),
    )
    .await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Fenced);
    // Straight to the log, past the coordinator: what a batch does that was checked before the end and arrives after it.
    let log = broker.partition_log(&partition("out", 0)).unwrap();
    let request = millpond_log::storage::AppendRequest::client(batch(&["late"], Some((id, 1)), true));
    assert!(log.append(request).await.is_err());
    let offsets = log.offsets();
    assert_eq!(offsets.last_stable_offset, offsets.log_end_offset);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_newer_producer_fences_the_older_and_aborts_its_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let out = create(&broker, "out", 1).await;
    let mut old = Producer::new(&broker, ProducerOptions::transactional("job"))
        .await
        .unwrap();
    old.begin_transaction().unwrap();
    old.send(ProducerRecord::new(&out).value("old"))
        .await
        .unwrap()
        .await
        .unwrap();
    let mut new = Producer::new(&broker, ProducerOptions::transactional("job"))
        .await
        .unwrap();
    let fenced = old.commit_transaction().await.unwrap_err();
    assert_eq!(
        (fenced.kind(), fenced.outcome_unknown()),
        (ErrorKind::Fenced, false)
    );
    new.begin_transaction().unwrap();
    new.send(ProducerRecord::new(&out).value("new"))
        .await
        .unwrap()
        .await
        .unwrap();
    new.commit_transaction().await.unwrap();
    assert_eq!(committed_values(&broker, "out").await, ["new"]);
    broker.shutdown().await.unwrap();
}

#[test]
fn without_fencing_the_older_producer_is_not_stopped() {
    // The planted bug `SkipFencing`, to show that the test above can fail.
    simulate(async {
        let mut machine = Machine::new(41);
        machine.faults = Faults::with_sabotage([Sabotage::SkipFencing]);
        let broker = machine.start().await;
        create(&broker, "out", 1).await;
        let old = init(&broker).await;
        init(&broker).await;
        let zombie = produce(
            &broker,
            Some(&job()),
            &partition("out", 0),
            batch(&["zombie"], Some((old, 0)), true),
        )
        .await;
        let committed = broker
            .end_txn(&job(), old.producer_id, old.producer_epoch, TxnResult::Commit)
            .await;
        assert!(
            zombie.is_ok() || committed.is_ok(),
            "the bug is planted but nothing came of it"
        );
    });
}

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted_and_its_producer_told() {
    simulate(async {
        let mut machine = Machine::new(42);
        let broker = machine.start().await;
        create(&broker, "out", 1).await;
        let id = broker
            .init_producer_id(Some(job()), Duration::from_secs(10), None)
            .await
            .unwrap();
        write(&broker, id, 0, 0, "slow").await;
        machine.clock.jump_wall(-3_600_000);
        machine.clock.sleep(Duration::from_secs(9)).await;
        assert_eq!(
            broker.describe_transaction(&job()).await.unwrap().state,
            "Ongoing"
        );
        machine.clock.sleep(Duration::from_secs(3)).await;
        let described = broker.describe_transaction(&job()).await.unwrap();
        assert_eq!(
            (described.state, described.partitions.len()),
            ("CompleteAbort", 0)
        );
        let commit = broker
            .end_txn(&job(), id.producer_id, id.producer_epoch, TxnResult::Commit)
            .await
            .unwrap_err();
        assert!(!commit.outcome_unknown());
        let offsets = broker.partition_log(&partition("out", 0)).unwrap().offsets();
        assert_eq!(offsets.last_stable_offset, offsets.log_end_offset);
        assert_eq!(committed_values(&broker, "out").await, Vec::<String>::new());
    });
}

#[test]
fn an_open_transaction_survives_power_loss_and_can_be_ended() {
    simulate(async {
        for (seed, result) in [(43, TxnResult::Commit), (44, TxnResult::Abort)] {
            let mut machine = Machine::new(seed);
            let broker = machine.start().await;
            create(&broker, "out", 2).await;
            let id = init(&broker).await;
            write(&broker, id, 0, 0, "x").await;
            // Begun on the second partition, without data (B20).
            let second = vec![partition("out", 1)];
            broker
                .add_partitions_to_txn(&job(), id.producer_id, id.producer_epoch, second)
                .await
                .unwrap();
            machine
                .disk
                .crash(millpond_log::storage::disk_sim::CrashMode::LoseUnsynced);
            drop(broker);
            let broker = machine.start().await;
            assert_eq!(
                broker
                    .describe_transaction(&job())
                    .await
                    .unwrap()
                    .partitions
                    .len(),
                2
            );
            write(&broker, id, 0, 1, "y").await;
            end(&broker, id, result).await;
            let expected: &[&str] = if result == TxnResult::Commit {
                &["x", "y"]
            } else {
                &[]
            };
            assert_eq!(committed_values(&broker, "out").await, expected);
        }
    });
}

#[tokio::test]
async fn requests_out_of_order_are_refused_clearly() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 1).await;
    let id = init(&broker).await;
    let nothing = broker
        .end_txn(&job(), id.producer_id, id.producer_epoch, TxnResult::Commit)
        .await
        .unwrap_err();
    assert_eq!(
        (nothing.code(), nothing.kind()),
        (ErrorCode::InvalidTxnState, ErrorKind::Usage)
    );
    let unknown = TransactionalId::new("unknown");
    let unknown = broker
        .end_txn(&unknown, id.producer_id, id.producer_epoch, TxnResult::Commit)
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::InvalidProducerIdMapping);
    let anonymous = produce(
        &broker,
        None,
        &partition("out", 0),
        batch(&["x"], Some((id, 0)), true),
    )
    .await
    .unwrap_err();
    assert_eq!(anonymous.code(), ErrorCode::InvalidTxnState);
    let long = broker
        .init_producer_id(Some(job()), Duration::from_secs(10_000), None)
        .await
        .unwrap_err();
    assert_eq!(long.code(), ErrorCode::InvalidTransactionTimeout);
    let internal = produce(
        &broker,
        None,
        &partition("__transaction_state", 0),
        batch(&["x"], None, false),
    )
    .await;
    assert_eq!(internal.unwrap_err().code(), ErrorCode::InvalidTopicException);

    let mut plain = Producer::new(&broker, ProducerOptions::default()).await.unwrap();
    assert_eq!(
        plain.begin_transaction().unwrap_err().code(),
        ErrorCode::InvalidTxnState
    );
    let mut job = Producer::new(&broker, ProducerOptions::transactional("job"))
        .await
        .unwrap();
    let outside = job
        .send(ProducerRecord::new(&crate::support::topic("out")).value("x"))
        .await
        .unwrap_err();
    assert_eq!(outside.code(), ErrorCode::InvalidTxnState);
    job.begin_transaction().unwrap();
    job.commit_transaction()
        .await
        .expect("an empty transaction is a no-op");
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn records_and_offsets_move_together() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let input = create(&broker, "in", 1).await;
    let out = create(&broker, "out", 2).await;
    let feeder = Producer::new(&broker, ProducerOptions::default()).await.unwrap();
    for number in 0..40 {
        drop(
            feeder
                .send(ProducerRecord::new(&input).value(format!("{number}")))
                .await
                .unwrap(),
        );
    }
    feeder.flush().await.unwrap();
    let group = GroupId::new("copiers");
    // Each round aborts first, then does the same work again and commits.
    for _ in 0..4 {
        for commit in [false, true] {
            let mut consumer = Consumer::new(&broker, ConsumerOptions::group("copiers"));
            consumer.assign_topic(&input).await.unwrap();
            let mut producer = Producer::new(&broker, ProducerOptions::transactional("job"))
                .await
                .unwrap();
            producer.begin_transaction().unwrap();
            for _ in 0..10 {
                let record = consumer.recv().await.unwrap().record;
                let copy = ProducerRecord::new(&out)
                    .key(record.value.clone().unwrap())
                    .value(record.value.unwrap());
                drop(producer.send(copy).await.unwrap());
            }
            producer.send_offsets(&group, consumer.positions()).await.unwrap();
            if commit {
                producer.commit_transaction().await.unwrap();
            } else {
                producer.abort_transaction().await.unwrap();
            }
        }
    }
    let mut copied: Vec<i32> = committed_values(&broker, "out")
        .await
        .iter()
        .map(|value| value.parse().unwrap())
        .collect();
    copied.sort_unstable();
    assert_eq!(copied, (0..40).collect::<Vec<_>>());
    let committed = broker.offset_fetch(&group, None).await.unwrap();
    assert_eq!(
        committed,
        [(partition("in", 0), OffsetAndMetadata::new(Offset::new(40)))]
    );
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_fenced_producer_commits_no_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "in", 1).await;
    let old = init(&broker).await;
    init(&broker).await;
    let commit = TxnOffsetCommit {
        transactional_id: job(),
        group: GroupId::new("copiers"),
        producer_id: old.producer_id,
        producer_epoch: old.producer_epoch,
        offsets: vec![(partition("in", 0), OffsetAndMetadata::new(Offset::new(3)))],
    };
    assert_eq!(
        broker.txn_offset_commit(commit).await.unwrap_err().kind(),
        ErrorKind::Fenced
    );
    assert_eq!(
        broker.offset_fetch(&GroupId::new("copiers"), None).await.unwrap(),
        []
    );
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn many_transactional_ids_work_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let out = create(&broker, "out", 3).await;
    let work = (0..12).map(|worker| {
        let (broker, out) = (broker.clone(), out.clone());
        async move {
            let mut producer = Producer::new(&broker, ProducerOptions::transactional(format!("w{worker}")))
                .await
                .unwrap();
            for round in 0..10 {
                producer.begin_transaction().unwrap();
                for number in 0..3 {
                    let record = ProducerRecord::new(&out)
                        .partition(number)
                        .value(format!("{worker}/{round}"));
                    drop(producer.send(record).await.unwrap());
                }
                if (worker + round) % 3 == 0 {
                    producer.abort_transaction().await.unwrap();
                } else {
                    producer.commit_transaction().await.unwrap();
                }
            }
        }
    });
    futures::future::join_all(work).await;
    let expected = (0..12)
        .flat_map(|worker| (0..10).map(move |round| (worker, round)))
        .filter(|(w, r)| (w + r) % 3 != 0)
        .count();
    assert_eq!(committed_values(&broker, "out").await.len(), expected * 3);
    assert!(
        broker
            .list_transactions()
            .await
            .unwrap()
            .iter()
            .all(|txn| txn.partitions.is_empty())
    );
    broker.shutdown().await.unwrap();
}
