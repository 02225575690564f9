//! A producer takes a transactional id over, or asks for a new epoch of its own (InitProducerId, KIP-360).
//!
//! Always true: a takeover by somebody else leaves no predecessor, so the older producer is fenced for good; a producer that names its own
//! identity and asks twice, because the first answer was lost, gets the same answer twice, also across a restart.

use std::collections::BTreeSet;

use crate::broker::{ProducerIdentity, TxnResult};
use crate::types::{ProducerEpoch, ProducerId, Timestamp, TransactionVersion};

use super::ending::{EpochBump, decide, finish};
use super::error::TxnError;
use super::state::{TxnMetadata, TxnState};
use super::transition::{TxnCommand, TxnReply, then_again};

pub(super) fn on_init(
    current: Option<&TxnMetadata>,
    timeout_ms: i32,
    expected: Option<ProducerIdentity>,
    fresh: Option<ProducerId>,
    now: Timestamp,
) -> Result<Vec<TxnCommand>, TxnError> {
    let Some(current) = current else {
        // Also for a producer that believes to have an identity: its transactional id expired, so there is nobody to fence it from.
        return Ok(match fresh {
            Some(producer_id) => log_and_introduce(idle(producer_id, ProducerEpoch::ZERO, timeout_ms, now)),
            None => vec![TxnCommand::AllocateProducerId],
        });
    };
    let asks_again = expected.is_some_and(|expected| current.is_predecessor(expected));
    if let Some(expected) = expected
        && expected != current.identity()
        && !asks_again
    {
        return Err(TxnError::Fenced {
            producer_id: expected.producer_id,
            found: expected.producer_epoch,
            current: current.producer_epoch,
        });
    }
    match current.state {
        TxnState::PrepareCommit | TxnState::PrepareAbort => Ok(then_again(finish(current))),
        TxnState::Ongoing => {
            // Its own transaction: it may come again with the same identity. Somebody else's: whoever has that is fenced from here on.
            let bump = match expected {
                Some(_) => EpochBump::Next,
                None => EpochBump::Fence,
            };
            Ok(then_again(decide(
                current,
                TxnResult::Abort,
                bump,
                current.client_version,
                fresh,
                now,
            )))
        }
        TxnState::Empty | TxnState::CompleteCommit | TxnState::CompleteAbort if asks_again => {
            Ok(log_and_introduce(TxnMetadata {
                state: TxnState::Empty,
                timeout_ms,
                last_update: now,
                ..current.clone()
            }))
        }
        TxnState::Empty | TxnState::CompleteCommit | TxnState::CompleteAbort => {
            let (producer_id, producer_epoch) = match (current.producer_epoch.next(), fresh) {
                (Some(epoch), _) => (current.producer_id, epoch),
                (None, Some(producer_id)) => (producer_id, ProducerEpoch::ZERO),
                (None, None) => return Ok(vec![TxnCommand::AllocateProducerId]),
            };
            let mut next = idle(producer_id, producer_epoch, timeout_ms, now);
            if expected.is_some() {
                next.last_producer_epoch = current.producer_epoch;
                if producer_id != current.producer_id {
                    next.previous_producer_id = current.producer_id;
                }
            }
            Ok(log_and_introduce(next))
        }
    }
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
        last_producer_epoch: ProducerEpoch::NONE,
        timeout_ms,
        state: TxnState::Empty,
        partitions: BTreeSet::new(),
        last_update: now,
        started_at: None,
        client_version: TransactionVersion::V0,
    }
}

fn log_and_introduce(next: TxnMetadata) -> Vec<TxnCommand> {
    let answer = TxnCommand::Answer(TxnReply::Identity(next.identity()));
    vec![TxnCommand::Log(next), answer]
}
