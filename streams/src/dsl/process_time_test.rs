//! Punctuators and timers. Punctuation cases follow `StreamTaskTest` and `TopologyTestDriverTest` of Kafka Streams. Beyond those: nothing may depend on how input
//! was cut into batches.

use millpond_log::types::Timestamp;

use super::process_script::{Script, driver, feed, ms, record, run_script, values};
use super::{Consumed, ProcessorContext, PunctuationType, Record, Stores, StreamsBuilder};
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

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
