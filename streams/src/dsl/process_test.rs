//! The typed processor API: records, children, errors and shared stores. Forwarding and metadata follow `ProcessorTopologyTest` of Kafka Streams.

use super::process_script::{Outcome, Script, driver, feed, record, run_script, values};
use super::{
    FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, ProcessorInit, Record, Stores, StreamsBuilder,
};
use crate::config::{ErrorPolicy, ProcessingConfig};
use crate::processor::Headers;
use crate::testing::{DriverOptions, TopologyTestDriver};

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
