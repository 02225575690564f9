//! What a user's processor implements: a record at a time, with a context that forwards, knows the time and reaches stores.
//!
//! Always true: a processor lives as long as nothing goes wrong. When a transaction is lost it is dropped and made anew by its supplier, so whatever must
//! survive belongs in a store, as in Kafka Streams. Cleaning up is `Drop`'s work (Kafka Streams: `close`).
//! An error of user code concerns the one record: the application's policy decides (dead letter, skip, fail); stores keep what was written before the error.

use millpond_log::types::Timestamp;

use super::{FixedKeyContext, FixedKeyInit, FixedKeyRecord, ProcessorContext, ProcessorInit, Record, Timer};
use crate::processor::BoxError;
use crate::serde::Data;

/// A processor that works a record at a time and may forward anything (Kafka Streams' `api.Processor`).
///
/// Used by [`KStream::process`](crate::dsl::KStream::process), where there is an example.
pub trait RecordProcessor: Sized + Send + 'static {
    /// Key of the records it takes.
    type KeyIn: Data;
    /// Value of the records it takes.
    type ValueIn: Data;
    /// Key of the records it forwards.
    type KeyOut: Data;
    /// Value of the records it forwards.
    type ValueOut: Data;

    /// Called once, before anything else: look up stores and schedule punctuators here.
    fn init(&mut self, _context: &mut ProcessorInit<'_, Self>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Takes one record.
    fn process(
        &mut self,
        record: Record<Self::KeyIn, Self::ValueIn>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError>;

    /// A timer set by [`ProcessorContext::timer`] is due.
    fn on_timer(
        &mut self,
        _timer: Timer<Self::KeyIn>,
        _context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A processor that cannot change keys (Kafka Streams' `api.FixedKeyProcessor`), so that what follows needs no repartition.
///
/// Used by [`KStream::process_values`](crate::dsl::KStream::process_values), where there is an example.
pub trait FixedKeyProcessor: Sized + Send + 'static {
    /// Key of the records it takes and forwards.
    type Key: Data;
    /// Value of the records it takes.
    type ValueIn: Data;
    /// Value of the records it forwards.
    type ValueOut: Data;

    /// Called once, before anything else: look up stores and schedule punctuators here.
    fn init(&mut self, _context: &mut FixedKeyInit<'_, Self>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Takes one record.
    fn process(
        &mut self,
        record: FixedKeyRecord<Self::Key, Self::ValueIn>,
        context: &mut FixedKeyContext<'_, Self>,
    ) -> Result<(), BoxError>;

    /// A timer set by [`FixedKeyContext::timer`] is due. The record has the timer's key and time, so that something can be forwarded.
    fn on_timer(
        &mut self,
        _timer: FixedKeyRecord<Self::Key, TimerKind>,
        _context: &mut FixedKeyContext<'_, Self>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Which time a timer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKind {
    /// Stream time.
    StreamTime,
    /// The wall clock.
    WallClock,
}

/// Which time a punctuator follows (Kafka Streams' `PunctuationType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PunctuationType {
    /// Stream time: goes on with records (and, where that is switched on, while input is idle).
    StreamTime,
    /// The wall clock: goes on by itself. Results then depend on when the job runs.
    WallClock,
}

/// Ends a punctuator. Cheap to clone; cancelling twice is no error.
#[derive(Clone, Debug, Default)]
pub struct Cancellable(pub(super) std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Cancellable {
    /// The punctuator is not called any more; also from within itself.
    pub fn cancel(&self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// What a punctuator does: it gets the processor, the time it is called at (stream time or wall clock, ms) and the context.
pub(super) type Punctuator<P> =
    Box<dyn FnMut(&mut P, Timestamp, &mut ProcessorContext<'_, P>) -> Result<(), BoxError> + Send>;
