//! One contract, every log: what each request answers, and above all which error says what.

use std::time::Duration;

use millpond_log::broker::{
    Isolation, NewTopic, OffsetAndMetadata, OffsetSpec, ProducerIdentity, TxnOffsetCommit, TxnResult,
};
use millpond_log::types::{GroupId, Offset, ProducerEpoch, TopicPartition, TransactionalId};
use millpond_streams::runtime::LogError;

use super::log_io::{batch, create, fetch, offset_of, produce, produce_once, read_partition, repeated};
use super::places::Place;
use crate::support::topic;

const TIMEOUT: Duration = Duration::from_secs(60);

fn partition(place: &Place, name: &str) -> TopicPartition {
    TopicPartition::new(topic(&place.named(name)), 0)
}

async fn init(place: &Place, id: &TransactionalId) -> ProducerIdentity {
    repeated(|| place.log.init_producer_id(Some(id.clone()), TIMEOUT, None))
        .await
        .expect("an identity")
}

async fn end(
    place: &Place,
    id: &TransactionalId,
    own: ProducerIdentity,
    result: TxnResult,
) -> Result<ProducerIdentity, LogError> {
    let surely_not_done = || async {
        match place.log.end_txn(id.clone(), own, result).await {
            Err(LogError::Unknown(text)) => Err(LogError::Refused(text)),
            answer => answer,
        }
    };
    repeated(surely_not_done).await
}

fn values(read: &[super::log_io::Read]) -> Vec<&str> {
    read.iter().map(|read| read.value.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_sent_again_is_answered_as_the_first_time() {
    for place in Place::all().await {
        let at = partition(&place, "again");
        create(&*place.log, at.topic.clone(), 1).await;
        let own = repeated(|| place.log.init_producer_id(None, TIMEOUT, None))
            .await
            .expect("an identity");
        let batches = batch(&["a", "b"], Some((own, 0)), false);
        let first = produce(&*place.log, None, &at, batches.clone())
            .await
            .expect(place.name);
        produce(&*place.log, None, &at, batch(&["c"], Some((own, 2)), false))
            .await
            .expect(place.name);
        let again = produce(&*place.log, None, &at, batches).await.expect(place.name);
        assert_eq!(again.base_offset, first.base_offset, "{}", place.name);
        assert_eq!(values(&read_partition(&*place.log, &at).await), ["a", "b", "c"]);
        let hole = produce_once(&*place.log, None, &at, batch(&["x"], Some((own, 9)), false))
            .await
            .expect_err("a batch is missing");
        assert!(matches!(hole, LogError::Refused(_)), "{}: {hole:?}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_committed_data_see_whole_transactions_only() {
    for place in Place::all().await {
        let at = partition(&place, "transactions");
        create(&*place.log, at.topic.clone(), 1).await;
        let id = TransactionalId::from(place.named("writer"));
        let mut own = init(&place, &id).await;
        let mut sequence = 0;
        for (value, result) in [
            ("a", TxnResult::Commit),
            ("b", TxnResult::Abort),
            ("c", TxnResult::Commit),
        ] {
            let batches = batch(&[value], Some((own, sequence)), true);
            produce(&*place.log, Some(&id), &at, batches)
                .await
                .expect(place.name);
            let next = end(&place, &id, own, result).await.expect(place.name);
            sequence = if next == own { sequence + 1 } else { 0 };
            own = next;
        }
        let batches = batch(&["open"], Some((own, sequence)), true);
        let open = produce(&*place.log, Some(&id), &at, batches)
            .await
            .expect(place.name);
        // Markers may follow the answers by a moment.
        let stable = || async {
            let found = offset_of(&*place.log, &at, OffsetSpec::LastStable).await;
            match found == open.base_offset {
                true => Ok(()),
                false => Err(LogError::Retriable(format!(
                    "stable up to {found}, not to {}",
                    open.base_offset
                ))),
            }
        };
        repeated(stable).await.expect(place.name);
        assert_eq!(
            values(&read_partition(&*place.log, &at).await),
            ["a", "c"],
            "{}",
            place.name
        );
        assert!(offset_of(&*place.log, &at, OffsetSpec::Latest).await > open.base_offset);
        end(&place, &id, own, TxnResult::Abort).await.expect(place.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_epoch_is_fenced_everywhere() {
    for place in Place::all().await {
        let at = partition(&place, "fenced");
        create(&*place.log, at.topic.clone(), 1).await;
        let id = TransactionalId::from(place.named("fenced"));
        assert!(
            !place
                .log
                .knows_transactional_id(id.clone())
                .await
                .expect(place.name)
        );
        let old = init(&place, &id).await;
        produce(&*place.log, Some(&id), &at, batch(&["old"], Some((old, 0)), true))
            .await
            .expect(place.name);
        let new = init(&place, &id).await;
        assert!(
            place
                .log
                .knows_transactional_id(id.clone())
                .await
                .expect(place.name)
        );
        assert_ne!(old, new);
        let fenced = |what: &str, error: LogError| {
            assert!(
                matches!(error, LogError::Fenced(_)),
                "{}: {what}: {error:?}",
                place.name
            );
        };
        let late = produce(
            &*place.log,
            Some(&id),
            &at,
            batch(&["late"], Some((old, 1)), true),
        )
        .await;
        fenced("produce", late.expect_err("older"));
        let late = end(&place, &id, old, TxnResult::Commit).await;
        fenced("end", late.expect_err("older"));
        let commit = TxnOffsetCommit {
            transactional_id: id.clone(),
            group: GroupId::from(place.named("fenced")),
            producer_id: old.producer_id,
            producer_epoch: old.producer_epoch,
            offsets: vec![(at.clone(), OffsetAndMetadata::new(Offset::new(1)))],
        };
        let late = repeated(|| place.log.txn_offset_commit(commit.clone())).await;
        fenced("offsets", late.expect_err("older"));
        assert!(
            read_partition(&*place.log, &at).await.is_empty(),
            "{}",
            place.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_of_a_transaction_count_when_it_commits_and_wait_while_it_is_open() {
    for place in Place::all().await {
        let at = partition(&place, "offsets");
        create(&*place.log, at.topic.clone(), 1).await;
        let id = TransactionalId::from(place.named("offsets"));
        let group = GroupId::from(place.named("offsets"));
        let fetched = || place.log.offset_fetch(group.clone(), vec![at.clone()]);
        assert!(repeated(fetched).await.expect(place.name).is_empty());
        let mut own = init(&place, &id).await;
        for (offset, result, expected) in [(5, TxnResult::Commit, 5), (7, TxnResult::Abort, 5)] {
            let commit = TxnOffsetCommit {
                transactional_id: id.clone(),
                group: group.clone(),
                producer_id: own.producer_id,
                producer_epoch: own.producer_epoch,
                offsets: vec![(
                    at.clone(),
                    OffsetAndMetadata::new(Offset::new(offset)).with_metadata(format!("m{offset}")),
                )],
            };
            repeated(|| place.log.txn_offset_commit(commit.clone()))
                .await
                .expect(place.name);
            let open = fetched().await.expect_err("the transaction is open");
            assert!(matches!(open, LogError::Retriable(_)), "{}: {open:?}", place.name);
            own = end(&place, &id, own, result).await.expect(place.name);
            let found = repeated(fetched).await.expect(place.name);
            assert_eq!(found[&at].offset, Offset::new(expected), "{}", place.name);
            assert_eq!(found[&at].metadata, format!("m{expected}"));
        }
        let plain = vec![(at.clone(), OffsetAndMetadata::new(Offset::new(9)))];
        repeated(|| place.log.offset_commit(group.clone(), plain.clone()))
            .await
            .expect(place.name);
        assert_eq!(
            repeated(fetched).await.expect(place.name)[&at].offset,
            Offset::new(9)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_described_with_their_own_settings_and_made_once() {
    for place in Place::all().await {
        let name = topic(&place.named("settings"));
        let missing = topic(&place.named("missing"));
        let new = NewTopic::new(name.clone(), 3).config("cleanup.policy", "compact");
        place
            .log
            .create_topics(vec![new.clone()])
            .await
            .expect(place.name);
        let found = place
            .log
            .describe_topics(vec![missing.clone(), name.clone()])
            .await
            .expect(place.name);
        assert_eq!(found.len(), 1, "{}", place.name);
        assert_eq!((found[0].name.clone(), found[0].partitions), (name.clone(), 3));
        assert_eq!(found[0].configs["cleanup.policy"], "compact", "{}", place.name);
        let again = place.log.create_topics(vec![new]).await.expect_err("it exists");
        assert!(matches!(again, LogError::Refused(_)), "{}: {again:?}", place.name);
        let unknown = NewTopic::new(missing.clone(), 1).config("no.such.setting", "1");
        let unknown = place
            .log
            .create_topics(vec![unknown])
            .await
            .expect_err("no such setting");
        assert!(
            unknown.to_string().contains("no.such.setting"),
            "{}: {unknown}",
            place.name
        );
        let nowhere = TopicPartition::new(missing, 0);
        let asked = vec![(nowhere.clone(), OffsetSpec::Latest)];
        let error = place.log.list_offsets(asked).await.expect_err("no such topic");
        assert!(
            matches!(error, LogError::UnknownTopic(_)),
            "{}: {error:?}",
            place.name
        );
        let error = fetch(&*place.log, &nowhere, Offset::ZERO, Isolation::ReadCommitted)
            .await
            .expect_err("no such topic");
        assert!(
            matches!(error, LogError::UnknownTopic(_)),
            "{}: {error:?}",
            place.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_a_topic_does_not_take_are_told_apart() {
    for place in Place::all().await {
        let at = partition(&place, "strict");
        let strict = NewTopic::new(at.topic.clone(), 1)
            .config("cleanup.policy", "compact")
            .config("max.message.bytes", "200");
        place.log.create_topics(vec![strict]).await.expect(place.name);
        let large = "x".repeat(1000);
        let error = produce_once(&*place.log, None, &at, batch(&[&large], None, false))
            .await
            .expect_err("too large");
        assert!(
            matches!(error, LogError::TooLarge(_)),
            "{}: {error:?}",
            place.name
        );
        let mut keyless = millpond_log::record::BatchBuilder::new(Default::default());
        keyless.append(0, None, Some(b"v"), &[]).expect("it fits");
        let error = produce_once(&*place.log, None, &at, keyless.build())
            .await
            .expect_err("no key");
        assert!(
            matches!(error, LogError::Rejected(_)),
            "{}: {error:?}",
            place.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_records_are_out_of_range() {
    for place in Place::all().await {
        let at = partition(&place, "deleted");
        create(&*place.log, at.topic.clone(), 1).await;
        for value in ["a", "b", "c"] {
            produce(&*place.log, None, &at, batch(&[value], None, false))
                .await
                .expect(place.name);
        }
        let below = vec![(at.clone(), Offset::new(2))];
        for _ in 0..2 {
            repeated(|| place.log.delete_records(below.clone()))
                .await
                .expect(place.name);
        }
        assert_eq!(
            offset_of(&*place.log, &at, OffsetSpec::Earliest).await,
            Offset::new(2)
        );
        assert_eq!(values(&read_partition(&*place.log, &at).await), ["c"]);
        for outside in [1, 4] {
            let error = repeated(|| fetch(&*place.log, &at, Offset::new(outside), Isolation::ReadCommitted))
                .await
                .expect_err("outside");
            assert!(
                matches!(error, LogError::OffsetOutOfRange(_)),
                "{}: {error:?}",
                place.name
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_waits_for_data_and_no_longer() {
    for place in Place::all().await {
        let at = partition(&place, "waiting");
        create(&*place.log, at.topic.clone(), 1).await;
        let (log, asked) = (place.log.clone(), at.clone());
        let waiting = tokio::spawn(async move {
            loop {
                let data = repeated(|| fetch(&*log, &asked, Offset::ZERO, Isolation::ReadCommitted)).await;
                let data = data.expect("readable");
                if !data.batches.is_empty() {
                    return data;
                }
            }
        });
        produce(&*place.log, None, &at, batch(&["a"], None, false))
            .await
            .expect(place.name);
        let data = waiting.await.expect("it ends");
        assert_eq!(data.last_stable_offset, Offset::new(1), "{}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_was_never_given_out_is_refused_or_fenced() {
    for place in Place::all().await {
        let id = TransactionalId::from(place.named("future"));
        let own = init(&place, &id).await;
        let future = ProducerIdentity {
            producer_epoch: ProducerEpoch::new(own.producer_epoch.get() + 5),
            ..own
        };
        let error = end(&place, &id, future, TxnResult::Commit)
            .await
            .expect_err("never given out");
        assert!(
            matches!(error, LogError::Fenced(_) | LogError::Refused(_)),
            "{}: {error:?}",
            place.name
        );
    }
}
