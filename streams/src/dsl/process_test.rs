//! The typed processor API. Punctuation cases follow `StreamTaskTest` and `TopologyTestDriverTest` of Kafka Streams; forwarding and metadata those of
//! `ProcessorTopologyTest`. Beyond those: nothing may depend on how input was cut into batches.

use std::sync::Arc;
use std::time::Duration;

use millpond_log::types::Timestamp;

use super::{
    Cancellable, Consumed, FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, KeyValueStore,
    ProcessorContext, ProcessorInit, PunctuationType, Record, RecordProcessor, Stores, StreamsBuilder, Timer,
};
use crate::config::{ErrorPolicy, ProcessingConfig};
use crate::processor::{BoxError, Headers};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

type Outcome = Result<(), BoxError>;
type Init = dyn Fn(&mut Script, &mut ProcessorInit<'_, Script>) -> Outcome + Send + Sync;
type Act =
    dyn Fn(&mut Script, Record<String, String>, &mut ProcessorContext<'_, Script>) -> Outcome + Send + Sync;
type OnTimer = dyn Fn(&mut Script, Timer<String>, &mut ProcessorContext<'_, Script>) -> Outcome + Send + Sync;

/// A processor made of closures.
#[derive(Clone)]
struct Script {
    init: Arc<Init>,
    act: Arc<Act>,
    on_timer: Arc<OnTimer>,
    store: Option<KeyValueStore<String, String>>,
    cancellable: Option<Cancellable>,
    count: u64,
}

impl Script {
    fn new(
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

    fn init(
        mut self,
        init: impl Fn(&mut Script, &mut ProcessorInit<'_, Script>) -> Outcome + Send + Sync + 'static,
    ) -> Script {
        self.init = Arc::new(init);
        self
    }

    fn on_timer(
        mut self,
        on_timer: impl Fn(&mut Script, Timer<String>, &mut ProcessorContext<'_, Script>) -> Outcome
        + Send
        + Sync
        + 'static,
    ) -> Script {
        self.on_timer = Arc::new(on_timer);
        self
    }

    fn store(&self) -> KeyValueStore<String, String> {
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

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn driver(builder: &StreamsBuilder) -> TopologyTestDriver {
    TopologyTestDriver::new(&builder.build().expect("a sound topology")).expect("it runs")
}

/// "in" through the script to "out".
fn run_script(script: Script, stores: &[&str], builder: &StreamsBuilder) {
    builder
        .stream::<String, String>("in")
        .process_named("script", move || script.clone(), stores)
        .to("out");
}

fn record(key: &str, value: &str, timestamp: Timestamp) -> TestRecord<String, String> {
    TestRecord::new(key.to_owned(), value.to_owned(), timestamp)
}

fn feed(driver: &mut TopologyTestDriver, records: &[(&str, &str, Timestamp)]) {
    let input = driver.input::<String, String>("in");
    for (key, value, time) in records {
        driver
            .pipe(&input, (*key).to_owned(), (*value).to_owned(), *time)
            .expect("goes through");
    }
}

fn values(driver: &mut TopologyTestDriver) -> Vec<String> {
    let output = driver.output::<String, String>("out");
    driver.read_values(&output).expect("readable")
}

#[test]
fn a_processor_reads_and_writes_every_part_of_a_record_and_knows_where_it_came_from() {
    let builder = StreamsBuilder::new();
    let script = Script::new(|_, record, context| {
        let from = context.record_metadata().expect("a source record");
        let origin = format!("{}-{}@{}", from.topic, from.partition.get(), from.offset.get());
        let task = context.task_id().to_string();
        assert_eq!(record.headers.get("trace"), Some(&b"7"[..]));
        let mut headers = record.headers.clone();
        headers.remove("trace");
        headers.add("from", origin);
        context.forward(
            Record::new(format!("{}!", record.key), task, record.timestamp + 1).with_headers(headers),
        );
        Ok(())
    });
    run_script(script, &[], &builder);
    let mut driver = driver(&builder);
    let input = driver.input::<String, String>("in");
    let sent = record("k", "v", 5).with_headers(Headers::NONE.with("trace", "7"));
    driver
        .pipe_all(&input, [sent.clone(), sent])
        .expect("goes through");
    let output = driver.output::<String, String>("out");
    let found = driver.read(&output).expect("readable");
    assert_eq!(found.len(), 2);
    assert_eq!((found[1].key.as_str(), found[1].value.as_str()), ("k!", "0_0"));
    assert_eq!(found[1].timestamp, 6);
    assert_eq!(found[1].headers.get("from"), Some(&b"in-0@1"[..]));
    assert_eq!(found[1].headers.get("trace"), None);
}

#[test]
fn a_record_goes_to_the_named_child_only_or_to_all() {
    let builder = StreamsBuilder::new();
    let script = Script::new(|_, record, context| {
        match record.value.as_str() {
            "all" => context.forward(record),
            child => {
                let child = child.to_owned();
                context.forward_to(&child, record)?;
            }
        }
        Ok(())
    });
    let processed = builder
        .stream::<String, String>("in")
        .process(move || script.clone(), &[]);
    processed.named("left").to("left-out");
    processed.named("right").to("right-out");
    let mut driver = driver(&builder);
    feed(
        &mut driver,
        &[
            ("k", "left", 0),
            ("k", "right", 1),
            ("k", "all", 2),
            ("k", "nobody", 3),
        ],
    );
    let left = driver.output::<String, String>("left-out");
    let right = driver.output::<String, String>("right-out");
    assert_eq!(driver.read_values(&left).expect("readable"), ["left", "all"]);
    assert_eq!(driver.read_values(&right).expect("readable"), ["right", "all"]);
    let dead = driver.dead_letters();
    assert_eq!(dead.len(), 1);
    let reason = dead[0].headers.get("__streams.errors.message").expect("a reason");
    assert!(String::from_utf8_lossy(reason).contains("no child \"nobody\""));
}

#[test]
fn a_refused_record_is_a_dead_letter_and_what_it_wrote_before_stays() {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::key_value::<String, String>("seen"));
    let script = Script::new(|this, record, context| {
        this.store().put(context, &record.key, &record.value)?;
        if record.value == "bad" {
            return Err("not this one".into());
        }
        context.forward(record.with_timestamp(-1));
        Ok(())
    })
    .init(|this, context| {
        this.store = Some(context.store("seen")?);
        Ok(())
    });
    run_script(script, &["seen"], &builder);
    let mut driver = driver(&builder);
    feed(&mut driver, &[("a", "bad", 1), ("b", "negative", 2)]);
    assert!(values(&mut driver).is_empty());
    let dead = driver.dead_letters();
    assert_eq!(dead.len(), 2, "a record before 1970 cannot be forwarded");
    assert_eq!(
        driver
            .value::<String, String>("seen", &"a".to_owned())
            .expect("a store"),
        Some("bad".to_owned())
    );
}

#[test]
fn a_refused_record_stops_the_task_when_the_policy_is_to_fail() {
    let builder = StreamsBuilder::new();
    run_script(Script::new(|_, _, _| Err("no".into())), &[], &builder);
    let topology = builder.build().expect("a sound topology");
    let config = ProcessingConfig {
        on_error: ErrorPolicy::Fail,
        ..ProcessingConfig::default()
    };
    let options = DriverOptions {
        config,
        ..DriverOptions::default()
    };
    let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
    let input = driver.input::<String, String>("in");
    assert!(driver.pipe(&input, "k".to_owned(), "v".to_owned(), 0).is_err());
}

/// One processor writes what it sees, another one beside it reads that.
fn shared_store() -> StreamsBuilder {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::key_value::<String, String>("shared"));
    let look_up = |this: &mut Script, context: &mut ProcessorInit<'_, Script>| {
        this.store = Some(context.store("shared")?);
        Ok(())
    };
    let writer = Script::new(|this, record, context| {
        this.store().put(context, &record.key, &record.value)?;
        Ok(())
    })
    .init(look_up);
    let reader = Script::new(|this, record, context| {
        let found = this.store().get(context, &record.key)?.unwrap_or_default();
        context.forward(record.with_value(found));
        Ok(())
    })
    .init(look_up);
    let input = builder.stream::<String, String>("in");
    input.process(move || writer.clone(), &["shared"]);
    input.process(move || reader.clone(), &["shared"]).to("out");
    builder
}

#[test]
fn processors_that_share_a_store_see_each_other_record_by_record_in_a_batch_too() {
    let builder = shared_store();
    assert!(builder.build().expect("sound").sub_topologies()[0].is_record_at_a_time());
    let mut driver = driver(&builder);
    let input = driver.input::<String, String>("in");
    let batch = ["1", "2", "3"].map(|value| record("k", value, 0));
    driver.pipe_all(&input, batch).expect("goes through");
    assert_eq!(values(&mut driver), ["1", "2", "3"]);
}

#[test]
fn a_store_must_be_added_before_it_is_connected() {
    let builder = StreamsBuilder::new();
    run_script(Script::new(|_, _, _| Ok(())), &["nowhere"], &builder);
    let error = builder.build().expect_err("no such store");
    assert!(error.to_string().contains("\"nowhere\""), "{error}");
}

#[test]
fn a_store_asked_for_as_another_type_is_refused_at_the_start() {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::key_value::<String, u64>("counts"));
    let script = Script::new(|_, _, _| Ok(())).init(|this, context| {
        this.store = Some(context.store("counts")?);
        Ok(())
    });
    run_script(script, &["counts"], &builder);
    let started = TopologyTestDriver::new(&builder.build().expect("a sound topology"));
    assert!(started.is_err(), "counts holds numbers");
}

#[derive(Default)]
struct Shout;

impl FixedKeyProcessor for Shout {
    type Key = String;
    type ValueIn = String;
    type ValueOut = String;

    fn process(
        &mut self,
        record: FixedKeyRecord<String, String>,
        context: &mut FixedKeyContext<'_, Self>,
    ) -> Outcome {
        context.forward(record.map_value(|value| value.to_uppercase()));
        Ok(())
    }
}

#[test]
fn values_processed_under_a_fixed_key_need_no_repartition_and_others_do() {
    let builder = StreamsBuilder::new();
    let input = builder.stream::<String, String>("in");
    input
        .process_values(Shout::default, &[])
        .group_by_key()
        .count("fixed");
    assert_eq!(builder.build().expect("sound").sub_topologies().len(), 1);
    let script = Script::new(|_, _, _| Ok(()));
    input
        .process(move || script.clone(), &[])
        .group_by_key()
        .count("free");
    assert_eq!(builder.build().expect("sound").sub_topologies().len(), 2);
}

/// Forwards the time of every punctuation.
fn punctuated(interval: u64, kind: PunctuationType, start: Option<Timestamp>) -> StreamsBuilder {
    let builder = StreamsBuilder::new();
    let script = Script::new(|this, record, _| {
        if record.value == "cancel" {
            this.cancellable.as_ref().expect("scheduled").cancel();
        }
        Ok(())
    })
    .init(move |this, context| {
        let tell = |_: &mut Script, time: Timestamp, context: &mut ProcessorContext<'_, Script>| {
            assert!(context.record_metadata().is_none());
            context.forward(Record::new("p".to_owned(), time.to_string(), time));
            Ok(())
        };
        this.cancellable = Some(match start {
            None => context.schedule(ms(interval), kind, tell),
            Some(start) => context.schedule_at(start, ms(interval), kind, tell),
        });
        Ok(())
    });
    run_script(script, &[], &builder);
    builder
}

#[test]
fn stream_time_punctuates_at_the_first_record_and_then_once_per_interval_that_was_reached() {
    let mut driver = driver(&punctuated(10, PunctuationType::StreamTime, None));
    let times = [42, 42, 51, 52, 61, 65, 71, 72, 95, 101, 102];
    feed(&mut driver, &times.map(|time| ("k", "v", time)));
    assert_eq!(
        values(&mut driver),
        ["42", "51", "61", "71", "95", "101"],
        "TopologyTestDriverTest: shouldPunctuateOnStreamsTime"
    );
}

#[test]
fn missed_intervals_of_stream_time_are_not_made_up_for() {
    let mut driver = driver(&punctuated(10, PunctuationType::StreamTime, None));
    feed(&mut driver, &[20, 142, 155, 160].map(|time| ("k", "v", time)));
    assert_eq!(
        values(&mut driver),
        ["20", "142", "155", "160"],
        "StreamTaskTest: after a gap"
    );
}

#[test]
fn a_cancelled_punctuator_is_not_called_again() {
    let mut driver = driver(&punctuated(10, PunctuationType::StreamTime, None));
    feed(
        &mut driver,
        &[("k", "v", 20), ("k", "cancel", 25), ("k", "v", 40)],
    );
    assert_eq!(values(&mut driver), ["20"]);
}

#[test]
fn the_wall_clock_punctuates_an_interval_after_the_start_with_or_without_input() {
    let mut driver = driver(&punctuated(10, PunctuationType::WallClock, None));
    let mut found = Vec::new();
    for by_ms in [5, 9, 1, 20, 20] {
        driver.advance_wall_clock(by_ms).expect("time passes");
        found.push(values(&mut driver));
    }
    let expected: [&[&str]; 5] = [&[], &["14"], &[], &["35"], &["55"]];
    assert_eq!(
        found, expected,
        "TopologyTestDriverTest: shouldPunctuateOnWallClockTime"
    );
}

#[test]
fn an_anchored_punctuator_keeps_to_its_anchor() {
    let mut by_stream = driver(&punctuated(10, PunctuationType::StreamTime, Some(25)));
    feed(
        &mut by_stream,
        &[20, 24, 25, 34, 36, 60, 64, 65].map(|time| ("k", "v", time)),
    );
    assert_eq!(values(&mut by_stream), ["25", "36", "60", "65"]);
    let mut by_clock = driver(&punctuated(10, PunctuationType::WallClock, Some(7)));
    let mut found = Vec::new();
    for by_ms in [6, 1, 9, 1, 20] {
        by_clock.advance_wall_clock(by_ms).expect("time passes");
        found.extend(values(&mut by_clock));
    }
    assert_eq!(found, ["7", "17", "37"]);
}

#[test]
fn a_punctuator_may_be_scheduled_while_a_record_is_processed_and_cancel_itself() {
    let builder = StreamsBuilder::new();
    let script = Script::new(|this, record, context| {
        if record.value == "start" {
            let act = |this: &mut Script, time: Timestamp, context: &mut ProcessorContext<'_, Script>| {
                this.count += 1;
                if this.count == 2 {
                    this.cancellable.as_ref().expect("scheduled").cancel();
                }
                context.forward(Record::new("p".to_owned(), time.to_string(), time));
                Ok(())
            };
            this.cancellable = Some(context.schedule(ms(10), PunctuationType::StreamTime, act));
        }
        Ok(())
    });
    run_script(script, &[], &builder);
    let mut driver = driver(&builder);
    feed(
        &mut driver,
        &[("k", "v", 55), ("k", "start", 50), ("k", "v", 60), ("k", "v", 70)],
    );
    assert_eq!(
        values(&mut driver),
        ["55", "60"],
        "right after the record that scheduled it, though that did not take time on"
    );
}

#[test]
fn timers_fire_in_the_order_of_time_and_key_once_each_and_not_when_cancelled() {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::timers::<String>("timers"));
    let script = Script::new(|_, record, context| {
        for part in record.value.split_whitespace() {
            match part.split_at(1) {
                ("+", time) => context.timer(&record.key, time.parse()?)?,
                ("-", time) => context.cancel_timer(&record.key, time.parse()?)?,
                _ => context.forward(record.clone()),
            }
        }
        Ok(())
    });
    run_script(script, &["timers"], &builder);
    let mut driver = driver(&builder);
    feed(
        &mut driver,
        &[
            ("b", "+30 +20 +20", 0),
            ("a", "+20 +25 +40", 1),
            ("a", "-25", 2),
            ("c", "seen", 19),
            ("c", "seen", 35),
            ("c", "+10", 36),
            ("c", "seen", 40),
        ],
    );
    let output = driver.output::<String, String>("out");
    let found = driver.read_pairs(&output).expect("readable");
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("c", "seen"),
            ("c", "seen"),
            ("a", "timer 20 at 35"),
            ("b", "timer 20 at 35"),
            ("b", "timer 30 at 35"),
            ("c", "timer 10 at 36"),
            ("c", "seen"),
            ("a", "timer 40 at 40"),
        ]
    );
}

#[test]
fn wall_clock_timers_fire_without_input() {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::timers::<String>("timers"));
    let script =
        Script::new(|_, record, context| Ok(context.wall_clock_timer(&record.key, record.value.parse()?)?));
    run_script(script, &["timers"], &builder);
    let mut driver = driver(&builder);
    feed(&mut driver, &[("a", "50", 0), ("b", "40", 0), ("c", "60", 0)]);
    assert!(values(&mut driver).is_empty());
    driver.advance_wall_clock(50).expect("time passes");
    assert_eq!(values(&mut driver), ["timer 40 at 0", "timer 50 at 0"]);
    driver.advance_wall_clock(50).expect("time passes");
    assert_eq!(values(&mut driver), ["timer 60 at 0"]);
}

#[test]
fn a_lost_transaction_takes_timers_and_fields_back() {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::timers::<String>("timers"));
    let script = Script::new(|this, record, context| {
        this.count += 1;
        context.timer(&record.key, record.value.parse()?)?;
        context.forward(record.with_value(format!("record {}", this.count)));
        Ok(())
    });
    run_script(script, &["timers"], &builder);
    let options = DriverOptions {
        auto_commit: false,
        ..DriverOptions::default()
    };
    let topology = builder.build().expect("a sound topology");
    let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
    feed(&mut driver, &[("a", "10", 1)]);
    driver.commit().expect("commits");
    assert_eq!(values(&mut driver), ["record 1"]);
    feed(&mut driver, &[("b", "99", 12)]);
    driver.abort().expect("aborts");
    driver.commit().expect("commits what is read again");
    assert_eq!(values(&mut driver), ["record 1", "timer 10 at 12"]);
}

#[test]
fn timers_of_two_processors_cannot_share_a_store() {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::timers::<String>("timers"));
    let input = builder.stream::<String, String>("in");
    for _ in 0..2 {
        let script = Script::new(|_, _, _| Ok(()));
        input.process(move || script.clone(), &["timers"]);
    }
    assert!(builder.build().is_err());
}

#[test]
fn punctuators_timers_and_windows_act_while_input_is_idle_where_that_is_asked_for() {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::timers::<String>("timers"));
    let script = Script::new(|_, record, context| Ok(context.timer(&record.key, record.value.parse()?)?))
        .init(|_, context| {
            context.schedule(ms(1_000), PunctuationType::StreamTime, |_, time, context| {
                context.forward(Record::new("p".to_owned(), format!("tick {time}"), time));
                Ok(())
            });
            Ok(())
        });
    let consumed = Consumed::<String, String>::default().idle_advance(ms(500));
    builder
        .stream_with("in", consumed)
        .process(move || script.clone(), &["timers"])
        .to("out");
    let mut driver = driver(&builder);
    feed(&mut driver, &[("a", "10300", 10_000)]);
    assert_eq!(values(&mut driver), ["tick 10000"]);
    let mut found = Vec::new();
    for by_ms in [400, 100, 400, 300] {
        driver.advance_wall_clock(by_ms).expect("time passes");
        found.push(values(&mut driver).join(", "));
    }
    assert_eq!(found, ["", "timer 10300 at 10500", "", "tick 11200"]);
    assert_eq!(driver.raw_records("test-in-time").len(), 2);
}

/// Counts up between punctuations and timers; every output tells the times it knows.
fn busy(builder: &StreamsBuilder) {
    builder.add_state_store(Stores::timers::<String>("timers"));
    builder.add_state_store(
        Stores::key_value::<String, String>("last")
            .with_ttl(ms(25))
            .in_memory(),
    );
    let script = Script::new(|this, record, context| {
        let store = this.store();
        let before = store.get(context, &record.key)?.unwrap_or_default();
        let all = store.all(context)?.len();
        store.put(context, &record.key, &record.value)?;
        let time = record.timestamp + i64::try_from(record.value.len())? * 7 - 20;
        context.timer(&record.key, time)?;
        let text = format!(
            "{} after {before:?} of {all} at {}",
            record.value,
            context.stream_time()
        );
        context.forward(record.with_value(text));
        Ok(())
    })
    .init(|this, context| {
        this.store = Some(context.store("last")?);
        context.schedule(ms(10), PunctuationType::StreamTime, |this, time, context| {
            let all = this.store().all(context)?.len();
            context.forward(Record::new("p".to_owned(), format!("tick {time} of {all}"), time));
            Ok(())
        });
        Ok(())
    })
    .on_timer(|this, timer, context| {
        let found = this.store().get(context, &timer.key)?;
        let text = format!(
            "timer {} finds {found:?} at {}",
            timer.time,
            context.stream_time()
        );
        context.forward(Record::new(timer.key, text, context.stream_time()));
        Ok(())
    });
    let second = Script::new(|_, record, context| {
        context.forward(record);
        Ok(())
    })
    .init(|_, context| {
        context.schedule(ms(15), PunctuationType::StreamTime, |_, time, context| {
            context.forward(Record::new("q".to_owned(), format!("tock {time}"), time));
            Ok(())
        });
        Ok(())
    });
    builder
        .stream::<String, String>("in")
        .filter(|_, value| value != "filtered")
        .process(move || script.clone(), &["timers", "last"])
        .filter(|_, value| !value.starts_with("timer 1"))
        .process(move || second.clone(), &[])
        .to("out");
}

/// Small, seeded, reproducible.
fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

fn random_input(seed: u64) -> Vec<TestRecord<String, String>> {
    let mut state = seed;
    let mut time = 0;
    (0..120)
        .map(|_| {
            time += draw(&mut state, 9) as i64;
            let timestamp = (time - draw(&mut state, 12) as i64).max(0);
            let key = ["a", "b", "c"][draw(&mut state, 3) as usize];
            let value = ["x", "xx", "xxxxx", "filtered"][draw(&mut state, 4) as usize];
            record(key, value, timestamp)
        })
        .collect()
}

#[test]
fn results_do_not_depend_on_how_input_is_cut_nor_on_lost_transactions() {
    for seed in 1..=20 {
        let builder = StreamsBuilder::new();
        busy(&builder);
        let topology = builder.build().expect("a sound topology");
        let input = random_input(seed);
        let mut expected = None;
        for cut in 0..5 {
            let options = DriverOptions {
                auto_commit: false,
                ..DriverOptions::default()
            };
            let mut driver = TopologyTestDriver::with_options(&topology, options).expect("it runs");
            let topic = driver.input::<String, String>("in");
            let mut state = seed * 31 + cut;
            let mut rest = input.as_slice();
            while !rest.is_empty() {
                let len = match cut {
                    0 => rest.len(),
                    1 => 1,
                    _ => 1 + draw(&mut state, 30) as usize,
                };
                let (batch, others) = rest.split_at(len.min(rest.len()));
                rest = others;
                driver.pipe_all(&topic, batch.to_vec()).expect("goes through");
                match draw(&mut state, 4) {
                    0 => driver.commit().expect("commits"),
                    1 if cut > 2 => driver.abort().expect("aborts"),
                    _ => {}
                }
            }
            driver.commit().expect("commits");
            let found = values(&mut driver);
            assert!(found.len() > 100);
            let expected = expected.get_or_insert_with(|| found.clone());
            assert_eq!(&found, expected, "seed {seed}, cut {cut}");
        }
    }
}
