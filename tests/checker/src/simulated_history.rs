//! Histories of a log that keeps every promise, made from a seed: concurrent senders, transactions of every outcome, readers of both kinds.
//!
//! Always true: an operation takes effect between its invocation and its answer, or, if its answer tells nothing, perhaps never. Aborted records and
//! markers take offsets, as in Kafka.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::history::{Commit, Event, Function, Kind, Producer, Read, Send};

const PARTITIONS: usize = 3;
const TRANSACTORS: [u32; 2] = [2, 3];
/// One reader with partitions of its own, one in a group.
const READERS: [u32; 2] = [4, 5];
const COMMITTER: u32 = 6;
pub(crate) const FINAL_READER: u32 = 7;

enum Slot {
    Record { value: u64, committed: bool },
    Marker,
}

struct World {
    rng: Rng,
    time: u64,
    log: Vec<Vec<Slot>>,
    events: Vec<Event>,
    open: BTreeMap<u32, Event>,
    positions: BTreeMap<(u32, usize), usize>,
    epochs: BTreeMap<u32, u32>,
    committed: u64,
    next_value: u64,
}

pub(crate) fn name(partition: usize) -> String {
    format!("t-{partition}")
}

/// The history of `seed`.
pub(crate) fn history(seed: u64) -> Vec<Event> {
    let mut world = World {
        rng: Rng::with_seed(seed),
        time: 0,
        log: (0..PARTITIONS).map(|_| Vec::new()).collect(),
        events: Vec::new(),
        open: BTreeMap::new(),
        positions: BTreeMap::new(),
        epochs: BTreeMap::new(),
        committed: 0,
        next_value: 1,
    };
    for process in TRANSACTORS {
        world.begin(process, Function::Init);
        world.end(process);
    }
    for (process, function) in READERS.into_iter().zip([Function::Assign, Function::Subscribe]) {
        world.begin(process, function);
        world.end(process);
    }
    for _ in 0..300 {
        let process = world.rng.u32(0..7);
        if world.open.contains_key(&process) {
            world.end(process);
            continue;
        }
        let function = match process {
            0 | 1 => Function::Send,
            2 | 3 if world.rng.u8(..) < 20 => Function::Init,
            2 | 3 => Function::Txn,
            COMMITTER if world.rng.bool() => Function::FetchOffsets,
            COMMITTER => Function::CommitOffsets,
            4 if world.rng.u8(..) < 10 => Function::Assign,
            _ => Function::Poll,
        };
        world.begin(process, function);
    }
    for process in 0..7 {
        if world.open.contains_key(&process) {
            world.end(process);
        }
    }
    for function in [Function::FinalReads, Function::Assign] {
        world.begin(FINAL_READER, function);
        world.end(FINAL_READER);
    }
    for partition in 0..PARTITIONS {
        while world.position(FINAL_READER, partition) < world.log[partition].len() {
            world.begin(FINAL_READER, Function::Poll);
            let mut event = world
                .open
                .remove(&FINAL_READER)
                .unwrap_or_else(|| unreachable!("it was begun"));
            event.kind = Kind::Ok;
            event.reads = world.take(FINAL_READER, partition, 20);
            if world.position(FINAL_READER, partition) == world.log[partition].len() {
                event.read_to_end = vec![name(partition)];
            }
            world.events.push(event);
        }
    }
    world.events
}

impl World {
    fn position(&self, process: u32, partition: usize) -> usize {
        self.positions.get(&(process, partition)).copied().unwrap_or(0)
    }

    fn begin(&mut self, process: u32, function: Function) {
        self.time += self.rng.u64(1..50);
        let mut event = Event::new(process, self.time, Kind::Invoke, function);
        if matches!(function, Function::Send | Function::Txn) {
            for _ in 0..self.rng.u32(1..6) {
                let partition = self.rng.usize(0..PARTITIONS);
                event.sends.push(Send {
                    partition: name(partition),
                    value: self.next_value,
                    offset: None,
                });
                self.next_value += 1;
            }
        }
        if function == Function::Txn {
            event.producer = Some(self.producer(process));
        }
        self.events.push(event.clone());
        self.open.insert(process, event);
    }

    fn producer(&self, process: u32) -> Producer {
        Producer {
            id: format!("p{process}"),
            epoch: self.epochs.get(&process).copied().unwrap_or(0),
        }
    }

    fn end(&mut self, process: u32) {
        let Some(mut event) = self.open.remove(&process) else {
            return;
        };
        self.time += self.rng.u64(1..50);
        event.time = self.time;
        event.kind = Kind::Ok;
        match event.f {
            Function::Send | Function::Txn => self.write(&mut event),
            Function::Poll => {
                let partition = self.rng.usize(0..PARTITIONS);
                if process == READERS[1] && self.rng.u8(..) < 60 {
                    // A rebalance: another start.
                    self.positions.insert((process, partition), 0);
                }
                let count = self.rng.usize(1..12);
                event.reads = self.take(process, partition, count);
            }
            Function::Assign => self.positions.retain(|(owner, _), _| *owner != process),
            Function::Init => {
                *self.epochs.entry(process).or_default() += 1;
                event.producer = Some(self.producer(process));
            }
            Function::CommitOffsets => {
                self.committed += self.rng.u64(0..10);
                event.commits.push(self.commit());
            }
            Function::FetchOffsets => event.commits.push(self.commit()),
            Function::Subscribe | Function::FinalReads => {}
        }
        self.events.push(event);
    }

    fn commit(&self) -> Commit {
        Commit {
            group: "g".to_owned(),
            partition: name(0),
            offset: self.committed,
        }
    }

    fn write(&mut self, event: &mut Event) {
        // Ok, failed, unknown but done, unknown and not done.
        let outcome = match self.rng.u8(..) {
            0..200 => 0,
            200..220 => 1,
            220..240 => 2,
            _ => 3,
        };
        let transaction = event.f == Function::Txn;
        event.kind = [Kind::Ok, Kind::Fail, Kind::Info, Kind::Info][outcome];
        let committed = outcome == 0 || outcome == 2;
        // What failed without a transaction is not in the log at all.
        if outcome == 3 || (outcome == 1 && !transaction) {
            return;
        }
        for send in &mut event.sends {
            let partition = (0..PARTITIONS).find(|n| name(*n) == send.partition).unwrap_or(0);
            send.offset = (outcome == 0).then_some(self.log[partition].len() as u64);
            self.log[partition].push(Slot::Record {
                value: send.value,
                committed,
            });
        }
        if transaction {
            for partition in 0..PARTITIONS {
                if event.sends.iter().any(|send| send.partition == name(partition)) {
                    self.log[partition].push(Slot::Marker);
                }
            }
        }
    }

    fn take(&mut self, process: u32, partition: usize, count: usize) -> Vec<Read> {
        let from = self.position(process, partition);
        let to = (from + count).min(self.log[partition].len());
        self.positions.insert((process, partition), to);
        let slots = self.log[partition][from..to].iter().enumerate();
        slots
            .filter_map(|(n, slot)| match slot {
                Slot::Record {
                    value,
                    committed: true,
                } => Some(Read {
                    partition: name(partition),
                    offset: (from + n) as u64,
                    value: *value,
                }),
                _ => None,
            })
            .collect()
    }
}
