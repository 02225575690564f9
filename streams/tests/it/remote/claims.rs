//! Asking for a new epoch of one's own identity (KIP-360): what is open is aborted, a repetition is safe, and a newer instance is never hurt.

use std::time::Duration;

use millpond_log::broker::{OffsetAndMetadata, ProducerIdentity, TxnOffsetCommit, TxnResult};
use millpond_log::types::{GroupId, Offset, TopicPartition, TransactionalId};
use millpond_streams::runtime::{LogClient, LogError};

use super::log_io::{batch, create, produce, read_partition, repeated, settled};
use super::places::Place;
use crate::support::topic;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A transactional id of one test in one place, with a topic and a group of the same name.
struct Subject {
    id: TransactionalId,
    group: GroupId,
    at: TopicPartition,
}

impl Subject {
    async fn new(place: &Place, name: &str) -> Subject {
        let at = TopicPartition::new(topic(&place.named(name)), 0);
        create(&*place.log, at.topic.clone(), 1).await;
        Subject {
            id: TransactionalId::from(place.named(name)),
            group: GroupId::from(place.named(name)),
            at,
        }
    }

    async fn init(&self, log: &dyn LogClient) -> ProducerIdentity {
        repeated(|| log.init_producer_id(Some(self.id.clone()), TIMEOUT, None))
            .await
            .expect("an identity")
    }

    async fn claim(&self, log: &dyn LogClient, own: ProducerIdentity) -> Result<ProducerIdentity, LogError> {
        repeated(|| log.init_producer_id(Some(self.id.clone()), TIMEOUT, Some(own))).await
    }

    /// Opens a transaction with a record and an offset in it.
    async fn open(&self, log: &dyn LogClient, own: ProducerIdentity, value: &str, offset: i64) {
        produce(
            log,
            Some(&self.id),
            &self.at,
            batch(&[value], Some((own, 0)), true),
        )
        .await
        .expect("written");
        let commit = TxnOffsetCommit {
            transactional_id: self.id.clone(),
            group: self.group.clone(),
            producer_id: own.producer_id,
            producer_epoch: own.producer_epoch,
            offsets: vec![(self.at.clone(), OffsetAndMetadata::new(Offset::new(offset)))],
        };
        repeated(|| log.txn_offset_commit(commit.clone()))
            .await
            .expect("offsets in the transaction");
    }

    async fn commit(&self, log: &dyn LogClient, own: ProducerIdentity) -> Result<ProducerIdentity, LogError> {
        let commit = || log.end_txn(self.id.clone(), own, TxnResult::Commit);
        repeated(commit).await
    }

    /// The committed offset, once nothing is open.
    async fn committed(&self, log: &dyn LogClient) -> Option<i64> {
        let asked = || log.offset_fetch(self.group.clone(), vec![self.at.clone()]);
        let found = repeated(asked).await.expect("offsets");
        found.get(&self.at).map(|found| found.offset.get())
    }

    async fn values(&self, log: &dyn LogClient) -> Vec<String> {
        settled(log, &self.at).await;
        let read = read_partition(log, &self.at).await;
        read.into_iter().map(|read| read.value).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_aborts_what_is_open_and_goes_on_with_a_new_epoch() {
    for place in Place::all().await {
        let subject = Subject::new(&place, "open").await;
        let own = subject.init(&*place.log).await;
        subject.open(&*place.log, own, "aborted", 1).await;
        let next = subject.claim(&*place.log, own).await.expect(place.name);
        assert!(next > own, "{}: {own:?}, then {next:?}", place.name);
        assert_eq!(subject.committed(&*place.log).await, None, "{}", place.name);
        subject
            .commit(&*place.log, own)
            .await
            .expect_err("a late commit does nothing");
        subject.open(&*place.log, next, "kept", 2).await;
        subject.commit(&*place.log, next).await.expect(place.name);
        assert_eq!(subject.committed(&*place.log).await, Some(2), "{}", place.name);
        assert_eq!(subject.values(&*place.log).await, ["kept"], "{}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_with_nothing_open_works_and_so_does_its_repetition() {
    for place in Place::all().await {
        let subject = Subject::new(&place, "idle").await;
        let own = subject.init(&*place.log).await;
        let next = subject.claim(&*place.log, own).await.expect(place.name);
        assert!(next > own, "{}", place.name);
        // The first answer was lost.
        let again = subject.claim(&*place.log, own).await;
        match again {
            Ok(again) => assert_eq!(again, next, "{}", place.name),
            // The older protocol cannot tell; the caller knows that an answer was lost, and takes the id.
            Err(LogError::Fenced(_)) if place.name != "embedded" => {}
            Err(error) => panic!("{}: {error:?}", place.name),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_after_a_commit_whose_answer_was_lost_leaves_it_committed() {
    for place in Place::all().await {
        let subject = Subject::new(&place, "committed").await;
        let own = subject.init(&*place.log).await;
        subject.open(&*place.log, own, "kept", 3).await;
        let unheard = subject.commit(&*place.log, own).await.expect(place.name);
        let next = subject.claim(&*place.log, own).await.expect(place.name);
        assert!(
            next > own && next >= unheard,
            "{}: {unheard:?}, {next:?}",
            place.name
        );
        assert_eq!(subject.committed(&*place.log).await, Some(3), "{}", place.name);
        subject.open(&*place.log, next, "too", 4).await;
        subject.commit(&*place.log, next).await.expect(place.name);
        assert_eq!(
            subject.values(&*place.log).await,
            ["kept", "too"],
            "{}",
            place.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_by_an_older_instance_is_fenced_and_leaves_the_newer_ones_transaction_alone() {
    for place in Place::all().await {
        for (name, had_open) in [("newer-than-open", true), ("newer-than-idle", false)] {
            let subject = Subject::new(&place, name).await;
            let old = subject.init(&*place.log).await;
            if had_open {
                subject.open(&*place.log, old, "aborted", 1).await;
            }
            let other = place.stranger();
            let new = subject.init(&*other).await;
            subject.open(&*other, new, "kept", 2).await;
            let error = subject
                .claim(&*place.log, old)
                .await
                .expect_err("a newer one is there");
            assert!(
                matches!(error, LogError::Fenced(_)),
                "{}, {name}: {error:?}",
                place.name
            );
            subject.commit(&*other, new).await.expect(place.name);
            assert_eq!(
                subject.committed(&*other).await,
                Some(2),
                "{}, {name}",
                place.name
            );
            assert_eq!(subject.values(&*other).await, ["kept"], "{}, {name}", place.name);
            let error = subject
                .claim(&*place.log, old)
                .await
                .expect_err("a newer one was there");
            assert!(
                matches!(error, LogError::Fenced(_)),
                "{}, {name}: {error:?}",
                place.name
            );
        }
    }
}
