//! Transactions of clients that speak the protocol before KIP-890 (librdkafka, Java before 4), and what an administrator sees and does.

use std::time::Duration;

use millpond_log::broker::{
    Broker, BrokerError, Committer, ErrorCode, Isolation, OffsetAndMetadata, ProduceAck, ProducePartition,
    ProduceRequest, ProducerIdentity, TransactionFilter, TransactionalIdPattern, TxnOffsetCommit, TxnResult,
    WritableTxnMarker,
};
use millpond_log::clock::Clock;
use millpond_log::storage::AppendRequest;
use millpond_log::types::{
    GroupId, Offset, ProducerEpoch, ProducerId, TopicPartition, TransactionVersion, TransactionalId,
};

use crate::support::{
    Machine, batch, broker_at, committed_values, create, partition, produce, simulate, values,
};

const V0: TransactionVersion = TransactionVersion::V0;

fn job() -> TransactionalId {
    TransactionalId::new("job")
}

async fn init(broker: &Broker) -> ProducerIdentity {
    broker
        .init_producer_id(Some(job()), Duration::from_secs(60), None)
        .await
        .unwrap()
}

async fn add(broker: &Broker, id: ProducerIdentity, number: i32) {
    let added = broker
        .add_each_partition_to_txn(&job(), id, vec![partition("out", number)])
        .await;
    assert!(added.iter().all(Result::is_ok), "{added:?}");
}

async fn write(
    broker: &Broker,
    version: TransactionVersion,
    id: ProducerIdentity,
    number: i32,
    sequence: i32,
    value: &str,
) -> Result<ProduceAck, BrokerError> {
    let request = ProduceRequest {
        transactional_id: Some(job()),
        partitions: vec![ProducePartition {
            partition: partition("out", number),
            batches: batch(&[value], Some((id, sequence)), true).into(),
        }],
        transaction_version: version,
        ..ProduceRequest::default()
    };
    broker.produce(request).await.pop().unwrap()
}

async fn end(broker: &Broker, id: ProducerIdentity, result: TxnResult) -> ProducerIdentity {
    broker.end_txn_by(V0, &job(), id, result).await.unwrap()
}

fn is_settled(broker: &Broker, partition: &TopicPartition) -> bool {
    let offsets = broker.partition_log(partition).unwrap().offsets();
    offsets.last_stable_offset == offsets.log_end_offset
}

fn abort(id: ProducerIdentity, partitions: Vec<TopicPartition>) -> WritableTxnMarker {
    WritableTxnMarker {
        producer: id,
        result: TxnResult::Abort,
        coordinator_epoch: 0,
        partitions,
    }
}

#[tokio::test]
async fn an_older_client_works_through_transactions_under_one_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 2).await;
    create(&broker, "in", 1).await;
    let group = GroupId::new("copiers");
    let id = init(&broker).await;
    for (round, result) in [TxnResult::Commit, TxnResult::Abort, TxnResult::Commit]
        .into_iter()
        .enumerate()
    {
        let sequence = round as i32;
        for number in 0..2 {
            add(&broker, id, number).await;
            write(&broker, V0, id, number, sequence, &format!("{round}-{number}"))
                .await
                .unwrap();
        }
        broker
            .add_offsets_to_txn(&job(), id.producer_id, id.producer_epoch, &group)
            .await
            .unwrap();
        let commit = TxnOffsetCommit {
            transactional_id: job(),
            group: group.clone(),
            producer_id: id.producer_id,
            producer_epoch: id.producer_epoch,
            offsets: vec![(
                partition("in", 0),
                OffsetAndMetadata::new(Offset::new(i64::from(sequence) + 1)),
            )],
        };
        let committed = broker.txn_offset_commit_by(V0, Committer::transaction(), commit, false);
        assert_eq!(committed.await.unwrap().len(), 1);
        assert_eq!(end(&broker, id, result).await, id, "the epoch stays");
        assert_eq!(end(&broker, id, result).await, id, "a retry is answered the same");
    }
    assert_eq!(
        committed_values(&broker, "out").await,
        ["0-0", "2-0", "0-1", "2-1"]
    );
    assert_eq!(
        broker.offset_fetch(&group, None).await.unwrap(),
        [(partition("in", 0), OffsetAndMetadata::new(Offset::new(3)))]
    );
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_an_older_client_did_not_add_is_refused_and_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 2).await;
    let id = init(&broker).await;
    let early = write(&broker, V0, id, 0, 0, "early").await.unwrap_err();
    assert_eq!(early.code(), ErrorCode::TransactionAbortable);
    add(&broker, id, 0).await;
    let elsewhere = write(&broker, V0, id, 1, 0, "elsewhere").await.unwrap_err();
    assert_eq!(elsewhere.code(), ErrorCode::TransactionAbortable);
    let commit = TxnOffsetCommit {
        transactional_id: job(),
        group: GroupId::new("copiers"),
        producer_id: id.producer_id,
        producer_epoch: id.producer_epoch,
        offsets: vec![(partition("out", 0), OffsetAndMetadata::new(Offset::new(1)))],
    };
    let offsets = broker.txn_offset_commit_by(V0, Committer::transaction(), commit, false);
    let offsets = offsets.await.unwrap_err();
    assert_eq!(offsets.code(), ErrorCode::TransactionAbortable);
    write(&broker, V0, id, 0, 0, "in").await.unwrap();
    end(&broker, id, TxnResult::Abort).await;
    // B16: after the abort, under the same epoch; nothing else tells it from a batch of the next transaction.
    assert!(write(&broker, V0, id, 0, 1, "late").await.is_err());
    assert_eq!(values(&broker, "out", Isolation::ReadUncommitted).await, ["in"]);
    assert!(is_settled(&broker, &partition("out", 0)) && is_settled(&broker, &partition("out", 1)));

    let unknown = partition("nowhere", 0);
    let answers = broker
        .add_each_partition_to_txn(&job(), id, vec![partition("out", 0), unknown])
        .await;
    let codes: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap_err().code())
        .collect();
    assert_eq!(
        codes,
        [
            ErrorCode::OperationNotAttempted,
            ErrorCode::UnknownTopicOrPartition
        ]
    );
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn produces_that_race_with_the_end_leave_nothing_open() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 4).await;
    for round in 0..20 {
        let id = init(&broker).await;
        for number in 0..4 {
            add(&broker, id, number).await;
        }
        let writers = (0..4).map(|number| {
            let broker = broker.clone();
            tokio::spawn(async move {
                for sequence in 0..5 {
                    if write(&broker, V0, id, number, sequence, "x").await.is_err() {
                        break;
                    }
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        let result = if round % 2 == 0 {
            TxnResult::Commit
        } else {
            TxnResult::Abort
        };
        end(&broker, id, result).await;
        for writer in writers {
            writer.await.unwrap();
        }
        for number in 0..4 {
            assert!(
                is_settled(&broker, &partition("out", number)),
                "round {round}, partition {number}"
            );
        }
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_retried_request_for_a_new_epoch_is_answered_the_same_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    let first = init(&broker).await;
    let expected = Some((first.producer_id, first.producer_epoch));
    let recover = |broker: Broker| async move {
        broker
            .init_producer_id(Some(job()), Duration::from_secs(60), expected)
            .await
    };
    let second = recover(broker.clone()).await.unwrap();
    assert_eq!(second.producer_epoch, ProducerEpoch::new(1));
    broker.shutdown().await.unwrap();
    drop(broker);
    let broker = broker_at(dir.path()).await;
    assert_eq!(recover(broker.clone()).await.unwrap(), second);
    // Somebody else took over: the predecessor of the predecessor is fenced.
    init(&broker).await;
    let fenced = recover(broker.clone()).await.unwrap_err();
    assert_eq!(fenced.code(), ErrorCode::ProducerFenced);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_hanging_transaction_is_seen_and_ended_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 1).await;
    let out = partition("out", 0);
    // As a broker without verification would have let it happen: open at the partition, unknown to any coordinator.
    let stray = ProducerIdentity {
        producer_id: ProducerId::new(77),
        producer_epoch: ProducerEpoch::new(3),
    };
    let log = broker.partition_log(&out).unwrap();
    let strays = batch(&["a", "b"], Some((stray, 0)), true);
    log.append(AppendRequest::client(strays)).await.unwrap();
    assert!(!is_settled(&broker, &out));
    let described = broker.describe_producers(&out).await.unwrap();
    let [open] = described[..] else {
        panic!("one producer wrote: {described:?}")
    };
    assert_eq!(
        (open.producer_id, open.producer_epoch),
        (stray.producer_id, stray.producer_epoch)
    );
    assert_eq!((open.last_sequence.get(), open.coordinator_epoch), (1, -1));
    assert_eq!(open.txn_start_offset, Some(Offset::ZERO));
    let filter = TransactionFilter {
        producer_ids: [stray.producer_id].into(),
        ..TransactionFilter::default()
    };
    assert_eq!(broker.list_transactions_matching(filter).await.transactions, []);

    let nowhere = partition("nowhere", 0);
    let answers = broker
        .write_txn_marker(abort(stray, vec![nowhere, out.clone()]))
        .await;
    assert_eq!(
        answers[0].as_ref().unwrap_err().code(),
        ErrorCode::UnknownTopicOrPartition
    );
    assert!(answers[1].is_ok(), "{answers:?}");
    assert!(is_settled(&broker, &out));
    assert_eq!(committed_values(&broker, "out").await, Vec::<String>::new());
    let described = broker.describe_producers(&out).await.unwrap();
    assert_eq!(
        (described[0].txn_start_offset, described[0].coordinator_epoch),
        (None, 0)
    );
    let older = WritableTxnMarker {
        coordinator_epoch: -1,
        ..abort(stray, vec![out])
    };
    let refused = broker.write_txn_marker(older).await.pop().unwrap().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::TransactionCoordinatorFenced);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_marker_by_hand_never_tears_a_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 2).await;
    let id = init(&broker).await;
    for number in 0..2 {
        add(&broker, id, number).await;
        write(&broker, V0, id, number, 0, "x").await.unwrap();
    }
    let commit = WritableTxnMarker {
        result: TxnResult::Commit,
        ..abort(id, vec![partition("out", 0)])
    };
    let refused = broker.write_txn_marker(commit).await.pop().unwrap().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidTxnState);
    let aborted = broker
        .write_txn_marker(abort(id, vec![partition("out", 0)]))
        .await;
    assert!(aborted[0].is_ok(), "{aborted:?}");
    assert!(is_settled(&broker, &partition("out", 0)) && is_settled(&broker, &partition("out", 1)));
    let late = broker
        .end_txn_by(V0, &job(), id, TxnResult::Commit)
        .await
        .unwrap_err();
    assert_eq!(late.code(), ErrorCode::ProducerFenced);
    assert_eq!(committed_values(&broker, "out").await, Vec::<String>::new());
    let log = vec![partition("__transaction_state", 0)];
    let refused = broker.write_txn_marker(abort(id, log)).await.pop().unwrap();
    assert!(refused.is_err(), "a marker there would stop the next start");
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_marker_of_a_newer_epoch_does_not_keep_a_transaction_from_being_ended() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 2).await;
    let id = init(&broker).await;
    let newer = ProducerIdentity {
        producer_epoch: ProducerEpoch::new(100),
        ..id
    };
    let by_hand = broker
        .write_txn_marker(abort(newer, vec![partition("out", 0)]))
        .await;
    assert!(by_hand[0].is_ok(), "{by_hand:?}");
    for number in 0..2 {
        add(&broker, id, number).await;
    }
    let fenced = write(&broker, V0, id, 0, 0, "x").await.unwrap_err();
    assert_eq!(fenced.code(), ErrorCode::InvalidProducerEpoch);
    write(&broker, V0, id, 1, 0, "y").await.unwrap();
    end(&broker, id, TxnResult::Abort).await;
    let described = broker.describe_transaction(&job()).await.unwrap();
    assert_eq!(described.state, "CompleteAbort");
    assert!(is_settled(&broker, &partition("out", 0)) && is_settled(&broker, &partition("out", 1)));
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn transactions_are_listed_by_state_producer_pattern_and_duration() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_at(dir.path()).await;
    create(&broker, "out", 1).await;
    let id = init(&broker).await;
    add(&broker, id, 0).await;
    for other in ["job-2", "other"] {
        let other = Some(TransactionalId::new(other));
        broker
            .init_producer_id(other, Duration::from_secs(60), None)
            .await
            .unwrap();
    }
    let listed = |filter: TransactionFilter| {
        let broker = broker.clone();
        async move {
            let listing = broker.list_transactions_matching(filter).await;
            let ids = listing
                .transactions
                .iter()
                .map(|transaction| transaction.transactional_id.to_string());
            (ids.collect::<Vec<_>>(), listing.unknown_states)
        }
    };
    let all = TransactionFilter::default;
    let none: Vec<String> = Vec::new();
    assert_eq!(listed(all()).await.0, ["job", "job-2", "other"]);
    let states = ["Ongoing".to_owned(), "Sideways".to_owned()].into();
    assert_eq!(
        listed(TransactionFilter { states, ..all() }).await,
        (vec!["job".to_owned()], vec!["Sideways".to_owned()])
    );
    let states = ["Sideways".to_owned()].into();
    assert_eq!(listed(TransactionFilter { states, ..all() }).await.0, none);
    let producer_ids = [id.producer_id].into();
    assert_eq!(
        listed(TransactionFilter {
            producer_ids,
            ..all()
        })
        .await
        .0,
        ["job"]
    );
    let matching = |pattern| TransactionFilter {
        pattern: Some(TransactionalIdPattern::new(pattern).unwrap()),
        ..all()
    };
    assert_eq!(listed(matching("job.*")).await.0, ["job", "job-2"]);
    assert_eq!(listed(matching("ob")).await.0, none);
    for pattern in ["(", "a)|(b"] {
        let refused = TransactionalIdPattern::new(pattern).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidRegularExpression);
    }
    let hour = TransactionFilter {
        running_longer_than: Some(Duration::from_secs(3600)),
        ..all()
    };
    assert_eq!(listed(hour).await.0, none);
    broker.shutdown().await.unwrap();
}

#[test]
fn an_unused_transactional_id_is_forgotten_for_good_and_an_open_one_is_not() {
    simulate(async {
        let mut machine = Machine::new(51);
        machine.config.transaction_max_timeout_ms = i32::MAX;
        let broker = machine.start().await;
        create(&broker, "out", 1).await;
        let unused = TransactionalId::new("unused");
        broker
            .init_producer_id(Some(unused.clone()), Duration::from_secs(60), None)
            .await
            .unwrap();
        let open = broker
            .init_producer_id(Some(job()), Duration::from_secs(20 * 24 * 3600), None)
            .await
            .unwrap();
        let opened = batch(&["x"], Some((open, 0)), true);
        produce(&broker, Some(&job()), &partition("out", 0), opened)
            .await
            .unwrap();
        machine.clock.sleep(Duration::from_secs(6 * 24 * 3600)).await;
        assert!(broker.describe_transaction(&unused).await.is_ok());
        machine.clock.sleep(Duration::from_secs(27 * 3600)).await;
        for restarted in [false, true] {
            let broker = if restarted {
                broker.shutdown().await.unwrap();
                machine.start().await
            } else {
                broker.clone()
            };
            let forgotten = broker.describe_transaction(&unused).await.unwrap_err();
            assert_eq!(forgotten.code(), ErrorCode::TransactionalIdNotFound);
            assert_eq!(
                broker.describe_transaction(&job()).await.unwrap().state,
                "Ongoing"
            );
        }
    });
}
