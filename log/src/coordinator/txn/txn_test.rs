//! Scripts: state, event, expected commands.

use std::collections::BTreeSet;

use crate::broker::{ProducerIdentity, TxnResult};
use crate::types::{
    PartitionId, ProducerEpoch, ProducerId, TopicName, TopicPartition, TransactionVersion, TransactionalId,
};

use super::transition::handle;
use super::{
    MarkerPlan, TxnCommand, TxnError, TxnEvent, TxnMetadata, TxnReply, TxnRules, TxnState, decode_key,
    decode_value, encode_key, encode_value,
};

const PID: ProducerId = ProducerId::new(7);
const FRESH: ProducerId = ProducerId::new(1000);
const TIMEOUT_MS: i32 = 60_000;

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new("orders").unwrap(), PartitionId::new(number))
}

fn epoch(number: i16) -> ProducerEpoch {
    ProducerEpoch::new(number)
}

pub(super) fn state(state: TxnState, at: i16) -> TxnMetadata {
    let open = matches!(
        state,
        TxnState::Ongoing | TxnState::PrepareCommit | TxnState::PrepareAbort
    );
    TxnMetadata {
        producer_id: PID,
        previous_producer_id: ProducerId::NONE,
        next_producer_id: ProducerId::NONE,
        producer_epoch: epoch(at),
        last_producer_epoch: if state.preparing().or(state.completed()).is_some() {
            epoch(at - 1)
        } else {
            ProducerEpoch::NONE
        },
        timeout_ms: TIMEOUT_MS,
        state,
        partitions: if open {
            BTreeSet::from([partition(0), partition(1)])
        } else {
            BTreeSet::new()
        },
        last_update: 100,
        started_at: open.then_some(100),
        client_version: TransactionVersion::V2,
    }
}

fn end(at: i16, result: TxnResult) -> TxnEvent {
    TxnEvent::End {
        producer_id: PID,
        producer_epoch: epoch(at),
        result,
        version: TransactionVersion::V2,
    }
}

fn add(at: i16, number: i32) -> TxnEvent {
    TxnEvent::AddPartitions {
        producer_id: PID,
        producer_epoch: epoch(at),
        partitions: BTreeSet::from([partition(number)]),
        version: TransactionVersion::V2,
    }
}

fn init(expected: Option<(ProducerId, ProducerEpoch)>) -> TxnEvent {
    TxnEvent::Init {
        timeout_ms: TIMEOUT_MS,
        expected,
    }
}

fn judge(current: Option<&TxnMetadata>, event: &TxnEvent) -> Result<Vec<TxnCommand>, TxnError> {
    handle(current, event, None, 200, TxnRules::default())
}

fn logged(commands: &[TxnCommand]) -> &TxnMetadata {
    match commands.first() {
        Some(TxnCommand::Log(next)) => next,
        other => panic!("expected a state to log, found {other:?}"),
    }
}

fn identity(producer_id: ProducerId, at: i16) -> TxnCommand {
    TxnCommand::Answer(TxnReply::Identity(ProducerIdentity {
        producer_id,
        producer_epoch: epoch(at),
    }))
}

fn markers(at: i16, result: TxnResult) -> TxnCommand {
    let partitions = vec![partition(0), partition(1)];
    TxnCommand::WriteMarkers(MarkerPlan {
        producer_id: PID,
        producer_epoch: epoch(at),
        result,
        partitions,
    })
}

#[test]
fn a_new_transactional_id_asks_for_a_producer_id_and_starts_at_epoch_zero() {
    assert_eq!(judge(None, &init(None)), Ok(vec![TxnCommand::AllocateProducerId]));
    let commands = handle(None, &init(None), Some(FRESH), 200, TxnRules::default()).unwrap();
    assert_eq!(logged(&commands).state, TxnState::Empty);
    assert_eq!(commands[1], identity(FRESH, 0));
}

#[test]
fn init_of_an_idle_id_bumps_the_epoch() {
    for idle in [TxnState::Empty, TxnState::CompleteCommit, TxnState::CompleteAbort] {
        let commands = judge(Some(&state(idle, 4)), &init(None)).unwrap();
        assert_eq!(logged(&commands).state, TxnState::Empty, "{idle:?}");
        assert_eq!(commands[1], identity(PID, 5), "{idle:?}");
    }
}

#[test]
fn init_aborts_the_open_transaction_under_a_bumped_epoch_first() {
    let commands = judge(Some(&state(TxnState::Ongoing, 4)), &init(None)).unwrap();
    assert_eq!(logged(&commands).state, TxnState::PrepareAbort);
    assert_eq!(logged(&commands).producer_epoch, epoch(5));
    assert_eq!(
        commands[1..],
        [markers(5, TxnResult::Abort), TxnCommand::HandleAgain]
    );
}

#[test]
fn init_finishes_a_decision_it_finds_instead_of_changing_it() {
    let commands = judge(Some(&state(TxnState::PrepareCommit, 5)), &init(None)).unwrap();
    assert_eq!(commands, [markers(5, TxnResult::Commit), TxnCommand::HandleAgain]);
}

#[test]
fn init_with_an_expected_identity_is_refused_after_somebody_else_took_over() {
    let current = state(TxnState::Empty, 6);
    assert!(judge(Some(&current), &init(Some((PID, epoch(6))))).is_ok());
    // Epoch 5 was bumped by an init, not by the end of its own transaction.
    assert!(matches!(
        judge(Some(&current), &init(Some((PID, epoch(5))))),
        Err(TxnError::Fenced { .. })
    ));
    // Its transactional id expired: there is nobody to fence it from.
    let forgotten = judge(None, &init(Some((PID, epoch(0)))));
    assert_eq!(forgotten, Ok(vec![TxnCommand::AllocateProducerId]));
}

#[test]
fn init_with_the_identity_of_the_transaction_that_was_just_ended_is_accepted() {
    assert!(
        judge(
            Some(&state(TxnState::CompleteAbort, 6)),
            &init(Some((PID, epoch(5))))
        )
        .is_ok()
    );
    assert!(matches!(
        judge(
            Some(&state(TxnState::CompleteAbort, 6)),
            &init(Some((PID, epoch(4))))
        ),
        Err(TxnError::Fenced { .. })
    ));
}

#[test]
fn adding_a_partition_begins_a_transaction() {
    let commands = judge(Some(&state(TxnState::CompleteCommit, 4)), &add(4, 0)).unwrap();
    let next = logged(&commands);
    assert_eq!((next.state, next.started_at), (TxnState::Ongoing, Some(200)));
    assert_eq!(next.partitions, BTreeSet::from([partition(0)]));
    assert_eq!(commands[1..], [TxnCommand::Answer(TxnReply::Done)]);
}

#[test]
fn adding_a_known_partition_writes_nothing() {
    let commands = judge(Some(&state(TxnState::Ongoing, 4)), &add(4, 1)).unwrap();
    assert_eq!(commands, [TxnCommand::Answer(TxnReply::Done)]);
}

#[test]
fn adding_another_partition_keeps_the_start_of_the_transaction() {
    let commands = judge(Some(&state(TxnState::Ongoing, 4)), &add(4, 2)).unwrap();
    assert_eq!(logged(&commands).started_at, Some(100));
    assert_eq!(logged(&commands).partitions.len(), 3);
}

#[test]
fn a_late_add_after_the_decision_is_fenced() {
    // B16: a produce of the old transaction must not slip into the next one.
    for decided in [
        TxnState::PrepareCommit,
        TxnState::PrepareAbort,
        TxnState::CompleteCommit,
        TxnState::CompleteAbort,
    ] {
        let refused = judge(Some(&state(decided, 5)), &add(4, 0));
        assert!(
            matches!(refused, Err(TxnError::Fenced { .. })),
            "{decided:?}: {refused:?}"
        );
    }
}

#[test]
fn the_planted_bug_lets_a_late_add_through() {
    let rules = TxnRules { skip_fencing: true };
    assert!(
        handle(
            Some(&state(TxnState::CompleteAbort, 5)),
            &add(4, 0),
            None,
            200,
            rules
        )
        .is_ok()
    );
}

#[test]
fn ending_logs_the_decision_with_a_bumped_epoch_then_writes_markers() {
    for (result, prepared) in [
        (TxnResult::Commit, TxnState::PrepareCommit),
        (TxnResult::Abort, TxnState::PrepareAbort),
    ] {
        let commands = judge(Some(&state(TxnState::Ongoing, 4)), &end(4, result)).unwrap();
        let next = logged(&commands);
        assert_eq!((next.state, next.producer_epoch), (prepared, epoch(5)));
        assert_eq!(commands[1..], [markers(5, result), TxnCommand::HandleAgain]);
    }
}

#[test]
fn a_retried_end_is_answered_as_the_first_was() {
    let commands = judge(
        Some(&state(TxnState::CompleteCommit, 5)),
        &end(4, TxnResult::Commit),
    )
    .unwrap();
    assert_eq!(commands, [identity(PID, 5)]);
    // While markers are being written it waits for them.
    let commands = judge(
        Some(&state(TxnState::PrepareCommit, 5)),
        &end(4, TxnResult::Commit),
    )
    .unwrap();
    assert_eq!(commands, [markers(5, TxnResult::Commit), TxnCommand::HandleAgain]);
}

#[test]
fn a_retried_end_with_the_other_outcome_is_refused() {
    for (decided, asked) in [
        (TxnState::CompleteCommit, TxnResult::Abort),
        (TxnState::PrepareAbort, TxnResult::Commit),
    ] {
        let refused = judge(Some(&state(decided, 5)), &end(4, asked));
        assert_eq!(
            refused,
            Err(TxnError::InvalidState {
                asked,
                state: decided
            })
        );
    }
}

#[test]
fn an_end_delayed_beyond_the_next_transaction_is_fenced() {
    // B15 (KAFKA-17754): it must not end the transaction that came after.
    for later in [TxnState::Ongoing, TxnState::CompleteCommit] {
        let at = if later == TxnState::Ongoing { 5 } else { 6 };
        let refused = judge(Some(&state(later, at)), &end(4, TxnResult::Commit));
        assert!(
            matches!(refused, Err(TxnError::Fenced { .. })),
            "{later:?}: {refused:?}"
        );
    }
}

#[test]
fn an_end_after_a_takeover_is_fenced_even_if_the_epoch_is_the_one_before() {
    let refused = judge(Some(&state(TxnState::Empty, 5)), &end(4, TxnResult::Abort));
    assert!(matches!(refused, Err(TxnError::Fenced { .. })));
}

#[test]
fn committing_nothing_is_refused_and_aborting_nothing_bumps_the_epoch() {
    let idle = state(TxnState::Empty, 4);
    assert!(matches!(
        judge(Some(&idle), &end(4, TxnResult::Commit)),
        Err(TxnError::InvalidState { .. })
    ));
    let commands = judge(Some(&idle), &end(4, TxnResult::Abort)).unwrap();
    assert_eq!(
        (logged(&commands).state, logged(&commands).producer_epoch),
        (TxnState::PrepareAbort, epoch(5))
    );
}

#[test]
fn markers_written_completes_and_forgets_the_partitions() {
    let commands = judge(
        Some(&state(TxnState::PrepareCommit, 5)),
        &TxnEvent::MarkersWritten,
    )
    .unwrap();
    let next = logged(&commands);
    assert_eq!(
        (next.state, next.producer_epoch, next.started_at),
        (TxnState::CompleteCommit, epoch(5), None)
    );
    assert!(next.partitions.is_empty());
}

#[test]
fn an_exhausted_epoch_moves_on_to_a_fresh_producer_id() {
    // B24: 32,766 is the last epoch a producer uses; its markers carry 32,767.
    let open = state(TxnState::Ongoing, i16::MAX - 1);
    let last = end(i16::MAX - 1, TxnResult::Commit);
    assert_eq!(
        judge(Some(&open), &last),
        Ok(vec![TxnCommand::AllocateProducerId])
    );
    let commands = handle(Some(&open), &last, Some(FRESH), 200, TxnRules::default()).unwrap();
    let prepared = logged(&commands);
    assert_eq!(
        (prepared.producer_epoch, prepared.next_producer_id),
        (epoch(i16::MAX), FRESH)
    );
    assert_eq!(
        commands[1..],
        [markers(i16::MAX, TxnResult::Commit), TxnCommand::HandleAgain]
    );

    let commands = judge(Some(prepared), &TxnEvent::MarkersWritten).unwrap();
    let complete = logged(&commands).clone();
    assert_eq!((complete.producer_id, complete.producer_epoch), (FRESH, epoch(0)));
    assert_eq!(complete.next_producer_id, ProducerId::NONE);
    assert_eq!(
        judge(Some(&complete), &last),
        Ok(vec![identity(FRESH, 0)]),
        "a retry gets the same answer"
    );
    assert!(matches!(
        judge(Some(&complete), &add(i16::MAX - 1, 0)),
        Err(TxnError::UnknownProducer { .. })
    ));
}

#[test]
fn init_at_an_exhausted_epoch_takes_a_fresh_producer_id() {
    let idle = state(TxnState::Empty, i16::MAX - 1);
    assert_eq!(
        judge(Some(&idle), &init(None)),
        Ok(vec![TxnCommand::AllocateProducerId])
    );
    let commands = handle(Some(&idle), &init(None), Some(FRESH), 200, TxnRules::default()).unwrap();
    assert_eq!(commands[1], identity(FRESH, 0));
}

#[test]
fn a_timeout_aborts_only_the_transaction_it_was_set_for() {
    let open = state(TxnState::Ongoing, 4);
    assert_eq!(
        judge(Some(&open), &TxnEvent::TimedOut { started_at: 99 }),
        Ok(vec![])
    );
    let commands = judge(Some(&open), &TxnEvent::TimedOut { started_at: 100 }).unwrap();
    assert_eq!(logged(&commands).state, TxnState::PrepareAbort);
    assert_eq!(commands[1..], [markers(5, TxnResult::Abort)]);
    let idle = state(TxnState::CompleteCommit, 4);
    assert_eq!(
        judge(Some(&idle), &TxnEvent::TimedOut { started_at: 100 }),
        Ok(vec![])
    );
}

#[test]
fn resuming_writes_the_markers_of_a_decision_and_nothing_else() {
    let commands = judge(Some(&state(TxnState::PrepareAbort, 5)), &TxnEvent::Resume).unwrap();
    assert_eq!(commands, [markers(5, TxnResult::Abort)]);
    for settled in [TxnState::Empty, TxnState::Ongoing, TxnState::CompleteCommit] {
        assert_eq!(
            judge(Some(&state(settled, 5)), &TxnEvent::Resume),
            Ok(vec![]),
            "{settled:?}"
        );
    }
}

#[test]
fn requests_of_an_unknown_id_are_refused() {
    assert!(matches!(
        judge(None, &add(0, 0)),
        Err(TxnError::UnknownProducer { .. })
    ));
    assert!(matches!(
        judge(None, &end(0, TxnResult::Commit)),
        Err(TxnError::UnknownProducer { .. })
    ));
}

#[test]
fn the_log_format_keeps_every_field() {
    let id = TransactionalId::new("job-3");
    assert_eq!(decode_key(&encode_key(&id)), Ok(id));
    let mut full = state(TxnState::PrepareCommit, i16::MAX);
    full.partitions.insert(TopicPartition::new(
        TopicName::new("__consumer_offsets").unwrap(),
        PartitionId::new(3),
    ));
    full.next_producer_id = FRESH;
    let mut moved = state(TxnState::CompleteCommit, 0);
    moved.previous_producer_id = PID;
    moved.last_producer_epoch = epoch(i16::MAX - 1);
    for metadata in [
        state(TxnState::Empty, 0),
        state(TxnState::Ongoing, 3),
        full,
        moved,
    ] {
        assert_eq!(decode_value(&encode_value(&metadata)), Ok(metadata));
    }
}

#[test]
fn a_value_written_by_an_older_kafka_is_read() {
    // TransactionLogValue v0, as Kafka lays it out: no tags, 32-bit counts.
    let mut bytes = vec![0, 0];
    bytes.extend(7i64.to_be_bytes());
    bytes.extend(3i16.to_be_bytes());
    bytes.extend(TIMEOUT_MS.to_be_bytes());
    bytes.push(1);
    bytes.extend(1i32.to_be_bytes());
    bytes.extend(6i16.to_be_bytes());
    bytes.extend(b"orders");
    bytes.extend(2i32.to_be_bytes());
    bytes.extend(0i32.to_be_bytes());
    bytes.extend(1i32.to_be_bytes());
    bytes.extend(100i64.to_be_bytes());
    bytes.extend(100i64.to_be_bytes());
    let expected = TxnMetadata {
        client_version: TransactionVersion::V0,
        ..state(TxnState::Ongoing, 3)
    };
    assert_eq!(decode_value(&bytes), Ok(expected));
}

#[test]
fn a_damaged_value_is_an_error() {
    let value = encode_value(&state(TxnState::Ongoing, 3));
    for length in 0..value.len() {
        assert!(decode_value(&value[..length]).is_err(), "cut at {length}");
    }
}
