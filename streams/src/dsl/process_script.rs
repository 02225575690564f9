//! A processor made of closures, and how tests run it: from "in" to "out".

use std::sync::Arc;
use std::time::Duration;

use millpond_log::types::Timestamp;

use super::{
    Cancellable, KeyValueStore, ProcessorContext, ProcessorInit, Record, RecordProcessor, StreamsBuilder,
    Timer,
};
use crate::processor::BoxError;
use crate::testing::{TestRecord, TopologyTestDriver};

pub(super) type Outcome = Result<(), BoxError>;
pub(super) type Init = dyn Fn(&mut Script, &mut ProcessorInit<'_, Script>) -> Outcome + Send + Sync;
pub(super) type Act =
    dyn Fn(&mut Script, Record<String, String>, &mut ProcessorContext<'_, Script>) -> Outcome + Send + Sync;
pub(super) type OnTimer =
    dyn Fn(&mut Script, Timer<String>, &mut ProcessorContext<'_, Script>) -> Outcome + Send + Sync;

/// A processor made of closures.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) init: Arc<Init>,
    pub(super) act: Arc<Act>,
    pub(super) on_timer: Arc<OnTimer>,
    pub(super) store: Option<KeyValueStore<String, String>>,
    pub(super) cancellable: Option<Cancellable>,
    pub(super) count: u64,
}

impl Script {
    pub(super) fn new(
        act: impl Fn(&mut Script, Record<String, String>, &mut ProcessorContext<'_, Script>) -> Outcome
        + Send
        + Sync
        + 'static,
    ) -> Script {
        Script {
            init: Arc::new(|_, _| Ok(())),
            act: Arc::new(act),
            on_timer: Arc::new(|_, timer, context| {
                let text = format!("timer {} at {}", timer.time, context.stream_time());
                context.forward(Record::new(timer.key, text, timer.time.max(0)));
                Ok(())
            }),
            store: None,
            cancellable: None,
            count: 0,
        }
    }

    pub(super) fn init(
        mut self,
        init: impl Fn(&mut Script, &mut ProcessorInit<'_, Script>) -> Outcome + Send + Sync + 'static,
    ) -> Script {
        self.init = Arc::new(init);
        self
    }

    pub(super) fn on_timer(
        mut self,
        on_timer: impl Fn(&mut Script, Timer<String>, &mut ProcessorContext<'_, Script>) -> Outcome
        + Send
        + Sync
        + 'static,
    ) -> Script {
        self.on_timer = Arc::new(on_timer);
        self
    }

    pub(super) fn store(&self) -> KeyValueStore<String, String> {
        self.store.clone().expect("init looked it up")
    }
}

impl RecordProcessor for Script {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, context: &mut ProcessorInit<'_, Self>) -> Outcome {
        self.init.clone()(self, context)
    }

    fn process(
        &mut self,
        record: Record<String, String>,
        context: &mut ProcessorContext<'_, Self>,
    ) -> Outcome {
        self.act.clone()(self, record, context)
    }

    fn on_timer(&mut self, timer: Timer<String>, context: &mut ProcessorContext<'_, Self>) -> Outcome {
        self.on_timer.clone()(self, timer, context)
    }
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn driver(builder: &StreamsBuilder) -> TopologyTestDriver {
    TopologyTestDriver::new(&builder.build().expect("a sound topology")).expect("it runs")
}

/// "in" through the script to "out".
pub(super) fn run_script(script: Script, stores: &[&str], builder: &StreamsBuilder) {
    builder
        .stream::<String, String>("in")
        .process_named("script", move || script.clone(), stores)
        .to("out");
}

pub(super) fn record(key: &str, value: &str, timestamp: Timestamp) -> TestRecord<String, String> {
    TestRecord::new(key.to_owned(), value.to_owned(), timestamp)
}

pub(super) fn feed(driver: &mut TopologyTestDriver, records: &[(&str, &str, Timestamp)]) {
    let input = driver.input::<String, String>("in");
    for (key, value, time) in records {
        driver
            .pipe(&input, (*key).to_owned(), (*value).to_owned(), *time)
            .expect("goes through");
    }
}

pub(super) fn values(driver: &mut TopologyTestDriver) -> Vec<String> {
    let output = driver.output::<String, String>("out");
    driver.read_values(&output).expect("readable")
}
