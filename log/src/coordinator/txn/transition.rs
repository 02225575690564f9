//! The transaction coordinator's rules: state, event and `now` in; commands out.
//!
//! ```text
//!            Init                AddPartitions            End / Init / TimedOut            MarkersWritten
//!   (none) ───────► Empty ─────────────────► Ongoing ─────────────────► Prepare{Commit,Abort} ─────────► Complete{Commit,Abort}
//!                     ▲                         ▲                                                             │   │
//!                     └───────── Init ──────────┼─────────────────────────────────────────────────────────────┘   │
//!                                               └──────────────────── AddPartitions ──────────────────────────────┘
//! ```
//!
//! Always true: entering `Prepare*` bumps the epoch, so one (producer id, epoch) names one transaction (KIP-890). A decision, once logged, is
//! carried out whatever happens: any event that finds `Prepare*` first asks for its markers. Everything needed to judge a retried
//! request is in the logged state, so a restart changes no answer.
//!
//! No clock, no I/O, no ids made here: when an epoch is used up the caller is asked for a fresh producer id.

use std::collections::BTreeSet;

use crate::broker::{ProducerIdentity, TxnResult};
use crate::metadata::limits;
use crate::types::{ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use super::error::TxnError;
use super::marker::MarkerPlan;
use super::state::{TxnMetadata, TxnState};

/// Something that happens to a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnEvent {
    /// A producer takes over.
    Init {
        /// How long its transactions may stay open.
        timeout_ms: i32,
        /// The identity it believes to have, if it only wants a new epoch.
        expected: Option<(ProducerId, ProducerEpoch)>,
    },
    /// A producer is about to write to partitions.
    AddPartitions {
        /// Who.
        producer_id: ProducerId,
        /// Its epoch.
        producer_epoch: ProducerEpoch,
        /// Where to.
        partitions: BTreeSet<TopicPartition>,
    },
    /// A producer ends its transaction.
    End {
        /// Who.
        producer_id: ProducerId,
        /// Its epoch.
        producer_epoch: ProducerEpoch,
        /// How.
        result: TxnResult,
    },
    /// All markers of the decided transaction are in place.
    MarkersWritten,
    /// The transaction that began at `started_at` was open for too long.
    TimedOut {
        /// Which one; another that began meanwhile is left alone.
        started_at: Timestamp,
    },
    /// A decision was found whose markers may be missing: after a restart, or because writing them failed.
    Resume,
}

/// What to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnCommand {
    /// Make this state durable, then take it on.
    Log(TxnMetadata),
    /// Write these markers, then handle `MarkersWritten`.
    WriteMarkers(MarkerPlan),
    /// Handle the same event again: what stood in its way is done.
    HandleAgain,
    /// Get a fresh producer id and handle the same event again with it.
    AllocateProducerId,
    /// The event is done; this is the answer.
    Answer(TxnReply),
}

/// Answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnReply {
    /// The identity to use from now on.
    Identity(ProducerIdentity),
    /// Done, nothing to tell.
    Done,
}

/// Bugs put back on purpose, for the tests that must catch them.
#[derive(Clone, Copy, Debug, Default)]
pub struct TxnRules {
    /// Accept any epoch.
    pub skip_fencing: bool,
}

/// Judges one event. `fresh` is a never-used producer id if the last answer was `AllocateProducerId`. Errs without any effect.
pub fn handle(
    current: Option<&TxnMetadata>,
    event: &TxnEvent,
    fresh: Option<ProducerId>,
    now: Timestamp,
    rules: TxnRules,
) -> Result<Vec<TxnCommand>, TxnError> {
    match event {
        TxnEvent::Init { timeout_ms, expected } => on_init(current, *timeout_ms, *expected, fresh, now),
        TxnEvent::AddPartitions {
            producer_id,
            producer_epoch,
            partitions,
        } => {
            let current = known(current, *producer_id)?;
            on_add_partitions(current, *producer_id, *producer_epoch, partitions, now, rules)
        }
        TxnEvent::End {
            producer_id,
            producer_epoch,
            result,
        } => {
            let current = known(current, *producer_id)?;
            on_end(current, *producer_id, *producer_epoch, *result, fresh, now, rules)
        }
        TxnEvent::MarkersWritten => {
            Ok(current.map_or_else(Vec::new, |current| on_markers_written(current, now)))
        }
        TxnEvent::TimedOut { started_at } => match current {
            Some(current)
                if current.state == TxnState::Ongoing && current.started_at == Some(*started_at) =>
            {
                Ok(decide(current, TxnResult::Abort, fresh, now))
            }
            _ => Ok(Vec::new()),
        },
        TxnEvent::Resume => Ok(current.map_or_else(Vec::new, finish)),
    }
}

/// True if a batch of this producer may be appended to `partition` without asking the coordinator first: it is in the open transaction.
pub fn admits(
    current: &TxnMetadata,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    partition: &TopicPartition,
) -> bool {
    current.state == TxnState::Ongoing
        && current.producer_id == producer_id
        && current.producer_epoch == producer_epoch
        && current.partitions.contains(partition)
}

fn known(current: Option<&TxnMetadata>, producer_id: ProducerId) -> Result<&TxnMetadata, TxnError> {
    current.ok_or(TxnError::UnknownProducer {
        found: producer_id,
        current: None,
    })
}

fn on_init(
    current: Option<&TxnMetadata>,
    timeout_ms: i32,
    expected: Option<(ProducerId, ProducerEpoch)>,
    fresh: Option<ProducerId>,
    now: Timestamp,
) -> Result<Vec<TxnCommand>, TxnError> {
    let Some(current) = current else {
        if let Some((producer_id, _)) = expected {
            return Err(TxnError::UnknownProducer {
                found: producer_id,
                current: None,
            });
        }
        return Ok(match fresh {
            Some(producer_id) => log_and_introduce(idle(producer_id, ProducerEpoch::ZERO, timeout_ms, now)),
            None => vec![TxnCommand::AllocateProducerId],
        });
    };
    if let Some((producer_id, producer_epoch)) = expected
        && !may_recover(current, producer_id, producer_epoch)
    {
        return Err(TxnError::Fenced {
            producer_id,
            found: producer_epoch,
            current: current.producer_epoch,
        });
    }
    match current.state {
        TxnState::PrepareCommit | TxnState::PrepareAbort => Ok(then_again(finish(current))),
        TxnState::Ongoing => Ok(then_again(decide(current, TxnResult::Abort, fresh, now))),
        TxnState::Empty | TxnState::CompleteCommit | TxnState::CompleteAbort => {
            match (current.producer_epoch.next(), fresh) {
                (Some(epoch), _) => Ok(log_and_introduce(idle(
                    current.producer_id,
                    epoch,
                    timeout_ms,
                    now,
                ))),
                (None, Some(producer_id)) => Ok(log_and_introduce(idle(
                    producer_id,
                    ProducerEpoch::ZERO,
                    timeout_ms,
                    now,
                ))),
                (None, None) => Ok(vec![TxnCommand::AllocateProducerId]),
            }
        }
    }
}

/// KIP-360: the caller has the current identity, or had it until its own transaction was ended.
fn may_recover(current: &TxnMetadata, producer_id: ProducerId, producer_epoch: ProducerEpoch) -> bool {
    current.identity()
        == ProducerIdentity {
            producer_id,
            producer_epoch,
        }
        || ended_with(current, producer_id, producer_epoch)
}

/// True if the last transaction, ended or being ended, was the one of this producer and epoch. Ending bumps the epoch and a new `Init` leaves these
/// states, so the pair names exactly one transaction.
fn ended_with(current: &TxnMetadata, producer_id: ProducerId, producer_epoch: ProducerEpoch) -> bool {
    let ended = current.state.preparing().or(current.state.completed()).is_some();
    let bumped = current.producer_id == producer_id
        && i32::from(producer_epoch.get()) + 1 == i32::from(current.producer_epoch.get());
    let moved_on = current.previous_producer_id.is_some()
        && current.previous_producer_id == producer_id
        && producer_epoch.next().is_none()
        && current.producer_epoch == ProducerEpoch::ZERO;
    ended && (bumped || moved_on)
}

fn check_producer(
    current: &TxnMetadata,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    rules: TxnRules,
) -> Result<(), TxnError> {
    if current.producer_id != producer_id {
        return Err(TxnError::UnknownProducer {
            found: producer_id,
            current: Some(current.producer_id),
        });
    }
    if current.producer_epoch != producer_epoch && !rules.skip_fencing {
        return Err(TxnError::Fenced {
            producer_id,
            found: producer_epoch,
            current: current.producer_epoch,
        });
    }
    Ok(())
}

fn on_add_partitions(
    current: &TxnMetadata,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    partitions: &BTreeSet<TopicPartition>,
    now: Timestamp,
    rules: TxnRules,
) -> Result<Vec<TxnCommand>, TxnError> {
    // In `Prepare*` the logged epoch is the bumped one, so the producer whose transaction is being ended is refused here.
    check_producer(current, producer_id, producer_epoch, rules)?;
    if current.state.preparing().is_some() {
        return Ok(then_again(finish(current)));
    }
    if current.state == TxnState::Ongoing && partitions.is_subset(&current.partitions) {
        return Ok(vec![TxnCommand::Answer(TxnReply::Done)]);
    }
    let mut next = current.clone();
    next.partitions.extend(partitions.iter().cloned());
    if next.partitions.len() > limits::PARTITIONS_PER_TRANSACTION {
        let (partitions, limit) = (next.partitions.len(), limits::PARTITIONS_PER_TRANSACTION);
        return Err(TxnError::TooManyPartitions { partitions, limit });
    }
    next.state = TxnState::Ongoing;
    next.previous_producer_id = ProducerId::NONE;
    next.started_at = current.started_at.or(Some(now));
    next.last_update = now;
    Ok(vec![TxnCommand::Log(next), TxnCommand::Answer(TxnReply::Done)])
}

fn on_end(
    current: &TxnMetadata,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    result: TxnResult,
    fresh: Option<ProducerId>,
    now: Timestamp,
    rules: TxnRules,
) -> Result<Vec<TxnCommand>, TxnError> {
    if ended_with(current, producer_id, producer_epoch) {
        return match (current.state.preparing(), current.state.completed()) {
            (Some(decided), _) if decided == result => Ok(then_again(finish(current))),
            (_, Some(decided)) if decided == result => {
                Ok(vec![TxnCommand::Answer(TxnReply::Identity(current.identity()))])
            }
            _ => Err(TxnError::InvalidState {
                asked: result,
                state: current.state,
            }),
        };
    }
    check_producer(current, producer_id, producer_epoch, rules)?;
    match (current.state, result) {
        (TxnState::Ongoing, _) => Ok(then_again(decide(current, result, fresh, now))),
        // KIP-890: aborting is always allowed, so that a client that does not know whether anything was added need not ask.
        (TxnState::Empty | TxnState::CompleteCommit | TxnState::CompleteAbort, TxnResult::Abort) => {
            Ok(then_again(decide(current, result, fresh, now)))
        }
        (state, asked) => Err(TxnError::InvalidState { asked, state }),
    }
}

/// Logs a decision and asks for its markers. Bumps the epoch; when it is used up, the state remembers the producer id to go on with.
fn decide(
    current: &TxnMetadata,
    result: TxnResult,
    fresh: Option<ProducerId>,
    now: Timestamp,
) -> Vec<TxnCommand> {
    let mut next = current.clone();
    if current.producer_epoch.next().is_none() {
        match fresh {
            Some(producer_id) => next.next_producer_id = producer_id,
            None => return vec![TxnCommand::AllocateProducerId],
        }
    }
    next.state = TxnState::prepare(result);
    next.producer_epoch = ProducerEpoch::new(current.producer_epoch.get().saturating_add(1));
    next.previous_producer_id = ProducerId::NONE;
    next.started_at = current.started_at.or(Some(now));
    next.last_update = now;
    let markers = finish(&next);
    std::iter::once(TxnCommand::Log(next)).chain(markers).collect()
}

fn finish(current: &TxnMetadata) -> Vec<TxnCommand> {
    MarkerPlan::of(current)
        .map(TxnCommand::WriteMarkers)
        .into_iter()
        .collect()
}

fn then_again(mut commands: Vec<TxnCommand>) -> Vec<TxnCommand> {
    if commands != [TxnCommand::AllocateProducerId] {
        commands.push(TxnCommand::HandleAgain);
    }
    commands
}

fn on_markers_written(current: &TxnMetadata, now: Timestamp) -> Vec<TxnCommand> {
    let Some(result) = current.state.preparing() else {
        return Vec::new();
    };
    let mut next = current.clone();
    next.state = TxnState::complete(result);
    next.partitions.clear();
    next.started_at = None;
    next.last_update = now;
    if current.next_producer_id.is_some() {
        next.previous_producer_id = current.producer_id;
        next.producer_id = current.next_producer_id;
        next.producer_epoch = ProducerEpoch::ZERO;
        next.next_producer_id = ProducerId::NONE;
    }
    vec![TxnCommand::Log(next)]
}

fn idle(
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    timeout_ms: i32,
    now: Timestamp,
) -> TxnMetadata {
    TxnMetadata {
        producer_id,
        previous_producer_id: ProducerId::NONE,
        next_producer_id: ProducerId::NONE,
        producer_epoch,
        timeout_ms,
        state: TxnState::Empty,
        partitions: BTreeSet::new(),
        last_update: now,
        started_at: None,
    }
}

fn log_and_introduce(next: TxnMetadata) -> Vec<TxnCommand> {
    let answer = TxnCommand::Answer(TxnReply::Identity(next.identity()));
    vec![TxnCommand::Log(next), answer]
}
