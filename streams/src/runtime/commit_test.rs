//! Scripts for the commit machine, and a random walk against a toy log.

use std::collections::VecDeque;

use millpond_log::types::{Offset, PartitionId, TopicName, TopicPartition};
use proptest::prelude::*;

use super::*;

const FENCE: Command = Command::Fence { in_doubt: false };

fn machine() -> CommitMachine {
    CommitMachine::new(CommitPolicy::default(), TxnSeq(1))
}

fn one(commands: VecDeque<Command>) -> Command {
    assert_eq!(commands.len(), 1, "one command expected, got {commands:?}");
    commands.into_iter().next().expect("length was checked")
}

/// Takes a machine with work to the point where `EndTxn` is in flight.
fn to_ending(machine: &mut CommitMachine, txn: TxnSeq) {
    machine.handle(Event::Worked { bytes: 10 }, 0);
    assert_eq!(one(machine.handle(Event::Tick, 100)), Command::Prepare { txn });
    assert_eq!(
        one(machine.handle(Event::Prepared { txn }, 100)),
        Command::Produce
    );
    assert_eq!(
        one(machine.handle(Event::Produced, 101)),
        Command::CommitOffsets { txn }
    );
    assert_eq!(
        one(machine.handle(Event::OffsetsCommitted, 102)),
        Command::EndTxn { txn }
    );
}

#[test]
fn an_idle_worker_opens_no_transaction() {
    let mut machine = machine();
    assert!(machine.handle(Event::Tick, 1_000_000).is_empty());
    assert!(machine.handle(Event::CommitNow, 1_000_000).is_empty());
    assert!(machine.is_quiet());
}

#[test]
fn applies_only_after_the_answer_of_end_txn() {
    let mut machine = machine();
    to_ending(&mut machine, TxnSeq(1));
    assert_eq!(
        one(machine.handle(Event::Ended, 103)),
        Command::Apply { txn: TxnSeq(1) }
    );
    assert!(machine.is_quiet());
}

#[test]
fn commits_early_by_bytes_and_pauses_while_both_overlays_are_full() {
    let mut machine = machine();
    let full = CommitPolicy::default().uncommitted_bytes_max;
    assert_eq!(
        one(machine.handle(Event::Worked { bytes: full }, 5)),
        Command::Prepare { txn: TxnSeq(1) }
    );
    machine.handle(Event::Prepared { txn: TxnSeq(1) }, 5);
    assert!(
        machine.may_process(),
        "the next transaction may be processed while the first commits"
    );
    assert!(
        machine.handle(Event::Worked { bytes: full }, 6).is_empty(),
        "one commit at a time"
    );
    assert!(!machine.may_process());
}

#[test]
fn the_next_transaction_is_not_sent_before_the_verdict_on_the_first() {
    let mut machine = machine();
    to_ending(&mut machine, TxnSeq(1));
    assert!(machine.handle(Event::Worked { bytes: 1 }, 103).is_empty());
    assert!(machine.handle(Event::BatchesFull, 103).is_empty());
    assert!(machine.handle(Event::Tick, 500).is_empty());
    let commands = machine.handle(Event::Ended, 500);
    assert_eq!(
        commands,
        [
            Command::Apply { txn: TxnSeq(1) },
            Command::Prepare { txn: TxnSeq(2) }
        ]
    );
}

#[test]
fn full_batches_of_the_open_transaction_are_sent_early() {
    let mut machine = machine();
    machine.handle(Event::Worked { bytes: 1 }, 0);
    assert_eq!(one(machine.handle(Event::BatchesFull, 1)), Command::Produce);
    assert!(
        machine.handle(Event::Tick, 100).is_empty(),
        "due, but a batch is in flight"
    );
    assert_eq!(
        one(machine.handle(Event::Produced, 101)),
        Command::Prepare { txn: TxnSeq(1) }
    );
}

#[test]
fn an_unknown_outcome_is_fenced_and_read_then_applied_when_committed() {
    let mut machine = machine();
    to_ending(&mut machine, TxnSeq(1));
    machine.handle(Event::Worked { bytes: 7 }, 103);
    assert_eq!(
        one(machine.handle(Event::Failed(Failure::Unknown("timed out".into())), 104)),
        FENCE
    );
    assert!(!machine.may_process(), "frozen while the outcome is unknown");
    assert_eq!(
        one(machine.handle(Event::FenceDone, 105)),
        Command::ReadCommitted { txn: Some(TxnSeq(1)) }
    );
    let commands = machine.handle(Event::Resolved(Verdict::Committed), 106);
    assert_eq!(commands, [Command::Apply { txn: TxnSeq(1) }]);
    assert!(!machine.is_quiet(), "the work of the second transaction is kept");
}

#[test]
fn an_unknown_outcome_that_did_not_happen_drops_both_transactions() {
    let mut machine = machine();
    to_ending(&mut machine, TxnSeq(1));
    machine.handle(Event::Worked { bytes: 7 }, 103);
    machine.handle(Event::Failed(Failure::Unknown("timed out".into())), 104);
    machine.handle(Event::FenceDone, 105);
    assert_eq!(
        one(machine.handle(Event::Resolved(Verdict::NotCommitted), 106)),
        Command::DropEverything
    );
    assert!(machine.is_quiet());
    assert!(machine.may_process());
}

#[test]
fn a_worker_whose_own_identity_is_refused_drops_what_it_has_and_touches_the_log_no_more() {
    let mut machine = machine();
    to_ending(&mut machine, TxnSeq(1));
    machine.handle(Event::Failed(Failure::Fenced("epoch 3 < 4".into())), 104);
    let commands = machine.handle(Event::Failed(Failure::Fenced("epoch 3 < 5".into())), 105);
    assert_eq!(
        commands,
        [
            Command::DropEverything,
            Command::Stop(StopReason::Fenced("epoch 3 < 5".into()))
        ]
    );
    assert!(!machine.may_process());
}

#[test]
fn a_step_answered_with_fenced_is_first_taken_for_a_transaction_that_timed_out() {
    let steps: [&[Event]; 3] = [
        &[],
        &[Event::Produced],
        &[Event::Produced, Event::OffsetsCommitted],
    ];
    for done in steps {
        let mut machine = machine();
        machine.handle(Event::Worked { bytes: 10 }, 0);
        machine.handle(Event::Tick, 100);
        machine.handle(Event::Prepared { txn: TxnSeq(1) }, 100);
        for event in done {
            machine.handle(event.clone(), 101);
        }
        let fenced = Event::Failed(Failure::Fenced("the epoch was bumped".into()));
        assert_eq!(one(machine.handle(fenced, 102)), FENCE, "after {done:?}");
        machine.handle(Event::FenceDone, 103);
        assert_eq!(
            one(machine.handle(Event::Resolved(Verdict::NotCommitted), 104)),
            Command::DropEverything,
            "after {done:?}"
        );
        assert!(machine.may_process(), "after {done:?}");
    }
}

#[test]
fn a_fence_without_an_answer_may_have_been_carried_out() {
    let mut machine = machine();
    to_ending(&mut machine, TxnSeq(1));
    let lost = || Event::Failed(Failure::Unknown("no answer".into()));
    let refused = || Event::Failed(Failure::NotDone("not now".into()));
    let in_doubt = Command::Fence { in_doubt: true };
    assert_eq!(one(machine.handle(lost(), 104)), FENCE);
    assert_eq!(one(machine.handle(refused(), 105)), FENCE);
    assert_eq!(one(machine.handle(lost(), 106)), in_doubt);
    assert_eq!(
        one(machine.handle(refused(), 107)),
        in_doubt,
        "the doubt stays until a fence is answered"
    );
    machine.handle(Event::FenceDone, 108);
    assert_eq!(
        one(machine.handle(lost(), 109)),
        FENCE,
        "a read that was lost bumps no epoch"
    );
}

#[test]
fn what_the_log_will_never_take_stops_the_worker_without_a_recovery() {
    let mut machine = machine();
    machine.handle(Event::Worked { bytes: 10 }, 0);
    machine.handle(Event::Tick, 100);
    machine.handle(Event::Prepared { txn: TxnSeq(1) }, 100);
    let commands = machine.handle(Event::Failed(Failure::Rejected("too large".into())), 101);
    assert_eq!(
        commands,
        [
            Command::DropEverything,
            Command::Stop(StopReason::Rejected("too large".into()))
        ]
    );
}

#[test]
fn foreign_offsets_stop_the_worker_by_name() {
    let mut machine = machine();
    to_ending(&mut machine, TxnSeq(1));
    machine.handle(Event::Failed(Failure::Unknown("timed out".into())), 104);
    machine.handle(Event::FenceDone, 105);
    let commands = machine.handle(Event::Resolved(Verdict::Foreign("orders-0 has 7".into())), 106);
    assert_eq!(
        commands.back(),
        Some(&Command::Stop(StopReason::ForeignOffsets(
            "orders-0 has 7".into()
        )))
    );
}

#[test]
fn recoveries_without_a_commit_are_bounded() {
    let mut machine = CommitMachine::new(
        CommitPolicy {
            recoveries_max: 2,
            ..CommitPolicy::default()
        },
        TxnSeq(1),
    );
    to_ending(&mut machine, TxnSeq(1));
    assert_eq!(
        one(machine.handle(Event::Failed(Failure::NotDone("down".into())), 1)),
        FENCE
    );
    assert_eq!(
        one(machine.handle(Event::Failed(Failure::NotDone("down".into())), 2)),
        FENCE
    );
    let commands = machine.handle(Event::Failed(Failure::NotDone("down".into())), 3);
    assert_eq!(
        commands.back(),
        Some(&Command::Stop(StopReason::TooManyRecoveries {
            attempts: 2,
            last: "down".into()
        }))
    );
}

#[test]
fn at_least_once_applies_after_the_offset_commit() {
    let policy = CommitPolicy {
        exactly_once: false,
        ..CommitPolicy::default()
    };
    let mut machine = CommitMachine::new(policy, TxnSeq(1));
    machine.handle(Event::Worked { bytes: 10 }, 0);
    machine.handle(Event::Tick, 100);
    machine.handle(Event::Prepared { txn: TxnSeq(1) }, 100);
    machine.handle(Event::Produced, 101);
    assert_eq!(
        one(machine.handle(Event::OffsetsCommitted, 102)),
        Command::Apply { txn: TxnSeq(1) }
    );
}

fn partition(n: i32) -> TopicPartition {
    TopicPartition {
        topic: TopicName::new("orders").expect("a valid name"),
        partition: PartitionId::new(n),
    }
}

#[test]
fn the_verdict_needs_every_offset_or_none() {
    let offset = |n: i64, text: &str| Some((Offset::new(n), text.to_owned()));
    let written = [
        (partition(0), (Offset::new(5), "t2".to_owned())),
        (partition(1), (Offset::new(3), "t2".to_owned())),
    ];
    let before = |_: &TopicPartition| offset(3, "t1");
    assert_eq!(
        verdict(&written, &before, &|p| if p.partition == PartitionId::new(0) {
            offset(5, "t2")
        } else {
            offset(3, "t2")
        }),
        Verdict::Committed
    );
    assert_eq!(
        verdict(&written, &before, &|_| offset(3, "t1")),
        Verdict::NotCommitted
    );
    assert!(matches!(
        verdict(&written, &before, &|p| if p.partition == PartitionId::new(0) {
            offset(5, "t2")
        } else {
            offset(3, "t1")
        }),
        Verdict::Foreign(_)
    ));
    assert!(matches!(
        verdict(&written, &before, &|_| offset(9, "x")),
        Verdict::Foreign(_)
    ));
    assert!(matches!(
        verdict(&written, &before, &|_| None),
        Verdict::Foreign(_)
    ));
}

/// What happens to one step in the toy log.
#[derive(Debug, Clone, Copy)]
enum Luck {
    Works,
    Refused,
    LostBefore,
    LostAfter,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![6 => Just(Luck::Works), 1 => Just(Luck::Refused), 1 => Just(Luck::LostBefore), 1 => Just(Luck::LostAfter)]
}

proptest! {
    /// Whatever fails, `Apply` comes out exactly for the transactions the log committed, in their order.
    #[test]
    fn applied_equals_committed_under_any_failures(script in proptest::collection::vec(luck(), 1..200)) {
        let policy = CommitPolicy { recoveries_max: u32::MAX, ..CommitPolicy::default() };
        let mut machine = CommitMachine::new(policy, TxnSeq(1));
        let (mut truth, mut applied) = (Vec::new(), Vec::new());
        let mut now = 0;
        let mut todo: VecDeque<Command> = VecDeque::new();
        let mut sent = false; // the offsets of the open transaction are in the toy log
        for luck in script {
            now += 60;
            if machine.may_process() {
                todo.extend(machine.handle(Event::Worked { bytes: 1 }, now));
            }
            todo.extend(machine.handle(Event::Tick, now));
            while let Some(command) = todo.pop_front() {
                let happens = matches!(luck, Luck::Works | Luck::LostAfter);
                let answer = |event: Event| match luck {
                    Luck::Works => event,
                    Luck::Refused => Event::Failed(Failure::NotDone("refused".into())),
                    Luck::LostBefore | Luck::LostAfter => Event::Failed(Failure::Unknown("lost".into())),
                };
                let event = match command {
                    Command::Prepare { txn } => Event::Prepared { txn },
                    Command::Produce => answer(Event::Produced),
                    Command::CommitOffsets { .. } => {
                        sent |= happens;
                        answer(Event::OffsetsCommitted)
                    }
                    Command::EndTxn { txn } => {
                        prop_assert!(sent, "EndTxn before its offsets");
                        if happens {
                            truth.push(txn);
                            sent = false;
                        }
                        answer(Event::Ended)
                    }
                    Command::Fence { .. } => {
                        if happens {
                            sent = false;
                        }
                        answer(Event::FenceDone)
                    }
                    Command::ReadCommitted { txn } => answer(Event::Resolved(match txn {
                        Some(txn) if truth.last() == Some(&txn) => Verdict::Committed,
                        _ => Verdict::NotCommitted,
                    })),
                    Command::Apply { txn } => {
                        applied.push(txn);
                        continue;
                    }
                    Command::DropEverything => continue,
                    Command::Stop(reason) => panic!("stopped: {reason}"),
                };
                let next = machine.handle(event, now);
                let stuck = matches!(next.front(), Some(Command::Fence { .. })) && !matches!(luck, Luck::Works);
                todo.extend(next);
                if stuck {
                    break; // the same luck would repeat the fence for ever; the next round tries again
                }
            }
            prop_assert!(truth.starts_with(&applied), "applied {applied:?}, committed {truth:?}");
            if machine.is_quiet() {
                prop_assert_eq!(&applied, &truth);
            }
        }
    }
}
