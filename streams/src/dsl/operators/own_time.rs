//! The time by which an aggregation judges what is late, closes windows and expires them: that of the records that reached it.
//!
//! Always true: rows an aggregation leaves out (null keys) do not count. The inputs of a cogroup have a time each, as in Kafka Streams, unless results are told when
//! windows close or intervals end: then one time, the furthest, is that of all, for a result must not change once it is final.

use millpond_log::types::Timestamp;

use crate::dsl::row::Row;
use crate::processor::{InitContext, NO_TIME, OperatorIndex, OperatorTime, ProcessContext};

/// How many inputs an aggregation has, and which of them a value came from.
pub(in crate::dsl) struct Inputs<V> {
    pub(in crate::dsl) count: usize,
    pub(in crate::dsl) of: fn(&V) -> usize,
}

impl<V> Clone for Inputs<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Inputs<V> {}

impl<V> Inputs<V> {
    /// A single one.
    pub(in crate::dsl) fn one() -> Self {
        Inputs { count: 1, of: |_| 0 }
    }
}

/// See the module's text.
pub(super) struct OwnTime<V> {
    inputs: Inputs<V>,
    indices: Vec<OperatorIndex>,
}

/// The time of the input that a batch came from.
pub(super) struct BatchTime {
    index: OperatorIndex,
    time: OperatorTime,
    /// How far other inputs are that share the store; [`NO_TIME`] when there are none.
    others: Timestamp,
}

impl<V> OwnTime<V> {
    /// `shares_one`: all inputs go by one time.
    pub(super) fn new(inputs: Inputs<V>, shares_one: bool) -> Self {
        let count = if shares_one { 1 } else { inputs.count };
        OwnTime {
            inputs: Inputs { count, ..inputs },
            indices: Vec::new(),
        }
    }

    /// Asks for times under the name of the operator's store.
    pub(super) fn init(&mut self, store: &str, context: &mut InitContext<'_>) {
        self.indices = (0..self.inputs.count)
            .map(|input| match input {
                0 => context.operator_time(store),
                input => context.operator_time(&format!("{store}#{input}")),
            })
            .collect();
    }

    /// For a batch; all of its rows come from one input. `None` when the operator has no time of its own.
    pub(super) fn of_batch<K>(&self, rows: &[Row<K, V>], context: &ProcessContext<'_>) -> Option<BatchTime> {
        let first = rows.first()?;
        let input = match self.indices.len() {
            0 => return None,
            1 => 0,
            _ => (self.inputs.of)(&first.value),
        };
        let others = self.indices.iter().enumerate();
        let others = others
            .filter(|(other, _)| *other != input)
            .map(|(_, index)| context.operator_time(*index).at(context.stream_time()))
            .max();
        let index = self.indices[input];
        Some(BatchTime {
            index,
            time: context.operator_time(index),
            others: others.unwrap_or(NO_TIME),
        })
    }

    /// The time now: that of the furthest input.
    pub(super) fn now(&self, context: &ProcessContext<'_>) -> Timestamp {
        let time = |index: &OperatorIndex| context.operator_time(*index).at(context.stream_time());
        self.indices
            .iter()
            .map(time)
            .max()
            .unwrap_or(context.stream_time())
    }

    /// The same when the open transaction began.
    pub(super) fn committed(&self, context: &ProcessContext<'_>) -> Timestamp {
        let time = |index: &OperatorIndex| context.operator_committed(*index);
        self.indices
            .iter()
            .map(time)
            .max()
            .unwrap_or(context.committed_time())
    }
}

impl BatchTime {
    /// A row that counts. Returns the time after it.
    #[inline]
    pub(super) fn observe<K, V>(&mut self, row: &Row<K, V>) -> Timestamp {
        self.time.observe(row.timestamp, row.stream_time)
    }

    /// The time of the store at an input's time: what is past its retention by that is gone, whichever input asks.
    #[inline]
    pub(super) fn of_store(&self, now: Timestamp) -> Timestamp {
        self.others.max(now)
    }

    /// True when several inputs with a time each share the store.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.others != NO_TIME
    }

    /// A copy to look ahead with.
    pub(super) fn ahead(&self) -> OperatorTime {
        self.time
    }

    /// The batch is through.
    pub(super) fn keep(self, context: &mut ProcessContext<'_>) {
        context.set_operator_time(self.index, self.time);
    }
}
