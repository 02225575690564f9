//! Scripts of the older protocol, and of retries by either: state, event, expected commands.

use std::collections::BTreeSet;

use crate::broker::{ProducerIdentity, TxnResult};
use crate::types::{PartitionId, ProducerEpoch, ProducerId, TopicName, TopicPartition, TransactionVersion};

use super::transition::handle;
use super::{
    MarkerPlan, TxnCommand, TxnError, TxnEvent, TxnMetadata, TxnReply, TxnRules, TxnState, decode_value,
    encode_value, missing,
};

const PID: ProducerId = ProducerId::new(7);
const FRESH: ProducerId = ProducerId::new(1000);

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new("orders").unwrap(), PartitionId::new(number))
}

fn identity(epoch: i16) -> ProducerIdentity {
    ProducerIdentity {
        producer_id: PID,
        producer_epoch: ProducerEpoch::new(epoch),
    }
}

fn init(expected: Option<i16>) -> TxnEvent {
    TxnEvent::Init {
        timeout_ms: 60_000,
        expected: expected.map(|epoch| (PID, ProducerEpoch::new(epoch))),
    }
}

fn add(epoch: i16) -> TxnEvent {
    TxnEvent::AddPartitions {
        producer_id: PID,
        producer_epoch: ProducerEpoch::new(epoch),
        partitions: BTreeSet::from([partition(0)]),
        version: TransactionVersion::V0,
    }
}

fn end(epoch: i16, result: TxnResult, version: TransactionVersion) -> TxnEvent {
    TxnEvent::End {
        producer_id: PID,
        producer_epoch: ProducerEpoch::new(epoch),
        result,
        version,
    }
}

fn commit_v0(epoch: i16) -> TxnEvent {
    end(epoch, TxnResult::Commit, TransactionVersion::V0)
}

/// A transactional id without I/O: what it logs it takes on, markers are always written.
struct Id {
    state: Option<TxnMetadata>,
    markers: Vec<MarkerPlan>,
}

impl Id {
    /// One whose producer has this epoch.
    fn at(epoch: i16) -> Self {
        let mut id = Self {
            state: None,
            markers: Vec::new(),
        };
        id.run(&init(None)).unwrap();
        let state = id.state.as_mut().unwrap();
        (state.producer_id, state.producer_epoch) = (PID, ProducerEpoch::new(epoch));
        id
    }

    fn run(&mut self, event: &TxnEvent) -> Result<TxnReply, TxnError> {
        let mut fresh = None;
        loop {
            let mut again = false;
            for command in handle(self.state.as_ref(), event, fresh, 200, TxnRules::default())? {
                match command {
                    TxnCommand::Log(next) => self.state = decode_value(&encode_value(&next)).ok(),
                    TxnCommand::Forget => self.state = None,
                    TxnCommand::WriteMarkers(plan) => {
                        self.markers.push(plan);
                        self.run(&TxnEvent::MarkersWritten)?;
                    }
                    TxnCommand::AllocateProducerId => {
                        fresh = Some(FRESH);
                        again = true;
                    }
                    TxnCommand::HandleAgain => again = true,
                    TxnCommand::Answer(reply) => return Ok(reply),
                }
            }
            if !again {
                return Ok(TxnReply::Done);
            }
        }
    }

    fn state(&self) -> (TxnState, i16) {
        let state = self.state.as_ref().unwrap();
        (state.state, state.producer_epoch.get())
    }
}

#[test]
fn an_older_client_keeps_its_epoch_over_transactions() {
    let mut id = Id::at(3);
    for result in [TxnResult::Commit, TxnResult::Abort] {
        id.run(&add(3)).unwrap();
        let answer = id.run(&end(3, result, TransactionVersion::V0));
        assert_eq!(answer, Ok(TxnReply::Identity(identity(3))));
        assert_eq!(id.state(), (TxnState::complete(result), 3));
        assert_eq!(id.markers.last().unwrap().producer_epoch, ProducerEpoch::new(3));
    }
}

#[test]
fn a_retried_end_of_an_older_client_is_answered_and_the_other_outcome_refused() {
    let mut id = Id::at(3);
    id.run(&add(3)).unwrap();
    id.run(&commit_v0(3)).unwrap();
    assert!(id.run(&commit_v0(3)).is_ok());
    assert_eq!(id.markers.len(), 1, "a retry decides nothing");
    assert!(matches!(
        id.run(&end(3, TxnResult::Abort, TransactionVersion::V0)),
        Err(TxnError::InvalidState { .. })
    ));
}

#[test]
fn an_older_client_may_not_end_what_it_did_not_begin() {
    for result in [TxnResult::Commit, TxnResult::Abort] {
        let refused = Id::at(3).run(&end(3, result, TransactionVersion::V0));
        assert!(matches!(refused, Err(TxnError::InvalidState { .. })));
    }
}

#[test]
fn a_late_end_of_an_older_client_ends_the_next_transaction_and_one_of_tv2_never_does() {
    // KAFKA-17754: the hole that the older protocol leaves open, written down so that nobody takes it for closed.
    let mut id = Id::at(3);
    id.run(&add(3)).unwrap();
    id.run(&commit_v0(3)).unwrap();
    id.run(&add(3)).unwrap();
    assert!(id.run(&commit_v0(3)).is_ok());
    assert_eq!(id.markers.len(), 2);

    let mut id = Id::at(3);
    let late = end(3, TxnResult::Commit, TransactionVersion::V2);
    id.run(&add(3)).unwrap();
    id.run(&late).unwrap();
    id.run(&add(4)).unwrap();
    assert!(matches!(id.run(&late), Err(TxnError::Fenced { .. })));
    assert_eq!(id.state(), (TxnState::Ongoing, 4));
}

#[test]
fn a_takeover_aborts_the_open_transaction_and_fences_its_producer_for_good() {
    let mut id = Id::at(3);
    id.run(&add(3)).unwrap();
    assert_eq!(
        id.run(&init(None)),
        Ok(TxnReply::Identity(identity(5))),
        "4 went to the markers"
    );
    let plan = id.markers.last().unwrap();
    assert_eq!(
        (plan.result, plan.producer_epoch),
        (TxnResult::Abort, ProducerEpoch::new(4))
    );
    for late in [
        add(3),
        commit_v0(3),
        init(Some(3)),
        init(Some(4)),
        end(3, TxnResult::Abort, TransactionVersion::V2),
        end(4, TxnResult::Abort, TransactionVersion::V2),
    ] {
        assert!(matches!(id.run(&late), Err(TxnError::Fenced { .. })), "{late:?}");
    }
}

#[test]
fn a_producer_that_asks_twice_for_a_new_epoch_gets_one() {
    // KIP-360, with the answer lost; every state was through the log in between.
    let mut id = Id::at(3);
    for _ in 0..2 {
        assert_eq!(id.run(&init(Some(3))), Ok(TxnReply::Identity(identity(4))));
    }
    // It uses the new epoch, so it has the answer: what comes under the old one now is late and must not abort anything.
    id.run(&add(4)).unwrap();
    assert!(matches!(id.run(&init(Some(3))), Err(TxnError::Fenced { .. })));
    assert_eq!(id.state(), (TxnState::Ongoing, 4));
}

#[test]
fn a_producer_that_recovers_in_an_open_transaction_aborts_it_and_gets_one_new_epoch() {
    let mut id = Id::at(3);
    id.run(&add(3)).unwrap();
    for _ in 0..2 {
        assert_eq!(id.run(&init(Some(3))), Ok(TxnReply::Identity(identity(4))));
    }
    assert_eq!(id.markers.len(), 1);
}

#[test]
fn asking_twice_for_a_new_epoch_at_the_last_one_gets_one_new_producer_id() {
    // B24
    let last = i16::MAX - 1;
    let mut id = Id::at(last);
    let moved = ProducerIdentity {
        producer_id: FRESH,
        producer_epoch: ProducerEpoch::ZERO,
    };
    for _ in 0..2 {
        assert_eq!(id.run(&init(Some(last))), Ok(TxnReply::Identity(moved)));
    }
}

#[test]
fn an_older_client_lives_on_at_the_last_epoch_until_it_is_taken_over() {
    // B24: 32,760 and on, by takeovers with an open transaction, two epochs each.
    let mut id = Id::at(32_760);
    for epoch in [32_760, 32_762, 32_764, 32_766] {
        id.run(&add(epoch)).unwrap();
        id.run(&commit_v0(epoch)).unwrap();
        assert_eq!(id.state(), (TxnState::CompleteCommit, epoch));
        id.run(&add(epoch)).unwrap();
        let TxnReply::Identity(next) = id.run(&init(None)).unwrap() else {
            panic!("init answers with an identity")
        };
        if epoch < 32_766 {
            assert_eq!(next, identity(epoch + 2));
        } else {
            let plan = id.markers.last().unwrap();
            assert_eq!(
                (plan.producer_id, plan.producer_epoch),
                (PID, ProducerEpoch::new(i16::MAX))
            );
            assert_eq!(
                (next.producer_id, next.producer_epoch),
                (FRESH, ProducerEpoch::new(1))
            );
        }
    }
}

#[test]
fn a_timed_out_older_client_is_fenced_and_a_tv2_client_may_abort_and_go_on() {
    let timed_out = TxnEvent::TimedOut { started_at: 200 };
    let mut id = Id::at(3);
    id.run(&add(3)).unwrap();
    id.run(&timed_out).unwrap();
    assert_eq!(id.state(), (TxnState::CompleteAbort, 4));
    for late in [commit_v0(3), add(3), init(Some(3))] {
        assert!(matches!(id.run(&late), Err(TxnError::Fenced { .. })), "{late:?}");
    }

    let mut id = Id::at(3);
    let v2 = TransactionVersion::V2;
    let TxnEvent::AddPartitions { partitions, .. } = add(3) else {
        unreachable!("it adds")
    };
    id.run(&TxnEvent::AddPartitions {
        producer_id: PID,
        producer_epoch: ProducerEpoch::new(3),
        partitions,
        version: v2,
    })
    .unwrap();
    id.run(&timed_out).unwrap();
    assert!(matches!(
        id.run(&end(3, TxnResult::Commit, v2)),
        Err(TxnError::InvalidState { .. })
    ));
    assert_eq!(
        id.run(&end(3, TxnResult::Abort, v2)),
        Ok(TxnReply::Identity(identity(4)))
    );
}

#[test]
fn only_partitions_of_the_open_transaction_are_verified() {
    let mut id = Id::at(3);
    let asked = BTreeSet::from([partition(0), partition(1)]);
    let verify = |id: &Id, epoch: i16| {
        missing(
            id.state.as_ref(),
            PID,
            ProducerEpoch::new(epoch),
            &asked,
            TxnRules::default(),
        )
    };
    assert_eq!(verify(&id, 3).unwrap().len(), 2, "nothing was begun");
    id.run(&add(3)).unwrap();
    assert_eq!(verify(&id, 3), Ok(BTreeSet::from([partition(1)])));
    assert!(matches!(verify(&id, 2), Err(TxnError::Fenced { .. })));
    id.run(&commit_v0(3)).unwrap();
    assert_eq!(verify(&id, 3).unwrap().len(), 2, "it was ended");
    id.state.as_mut().unwrap().state = TxnState::PrepareAbort;
    assert!(matches!(verify(&id, 3), Err(TxnError::Concurrent { .. })));
    id.state = None;
    assert!(matches!(verify(&id, 3), Err(TxnError::UnknownProducer { .. })));
}

#[test]
fn an_unused_id_expires_and_a_producer_that_comes_back_gets_a_fresh_one() {
    let mut id = Id::at(3);
    id.run(&TxnEvent::Expire { before: 200 }).unwrap();
    assert!(id.state.is_some(), "it was used at 200");
    id.run(&add(3)).unwrap();
    id.run(&TxnEvent::Expire { before: 10_000 }).unwrap();
    assert_eq!(id.state(), (TxnState::Ongoing, 3), "an open transaction is kept");
    id.run(&commit_v0(3)).unwrap();
    id.run(&TxnEvent::Expire { before: 10_000 }).unwrap();
    assert_eq!(id.state, None);
    assert!(matches!(id.run(&add(3)), Err(TxnError::UnknownProducer { .. })));
    assert!(matches!(id.run(&init(Some(3))), Ok(TxnReply::Identity(_))));
}

#[test]
fn a_record_without_the_predecessor_is_read_as_what_ending_a_transaction_leaves() {
    // As Kafka writes it, and as this broker did before it stored the epoch: without the tag of its own.
    let mut id = Id::at(3);
    id.run(&add(3)).unwrap();
    id.run(&end(3, TxnResult::Commit, TransactionVersion::V2))
        .unwrap();
    let state = id.state.clone().unwrap();
    let value = encode_value(&state);
    // Three tags: client version, and ours, which comes last: tag 10,000 in two bytes, one byte of size, two of the epoch.
    let mut kafkas = value[..value.len() - 5].to_vec();
    let tags = kafkas.len() - 5;
    assert_eq!(kafkas[tags], 2, "number of tags");
    kafkas[tags] = 1;
    assert_eq!(decode_value(&kafkas), Ok(state));
}
