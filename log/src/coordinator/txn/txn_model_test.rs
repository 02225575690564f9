//! Random sequences of requests of both protocols, crashes and retries against a model that knows only what a client may rely on.
//!
//! Checked: replay of the log equals the live state at every prefix; a crash at any point, then resuming, settles every decision; one (producer id,
//! epoch) gets one decision; markers of a transaction agree on all partitions; no producer acts after it was fenced; a transaction begun
//! without data survives a restart (B20).

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::broker::{ProducerIdentity, TxnResult};
use crate::types::{PartitionId, ProducerEpoch, ProducerId, TopicName, TopicPartition, TransactionVersion};

use super::transition::handle;
use super::{
    MarkerPlan, TxnCommand, TxnError, TxnEvent, TxnMetadata, TxnReply, TxnRules, TxnState, decode_value,
    encode_value,
};

/// The shell without I/O: a log of encoded states, a list of markers, and a switch that crashes it after so many steps.
struct Harness {
    log: Vec<Option<bytes::Bytes>>,
    live: Option<TxnMetadata>,
    /// Those under an epoch that names one transaction: an older client's end keeps it for the next.
    markers: Vec<MarkerPlan>,
    next_producer_id: i64,
    now: i64,
    steps_to_crash: Option<usize>,
}

struct Crashed;

impl Harness {
    fn new() -> Self {
        Self {
            log: Vec::new(),
            live: None,
            markers: Vec::new(),
            next_producer_id: 0,
            now: 1,
            steps_to_crash: None,
        }
    }

    fn step(&mut self) -> Result<(), Crashed> {
        match &mut self.steps_to_crash {
            Some(0) => Err(Crashed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn write(&mut self, next: TxnMetadata) -> Result<(), Crashed> {
        self.step()?;
        self.log.push(Some(encode_value(&next)));
        self.step()?;
        self.live = Some(next);
        assert_eq!(
            self.live,
            self.replayed(),
            "live state differs from the replay of its log"
        );
        Ok(())
    }

    fn replayed(&self) -> Option<TxnMetadata> {
        self.log
            .last()
            .and_then(Option::as_ref)
            .map(|value| decode_value(value).expect("what was written can be read"))
    }

    fn run(&mut self, event: &TxnEvent) -> Result<Result<TxnReply, TxnError>, Crashed> {
        let mut fresh = None;
        loop {
            self.now += 1;
            let commands = match handle(self.live.as_ref(), event, fresh, self.now, TxnRules::default()) {
                Ok(commands) => commands,
                Err(refused) => return Ok(Err(refused)),
            };
            let mut again = false;
            for command in commands {
                match command {
                    TxnCommand::Log(next) => self.write(next)?,
                    TxnCommand::WriteMarkers(plan) => {
                        // Half of them, then a chance to crash, then all.
                        let named_once = self.live.as_ref().is_some_and(|state| {
                            state.client_version.is_v2() || state.last_producer_epoch != ProducerEpoch::NONE
                        });
                        let half = plan.partitions[..plan.partitions.len() / 2].to_vec();
                        if named_once {
                            self.markers.push(MarkerPlan {
                                partitions: half,
                                ..plan.clone()
                            });
                        }
                        self.step()?;
                        if named_once {
                            self.markers.push(plan);
                        }
                        for command in handle(
                            self.live.as_ref(),
                            &TxnEvent::MarkersWritten,
                            None,
                            self.now,
                            TxnRules::default(),
                        )
                        .unwrap()
                        {
                            if let TxnCommand::Log(next) = command {
                                self.write(next)?;
                            }
                        }
                    }
                    TxnCommand::AllocateProducerId => {
                        fresh = Some(ProducerId::new(self.next_producer_id));
                        self.next_producer_id += 1;
                        again = true;
                    }
                    TxnCommand::Forget => {
                        self.step()?;
                        self.log.push(None);
                        self.live = None;
                    }
                    TxnCommand::HandleAgain => again = true,
                    TxnCommand::Answer(reply) => return Ok(Ok(reply)),
                }
            }
            if !again {
                return Ok(Ok(TxnReply::Done));
            }
        }
    }

    fn restart(&mut self) {
        self.steps_to_crash = None;
        self.live = self.replayed();
        assert!(self.run(&TxnEvent::Resume).is_ok());
        let settled = self
            .live
            .as_ref()
            .is_none_or(|state| state.state.preparing().is_none());
        assert!(settled, "a decision was not carried out: {:?}", self.live);
    }
}

/// What a client does next.
#[derive(Clone, Debug)]
enum Op {
    Init,
    Recover {
        client: usize,
    },
    Add {
        client: usize,
        partition: i32,
        version: TransactionVersion,
    },
    End {
        client: usize,
        commit: bool,
        version: TransactionVersion,
    },
    Retry,
    Timeout,
    Expire,
    CrashIn {
        steps: usize,
    },
    Restart,
}

fn version() -> impl Strategy<Value = TransactionVersion> {
    prop_oneof![Just(TransactionVersion::V0), Just(TransactionVersion::V2)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => Just(Op::Init),
        1 => (0usize..3).prop_map(|client| Op::Recover { client }),
        6 => (0usize..3, 0i32..4, version())
            .prop_map(|(client, partition, version)| Op::Add { client, partition, version }),
        6 => (0usize..3, any::<bool>(), version())
            .prop_map(|(client, commit, version)| Op::End { client, commit, version }),
        2 => Just(Op::Retry),
        1 => Just(Op::Timeout),
        1 => Just(Op::Expire),
        2 => (0usize..6).prop_map(|steps| Op::CrashIn { steps }),
        1 => Just(Op::Restart),
    ]
}

/// What clients know.
#[derive(Default)]
struct Model {
    /// Identities handed out, newest first: clients are positions in this list, so 0 is the current producer and others are zombies.
    identities: Vec<ProducerIdentity>,
    last_end: Option<(TxnEvent, Option<ProducerIdentity>)>,
    /// Acknowledged decisions.
    decided: BTreeMap<ProducerIdentity, TxnResult>,
}

impl Model {
    /// Once the next transaction is open, a late end of an older client is taken for that one's own (KAFKA-17754).
    fn forget_ends_of_older_clients(&mut self) {
        let of_older = |event: &TxnEvent| matches!(event, TxnEvent::End { version, .. } if !version.is_v2());
        if self.last_end.as_ref().is_some_and(|(event, _)| of_older(event)) {
            self.last_end = None;
        }
    }
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new("t").unwrap(), PartitionId::new(number))
}

fn check(harness: &Harness, model: &Model) {
    let mut by_epoch: BTreeMap<(ProducerId, ProducerEpoch), TxnResult> = BTreeMap::new();
    for plan in &harness.markers {
        let decided = *by_epoch
            .entry((plan.producer_id, plan.producer_epoch))
            .or_insert(plan.result);
        assert_eq!(
            decided, plan.result,
            "two decisions for producer {} epoch {}",
            plan.producer_id, plan.producer_epoch
        );
    }
    for (identity, result) in &model.decided {
        let bumped = ProducerEpoch::new(identity.producer_epoch.get() + 1);
        let marked = by_epoch.get(&(identity.producer_id, bumped));
        assert_eq!(
            marked,
            Some(result),
            "acknowledged {result:?} of {identity:?} has no such markers"
        );
    }
}

fn play(ops: Vec<Op>, first_epoch: i16) {
    let mut harness = Harness::new();
    let mut model = Model::default();
    // Start near the end of the epochs in some runs (B24).
    if first_epoch > 0 {
        let TxnReply::Identity(first) = harness
            .run(&TxnEvent::Init {
                timeout_ms: 1000,
                expected: None,
            })
            .ok()
            .unwrap()
            .unwrap()
        else {
            panic!("init answers with an identity")
        };
        let mut state = harness.live.clone().unwrap();
        state.producer_epoch = ProducerEpoch::new(first_epoch);
        assert!(harness.write(state).is_ok());
        model.identities.insert(
            0,
            ProducerIdentity {
                producer_epoch: ProducerEpoch::new(first_epoch),
                ..first
            },
        );
    }
    for op in ops {
        let who = |client: usize| model.identities.get(client).copied();
        let (event, client) = match op {
            Op::Init => (
                TxnEvent::Init {
                    timeout_ms: 1000,
                    expected: None,
                },
                None,
            ),
            Op::Recover { client } => match who(client) {
                Some(id) => {
                    let expected = Some((id.producer_id, id.producer_epoch));
                    (
                        TxnEvent::Init {
                            timeout_ms: 1000,
                            expected,
                        },
                        Some(client),
                    )
                }
                None => continue,
            },
            Op::Add {
                client,
                partition: number,
                version,
            } => match who(client) {
                Some(id) => {
                    let partitions = BTreeSet::from([partition(number)]);
                    let (producer_id, producer_epoch) = (id.producer_id, id.producer_epoch);
                    (
                        TxnEvent::AddPartitions {
                            producer_id,
                            producer_epoch,
                            partitions,
                            version,
                        },
                        Some(client),
                    )
                }
                None => continue,
            },
            Op::End {
                client,
                commit,
                version,
            } => match who(client) {
                Some(id) => {
                    let result = if commit {
                        TxnResult::Commit
                    } else {
                        TxnResult::Abort
                    };
                    let (producer_id, producer_epoch) = (id.producer_id, id.producer_epoch);
                    (
                        TxnEvent::End {
                            producer_id,
                            producer_epoch,
                            result,
                            version,
                        },
                        Some(client),
                    )
                }
                None => continue,
            },
            Op::Retry => match model.last_end.clone() {
                Some((event, answered)) => {
                    let before = harness.live.clone();
                    let Ok(reply) = harness.run(&event) else {
                        harness.restart();
                        model.last_end = None;
                        continue;
                    };
                    if let (Some(first), Ok(TxnReply::Identity(again))) = (answered, reply) {
                        assert_eq!(first, again, "a retried end was answered differently");
                        assert_eq!(before, harness.live, "a retried end changed the state");
                    }
                    check(&harness, &model);
                    continue;
                }
                None => continue,
            },
            Op::Timeout => match harness.live.as_ref().and_then(|state| state.started_at) {
                Some(started_at) => (TxnEvent::TimedOut { started_at }, None),
                None => continue,
            },
            Op::Expire => (TxnEvent::Expire { before: i64::MAX }, None),
            Op::CrashIn { steps } => {
                harness.steps_to_crash = Some(steps);
                continue;
            }
            Op::Restart => {
                let open = harness
                    .live
                    .clone()
                    .filter(|state| state.state == TxnState::Ongoing);
                harness.restart();
                if let Some(open) = open {
                    assert_eq!(
                        harness.live,
                        Some(open),
                        "an open transaction did not survive the restart"
                    );
                }
                continue;
            }
        };
        let before = harness.live.clone();
        let outcome = harness.run(&event);
        // A crash may have come after the partitions were logged, so it counts as begun.
        if matches!(
            (&event, &outcome),
            (TxnEvent::AddPartitions { .. }, Err(Crashed) | Ok(Ok(_)))
        ) {
            model.forget_ends_of_older_clients();
        }
        match outcome {
            Err(Crashed) => {
                harness.restart();
                if matches!(event, TxnEvent::End { .. }) {
                    model.last_end = Some((event, None));
                }
            }
            Ok(Err(_)) => assert_eq!(before, harness.live, "a refused {event:?} changed the state"),
            Ok(Ok(reply)) => {
                // A producer that is no longer the current one does nothing; the same identity may stand in the list twice.
                if let (Some(client), TxnEvent::AddPartitions { .. }) = (client, &event) {
                    assert_eq!(
                        model.identities.get(client).copied(),
                        harness.live.as_ref().map(TxnMetadata::identity),
                        "a fenced producer wrote"
                    );
                }
                if harness.live.is_none() {
                    model.identities.clear();
                    model.last_end = None;
                }
                if let TxnReply::Identity(identity) = reply {
                    if let TxnEvent::End {
                        producer_id,
                        producer_epoch,
                        result,
                        version,
                    } = &event
                    {
                        let ended = ProducerIdentity {
                            producer_id: *producer_id,
                            producer_epoch: *producer_epoch,
                        };
                        if version.is_v2() {
                            let first = *model.decided.entry(ended).or_insert(*result);
                            assert_eq!(first, *result, "{ended:?} was decided twice");
                        }
                        model.last_end = Some((event.clone(), Some(identity)));
                    } else {
                        model.last_end = None;
                    }
                    if model.identities.first() != Some(&identity) {
                        model.identities.insert(0, identity);
                        model.identities.truncate(3);
                    }
                }
            }
        }
        check(&harness, &model);
    }
    harness.restart();
    check(&harness, &model);
}

proptest! {
    #[test]
    fn any_order_of_requests_crashes_and_retries_keeps_the_promises(
        ops in proptest::collection::vec(op(), 1..60),
        first_epoch in prop_oneof![Just(0i16), 32_760i16..=32_766],
    ) {
        play(ops, first_epoch);
    }
}

/// Found by the test above: the partitions were logged, the node died before it answered, and the late end of the transaction before aborted the new one.
#[test]
fn a_late_end_of_an_older_client_is_not_told_from_that_of_a_transaction_begun_by_a_lost_request() {
    let version = TransactionVersion::V0;
    let add = |partition| Op::Add {
        client: 0,
        partition,
        version,
    };
    let end = Op::End {
        client: 0,
        commit: false,
        version,
    };
    play(
        vec![Op::Init, add(3), end, Op::CrashIn { steps: 1 }, add(3), Op::Retry],
        0,
    );
}
