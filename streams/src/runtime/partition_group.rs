//! The input partitions of one task, and the choice of what to process next: the run of records with the smallest timestamps.
//!
//! With one partition a run is as large as the budget allows. With several, a run ends before the first record that is younger than the oldest
//! waiting record of another partition. A partition that is empty but not known to be at its end is waited for: its next record could be older.
//! Ties go to the partition that comes first, so the choice does not depend on which fetch came back first.
//!
//! One of the queues may be that of the task's time topic: it holds no records but marks, each saying that at some positions of the inputs time went on by itself
//! (`processor/time_mark.rs`). Input is held back at the next mark; when all of it is there, the mark is what is to be processed. Nothing is chosen before it is known
//! whether there is one. The queue's position is that of the first mark not processed, because only then is it done with.

use std::collections::VecDeque;

use millpond_log::record::BatchError;
use millpond_log::types::{Offset, Timestamp, TopicName};

use super::input_queue::{InputQueue, Run};
use crate::processor::{DamagedMark, TimeMark};

/// What [`PartitionGroup::choose`] found.
pub(crate) enum Choice {
    /// Process this.
    Run(Run),
    /// Time goes on here.
    Time(TimeMark),
    /// Nothing to do until more is fetched.
    Wait,
}

/// The queues of one task, in a fixed order.
#[derive(Debug)]
pub(crate) struct PartitionGroup {
    queues: Vec<InputQueue>,
    /// Which queue is that of the time topic.
    time: Option<usize>,
    /// Marks that were read and are not known to be processed, with their offsets.
    marks: VecDeque<(Offset, TimeMark)>,
}

/// Why there is nothing to choose from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChoiceError {
    /// An input is damaged.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The time topic holds something else.
    #[error(transparent)]
    Mark(#[from] DamagedMark),
}

impl PartitionGroup {
    pub(crate) fn new(queues: Vec<InputQueue>) -> Self {
        PartitionGroup {
            queues,
            time: None,
            marks: VecDeque::new(),
        }
    }

    /// The same group, in which the queue of that number is the time topic's.
    pub(crate) fn with_time(self, queue: usize) -> Self {
        PartitionGroup {
            time: Some(queue),
            ..self
        }
    }

    pub(crate) fn queues(&self) -> &[InputQueue] {
        &self.queues
    }

    pub(crate) fn queues_mut(&mut self) -> &mut [InputQueue] {
        &mut self.queues
    }

    /// Starts an input again at `position`.
    pub(crate) fn rewind(&mut self, input: usize, position: Offset) {
        if self.time == Some(input) {
            self.marks.clear();
        }
        self.queues[input].rewind(position);
    }

    /// Positions of all inputs: what a commit records.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&InputQueue, Offset)> {
        self.queues.iter().enumerate().map(|(input, queue)| {
            let mark = self.marks.front().filter(|_| self.time == Some(input));
            (queue, mark.map_or(queue.position(), |(offset, _)| *offset))
        })
    }

    /// Positions of the inputs without the time topic.
    pub(crate) fn data_positions(&self) -> impl Iterator<Item = (&TopicName, Offset)> {
        let data = self
            .queues
            .iter()
            .enumerate()
            .filter(|(input, _)| self.time != Some(*input));
        data.map(|(_, queue)| (&queue.partition().topic, queue.position()))
    }

    /// Wall-clock time of the oldest among the last answers of the log for each input, if none of them has anything to be processed.
    pub(crate) fn idle_answer_ms(&self) -> Option<Timestamp> {
        if !self.marks.is_empty() {
            return None;
        }
        let answers = self.queues.iter().map(InputQueue::idle_answer_ms);
        answers
            .reduce(|oldest, answer| Some(oldest?.min(answer?)))
            .flatten()
    }

    /// Takes the next run, at most about `bytes_max` (one batch may be larger). Marks with numbers up to `marks_done` were processed before.
    pub(crate) fn choose(&mut self, bytes_max: usize, marks_done: u64) -> Result<Choice, ChoiceError> {
        if !self.read_marks(marks_done)? {
            return Ok(Choice::Wait);
        }
        let is_there = |mark: &TimeMark, queues: &[InputQueue]| {
            queues
                .iter()
                .all(|queue| end_of(queue, Some(mark)).is_none_or(|end| queue.position() >= end))
        };
        let is_next = self
            .marks
            .front()
            .is_some_and(|(_, mark)| is_there(mark, &self.queues));
        if is_next && let Some((_, mark)) = self.marks.pop_front() {
            return Ok(Choice::Time(mark));
        }
        let mark = self.marks.front().map(|(_, mark)| mark);
        if let [only] = self.queues.as_mut_slice() {
            return Ok(only.take(bytes_max, None)?.map_or(Choice::Wait, Choice::Run));
        }
        let mut oldest: Option<(usize, Timestamp)> = None;
        let mut second: Option<Timestamp> = None;
        for (input, queue) in self.queues.iter_mut().enumerate() {
            let is_held = end_of(queue, mark).is_some_and(|end| queue.position() >= end);
            if self.time == Some(input) || is_held {
                continue;
            }
            let Some(time) = queue.head_time()? else {
                if !queue.is_at_end() {
                    return Ok(Choice::Wait);
                }
                continue;
            };
            match oldest {
                Some((_, best)) if time >= best => {
                    second = Some(second.map_or(time, |other| other.min(time)))
                }
                Some((_, best)) => {
                    second = Some(best);
                    oldest = Some((input, time));
                }
                None => oldest = Some((input, time)),
            }
        }
        let Some((input, _)) = oldest else {
            return Ok(Choice::Wait);
        };
        let queue = &mut self.queues[input];
        let end = end_of(queue, mark);
        let run = queue.take_until(bytes_max, second, end)?;
        Ok(run.map_or(Choice::Wait, Choice::Run))
    }

    /// Reads what the time topic's queue holds; `false` while it is not known whether there is a mark.
    fn read_marks(&mut self, marks_done: u64) -> Result<bool, ChoiceError> {
        let Some(time) = self.time else { return Ok(true) };
        let queue = &mut self.queues[time];
        while let Some(run) = queue.take(usize::MAX, None)? {
            for found in run.batch.records() {
                let record = found?.record;
                let mark = TimeMark::decode(record.value.unwrap_or_default())?;
                if mark.number > marks_done {
                    self.marks.push_back((record.offset, mark));
                }
            }
        }
        Ok(!self.marks.is_empty() || queue.is_at_end())
    }
}

/// Where an input is held back by a mark; inputs it does not name are not.
fn end_of(queue: &InputQueue, mark: Option<&TimeMark>) -> Option<Offset> {
    let positions = &mark?.positions;
    let found = positions
        .iter()
        .find(|(topic, _)| *topic == queue.partition().topic);
    found.map(|(_, end)| *end)
}

#[cfg(test)]
#[path = "partition_group_test.rs"]
mod partition_group_test;
