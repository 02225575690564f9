//! How a transaction ends: the producer's request, by either protocol, the decision, and what follows its markers.
//!
//! Always true: with TV2 one (producer id, epoch) names one transaction, so a late end never decides another. An older client keeps its epoch over
//! transactions: a late end of it that asks for what the next transaction may be asked for too cannot be told from that one's own (KAFKA-17754); nothing
//! but a client of the newer protocol closes that hole.

use crate::broker::{ProducerIdentity, TxnResult};
use crate::types::{ProducerEpoch, ProducerId, Timestamp, TransactionVersion};

use super::error::TxnError;
use super::marker::MarkerPlan;
use super::state::{TxnMetadata, TxnState};
use super::transition::{TxnCommand, TxnReply, TxnRules, check_producer, then_again};

/// What a decision does to the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EpochBump {
    /// Nothing: the client goes on with it (TV0, TV1).
    Keep,
    /// The next; the producer of the transaction may ask again under the old one.
    Next,
    /// The next; whoever has the old one is fenced.
    Fence,
}

/// The producer of a transaction that is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) producer: ProducerIdentity,
    pub(super) result: TxnResult,
    pub(super) version: TransactionVersion,
}

pub(super) fn on_end(
    current: &TxnMetadata,
    ending: Ending,
    fresh: Option<ProducerId>,
    now: Timestamp,
    rules: TxnRules,
) -> Result<Vec<TxnCommand>, TxnError> {
    if ending.version.is_v2() {
        on_end_v2(current, ending, fresh, now, rules)
    } else {
        on_end_v0(current, ending, now, rules)
    }
}

fn on_end_v2(
    current: &TxnMetadata,
    ending: Ending,
    fresh: Option<ProducerId>,
    now: Timestamp,
    rules: TxnRules,
) -> Result<Vec<TxnCommand>, TxnError> {
    let Ending {
        producer,
        result,
        version,
    } = ending;
    let (preparing, completed) = (current.state.preparing(), current.state.completed());
    if preparing.or(completed).is_some() && current.is_predecessor(producer) {
        return match (preparing, completed) {
            (Some(decided), _) if decided == result => Ok(then_again(finish(current))),
            (_, Some(decided)) if decided == result => {
                Ok(vec![TxnCommand::Answer(TxnReply::Identity(current.identity()))])
            }
            _ => refused(current, result),
        };
    }
    check_producer(current, producer.producer_id, producer.producer_epoch, rules)?;
    match (current.state, result) {
        // KIP-890: aborting is always allowed, so that a client that does not know whether anything was added need not ask.
        (TxnState::Ongoing, _)
        | (TxnState::Empty | TxnState::CompleteCommit | TxnState::CompleteAbort, TxnResult::Abort) => Ok(
            then_again(decide(current, result, EpochBump::Next, version, fresh, now)),
        ),
        _ => refused(current, result),
    }
}

fn on_end_v0(
    current: &TxnMetadata,
    ending: Ending,
    now: Timestamp,
    rules: TxnRules,
) -> Result<Vec<TxnCommand>, TxnError> {
    let Ending {
        producer,
        result,
        version,
    } = ending;
    check_producer(current, producer.producer_id, producer.producer_epoch, rules)?;
    match (
        current.state,
        current.state.preparing(),
        current.state.completed(),
    ) {
        (TxnState::Ongoing, _, _) => Ok(then_again(decide(
            current,
            result,
            EpochBump::Keep,
            version,
            None,
            now,
        ))),
        (_, Some(decided), _) if decided == result => Ok(then_again(finish(current))),
        (_, _, Some(decided)) if decided == result => {
            Ok(vec![TxnCommand::Answer(TxnReply::Identity(current.identity()))])
        }
        _ => refused(current, result),
    }
}

fn refused(current: &TxnMetadata, asked: TxnResult) -> Result<Vec<TxnCommand>, TxnError> {
    let state = current.state;
    Err(TxnError::InvalidState { asked, state })
}

/// Aborts a transaction that was open for too long. A TV2 client may still learn what became of it by aborting it itself; an older one has no way
/// to learn its new epoch and is fenced.
pub(super) fn on_timed_out(
    current: &TxnMetadata,
    fresh: Option<ProducerId>,
    now: Timestamp,
) -> Vec<TxnCommand> {
    let bump = if current.client_version.is_v2() {
        EpochBump::Next
    } else {
        EpochBump::Fence
    };
    decide(
        current,
        TxnResult::Abort,
        bump,
        current.client_version,
        fresh,
        now,
    )
}

/// Logs a decision and asks for its markers. When a bump uses the epochs up, the state remembers the producer id to go on with.
pub(super) fn decide(
    current: &TxnMetadata,
    result: TxnResult,
    bump: EpochBump,
    version: TransactionVersion,
    fresh: Option<ProducerId>,
    now: Timestamp,
) -> Vec<TxnCommand> {
    let mut next = current.clone();
    next.last_producer_epoch = ProducerEpoch::NONE;
    if bump != EpochBump::Keep {
        if current.producer_epoch.next().is_none() {
            match fresh {
                Some(producer_id) => next.next_producer_id = producer_id,
                None => return vec![TxnCommand::AllocateProducerId],
            }
        }
        // `i16::MAX`, which no producer is ever given, is kept for these markers.
        next.producer_epoch = ProducerEpoch::new(current.producer_epoch.get().saturating_add(1));
        if bump == EpochBump::Next {
            next.last_producer_epoch = current.producer_epoch;
        }
    }
    next.state = TxnState::prepare(result);
    next.previous_producer_id = ProducerId::NONE;
    next.started_at = current.started_at.or(Some(now));
    next.last_update = now;
    next.client_version = version;
    let markers = finish(&next);
    std::iter::once(TxnCommand::Log(next)).chain(markers).collect()
}

pub(super) fn finish(current: &TxnMetadata) -> Vec<TxnCommand> {
    MarkerPlan::of(current)
        .map(TxnCommand::WriteMarkers)
        .into_iter()
        .collect()
}

pub(super) fn on_markers_written(current: &TxnMetadata, now: Timestamp) -> Vec<TxnCommand> {
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
