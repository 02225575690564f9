//! Processors of one's own, with stores and punctuators.

use millpond_streams::dsl::{
    FixedKeyContext, FixedKeyInit, FixedKeyProcessor, FixedKeyRecord, KStream, KeyValueStore,
    ProcessorContext, ProcessorInit, PunctuationType, Record, RecordProcessor, Stores, StreamsBuilder,
};
use millpond_streams::processor::BoxError;

use super::replays;
use super::values::{Text, ms, text};
use crate::checks::Cached;

replays! {
    processor_store: numbered, Cached::Same;
    processor_values: previous, Cached::Same;
    processor_stream_time: every_10_ms, Cached::Same;
    processor_wall_clock: every_25_ms_by_the_clock, Cached::Same;
    processor_records: twice, Cached::Same;
}

fn input(builder: &StreamsBuilder) -> KStream<Text, Text> {
    builder.stream("in")
}

/// `value#n` for the nth record of a key.
#[derive(Default)]
struct Numbered {
    seen: Option<KeyValueStore<String, i64>>,
}

impl RecordProcessor for Numbered {
    type KeyIn = Text;
    type ValueIn = Text;
    type KeyOut = Text;
    type ValueOut = Text;

    fn init(&mut self, context: &mut ProcessorInit<'_, Self>) -> Result<(), BoxError> {
        self.seen = Some(context.store("seen")?);
        Ok(())
    }

    fn process(
        &mut self,
        record: Record<Text, Text>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let seen = self.seen.as_ref().ok_or("not started")?;
        match (&record.key, &record.value) {
            (None, _) => context.forward(record),
            (Some(key), None) => {
                seen.delete(context, key)?;
            }
            (Some(key), Some(value)) => {
                let number = seen.get(context, key)?.unwrap_or(0) + 1;
                seen.put(context, key, &number)?;
                let value = Some(format!("{value}#{number}"));
                context.forward(record.with_value(value));
            }
        }
        Ok(())
    }
}

fn numbered(builder: &StreamsBuilder) {
    builder.add_state_store(Stores::key_value::<String, i64>("seen"));
    input(builder).process(Numbered::default, &["seen"]).to("out");
}

/// `previous>value` per key.
#[derive(Default)]
struct Previous {
    last: Option<KeyValueStore<Text, String>>,
}

impl FixedKeyProcessor for Previous {
    type Key = Text;
    type ValueIn = Text;
    type ValueOut = String;

    fn init(&mut self, context: &mut FixedKeyInit<'_, Self>) -> Result<(), BoxError> {
        self.last = Some(context.store("last")?);
        Ok(())
    }

    fn process(
        &mut self,
        record: FixedKeyRecord<Text, Text>,
        context: &mut FixedKeyContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let last = self.last.as_ref().ok_or("not started")?;
        let before = last.get(context, record.key())?;
        match record.value() {
            Some(value) => last.put(context, record.key(), value)?,
            None => {
                last.delete(context, record.key())?;
            }
        }
        let both = |value: Text| format!("{}>{}", text(before.as_deref()), text(value.as_deref()));
        context.forward(record.map_value(both));
        Ok(())
    }
}

fn previous(builder: &StreamsBuilder) {
    builder.add_state_store(Stores::key_value::<Text, String>("last"));
    input(builder)
        .process_values(Previous::default, &["last"])
        .to("out");
}

/// Counts per key, forwarded and forgotten every now and then.
struct Punctuated {
    every_ms: u64,
    kind: PunctuationType,
    seen: Option<KeyValueStore<Text, i64>>,
}

impl RecordProcessor for Punctuated {
    type KeyIn = Text;
    type ValueIn = Text;
    type KeyOut = Text;
    type ValueOut = i64;

    fn init(&mut self, context: &mut ProcessorInit<'_, Self>) -> Result<(), BoxError> {
        self.seen = Some(context.store("seen")?);
        context.schedule(ms(self.every_ms), self.kind, |processor, timestamp, context| {
            let seen = processor.seen.as_ref().ok_or("not started")?;
            context.forward(Record::new(Some("time".to_owned()), timestamp, timestamp));
            for (key, count) in seen.all(context)? {
                seen.delete(context, &key)?;
                context.forward(Record::new(key, count, timestamp));
            }
            Ok(())
        });
        Ok(())
    }

    fn process(
        &mut self,
        record: Record<Text, Text>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let seen = self.seen.as_ref().ok_or("not started")?;
        let count = seen.get(context, &record.key)?.unwrap_or(0) + 1;
        seen.put(context, &record.key, &count)?;
        Ok(())
    }
}

fn punctuated(builder: &StreamsBuilder, every_ms: u64, kind: PunctuationType) {
    builder.add_state_store(Stores::key_value::<Text, i64>("seen"));
    let make = move || Punctuated {
        every_ms,
        kind,
        seen: None,
    };
    input(builder).process(make, &["seen"]).to("out");
}

fn every_10_ms(builder: &StreamsBuilder) {
    punctuated(builder, 10, PunctuationType::StreamTime);
}

fn every_25_ms_by_the_clock(builder: &StreamsBuilder) {
    punctuated(builder, 25, PunctuationType::WallClock);
}

/// Each record without header h0 and with a header n, and again 5 ms later under another key.
struct Twice;

impl RecordProcessor for Twice {
    type KeyIn = Text;
    type ValueIn = Text;
    type KeyOut = Text;
    type ValueOut = Text;

    fn process(
        &mut self,
        record: Record<Text, Text>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let kept = record.headers.iter().filter(|header| header.key != "h0").cloned();
        let headers = kept
            .collect::<millpond_streams::processor::Headers>()
            .with("n", "1");
        let record = record.with_headers(headers);
        let later = record.timestamp + 5;
        context.forward(record.clone());
        context.forward(record.with_key(Some("later".to_owned())).with_timestamp(later));
        Ok(())
    }
}

fn twice(builder: &StreamsBuilder) {
    input(builder).process(|| Twice, &[]).to("out");
}
