//! The time of one operator: the largest timestamp of the records that reached it, as Kafka Streams' window aggregates and joins count it.
//!
//! Always true: it never goes back, except when the task is put back to its last commit, and a restart does not change it ([`TaskClock`](super::TaskClock) keeps and
//! saves it). In a task that reads a repartition topic it is never ahead of the task's stream time, which is that of the slowest upstream task: so no result
//! depends on which upstream task ran first. Time that goes on while input is idle counts for every operator.
//! Of a task with very many operators ([`OPERATOR_TIMES_MAX`]) the last ones go by the task's stream time: what a commit may say is bounded.

use millpond_log::types::Timestamp;

/// Operators of one task that have a time of their own: about 14 bytes each in the metadata of committed offsets, of which there are 4096.
pub const OPERATOR_TIMES_MAX: usize = 64;

/// Which operator of its task: handed out by `InitContext::operator_time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OperatorIndex(pub(super) u32);

/// By what an operator's time is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeLimit {
    /// Nothing: its records alone count.
    None,
    /// It is not ahead of the task's stream time.
    Task,
    /// It is the task's stream time.
    IsTask,
}

/// The time of an operator while it works on a batch: taken out of the context before the loop over the rows, and put back behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperatorTime {
    /// Largest timestamp seen.
    pub(super) own: Timestamp,
    pub(super) limit: TimeLimit,
}

impl OperatorTime {
    /// A record came by, when the task's stream time was `stream_time` (the record counted). Returns the operator's time after it.
    #[inline]
    pub(crate) fn observe(&mut self, timestamp: Timestamp, stream_time: Timestamp) -> Timestamp {
        self.own = self.own.max(timestamp);
        self.at(stream_time)
    }

    /// The operator's time when the task's is `stream_time`.
    #[inline]
    pub(crate) fn at(&self, stream_time: Timestamp) -> Timestamp {
        match self.limit {
            TimeLimit::None => self.own,
            TimeLimit::Task => self.own.min(stream_time),
            TimeLimit::IsTask => stream_time,
        }
    }
}
