//! The input partitions of one task, and the choice of what to process next: the run of records with the smallest timestamps.
//!
//! With one partition a run is as large as the budget allows. With several, a run ends before the first record that is younger than the oldest
//! waiting record of another partition. A partition that is empty but not known to be at its end is waited for: its next record could be older.
//! Ties go to the partition that comes first, so the choice does not depend on which fetch came back first.

use millpond_log::record::BatchError;
use millpond_log::types::{Offset, Timestamp};

use super::input_queue::{InputQueue, Run};

/// What [`PartitionGroup::choose`] found.
pub(crate) enum Choice {
    /// Process this.
    Run(Run),
    /// Nothing to do until more is fetched.
    Wait,
}

/// The queues of one task, in a fixed order.
#[derive(Debug)]
pub(crate) struct PartitionGroup {
    queues: Vec<InputQueue>,
}

impl PartitionGroup {
    pub(crate) fn new(queues: Vec<InputQueue>) -> Self {
        PartitionGroup { queues }
    }

    pub(crate) fn queues(&self) -> &[InputQueue] {
        &self.queues
    }

    pub(crate) fn queues_mut(&mut self) -> &mut [InputQueue] {
        &mut self.queues
    }

    pub(crate) fn queue_mut(&mut self, input: usize) -> &mut InputQueue {
        &mut self.queues[input]
    }

    /// Positions of all inputs: what a commit records.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&InputQueue, Offset)> {
        self.queues.iter().map(|queue| (queue, queue.position()))
    }

    /// Takes the next run, at most about `bytes_max` (one batch may be larger).
    pub(crate) fn choose(&mut self, bytes_max: usize) -> Result<Choice, BatchError> {
        if let [only] = self.queues.as_mut_slice() {
            return Ok(only.take(bytes_max, None)?.map_or(Choice::Wait, Choice::Run));
        }
        let mut oldest: Option<(usize, Timestamp)> = None;
        let mut second: Option<Timestamp> = None;
        for (input, queue) in self.queues.iter_mut().enumerate() {
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
        let run = self.queues[input].take(bytes_max, second)?;
        Ok(run.map_or(Choice::Wait, Choice::Run))
    }
}

#[cfg(test)]
#[path = "partition_group_test.rs"]
mod partition_group_test;
