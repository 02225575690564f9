//! What a processor may touch: `ProcessorInit` before it starts, `ProcessorContext` while it works.
//!
//! Always true: what is forwarded goes to the children after the call, in order, within the same transaction; stream time is that of the record being worked on,
//! not of the batch it came in.

use std::any::type_name;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::types::{Offset, Timestamp};

use super::traits::Punctuator;
use super::value_transformer::find_store;
use super::{Cancellable, PunctuationType, Record, RecordMetadata, RecordProcessor, Schedules, TimerKind};
use crate::dsl::row::{NO_OFFSET, Row};
use crate::dsl::stores::access::{bound, sealed};
use crate::dsl::stores::timers::TimerQueue;
use crate::dsl::stores::{StateContext, StateStore, StoreDefinition};
use crate::processor::{BoxError, ProcessContext, ProcessError};
use crate::state::{StoreIndex, StoreRef, TaskId};

/// What a processor has around it between calls.
pub(in crate::dsl) struct Shell<P: RecordProcessor> {
    pub(in crate::dsl) out: Vec<Group<P::KeyOut, P::ValueOut>>,
    pub(in crate::dsl) schedules: Schedules<Punctuator<P>>,
    pub(in crate::dsl) timers: Option<TimerQueue<P::KeyIn>>,
    /// Why the record that is being worked on cannot be used, found out where no error could be returned.
    pub(in crate::dsl) refused: Option<BoxError>,
    pub(in crate::dsl) children: Vec<String>,
    pub(in crate::dsl) application_id: String,
}

/// Rows forwarded one after the other to the same child, or to all.
pub(in crate::dsl) struct Group<K, V> {
    pub(in crate::dsl) child: Option<usize>,
    pub(in crate::dsl) rows: Vec<Row<K, V>>,
}

/// Where in time and input a call happens.
#[derive(Clone, Copy)]
pub(in crate::dsl) struct At {
    pub(in crate::dsl) stream_time: Timestamp,
    pub(in crate::dsl) timestamp: Timestamp,
    pub(in crate::dsl) offset: Offset,
}

/// A timer that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer<K> {
    /// The key it was set for.
    pub key: K,
    /// The time it was set for, in ms; stream time may be beyond it.
    pub time: Timestamp,
    /// Which time that is.
    pub kind: TimerKind,
}

/// A child that a processor does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no child {name:?}; the children are {children:?}")]
pub struct UnknownChild {
    /// The name asked for.
    pub name: String,
    /// The children there are.
    pub children: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("a record cannot have the timestamp {0}")]
struct NegativeTimestamp(Timestamp);

/// What a [`RecordProcessor`] may touch while it works (Kafka Streams' `ProcessorContext`). It also gives stores access to the task's state.
pub struct ProcessorContext<'a, P: RecordProcessor> {
    pub(in crate::dsl) inner: ProcessContext<'a>,
    pub(in crate::dsl) shell: &'a mut Shell<P>,
    pub(in crate::dsl) at: At,
}

impl<P: RecordProcessor> ProcessorContext<'_, P> {
    /// Hands a record to every child.
    ///
    /// A record with a timestamp below 0 is not forwarded; the record that is being worked on is then treated like one that failed.
    pub fn forward(&mut self, record: Record<P::KeyOut, P::ValueOut>) {
        self.forward_at(None, record);
    }

    /// Hands a record to the child of that name only (see [`KStream::named`](crate::dsl::KStream::named)).
    /// # Errors
    /// When there is no such child.
    pub fn forward_to(
        &mut self,
        child: &str,
        record: Record<P::KeyOut, P::ValueOut>,
    ) -> Result<(), UnknownChild> {
        let children = &self.shell.children;
        let Some(place) = children.iter().position(|name| name == child) else {
            return Err(UnknownChild {
                name: child.to_owned(),
                children: children.clone(),
            });
        };
        self.forward_at(Some(place), record);
        Ok(())
    }

    fn forward_at(&mut self, child: Option<usize>, record: Record<P::KeyOut, P::ValueOut>) {
        if record.timestamp < 0 {
            self.shell.refused = Some(NegativeTimestamp(record.timestamp).into());
            return;
        }
        let row = Row {
            key: record.key,
            value: record.value,
            timestamp: record.timestamp,
            headers: record.headers,
            stream_time: self.at.stream_time,
            offset: self.at.offset,
        };
        match self.shell.out.last_mut() {
            Some(group) if group.child == child => group.rows.push(row),
            _ => self.shell.out.push(Group {
                child,
                rows: vec![row],
            }),
        }
    }

    /// Asks for a commit as soon as possible, instead of when the commit interval is over (`ProcessorContext.commit()`). It commits all that this worker has done by then, what
    /// other tasks did and what was processed after this record included; while an earlier commit is under way it follows that one.
    pub fn commit(&mut self) {
        self.inner.request_commit();
    }

    /// Stream time in ms, the record that is being worked on counted; [`NO_TIME`](crate::processor::NO_TIME) before it is known (`currentStreamTimeMs`).
    pub fn stream_time(&self) -> Timestamp {
        self.at.stream_time
    }

    /// Wall-clock time in ms, the same for all records of a batch (`currentSystemTimeMs`).
    pub fn wall_clock_time(&self) -> Timestamp {
        self.inner.now_ms()
    }

    /// Where the record that is being worked on was read; `None` in punctuators and timers, and for records that come from those.
    pub fn record_metadata(&self) -> Option<RecordMetadata<'_>> {
        let partition = self.inner.origin_partition()?;
        (self.at.offset != NO_OFFSET).then_some(RecordMetadata {
            topic: &partition.topic,
            partition: partition.partition,
            offset: self.at.offset,
        })
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.inner.task_id()
    }

    /// The application id.
    pub fn application_id(&self) -> &str {
        &self.shell.application_id
    }

    /// Name of the processor's node in the topology.
    pub fn node(&self) -> &str {
        self.inner.node()
    }

    /// Calls `punctuate` every `interval` (at least 1 ms) of stream or wall-clock time, until it is cancelled; as [`ProcessorInit::schedule`].
    ///
    /// A punctuator scheduled here is gone after a restart or a lost transaction; one scheduled in `init` is not.
    pub fn schedule(
        &mut self,
        interval: Duration,
        kind: PunctuationType,
        punctuate: impl FnMut(&mut P, Timestamp, &mut ProcessorContext<'_, P>) -> Result<(), BoxError>
        + Send
        + 'static,
    ) -> Cancellable {
        let schedules = &mut self.shell.schedules;
        schedules.add(kind, None, interval, Box::new(punctuate))
    }

    /// As [`schedule`](Self::schedule), due at `start` (ms) and every `interval` from there; as [`ProcessorInit::schedule_at`].
    pub fn schedule_at(
        &mut self,
        start: Timestamp,
        interval: Duration,
        kind: PunctuationType,
        punctuate: impl FnMut(&mut P, Timestamp, &mut ProcessorContext<'_, P>) -> Result<(), BoxError>
        + Send
        + 'static,
    ) -> Cancellable {
        let schedules = &mut self.shell.schedules;
        schedules.add(kind, Some(start), interval, Box::new(punctuate))
    }

    /// Sets a timer: [`RecordProcessor::on_timer`] is called for `key` when stream time reaches `time` (ms), in the order of (time, key). Set twice for
    /// the same key and time it fires once. A time that is already reached fires right after this record. Timers survive restarts; they are part of
    /// the transaction. Not in Kafka Streams.
    /// # Errors
    /// When the processor is not connected to a store made by [`Stores::timers`](crate::dsl::Stores::timers).
    pub fn timer(&mut self, key: &P::KeyIn, time: Timestamp) -> Result<(), ProcessError> {
        self.change_timer(TimerKind::StreamTime, key, time, true)
    }

    /// Takes back a timer set by [`timer`](Self::timer); no-op when there is none.
    /// # Errors
    /// As `timer`.
    pub fn cancel_timer(&mut self, key: &P::KeyIn, time: Timestamp) -> Result<(), ProcessError> {
        self.change_timer(TimerKind::StreamTime, key, time, false)
    }

    /// As [`timer`](Self::timer), by the wall clock. Results then depend on when the job runs.
    /// # Errors
    /// As `timer`.
    pub fn wall_clock_timer(&mut self, key: &P::KeyIn, time: Timestamp) -> Result<(), ProcessError> {
        self.change_timer(TimerKind::WallClock, key, time, true)
    }

    /// Takes back a timer set by [`wall_clock_timer`](Self::wall_clock_timer); no-op when there is none.
    /// # Errors
    /// As `timer`.
    pub fn cancel_wall_clock_timer(&mut self, key: &P::KeyIn, time: Timestamp) -> Result<(), ProcessError> {
        self.change_timer(TimerKind::WallClock, key, time, false)
    }

    fn change_timer(
        &mut self,
        kind: TimerKind,
        key: &P::KeyIn,
        time: Timestamp,
        is_set: bool,
    ) -> Result<(), ProcessError> {
        // Taken out, because the context it needs holds it.
        let Some(mut timers) = self.shell.timers.take() else {
            return Err(ProcessError::Unknown {
                node: self.inner.node().to_owned(),
                kind: "store of timers",
                name: type_name::<P::KeyIn>().to_owned(),
            });
        };
        let changed = match is_set {
            true => timers.set(kind, time, key, self),
            false => timers.cancel(kind, time, key, self),
        };
        self.shell.timers = Some(timers);
        changed
    }

    /// The same context for a shorter time.
    pub(super) fn reborrow(&mut self) -> ProcessorContext<'_, P> {
        ProcessorContext {
            inner: self.inner.reborrow(),
            shell: self.shell,
            at: self.at,
        }
    }
}

impl<P: RecordProcessor> sealed::Sealed for ProcessorContext<'_, P> {}

impl<P: RecordProcessor> StateContext for ProcessorContext<'_, P> {
    fn store_ref(&mut self, store: StoreIndex) -> Result<StoreRef<'_>, ProcessError> {
        bound(store, self.inner.node())?;
        Ok(self.inner.store(store))
    }

    fn node_name(&self) -> &str {
        self.inner.node()
    }

    fn stream_time(&self) -> Timestamp {
        self.at.stream_time
    }

    fn timestamp(&self) -> Timestamp {
        self.at.timestamp
    }
}

/// What a processor may touch in `init`.
pub struct ProcessorInit<'a, P: RecordProcessor> {
    pub(in crate::dsl) node: &'a str,
    pub(in crate::dsl) task: TaskId,
    pub(in crate::dsl) application_id: &'a str,
    pub(in crate::dsl) stores: &'a [(String, Arc<dyn StoreDefinition>)],
    pub(in crate::dsl) index_of: &'a dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
    pub(in crate::dsl) schedules: &'a mut Schedules<Punctuator<P>>,
}

impl<P: RecordProcessor> ProcessorInit<'_, P> {
    /// The same for a shorter time.
    pub(super) fn reborrow(&mut self) -> ProcessorInit<'_, P> {
        ProcessorInit {
            node: self.node,
            task: self.task,
            application_id: self.application_id,
            stores: self.stores,
            index_of: self.index_of,
            schedules: self.schedules,
        }
    }

    /// The store of that name, which the processor must have been connected to. `S` is one of the handles, e.g. `KeyValueStore<String, u64>`.
    /// # Errors
    /// When it is not connected, or of another kind or type.
    pub fn store<S: StateStore>(&self, name: &str) -> Result<S, ProcessError> {
        find_store::<S>(self.node, self.stores, name)?.bind(self.index_of)
    }

    /// Calls `punctuate` every `interval` (at least 1 ms) of stream or wall-clock time, until it is cancelled. It gets the processor, the time and the context.
    ///
    /// By stream time it is due at the multiples of the interval, for the first time with the first record; by the wall clock one interval from now, and so on.
    /// Intervals that were missed are not made up for. After a restart stream-time punctuators go on where they were.
    pub fn schedule(
        &mut self,
        interval: Duration,
        kind: PunctuationType,
        punctuate: impl FnMut(&mut P, Timestamp, &mut ProcessorContext<'_, P>) -> Result<(), BoxError>
        + Send
        + 'static,
    ) -> Cancellable {
        self.schedules.add(kind, None, interval, Box::new(punctuate))
    }

    /// As [`schedule`](Self::schedule), due at `start` (ms) and every `interval` from there, e.g. at every full hour (KIP-1146). A start in the past
    /// means the next of those times.
    pub fn schedule_at(
        &mut self,
        start: Timestamp,
        interval: Duration,
        kind: PunctuationType,
        punctuate: impl FnMut(&mut P, Timestamp, &mut ProcessorContext<'_, P>) -> Result<(), BoxError>
        + Send
        + 'static,
    ) -> Cancellable {
        self.schedules
            .add(kind, Some(start), interval, Box::new(punctuate))
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.task
    }

    /// The application id.
    pub fn application_id(&self) -> &str {
        self.application_id
    }

    /// Name of the processor's node in the topology.
    pub fn node(&self) -> &str {
        self.node
    }
}
