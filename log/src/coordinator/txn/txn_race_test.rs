//! Coordinator and partitions together, in any order of their steps: a produce is asked about, sent, and appended much later; markers reach one
//! partition after the other; ends, takeovers and timeouts come in between (B16).
//!
//! Checked: once everything is settled no partition has anything open; every record is decided as the transaction it was appended in. The same schedules
//! without the guard of the append leave something open, so the check can fail.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::broker::{ProducerIdentity, TxnResult};
use crate::storage::producer_state::{BatchFacts, Marker, ProducerState, TxnChange, Verdict};
use crate::types::{
    LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, Sequence, TopicName, TopicPartition,
    TransactionVersion,
};

use super::transition::handle;
use super::{MarkerPlan, TxnCommand, TxnEvent, TxnMetadata, TxnReply, TxnRules, TxnState, missing};

const PARTITIONS: usize = 3;

/// One step of a schedule.
#[derive(Clone, Debug)]
enum Step {
    Init {
        client: usize,
    },
    AddExplicitly {
        client: usize,
        partition: usize,
    },
    /// Asks the coordinator; what it admits waits to be appended.
    Send {
        client: usize,
        partition: usize,
    },
    /// Appends one of those that wait.
    Append {
        nth: usize,
    },
    End {
        client: usize,
        commit: bool,
    },
    Timeout,
    /// Writes one more marker of the decision that is being carried out.
    WriteMarker,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0usize..2).prop_map(|client| Step::Init { client }),
        4 => (0usize..2, 0..PARTITIONS)
            .prop_map(|(client, partition)| Step::AddExplicitly { client, partition }),
        8 => (0usize..2, 0..PARTITIONS).prop_map(|(client, partition)| Step::Send { client, partition }),
        8 => (0usize..8).prop_map(|nth| Step::Append { nth }),
        4 => (0usize..2, any::<bool>()).prop_map(|(client, commit)| Step::End { client, commit }),
        1 => Just(Step::Timeout),
        8 => Just(Step::WriteMarker),
    ]
}

/// A client: who it is and which protocol it speaks.
#[derive(Clone, Copy, Debug)]
struct Client {
    identity: Option<ProducerIdentity>,
    version: TransactionVersion,
}

/// A batch between the coordinator's answer and its append.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    partition: usize,
    producer: ProducerIdentity,
    verified_from: Offset,
}

/// A partition: its producers, its end, and which decision each open record waits for.
#[derive(Default)]
struct Log {
    producers: ProducerState,
    end: Offset,
    undecided: Vec<(ProducerId, usize)>,
}

struct World {
    guarded: bool,
    state: Option<TxnMetadata>,
    clients: [Client; 2],
    logs: [Log; PARTITIONS],
    in_flight: Vec<InFlight>,
    /// The decision that is being carried out, and how many of its markers are written.
    carrying_out: Option<(MarkerPlan, usize)>,
    decisions: Vec<TxnResult>,
    next_producer_id: i64,
}

fn partition(number: usize) -> TopicPartition {
    TopicPartition::new(TopicName::new("t").unwrap(), PartitionId::new(number as i32))
}

impl World {
    fn new(guarded: bool, versions: [TransactionVersion; 2]) -> Self {
        Self {
            guarded,
            state: None,
            clients: versions.map(|version| Client {
                identity: None,
                version,
            }),
            logs: Default::default(),
            in_flight: Vec::new(),
            carrying_out: None,
            decisions: Vec::new(),
            next_producer_id: 0,
        }
    }

    /// Works on an event until its markers are due or it is answered. The id is busy meanwhile, so an event that comes while a decision is
    /// carried out first waits for that.
    fn event(&mut self, event: &TxnEvent) -> Result<Option<TxnReply>, String> {
        let mut fresh = None;
        loop {
            while self.carrying_out.is_some() {
                self.write_marker()?;
            }
            let Ok(commands) = handle(self.state.as_ref(), event, fresh, 1, TxnRules::default()) else {
                return Ok(None);
            };
            let mut again = false;
            for command in commands {
                match command {
                    TxnCommand::Log(next) => {
                        if let Some(result) = next.state.preparing() {
                            self.decisions.push(result);
                        }
                        self.state = Some(next);
                    }
                    TxnCommand::WriteMarkers(plan) => self.carrying_out = Some((plan, 0)),
                    TxnCommand::Answer(reply) => return Ok(Some(reply)),
                    TxnCommand::AllocateProducerId => {
                        fresh = Some(ProducerId::new(self.next_producer_id));
                        self.next_producer_id += 1;
                        again = true;
                    }
                    // Only an end leaves its markers to the schedule; its answer is what it would be.
                    TxnCommand::HandleAgain if matches!(event, TxnEvent::End { .. }) => {}
                    TxnCommand::HandleAgain => again = true,
                    TxnCommand::Forget => self.state = None,
                }
            }
            if !again {
                return Ok(Some(TxnReply::Done));
            }
        }
    }

    fn write_marker(&mut self) -> Result<(), String> {
        let Some((plan, written)) = self.carrying_out.take() else {
            return Ok(());
        };
        let Some(at) = plan.partitions.get(written) else {
            for command in handle(
                self.state.as_ref(),
                &TxnEvent::MarkersWritten,
                None,
                1,
                TxnRules::default(),
            )
            .expect("markers may always be written")
            {
                if let TxnCommand::Log(next) = command {
                    self.state = Some(next);
                }
            }
            return Ok(());
        };
        let log = &mut self.logs[at.partition.get() as usize];
        let marker = Marker {
            commit: plan.result == TxnResult::Commit,
            coordinator_epoch: 0,
        };
        log.producers
            .check_marker(plan.producer_id, plan.producer_epoch, marker)
            .map_err(|refused| format!("marker refused: {refused:?}"))?;
        let facts = facts(log.end, plan.producer_id, plan.producer_epoch, Some(marker));
        log.producers.apply(&facts, 1);
        log.end = log.end.next();
        let decision = self.decisions.len() - 1;
        for (_, due) in log
            .undecided
            .extract_if(.., |(producer, _)| *producer == plan.producer_id)
        {
            if due != decision {
                return Err(format!("a record of transaction {due} was decided by {decision}"));
            }
        }
        self.carrying_out = Some((plan, written + 1));
        Ok(())
    }

    fn append(&mut self, batch: InFlight) -> Result<(), String> {
        // A decision whose markers are under way is what a record appended now waits for.
        let busy = self.carrying_out.is_some();
        let log = &mut self.logs[batch.partition];
        let facts = facts(
            log.end,
            batch.producer.producer_id,
            batch.producer.producer_epoch,
            None,
        );
        let checked = log.producers.check(&facts, true);
        let guard = self.guarded.then_some(batch.verified_from);
        if checked != Ok(Verdict::Accept) || log.producers.check_verified(&facts, guard).is_err() {
            return Ok(());
        }
        let is_open = self
            .state
            .as_ref()
            .is_some_and(|state| busy || state.state == TxnState::Ongoing);
        if !is_open {
            return Err(format!("{batch:?} was appended outside of any transaction"));
        }
        if let TxnChange::Closed(_) = log.producers.apply(&facts, 1) {
            return Err("data closed a transaction".to_owned());
        }
        log.end = log.end.next();
        log.undecided.push((
            batch.producer.producer_id,
            self.decisions.len() - usize::from(busy),
        ));
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::Init { client } => {
                let event = TxnEvent::Init {
                    timeout_ms: 1000,
                    expected: None,
                };
                if let Some(TxnReply::Identity(identity)) = self.event(&event)? {
                    self.clients[client].identity = Some(identity);
                }
            }
            Step::AddExplicitly { client, partition } => self.add(client, partition)?,
            Step::Send {
                client,
                partition: number,
            } => {
                let Client {
                    identity: Some(producer),
                    version,
                } = self.clients[client]
                else {
                    return Ok(());
                };
                let verified_from = self.logs[number].end;
                if version.is_v2() {
                    self.add(client, number)?;
                }
                let missing = missing(
                    self.state.as_ref(),
                    producer.producer_id,
                    producer.producer_epoch,
                    &BTreeSet::from([partition(number)]),
                    TxnRules::default(),
                );
                if missing.is_ok_and(|missing| missing.is_empty()) {
                    self.in_flight.push(InFlight {
                        partition: number,
                        producer,
                        verified_from,
                    });
                }
            }
            Step::Append { nth } if nth < self.in_flight.len() => {
                let batch = self.in_flight.remove(nth);
                self.append(batch)?;
            }
            Step::Append { .. } => {}
            Step::End { client, commit } => self.end(client, commit)?,
            Step::Timeout => {
                if let Some(started_at) = self.state.as_ref().and_then(|state| state.started_at) {
                    self.event(&TxnEvent::TimedOut { started_at })?;
                }
            }
            Step::WriteMarker => self.write_marker()?,
        }
        Ok(())
    }

    fn add(&mut self, client: usize, number: usize) -> Result<(), String> {
        let Client { identity, version } = self.clients[client];
        let Some(identity) = identity else {
            return Ok(());
        };
        self.event(&TxnEvent::AddPartitions {
            producer_id: identity.producer_id,
            producer_epoch: identity.producer_epoch,
            partitions: BTreeSet::from([partition(number)]),
            version,
        })
        .map(drop)
    }

    fn end(&mut self, client: usize, commit: bool) -> Result<(), String> {
        let Client { identity, version } = self.clients[client];
        let Some(identity) = identity else {
            return Ok(());
        };
        let before = self.decisions.len();
        self.event(&TxnEvent::End {
            producer_id: identity.producer_id,
            producer_epoch: identity.producer_epoch,
            result: if commit {
                TxnResult::Commit
            } else {
                TxnResult::Abort
            },
            version,
        })?;
        if version.is_v2() && self.decisions.len() > before {
            self.clients[client].identity = Some(ProducerIdentity {
                producer_epoch: ProducerEpoch::new(identity.producer_epoch.get() + 1),
                ..identity
            });
        }
        Ok(())
    }

    /// A new producer takes over, and everything that was under way arrives.
    fn settle(&mut self) -> Result<(), String> {
        self.step(&Step::Init { client: 0 })?;
        for batch in std::mem::take(&mut self.in_flight) {
            self.append(batch)?;
        }
        match self
            .logs
            .iter()
            .position(|log| log.producers.first_open().is_some())
        {
            Some(hanging) => Err(format!("partition {hanging} has something open for ever")),
            None => Ok(()),
        }
    }
}

fn facts(
    at: Offset,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    marker: Option<Marker>,
) -> BatchFacts {
    let sequence = if marker.is_some() {
        Sequence::NONE
    } else {
        Sequence::ZERO
    };
    BatchFacts {
        base_offset: at,
        last_offset: at,
        max_timestamp: 1,
        producer_id,
        producer_epoch,
        base_sequence: sequence,
        last_sequence: sequence,
        is_transactional: true,
        marker,
        size_bytes: 100,
        leader_epoch: LeaderEpoch::ZERO,
    }
}

fn play(guarded: bool, versions: [TransactionVersion; 2], steps: &[Step]) -> Result<(), String> {
    let mut world = World::new(guarded, versions);
    world.step(&Step::Init { client: 0 })?;
    for step in steps {
        world.step(step)?;
    }
    world.settle()
}

fn schedule() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..80)
}

fn version() -> impl Strategy<Value = TransactionVersion> {
    prop_oneof![Just(TransactionVersion::V0), Just(TransactionVersion::V2)]
}

proptest! {
    #[test]
    fn nothing_stays_open_in_any_order_of_produces_and_ends(
        versions in [version(), version()],
        steps in schedule(),
    ) {
        prop_assert_eq!(play(true, versions, &steps), Ok(()));
    }
}

#[test]
fn without_the_guard_of_the_append_a_late_batch_of_an_older_client_hangs() {
    let mut runner = TestRunner::deterministic();
    let hanging = (0..2_000).any(|_| {
        let steps = schedule().new_tree(&mut runner).expect("a schedule").current();
        play(false, [TransactionVersion::V0; 2], &steps).is_err()
    });
    assert!(hanging, "2,000 schedules without the guard left nothing open");
}
