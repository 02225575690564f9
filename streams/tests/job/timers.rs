//! Counts the clicks of each user per half second with a store and timers per key, and tells the count when the timer of the half second fires.

use millpond_streams::dsl::{
    KeyValueStore, ProcessorContext, ProcessorInit, Record, RecordProcessor, Stores, StreamsBuilder, Timer,
};
use millpond_streams::processor::BoxError;

use super::WINDOW_MS;

const COUNTS: &str = "bucket-counts";
const TIMERS: &str = "bucket-timers";

/// The names of what [`add_stores`] adds.
pub(crate) const STORES: [&str; 2] = [COUNTS, TIMERS];

pub(crate) fn add_stores(builder: &StreamsBuilder) {
    builder.add_state_store(Stores::key_value::<String, u64>(COUNTS));
    builder.add_state_store(Stores::timers::<String>(TIMERS));
}

pub(crate) struct Buckets {
    counts: Option<KeyValueStore<String, u64>>,
    grace_ms: i64,
}

impl Buckets {
    pub(crate) fn new(grace_ms: i64) -> Buckets {
        Buckets {
            counts: None,
            grace_ms,
        }
    }
}

/// Key of a count, and of the record that tells it.
pub(crate) fn slot(user: &str, start_ms: i64) -> String {
    format!("{user}@{start_ms}")
}

impl RecordProcessor for Buckets {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, context: &mut ProcessorInit<'_, Self>) -> Result<(), BoxError> {
        self.counts = Some(context.store(COUNTS)?);
        Ok(())
    }

    fn process(
        &mut self,
        record: Record<String, String>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let counts = self.counts.as_ref().ok_or("not started")?;
        let start_ms = record.timestamp.div_euclid(WINDOW_MS) * WINDOW_MS;
        let slot = slot(&record.key, start_ms);
        let before = counts.get(context, &slot)?.unwrap_or(0);
        counts.put(context, &slot, &(before + 1))?;
        if before == 0 {
            context.timer(&record.key, start_ms + WINDOW_MS + self.grace_ms)?;
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer<String>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let counts = self.counts.as_ref().ok_or("not started")?;
        let start_ms = timer.time - self.grace_ms - WINDOW_MS;
        let slot = slot(&timer.key, start_ms);
        // A timer that fires twice finds nothing the second time, and says so in the output.
        let count = counts.delete(context, &slot)?.unwrap_or(0);
        context.forward(Record::new(slot, count.to_string(), start_ms));
        Ok(())
    }
}
