//! The transaction coordinator's rules: state, event and `now` in; commands out.
//!
//! ```text
//!            Init                AddPartitions            End / Init / TimedOut            MarkersWritten
//!   (none) ───────► Empty ─────────────────► Ongoing ─────────────────► Prepare{Commit,Abort} ─────────► Complete{Commit,Abort}
//!      ▲              ▲                         ▲                                                             │   │   │
//!      │              └───────── Init ──────────┼─────────────────────────────────────────────────────────────┘   │   │
//!      │                                        └──────────────────── AddPartitions ──────────────────────────────┘   │
//!      └───────────────────────── Expire (from Empty too) ────────────────────────────────────────────────────────────┘
//! ```
//!
//! Always true: a decision, once logged, is carried out whatever happens: any event that finds `Prepare*` first asks for its markers. Everything
//! needed to judge a retried request is in the logged state, so a restart changes no answer. Kafka tells a client that comes meanwhile to
//! come again (CONCURRENT_TRANSACTIONS); here it waits, and is told so only if the markers cannot be written.
//!
//! `takeover.rs` has Init, `ending.rs` everything about ends, `verification.rs` what is only asked. No clock, no I/O, no ids made here: when
//! an epoch is used up the caller is asked for a fresh producer id.

use std::collections::BTreeSet;

use crate::broker::{ProducerIdentity, TxnResult};
use crate::metadata::limits;
use crate::types::{ProducerEpoch, ProducerId, Timestamp, TopicPartition, TransactionVersion};

use super::ending::{Ending, finish, on_end, on_markers_written, on_timed_out};
use super::error::TxnError;
use super::marker::MarkerPlan;
use super::state::{TxnMetadata, TxnState};
use super::takeover::on_init;

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
        /// How it told so.
        version: TransactionVersion,
    },
    /// A producer ends its transaction.
    End {
        /// Who.
        producer_id: ProducerId,
        /// Its epoch.
        producer_epoch: ProducerEpoch,
        /// How.
        result: TxnResult,
        /// The protocol it asked by.
        version: TransactionVersion,
    },
    /// All markers of the decided transaction are in place.
    MarkersWritten,
    /// The transaction that began at `started_at` was open for too long.
    TimedOut {
        /// Which one; another that began meanwhile is left alone.
        started_at: Timestamp,
    },
    /// The id is forgotten if nothing happened to it since `before` and nothing is open.
    Expire {
        /// The oldest change that still keeps it.
        before: Timestamp,
    },
    /// A decision was found whose markers may be missing: after a restart, or because writing them failed.
    Resume,
}

/// What to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnCommand {
    /// Make this state durable, then take it on.
    Log(TxnMetadata),
    /// Remove the transactional id from the log and from memory.
    Forget,
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
        TxnEvent::Init { timeout_ms, expected } => {
            let expected = expected.map(|(producer_id, producer_epoch)| ProducerIdentity {
                producer_id,
                producer_epoch,
            });
            on_init(current, *timeout_ms, expected, fresh, now)
        }
        TxnEvent::AddPartitions {
            producer_id,
            producer_epoch,
            partitions,
            version,
        } => {
            let current = known(current, *producer_id)?;
            // In `Prepare*` the epoch of a TV2 client is bumped, so the producer whose transaction is being ended is refused here.
            check_producer(current, *producer_id, *producer_epoch, rules)?;
            on_add_partitions(current, partitions, *version, now)
        }
        TxnEvent::End {
            producer_id,
            producer_epoch,
            result,
            version,
        } => {
            let ending = Ending {
                producer: ProducerIdentity {
                    producer_id: *producer_id,
                    producer_epoch: *producer_epoch,
                },
                result: *result,
                version: *version,
            };
            on_end(known(current, *producer_id)?, ending, fresh, now, rules)
        }
        TxnEvent::MarkersWritten => {
            Ok(current.map_or_else(Vec::new, |current| on_markers_written(current, now)))
        }
        TxnEvent::TimedOut { started_at } => match current {
            Some(current)
                if current.state == TxnState::Ongoing && current.started_at == Some(*started_at) =>
            {
                Ok(on_timed_out(current, fresh, now))
            }
            _ => Ok(Vec::new()),
        },
        TxnEvent::Expire { before } => match current {
            Some(current) if current.may_expire(*before) => Ok(vec![TxnCommand::Forget]),
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

pub(super) fn known(
    current: Option<&TxnMetadata>,
    producer_id: ProducerId,
) -> Result<&TxnMetadata, TxnError> {
    current.ok_or(TxnError::UnknownProducer {
        found: producer_id,
        current: None,
    })
}

pub(super) fn check_producer(
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
    partitions: &BTreeSet<TopicPartition>,
    version: TransactionVersion,
    now: Timestamp,
) -> Result<Vec<TxnCommand>, TxnError> {
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
    // The producer has its identity, so nothing is asked again any more: what still comes under the one before is late.
    next.previous_producer_id = ProducerId::NONE;
    next.last_producer_epoch = ProducerEpoch::NONE;
    next.started_at = current.started_at.or(Some(now));
    next.last_update = now;
    next.client_version = version;
    Ok(vec![TxnCommand::Log(next), TxnCommand::Answer(TxnReply::Done)])
}

pub(super) fn then_again(mut commands: Vec<TxnCommand>) -> Vec<TxnCommand> {
    if commands != [TxnCommand::AllocateProducerId] {
        commands.push(TxnCommand::HandleAgain);
    }
    commands
}
