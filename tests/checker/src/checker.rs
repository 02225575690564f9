//! The pass over the lines: takes each event in, finds at once what one line can tell, and keeps what the end must judge.
//!
//! Always true: memory grows with values and with *jumps* between read offsets, not with reads: a consumer that reads a partition from end to end,
//! offset after offset, leaves no jump behind.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::graph::Graph;
use crate::history::{Event, Function, Kind, Place, Producer};
use crate::report::{Report, Rule};

pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

/// How an operation ended, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// No answer yet, or none ever, or one that tells nothing.
    Unknown,
    Ok,
    Fail,
}

#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) process: u32,
    pub(crate) function: Function,
    pub(crate) status: Status,
    /// Line of its invocation.
    pub(crate) invoked: u64,
    /// When it was answered.
    pub(crate) answered_at: u64,
    pub(crate) producer: Option<Producer>,
    pub(crate) values: Vec<u64>,
    pub(crate) node: u32,
}

#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) writer: u32,
    pub(crate) partition: u32,
    /// Where the writer was told that it is.
    pub(crate) acknowledged: Option<u64>,
    /// The first place it was read at.
    pub(crate) read: Option<Place>,
    pub(crate) read_finally: bool,
}

/// Two neighbouring reads of one partition that are not neighbours in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jump {
    pub(crate) partition: u32,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) process: u32,
    pub(crate) within_poll: bool,
}

#[derive(Debug, Default)]
struct Process {
    open: Option<u32>,
    /// Partition → last offset read, while positions are the process's own.
    positions: Map<u32, u64>,
    subscribed: bool,
    /// Partition → last acknowledged offset.
    sent: Map<u32, u64>,
}

/// Takes a history in, line by line; [`Checker::finish`] gives the verdict.
#[derive(Debug, Default)]
pub struct Checker {
    pub(crate) report: Report,
    pub(crate) operations: Vec<Operation>,
    pub(crate) values: Map<u64, Value>,
    pub(crate) partitions: Vec<String>,
    names: Map<String, u32>,
    processes: Map<u32, Process>,
    /// Values read before anybody sent them: where, and by whom.
    early: Map<u64, Vec<(Place, u32)>>,
    /// What each offset holds, by readers and acknowledgements.
    pub(crate) places: Map<Place, u64>,
    pub(crate) jumps: Vec<Jump>,
    pub(crate) graph: Graph,
    /// The last answer so far: everything invoked later is after it.
    barrier: Option<u32>,
    pub(crate) final_reads: bool,
    /// Partitions that the final reads have read to the end.
    pub(crate) finished: Vec<u32>,
    /// (transactional id, epoch) → line at which its `Init` was answered.
    pub(crate) inits: Map<String, Vec<(u32, u64)>>,
    /// (group, partition) → largest offset whose commit was answered, as of each line asked for.
    committed: Map<(String, u32), u64>,
    /// What an open FetchOffsets must at least see.
    expected: Map<u32, Map<(String, u32), u64>>,
    line: u64,
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Values that were read though no line sends them.
    pub(crate) fn judge_strangers(&mut self) {
        let mut strangers: Vec<u64> = self.early.keys().copied().collect();
        strangers.sort_unstable();
        for value in strangers {
            self.report.add(Rule::BadHistory, || {
                format!("value {value} was read and never sent")
            });
        }
    }

    /// Takes the next line in.
    pub fn event(&mut self, event: &Event) {
        self.line += 1;
        match event.kind {
            Kind::Invoke => self.invoked(event),
            Kind::Ok => self.answered(event, Status::Ok),
            Kind::Fail => self.answered(event, Status::Fail),
            Kind::Info => self.answered(event, Status::Unknown),
        }
    }

    pub(crate) fn partition(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.names.get(name) {
            return known;
        }
        let index = self.partitions.len() as u32;
        self.partitions.push(name.to_owned());
        self.names.insert(name.to_owned(), index);
        index
    }

    fn invoked(&mut self, event: &Event) {
        let node = self.graph.node();
        if let Some(barrier) = self.barrier {
            self.graph.edge(barrier, node);
        }
        let operation = self.operations.len() as u32;
        let line = self.line;
        for send in &event.sends {
            let partition = self.partition(&send.partition);
            let early = self.early.remove(&send.value).unwrap_or_default();
            for (_, reader) in &early {
                self.graph.edge(node, *reader);
            }
            let value = Value {
                writer: operation,
                partition,
                acknowledged: None,
                read: early.first().map(|(place, _)| *place),
                read_finally: false,
            };
            if self.values.insert(send.value, value).is_some() {
                self.report.add(Rule::BadHistory, || {
                    format!("line {line}: value {} is sent twice", send.value)
                });
            }
        }
        if event.f == Function::FetchOffsets {
            self.expected.insert(event.process, self.committed.clone());
        }
        let process = self.processes.entry(event.process).or_default();
        if process.open.replace(operation).is_some() {
            self.report.add(Rule::BadHistory, || {
                format!("line {line}: process {} has an operation open", event.process)
            });
        }
        self.operations.push(Operation {
            process: event.process,
            function: event.f,
            status: Status::Unknown,
            invoked: line,
            answered_at: u64::MAX,
            producer: event.producer.clone(),
            values: event.sends.iter().map(|send| send.value).collect(),
            node,
        });
    }

    fn answered(&mut self, event: &Event, status: Status) {
        let line = self.line;
        let open = self.processes.entry(event.process).or_default().open.take();
        let Some(index) = open else {
            self.report.add(Rule::BadHistory, || {
                format!(
                    "line {line}: an answer to process {}, which asked nothing",
                    event.process
                )
            });
            return;
        };
        let operation = &mut self.operations[index as usize];
        operation.status = status;
        operation.answered_at = event.time;
        let node = operation.node;
        // An operation of unknown outcome may still take effect after its answer: nothing is known to be after it.
        if status != Status::Unknown {
            let barrier = self.graph.node();
            self.graph.edge(node, barrier);
            if let Some(before) = self.barrier.replace(barrier) {
                self.graph.edge(before, barrier);
            }
        }
        if status == Status::Ok {
            self.report.operations += 1;
            self.sent(event);
            self.settled(event);
        }
        self.read(event, index);
        self.expected.remove(&event.process);
    }

    /// Offsets that a writer was told.
    fn sent(&mut self, event: &Event) {
        for send in &event.sends {
            let partition = self.partition(&send.partition);
            let (line, value) = (self.line, send.value);
            let Some(known) = self.values.get_mut(&value) else {
                self.report.add(Rule::BadHistory, || {
                    format!("line {line}: value {value} was never sent")
                });
                continue;
            };
            self.report.acknowledged += 1;
            let Some(offset) = send.offset else { continue };
            known.acknowledged = Some(offset);
            self.holds(Place { partition, offset }, value);
            let last = self
                .processes
                .entry(event.process)
                .or_default()
                .sent
                .insert(partition, offset);
            if let Some(last) = last
                && last >= offset
            {
                let name = &self.partitions[partition as usize];
                self.report.add(Rule::SendOrder, || {
                    format!(
                        "process {} was told offset {offset} of {name} after {last}",
                        event.process
                    )
                });
            }
        }
    }

    /// What the other functions change.
    fn settled(&mut self, event: &Event) {
        match event.f {
            Function::Assign | Function::Subscribe => {
                let process = self.processes.entry(event.process).or_default();
                process.positions.clear();
                process.subscribed = event.f == Function::Subscribe;
            }
            Function::Init => {
                if let Some(producer) = &event.producer {
                    let line = self.line;
                    self.inits
                        .entry(producer.id.clone())
                        .or_default()
                        .push((producer.epoch, line));
                }
            }
            Function::CommitOffsets | Function::Txn => {
                for commit in &event.commits {
                    let partition = self.partition(&commit.partition);
                    let known = self
                        .committed
                        .entry((commit.group.clone(), partition))
                        .or_default();
                    *known = (*known).max(commit.offset);
                }
            }
            Function::FetchOffsets => {
                let expected = self.expected.remove(&event.process).unwrap_or_default();
                for fetched in &event.commits {
                    let partition = self.partition(&fetched.partition);
                    let least = expected
                        .get(&(fetched.group.clone(), partition))
                        .copied()
                        .unwrap_or(0);
                    if fetched.offset < least {
                        self.report.add(Rule::OffsetRegression, || {
                            format!(
                                "group {} had committed {least} of {}, and fetched {}",
                                fetched.group, fetched.partition, fetched.offset
                            )
                        });
                    }
                }
            }
            Function::FinalReads => self.final_reads = true,
            Function::Send | Function::Poll => {}
        }
    }

    /// One place, one value (A1); one value, one place (A2).
    fn holds(&mut self, place: Place, value: u64) {
        let other = *self.places.entry(place).or_insert(value);
        if other != value {
            let name = &self.partitions[place.partition as usize];
            self.report.add(Rule::InconsistentOffset, || {
                format!("{name} at {} held {other} and {value}", place.offset)
            });
        }
    }

    fn read(&mut self, event: &Event, index: u32) {
        let mut last: Map<u32, u64> = Map::default();
        let reader = self.operations[index as usize].node;
        for read in &event.reads {
            let partition = self.partition(&read.partition);
            let place = Place {
                partition,
                offset: read.offset,
            };
            self.holds(place, read.value);
            self.step(event.process, &mut last, place);
            let value = read.value;
            let name = &read.partition;
            let Some(known) = self.values.get_mut(&value) else {
                self.early.entry(value).or_default().push((place, reader));
                continue;
            };
            known.read_finally |= self.final_reads;
            let elsewhere = known
                .read
                .or(known.acknowledged.map(|offset| Place {
                    partition: known.partition,
                    offset,
                }))
                .filter(|other| *other != place);
            if let Some(other) = elsewhere {
                self.report.add(Rule::Duplicate, || {
                    format!(
                        "value {value} lies in {name} at {} and at {}",
                        read.offset, other.offset
                    )
                });
            }
            let writer = &self.operations[known.writer as usize];
            if known.read.is_none() {
                known.read = Some(place);
                self.report.read += 1;
                if writer.status == Status::Ok {
                    let after = event.time.saturating_sub(writer.answered_at);
                    self.report.visible_after_max = self.report.visible_after_max.max(after);
                }
            }
            if known.writer == index {
                self.report.add(Rule::PrecommittedRead, || {
                    format!(
                        "process {} polled {value}, which its open transaction sent",
                        event.process
                    )
                });
            } else {
                self.graph.edge(writer.node, reader);
            }
        }
        let process = self.processes.entry(event.process).or_default();
        for (partition, offset) in last {
            process.positions.insert(partition, offset);
        }
        for name in &event.read_to_end {
            let partition = self.partition(name);
            self.finished.push(partition);
        }
    }

    /// Remembers a step between two reads unless it is the ordinary one, to the next offset.
    fn step(&mut self, process: u32, last: &mut Map<u32, u64>, to: Place) {
        let known = self.processes.entry(process).or_default();
        let within = last.insert(to.partition, to.offset);
        let between = known
            .positions
            .get(&to.partition)
            .copied()
            .filter(|_| !known.subscribed);
        let Some(from) = within.or(between) else { return };
        if to.offset != from + 1 {
            self.jumps.push(Jump {
                partition: to.partition,
                from,
                to: to.offset,
                process,
                within_poll: within.is_some(),
            });
        }
    }
}
