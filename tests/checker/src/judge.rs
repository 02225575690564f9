//! What only the whole history can tell: lost, unseen and torn writes, skipped records, zombies, cycles.
//!
//! Always true: a writer counts as committed if it was answered with ok, or if it is one transaction of unknown outcome one of whose values was
//! read (A6: one seen, all must be). Its values below the furthest one read in their partition had to be read (A3); after the final reads, all of them (A10).

use crate::checker::{Checker, Jump, Operation, Status};
use crate::history::Function;
use crate::report::{Report, Rule};

impl Checker {
    /// Judges what was taken in.
    pub fn finish(mut self) -> Report {
        let seen = self.seen_transactions();
        self.judge_values(&seen);
        self.judge_jumps(&seen);
        self.judge_zombies();
        self.judge_cycles();
        self.judge_strangers();
        self.report
    }

    /// For each operation: whether one of its values was read.
    fn seen_transactions(&self) -> Vec<bool> {
        let mut seen = vec![false; self.operations.len()];
        for value in self.values.values() {
            if value.read.is_some() {
                seen[value.writer as usize] = true;
            }
        }
        seen
    }

    fn judge_values(&mut self, seen: &[bool]) {
        let mut bounds = vec![None; self.partitions.len()];
        for value in self.values.values() {
            if let Some(place) = value.read {
                let bound: &mut Option<u64> = &mut bounds[place.partition as usize];
                *bound = (*bound).max(Some(place.offset));
            }
        }
        let mut finished = vec![false; self.partitions.len()];
        for &partition in &self.finished {
            finished[partition as usize] = true;
        }
        // In the order of the values, so that a report is the same every time.
        let mut order: Vec<u64> = self.values.keys().copied().collect();
        order.sort_unstable();
        for name in order {
            let value = &self.values[&name];
            let writer = &self.operations[value.writer as usize];
            let partition = &self.partitions[value.partition as usize];
            let finished = finished[value.partition as usize];
            if value.read.is_some() {
                if writer.status == Status::Fail {
                    self.report.add(Rule::AbortedRead, || {
                        format!(
                            "value {name} of {partition} was read; its writer, process {}, failed",
                            writer.process
                        )
                    });
                }
                if finished && !value.read_finally {
                    self.report.add(Rule::ReadThenLost, || {
                        format!("value {name} of {partition} was read once, and is not in its final log")
                    });
                }
                continue;
            }
            if !committed(writer, seen[value.writer as usize]) {
                continue;
            }
            let passed = value
                .acknowledged
                .is_some_and(|offset| Some(offset) <= bounds[value.partition as usize]);
            if passed {
                self.report.add(Rule::LostWrite, || {
                    format!("value {name} of {partition} was acknowledged at {:?} and passed over by every reader", value.acknowledged)
                });
            }
            if finished {
                self.report.add(Rule::Unseen, || {
                    format!("value {name} of {partition} was acknowledged and is not in its final log")
                });
            }
            if (passed || finished) && writer.function == Function::Txn && seen[value.writer as usize] {
                self.report.add(Rule::TornTransaction, || {
                    format!("value {name} of {partition} is missing; others of its transaction were read")
                });
            }
        }
    }

    /// A jump is a skip only over an offset that holds a visible record: control records and aborted ones take offsets too.
    fn judge_jumps(&mut self, seen: &[bool]) {
        let mut visible = vec![Vec::new(); self.partitions.len()];
        for (place, value) in &self.places {
            let Some(value) = self.values.get(value) else {
                continue;
            };
            if value.read.is_some()
                || committed(
                    &self.operations[value.writer as usize],
                    seen[value.writer as usize],
                )
            {
                visible[place.partition as usize].push(place.offset);
            }
        }
        for offsets in &mut visible {
            offsets.sort_unstable();
        }
        for &Jump {
            partition,
            from,
            to,
            process,
            within_poll,
        } in &self.jumps
        {
            let rule = if within_poll {
                Rule::PollSkip
            } else {
                Rule::PollSkipBetween
            };
            let name = &self.partitions[partition as usize];
            if to <= from {
                self.report.add(rule, || {
                    format!("process {process} read {name} at {to} after {from}")
                });
                continue;
            }
            let offsets = &visible[partition as usize];
            let first = offsets.partition_point(|offset| *offset <= from);
            if offsets.get(first).is_some_and(|offset| *offset < to) {
                self.report.add(rule, || {
                    format!(
                        "process {process} went from {from} to {to} of {name}, past the record at {}",
                        offsets[first]
                    )
                });
            }
        }
    }

    fn judge_zombies(&mut self) {
        for (index, operation) in self.operations.iter().enumerate() {
            let Some(producer) = &operation.producer else {
                continue;
            };
            let Some(inits) = self.inits.get(&producer.id) else {
                continue;
            };
            let successor = inits
                .iter()
                .find(|(epoch, line)| *epoch > producer.epoch && *line < operation.invoked);
            let Some((epoch, _)) = successor else { continue };
            for name in &operation.values {
                let visible = self
                    .values
                    .get(name)
                    .is_some_and(|value| value.writer == index as u32 && value.read.is_some());
                if visible {
                    self.report.add(Rule::ZombieWrite, || {
                        format!(
                            "value {name} of {} in epoch {} was sent after epoch {epoch} had begun, and read",
                            producer.id, producer.epoch
                        )
                    });
                }
            }
        }
    }

    fn judge_cycles(&mut self) {
        for cycle in self.graph.cycles() {
            let members: Vec<String> = self
                .operations
                .iter()
                .filter(|operation| cycle.contains(&operation.node))
                .map(|operation| format!("line {} (process {})", operation.invoked, operation.process))
                .take(4)
                .collect();
            self.report.add(Rule::Cycle, || {
                format!("each before the other: {}", members.join(", "))
            });
        }
    }
}

fn committed(writer: &Operation, seen: bool) -> bool {
    match writer.status {
        Status::Ok => true,
        Status::Fail => false,
        Status::Unknown => writer.function == Function::Txn && seen,
    }
}
