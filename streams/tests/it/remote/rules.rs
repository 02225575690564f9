//! What a topic refuses is known before anything is sent, wherever the log is: the record becomes a dead letter, the job goes on.

use std::collections::{BTreeMap, BTreeSet};

use millpond_log::broker::NewTopic;
use millpond_log::clock::{Clock, SystemClock};
use millpond_log::types::TopicName;
use millpond_streams::dsl::{Consumed, StreamsBuilder, TimestampExtractor};
use millpond_streams::processor::TopicRules;
use millpond_streams::topology::Topology;

use super::log_io::{read_committed, send_lines};
use super::places::Place;
use crate::support::{PATIENCE, topic};

const HOUR_MS: i64 = 3_600_000;

/// Topics by what they refuse.
const TOPICS: [(&str, &[(&str, &str)]); 5] = [
    ("plain", &[]),
    ("small", &[("max.message.bytes", "1000")]),
    ("compacted", &[("cleanup.policy", "compact")]),
    ("fresh", &[("message.timestamp.before.max.ms", "3600000")]),
    (
        "stamped",
        &[
            ("message.timestamp.type", "LogAppendTime"),
            ("message.timestamp.before.max.ms", "3600000"),
        ],
    ),
];

async fn create_all(place: &Place) -> Vec<TopicName> {
    let mut names = Vec::new();
    for (name, configs) in TOPICS {
        let name = topic(&place.named(name));
        let mut new = NewTopic::new(name.clone(), 1).config("retention.ms", "-1");
        for (key, value) in configs {
            new = new.config(*key, *value);
        }
        place.log.create_topics(vec![new]).await.expect(place.name);
        names.push(name);
    }
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_those_of_the_topic_and_otherwise_the_brokers_defaults() {
    for place in Place::all().await {
        let mut names = create_all(&place).await;
        names.push(topic(&place.named("missing")));
        let rules = place.log.topic_rules(names).await.expect(place.name);
        let of = |name: &str| rules.get(&topic(&place.named(name))).cloned();
        let plain = TopicRules {
            max_message_bytes: Some(1_048_588),
            needs_key: false,
            timestamp_before_max_ms: Some(i64::MAX),
            timestamp_after_max_ms: Some(HOUR_MS),
            ..TopicRules::default()
        };
        let small = TopicRules {
            max_message_bytes: Some(1_000),
            ..plain.clone()
        };
        let compacted = TopicRules {
            needs_key: true,
            ..plain.clone()
        };
        let fresh = TopicRules {
            timestamp_before_max_ms: Some(HOUR_MS),
            ..plain.clone()
        };
        // The log stamps the records itself.
        let stamped = TopicRules {
            timestamp_before_max_ms: None,
            timestamp_after_max_ms: None,
            ..plain.clone()
        };
        let expected = [
            ("plain", plain),
            ("small", small),
            ("compacted", compacted),
            ("fresh", fresh),
            ("stamped", stamped),
        ];
        for (name, expected) in expected {
            assert_eq!(of(name), Some(expected), "{name}, {}", place.name);
        }
        assert_eq!(of("missing"), None, "{}", place.name);
    }
}

/// Every line goes to every topic; its first word is its key, its second its time.
fn fan_out(place: &Place) -> Topology {
    let builder = StreamsBuilder::new();
    let time = TimestampExtractor::value(|line: &String| line.split(' ').nth(1)?.parse().ok());
    let lines = builder
        .stream_with::<Option<String>, String>(&place.named("lines"), Consumed::default().timestamps(time))
        .map(|_, line| {
            let key = line.split(' ').next().filter(|key| !key.is_empty());
            (key.map(str::to_owned), line.clone())
        });
    for (name, _) in TOPICS {
        lines.to(&place.named(name));
    }
    builder.build().expect("a sound topology")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_topic_refuses_becomes_a_dead_letter_and_nothing_else_is_lost() {
    for place in Place::all().await {
        create_all(&place).await;
        place.create("lines", 1).await;
        let now = SystemClock::new().now_ms();
        let good = format!("good {now}");
        let large = format!("large {now} {}", "x".repeat(2_000));
        let keyless = format!(" {now}");
        let old = format!("old {}", now - 48 * HOUR_MS);
        let lines = [good.clone(), large.clone(), keyless.clone(), old.clone()];
        let app = place
            .launcher(fan_out(&place), "fan-out")
            .run()
            .await
            .expect(place.name);
        send_lines(
            &*place.log,
            &topic(&place.named("lines")),
            1,
            lines.iter().cloned(),
        )
        .await;
        app.wait_until_caught_up().await.expect(place.name);
        assert_eq!(app.metrics().dead_letters, 3, "{}", place.name);
        assert_eq!(app.metrics().recoveries, 0, "{}", place.name);
        app.shutdown(PATIENCE).await.expect(place.name);
        let mut found = BTreeMap::new();
        for (name, _) in TOPICS {
            let read = read_committed(&*place.log, &topic(&place.named(name))).await;
            let values: BTreeSet<String> = read.into_iter().map(|read| read.value).collect();
            found.insert(name, values);
        }
        let all = |without: &[&String]| -> BTreeSet<String> {
            let left = lines.iter().filter(|line| !without.contains(line));
            left.cloned().collect()
        };
        let expected = BTreeMap::from([
            ("plain", all(&[])),
            ("small", all(&[&large])),
            ("compacted", all(&[&keyless])),
            ("fresh", all(&[&old])),
            ("stamped", all(&[])),
        ]);
        assert_eq!(found, expected, "{}", place.name);
        let letters = place.named("fan-out-dead-letters");
        let letters = read_committed(&*place.log, &topic(&letters)).await;
        assert_eq!(letters.len(), 3, "{}", place.name);
    }
}
