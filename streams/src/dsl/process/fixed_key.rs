//! A fixed-key processor as a special case: its records cannot change their key, its context forwards only such records.
//!
//! `FixedKey` turns a [`FixedKeyProcessor`] into a [`RecordProcessor`], so that one operator runs both.

use std::time::Duration;

use millpond_log::types::Timestamp;

use super::context::ProcessorContext;
use super::{
    Cancellable, FixedKeyProcessor, FixedKeyRecord, ProcessorInit, PunctuationType, Record, RecordMetadata,
    RecordProcessor, Timer, UnknownChild,
};
use crate::dsl::stores::access::sealed;
use crate::dsl::stores::{StateContext, StateStore};
use crate::processor::{BoxError, ProcessError};
use crate::state::{StoreIndex, StoreRef, TaskId};

/// A fixed-key processor in the clothes of a general one.
pub(in crate::dsl) struct FixedKey<P>(pub(in crate::dsl) P);

impl<P: FixedKeyProcessor> RecordProcessor for FixedKey<P> {
    type KeyIn = P::Key;
    type ValueIn = P::ValueIn;
    type KeyOut = P::Key;
    type ValueOut = P::ValueOut;

    fn init(&mut self, context: &mut ProcessorInit<'_, Self>) -> Result<(), BoxError> {
        self.0.init(&mut FixedKeyInit(context.reborrow()))
    }

    fn process(
        &mut self,
        record: Record<P::Key, P::ValueIn>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        self.0
            .process(FixedKeyRecord(record), &mut FixedKeyContext(context.reborrow()))
    }

    fn on_timer(
        &mut self,
        timer: Timer<P::Key>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let record = Record::new(timer.key, timer.kind, timer.time);
        self.0
            .on_timer(FixedKeyRecord(record), &mut FixedKeyContext(context.reborrow()))
    }
}

/// What a [`FixedKeyProcessor`] may touch while it works (Kafka Streams' `FixedKeyProcessorContext`); see [`ProcessorContext`].
pub struct FixedKeyContext<'a, P: FixedKeyProcessor>(ProcessorContext<'a, FixedKey<P>>);

impl<P: FixedKeyProcessor> FixedKeyContext<'_, P> {
    /// Hands a record to every child; see [`ProcessorContext::forward`].
    pub fn forward(&mut self, record: FixedKeyRecord<P::Key, P::ValueOut>) {
        self.0.forward(record.0);
    }

    /// Hands a record to the child of that name only.
    /// # Errors
    /// When there is no such child.
    pub fn forward_to(
        &mut self,
        child: &str,
        record: FixedKeyRecord<P::Key, P::ValueOut>,
    ) -> Result<(), UnknownChild> {
        self.0.forward_to(child, record.0)
    }

    /// See [`ProcessorContext::commit`].
    pub fn commit(&mut self) {
        self.0.commit();
    }

    /// See [`ProcessorContext::stream_time`].
    pub fn stream_time(&self) -> Timestamp {
        self.0.stream_time()
    }

    /// See [`ProcessorContext::wall_clock_time`].
    pub fn wall_clock_time(&self) -> Timestamp {
        self.0.wall_clock_time()
    }

    /// See [`ProcessorContext::record_metadata`].
    pub fn record_metadata(&self) -> Option<RecordMetadata<'_>> {
        self.0.record_metadata()
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.0.task_id()
    }

    /// The application id.
    pub fn application_id(&self) -> &str {
        self.0.application_id()
    }

    /// Name of the processor's node in the topology.
    pub fn node(&self) -> &str {
        self.0.node()
    }

    /// See [`ProcessorContext::schedule`].
    pub fn schedule(
        &mut self,
        interval: Duration,
        kind: PunctuationType,
        punctuate: impl FnMut(&mut P, Timestamp, &mut FixedKeyContext<'_, P>) -> Result<(), BoxError>
        + Send
        + 'static,
    ) -> Cancellable {
        self.0.schedule(interval, kind, general(punctuate))
    }

    /// See [`ProcessorContext::schedule_at`].
    pub fn schedule_at(
        &mut self,
        start: Timestamp,
        interval: Duration,
        kind: PunctuationType,
        punctuate: impl FnMut(&mut P, Timestamp, &mut FixedKeyContext<'_, P>) -> Result<(), BoxError>
        + Send
        + 'static,
    ) -> Cancellable {
        self.0.schedule_at(start, interval, kind, general(punctuate))
    }

    /// See [`ProcessorContext::timer`].
    /// # Errors
    /// When the processor is not connected to a store made by [`Stores::timers`](crate::dsl::Stores::timers).
    pub fn timer(&mut self, key: &P::Key, time: Timestamp) -> Result<(), ProcessError> {
        self.0.timer(key, time)
    }

    /// See [`ProcessorContext::cancel_timer`].
    /// # Errors
    /// As `timer`.
    pub fn cancel_timer(&mut self, key: &P::Key, time: Timestamp) -> Result<(), ProcessError> {
        self.0.cancel_timer(key, time)
    }

    /// See [`ProcessorContext::wall_clock_timer`].
    /// # Errors
    /// As `timer`.
    pub fn wall_clock_timer(&mut self, key: &P::Key, time: Timestamp) -> Result<(), ProcessError> {
        self.0.wall_clock_timer(key, time)
    }

    /// See [`ProcessorContext::cancel_wall_clock_timer`].
    /// # Errors
    /// As `timer`.
    pub fn cancel_wall_clock_timer(&mut self, key: &P::Key, time: Timestamp) -> Result<(), ProcessError> {
        self.0.cancel_wall_clock_timer(key, time)
    }
}

/// A punctuator of a fixed-key processor as one of the general processor around it.
fn general<P: FixedKeyProcessor>(
    mut punctuate: impl FnMut(&mut P, Timestamp, &mut FixedKeyContext<'_, P>) -> Result<(), BoxError>
    + Send
    + 'static,
) -> impl FnMut(&mut FixedKey<P>, Timestamp, &mut ProcessorContext<'_, FixedKey<P>>) -> Result<(), BoxError>
+ Send
+ 'static {
    move |processor, time, context| {
        punctuate(&mut processor.0, time, &mut FixedKeyContext(context.reborrow()))
    }
}

impl<P: FixedKeyProcessor> sealed::Sealed for FixedKeyContext<'_, P> {}

impl<P: FixedKeyProcessor> StateContext for FixedKeyContext<'_, P> {
    fn store_ref(&mut self, store: StoreIndex) -> Result<StoreRef<'_>, ProcessError> {
        self.0.store_ref(store)
    }

    fn node_name(&self) -> &str {
        self.0.node_name()
    }

    fn stream_time(&self) -> Timestamp {
        self.0.at.stream_time
    }

    fn timestamp(&self) -> Timestamp {
        self.0.at.timestamp
    }
}

/// What a [`FixedKeyProcessor`] may touch in `init`; see [`ProcessorInit`].
pub struct FixedKeyInit<'a, P: FixedKeyProcessor>(ProcessorInit<'a, FixedKey<P>>);

impl<P: FixedKeyProcessor> FixedKeyInit<'_, P> {
    /// See [`ProcessorInit::store`].
    /// # Errors
    /// When the store is not connected, or of another kind or type.
    pub fn store<S: StateStore>(&self, name: &str) -> Result<S, ProcessError> {
        self.0.store(name)
    }

    /// See [`ProcessorInit::schedule`]. A punctuator of a fixed-key processor has no record, so it cannot forward one.
    pub fn schedule(
        &mut self,
        interval: Duration,
        kind: PunctuationType,
        punctuate: impl FnMut(&mut P, Timestamp, &mut FixedKeyContext<'_, P>) -> Result<(), BoxError>
        + Send
        + 'static,
    ) -> Cancellable {
        self.0.schedule(interval, kind, general(punctuate))
    }

    /// See [`ProcessorInit::schedule_at`].
    pub fn schedule_at(
        &mut self,
        start: Timestamp,
        interval: Duration,
        kind: PunctuationType,
        punctuate: impl FnMut(&mut P, Timestamp, &mut FixedKeyContext<'_, P>) -> Result<(), BoxError>
        + Send
        + 'static,
    ) -> Cancellable {
        self.0.schedule_at(start, interval, kind, general(punctuate))
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.0.task
    }

    /// The application id.
    pub fn application_id(&self) -> &str {
        self.0.application_id
    }

    /// Name of the processor's node in the topology.
    pub fn node(&self) -> &str {
        self.0.node
    }
}
