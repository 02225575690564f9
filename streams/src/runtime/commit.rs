//! The commit protocol of one worker, as a pure state machine: events in, commands out; no log, no clock, no state stores.
//!
//! ```text
//!            Worked / Tick                Produced       OffsetsCommitted        Ended
//!   Idle ───────────────────► Sending ─────────────► Offsets ───────────► Ending ──────► Idle   (Apply n)
//!    │ ▲                         │                      │                    │
//!    ▼ │ Produced                └──────────┬───────────┴────────────────────┘ NotDone, Unknown
//!   Streaming ─────────────────────────────►▼
//!                                        Fencing ──► Resolving ──► Idle   (Apply n, or DropEverything)
//! ```
//!
//! What is always true:
//! - `Apply { n }` comes out only after the log confirmed that transaction n is committed (I1, I2): by the answer of `EndTxn`, or by reading the
//!   committed offsets behind a fence (I4). Nothing is ever guessed.
//! - `EndTxn { n }` comes out only after every output, changelog record and offset of n was acknowledged inside the transaction.
//! - At most one transaction is between `Prepare` and its verdict. While it is, the next one may be *processed* but not *sent* (I7);
//!   if n turns out not to be committed, both are dropped.
//! - Every failure takes the same way back: fence, read the committed offsets, apply or drop; only what the log will never take ends the worker at
//!   once, because the work done again would be the same. A step answered with "fenced" does, too: the coordinator
//!   bumps the epoch when it aborts a transaction that was open for too long, so the answer alone does not say that there is a newer instance. The
//!   fence does: it asks for a new epoch *of the identity this worker has* (KIP-360), which is refused only when somebody else took the
//!   transactional id. Then the worker touches nothing any more.
//!
//! Look next at `worker.rs`, which carries the commands out.

use std::collections::VecDeque;
use std::time::Duration;

use millpond_log::types::{Offset, Timestamp, TopicPartition};

/// Number of a transaction of one worker, counted up by one per attempt; it travels in the metadata of the committed offsets, so that a
/// transaction can be recognised even when it moved no offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TxnSeq(pub u64);

impl TxnSeq {
    /// The number of the following transaction.
    #[must_use]
    pub fn next(self) -> TxnSeq {
        TxnSeq(self.0 + 1)
    }
}

impl std::fmt::Display for TxnSeq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// When a transaction is committed.
#[derive(Debug, Clone, Copy)]
pub struct CommitPolicy {
    /// A transaction with work in it is committed this long after its first work.
    pub interval: Duration,
    /// A transaction is committed early when its uncommitted bytes (input, overlay and outputs) reach this; processing pauses when the next one
    /// has reached it too while the first is still being committed.
    pub uncommitted_bytes_max: usize,
    /// `false`: at-least-once. The same path without a transaction, `Apply` follows the offset commit.
    pub exactly_once: bool,
    /// The worker stops after this many recoveries without a commit between them.
    pub recoveries_max: u32,
}

impl Default for CommitPolicy {
    fn default() -> Self {
        CommitPolicy {
            interval: Duration::from_millis(100),
            uncommitted_bytes_max: 64 << 20,
            exactly_once: true,
            recoveries_max: 8,
        }
    }
}

/// Why a step did not succeed: did it happen?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The log has a newer epoch than ours: the coordinator gave our transaction up, or a newer producer owns the transactional id.
    Fenced(String),
    /// Surely not done.
    NotDone(String),
    /// Perhaps done: no answer came.
    Unknown(String),
    /// Surely not done, and doing the same work again would end the same way.
    Rejected(String),
}

impl Failure {
    /// The sentence that came with it.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Failure::Fenced(reason)
            | Failure::NotDone(reason)
            | Failure::Unknown(reason)
            | Failure::Rejected(reason) => reason,
        }
    }
}

/// What the committed offsets say about a transaction whose outcome was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The offsets of the transaction are there: it is committed, as a whole.
    Committed,
    /// The offsets are those before the transaction: it is not committed and, behind the fence, never will be.
    NotCommitted,
    /// Neither: somebody else moved the offsets. The text says where.
    Foreign(String),
}

/// A fact that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The transaction being filled has work; its uncommitted bytes are now `bytes`.
    Worked {
        /// Uncommitted bytes of all tasks, overlay and outputs.
        bytes: usize,
    },
    /// Time passed.
    Tick,
    /// Commit what there is as soon as possible (shutdown, a caller who waits).
    CommitNow,
    /// Full batches of the transaction being filled wait to be sent early.
    BatchesFull,
    /// The tasks froze transaction `txn`.
    Prepared {
        /// The transaction that was asked for.
        txn: TxnSeq,
    },
    /// Every batch handed over by the last `Produce` is acknowledged.
    Produced,
    /// The offsets of the transaction are acknowledged.
    OffsetsCommitted,
    /// `EndTxn` was answered: committed.
    Ended,
    /// The step in flight failed.
    Failed(Failure),
    /// The transactional id is ours again: older epochs can do nothing any more.
    FenceDone,
    /// The committed offsets were read behind the fence.
    Resolved(Verdict),
}

/// Something to do. Commands of one answer are carried out in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Freeze every task that has work: flush caches, take the changelog, the positions; then [`Event::Prepared`].
    Prepare {
        /// The number of the transaction.
        txn: TxnSeq,
    },
    /// Send the queued batches of the transaction; then [`Event::Produced`].
    Produce,
    /// Commit the offsets inside the transaction; then [`Event::OffsetsCommitted`].
    CommitOffsets {
        /// The transaction.
        txn: TxnSeq,
    },
    /// End the transaction with a commit; then [`Event::Ended`].
    EndTxn {
        /// The transaction.
        txn: TxnSeq,
    },
    /// Transaction `txn` is committed: frozen changes join the committed layer.
    Apply {
        /// The transaction.
        txn: TxnSeq,
    },
    /// Drop frozen and open changes and queued batches; rewind the inputs to the last committed positions.
    DropEverything,
    /// Ask for a new epoch of the identity we have, which aborts what is open under it; then [`Event::FenceDone`]. A refusal is
    /// [`Failure::Fenced`] and ends the worker.
    Fence {
        /// An earlier request for it had no answer and may have been carried out: then the refusal may be our own doing, and says nothing
        /// about a newer instance.
        in_doubt: bool,
    },
    /// Read the committed offsets (stable ones) and compare them with those of `txn`; then [`Event::Resolved`].
    ReadCommitted {
        /// The transaction whose fate is unknown; `None` when none of ours can be committed, and the offsets must be those of before.
        txn: Option<TxnSeq>,
    },
    /// The worker ends here.
    Stop(StopReason),
}

/// Why the machine ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// A newer instance took the transactional id.
    #[error("fenced by a newer instance with the same application id: {0}")]
    Fenced(String),
    /// The committed offsets are not what this worker wrote.
    #[error("committed offsets were changed by somebody else: {0}")]
    ForeignOffsets(String),
    /// The log will never take what the operators made of the input.
    #[error("{0}")]
    Rejected(String),
    /// Recovery was tried often enough.
    #[error("gave up after {attempts} recoveries without a commit: {last}")]
    TooManyRecoveries {
        /// Recoveries since the last commit.
        attempts: u32,
        /// The failure that started the last one.
        last: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Nothing is in flight; the transaction being filled may be sent early.
    Idle,
    /// Full batches of the transaction being filled are on their way.
    Streaming,
    /// `Prepare` was given out.
    Preparing {
        txn: TxnSeq,
    },
    Sending {
        txn: TxnSeq,
    },
    CommittingOffsets {
        txn: TxnSeq,
    },
    Ending {
        txn: TxnSeq,
    },
    Fencing {
        unknown: Option<TxnSeq>,
        /// See [`Command::Fence`].
        in_doubt: bool,
    },
    Resolving {
        unknown: Option<TxnSeq>,
    },
    Stopped,
}

/// The transaction being filled.
#[derive(Debug, Clone, Copy, Default)]
struct Filling {
    /// When its first work was done; `None` = empty.
    since: Option<Timestamp>,
    bytes: usize,
    commit_now: bool,
    batches_full: bool,
}

/// The machine. One per worker; see the head of this file.
#[derive(Debug)]
pub struct CommitMachine {
    policy: CommitPolicy,
    phase: Phase,
    filling: Filling,
    next_txn: TxnSeq,
    recoveries: u32,
    last_failure: String,
}

impl CommitMachine {
    /// A machine whose first transaction gets the number `first`.
    #[must_use]
    pub fn new(policy: CommitPolicy, first: TxnSeq) -> Self {
        CommitMachine {
            policy,
            phase: Phase::Idle,
            filling: Filling::default(),
            next_txn: first,
            recoveries: 0,
            last_failure: String::new(),
        }
    }

    /// Whether the tasks may process more input now.
    #[must_use]
    pub fn may_process(&self) -> bool {
        match self.phase {
            Phase::Fencing { .. } | Phase::Resolving { .. } | Phase::Stopped | Phase::Preparing { .. } => {
                false
            }
            _ => self.filling.bytes < self.policy.uncommitted_bytes_max,
        }
    }

    /// Nothing is being filled and nothing is in flight.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.phase == Phase::Idle && self.filling.since.is_none()
    }

    /// When the transaction being filled is due; `None` when it is empty.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.filling
            .since
            .map(|since| since + self.policy.interval.as_millis() as Timestamp)
    }

    /// Takes a fact and says what to do about it.
    ///
    /// # Panics
    /// When an event arrives that answers no command of the current phase: the caller lost track, and going on would guess.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> VecDeque<Command> {
        let mut commands = VecDeque::new();
        match event {
            Event::Worked { bytes } => {
                self.filling.since.get_or_insert(now);
                self.filling.bytes = bytes;
            }
            Event::Tick => {}
            Event::CommitNow => self.filling.commit_now = self.filling.since.is_some(),
            Event::BatchesFull => self.filling.batches_full = true,
            Event::Prepared { txn } => {
                assert_eq!(
                    self.phase,
                    Phase::Preparing { txn },
                    "prepared what was not asked for"
                );
                self.phase = Phase::Sending { txn };
                commands.push_back(Command::Produce);
            }
            Event::Produced => match self.phase {
                Phase::Streaming => self.phase = Phase::Idle,
                Phase::Sending { txn } => {
                    self.phase = Phase::CommittingOffsets { txn };
                    commands.push_back(Command::CommitOffsets { txn });
                }
                ref other => unreachable!("produced while {other:?}"),
            },
            Event::OffsetsCommitted => {
                let Phase::CommittingOffsets { txn } = self.phase else {
                    unreachable!("offsets committed while {:?}", self.phase)
                };
                if self.policy.exactly_once {
                    self.phase = Phase::Ending { txn };
                    commands.push_back(Command::EndTxn { txn });
                } else {
                    self.committed(txn, &mut commands);
                }
            }
            Event::Ended => {
                let Phase::Ending { txn } = self.phase else {
                    unreachable!("ended while {:?}", self.phase)
                };
                self.committed(txn, &mut commands);
            }
            Event::Failed(failure) => self.failed(&failure, &mut commands),
            Event::FenceDone => {
                let Phase::Fencing { unknown, .. } = self.phase else {
                    unreachable!("fenced while {:?}", self.phase)
                };
                self.phase = Phase::Resolving { unknown };
                commands.push_back(Command::ReadCommitted { txn: unknown });
            }
            Event::Resolved(verdict) => self.resolved(verdict, &mut commands),
        }
        self.maybe_start(now, &mut commands);
        commands
    }

    fn committed(&mut self, txn: TxnSeq, commands: &mut VecDeque<Command>) {
        self.phase = Phase::Idle;
        self.recoveries = 0;
        commands.push_back(Command::Apply { txn });
    }

    fn failed(&mut self, failure: &Failure, commands: &mut VecDeque<Command>) {
        if let Failure::Rejected(reason) = failure {
            self.stop(StopReason::Rejected(reason.clone()), commands);
            return;
        }
        self.last_failure = failure.reason().to_owned();
        let mut fence_in_doubt = false;
        let unknown = match self.phase {
            // Before `EndTxn` was sent nothing can be committed; behind the fence the open transaction is aborted.
            Phase::Streaming | Phase::Sending { .. } => None,
            // The offsets may be in the transaction, but only `EndTxn` commits it. At-least-once has no transaction: look.
            Phase::CommittingOffsets { txn } => (!self.policy.exactly_once).then_some(txn),
            Phase::Ending { txn } => Some(txn),
            // A fence or a read that failed is repeated with the same question.
            Phase::Fencing { unknown, in_doubt } => {
                if let Failure::Fenced(reason) = failure {
                    // Not ours any more: whatever we did next could hurt the instance that took over.
                    self.stop(StopReason::Fenced(reason.clone()), commands);
                    return;
                }
                fence_in_doubt = in_doubt || matches!(failure, Failure::Unknown(_));
                unknown
            }
            Phase::Resolving { unknown } => unknown,
            Phase::Idle | Phase::Preparing { .. } | Phase::Stopped => {
                unreachable!(
                    "a failure without a step in flight: {failure:?} while {:?}",
                    self.phase
                )
            }
        };
        self.recover(unknown, fence_in_doubt, commands);
    }

    /// Starts the one way back.
    fn recover(&mut self, unknown: Option<TxnSeq>, in_doubt: bool, commands: &mut VecDeque<Command>) {
        self.recoveries += 1;
        if self.recoveries > self.policy.recoveries_max {
            let reason = StopReason::TooManyRecoveries {
                attempts: self.recoveries - 1,
                last: self.last_failure.clone(),
            };
            self.stop(reason, commands);
            return;
        }
        self.phase = Phase::Fencing { unknown, in_doubt };
        commands.push_back(Command::Fence { in_doubt });
    }

    fn resolved(&mut self, verdict: Verdict, commands: &mut VecDeque<Command>) {
        let Phase::Resolving { unknown } = self.phase else {
            unreachable!("resolved while {:?}", self.phase)
        };
        match (verdict, unknown) {
            (Verdict::Committed, Some(txn)) => self.committed(txn, commands),
            (Verdict::Committed, None) => unreachable!("committed, but nothing had been sent"),
            (Verdict::NotCommitted, _) => {
                self.phase = Phase::Idle;
                self.filling = Filling::default();
                commands.push_back(Command::DropEverything);
            }
            (Verdict::Foreign(text), _) => self.stop(StopReason::ForeignOffsets(text), commands),
        }
    }

    fn stop(&mut self, reason: StopReason, commands: &mut VecDeque<Command>) {
        self.phase = Phase::Stopped;
        self.filling = Filling::default();
        commands.push_back(Command::DropEverything);
        commands.push_back(Command::Stop(reason));
    }

    /// Begins the next step when nothing is in flight.
    fn maybe_start(&mut self, now: Timestamp, commands: &mut VecDeque<Command>) {
        if self.phase != Phase::Idle || self.filling.since.is_none() {
            return;
        }
        let due = self.due_at().is_some_and(|due| now >= due);
        if due || self.filling.commit_now || self.filling.bytes >= self.policy.uncommitted_bytes_max {
            let txn = self.next_txn;
            self.next_txn = txn.next();
            self.filling = Filling::default();
            self.phase = Phase::Preparing { txn };
            commands.push_back(Command::Prepare { txn });
        } else if self.filling.batches_full {
            self.filling.batches_full = false;
            self.phase = Phase::Streaming;
            commands.push_back(Command::Produce);
        }
    }
}

/// One input position as it was committed: the offset and the metadata beside it.
pub type CommittedOffset = (Offset, String);

/// Decides what became of a transaction from the offsets read behind the fence.
///
/// `written` is what the transaction would have committed, `before` what was committed before it, `found` what the log says now. A
/// transaction is all or nothing, so a mixture means that somebody else wrote.
#[must_use]
pub fn verdict(
    written: &[(TopicPartition, CommittedOffset)],
    before: &dyn Fn(&TopicPartition) -> Option<CommittedOffset>,
    found: &dyn Fn(&TopicPartition) -> Option<CommittedOffset>,
) -> Verdict {
    let mut committed = 0;
    for (partition, expected) in written {
        let now = found(partition);
        if now.as_ref() == Some(expected) {
            committed += 1;
        } else if now != before(partition) {
            return foreign(partition, now.as_ref());
        }
    }
    match committed {
        0 => Verdict::NotCommitted,
        n if n == written.len() => Verdict::Committed,
        n => Verdict::Foreign(format!(
            "{n} of {} offsets of one transaction are committed",
            written.len()
        )),
    }
}

/// Somebody else committed what `partition` has now.
pub(super) fn foreign(partition: &TopicPartition, now: Option<&CommittedOffset>) -> Verdict {
    let now = now.map_or_else(
        || "no offset".to_owned(),
        |(offset, _)| format!("offset {offset}"),
    );
    Verdict::Foreign(format!(
        "{partition} has {now}, which this worker never committed"
    ))
}

#[cfg(test)]
#[path = "commit_test.rs"]
mod commit_test;
