//! Tables on the real runtime, exactly once: joined over a foreign key, where two sub-topologies feed each other, regrouped, and held back; over restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use millpond_log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond_streams::dsl::{StreamsBuilder, StrictBuffer, Suppressed};
use millpond_streams::runtime::{Streams, StreamsConfig, StreamsHandle};
use millpond_streams::topology::Topology;

use super::support::{Node, PATIENCE, topic};

/// Flights point at airports; results, and how many flights each airport's name has, are written out.
fn flights_with_airports() -> Topology {
    let builder = StreamsBuilder::new();
    let flights = builder.table::<String, String>("flights", "flights");
    let airports = builder.table::<String, String>("airports", "airports");
    let joined = flights.foreign_key_left_join(
        "with-airport",
        &airports,
        |_, airport| Some(airport.clone()),
        |airport, name| name.map_or_else(|| format!("{airport}?"), String::clone),
    );
    joined.to_stream().to("joined");
    joined
        .group_by(|flight, name| (name, flight.clone()))
        .count("flights-per-name")
        .suppress(
            "held-back",
            Suppressed::until_time_limit(Duration::from_millis(3), StrictBuffer::unbounded()),
        )
        .map_values(|count| count.to_string())
        .to_stream()
        .to("counts");
    builder.build().expect("a sound topology")
}

async fn run(node: &Node, workers: usize) -> StreamsHandle {
    let config = StreamsConfig {
        workers,
        ..StreamsConfig::default()
    };
    Streams::builder(flights_with_airports())
        .application_id("flights")
        .embedded(&node.broker)
        .state_dir(&node.state_dir)
        .config(config)
        .run()
        .await
        .expect("the application starts")
}

async fn send(node: &Node, name: &str, records: &[(&str, &str, i64)]) {
    let producer = Producer::new(&node.broker, ProducerOptions::default())
        .await
        .expect("a producer");
    for (key, value, timestamp) in records {
        let record = ProducerRecord::new(&topic(name))
            .key((*key).to_owned())
            .timestamp(*timestamp);
        // An empty value deletes.
        let record = match value.is_empty() {
            true => record,
            false => record.value((*value).to_owned()),
        };
        drop(producer.send(record).await.expect("accepted"));
    }
    producer.close().await.expect("durable");
}

/// The last value of each key; deleted ones are gone.
async fn latest(node: &Node, name: &str) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let mut table = BTreeMap::new();
    for record in node.read(name).await {
        let key = text(record.key.as_deref().unwrap_or_default());
        match record.value.as_deref() {
            Some(value) => table.insert(key, text(value)),
            None => table.remove(&key),
        };
    }
    table
}

fn table(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_key_join_goes_on_after_a_restart() {
    let node = Node::start().await;
    for (name, partitions) in [("flights", 3), ("airports", 2), ("joined", 1)] {
        node.create(name, partitions).await;
    }
    send(
        &node,
        "flights",
        &[("UA1", "JFK", 1), ("UA2", "JFK", 2), ("UA3", "LAX", 3)],
    )
    .await;
    send(&node, "airports", &[("JFK", "Kennedy", 4)]).await;
    let app = run(&node, 2).await;
    app.wait_until_caught_up().await.expect("it catches up");
    let expected = [("UA1", "Kennedy"), ("UA2", "Kennedy"), ("UA3", "LAX?")];
    assert_eq!(latest(&node, "joined").await, table(&expected));
    app.shutdown(PATIENCE).await.expect("it ends");

    // Subscriptions, both tables, the counts and what was held back are all there again.
    let app = run(&node, 1).await;
    send(
        &node,
        "airports",
        &[("LAX", "Los Angeles", 10), ("JFK", "JFK International", 11)],
    )
    .await;
    send(&node, "flights", &[("UA2", "LAX", 12), ("UA1", "", 13)]).await;
    app.wait_until_caught_up().await.expect("it catches up");
    let expected = [("UA2", "Los Angeles"), ("UA3", "Los Angeles")];
    assert_eq!(latest(&node, "joined").await, table(&expected));

    // Time goes on in every partition of the counts, so that nothing is held back any more.
    let ticks: Vec<(String, String, i64)> = (0..40)
        .map(|n| (format!("tick{n}"), format!("t{n}"), 100 + n))
        .collect();
    let ticks: Vec<(&str, &str, i64)> = ticks
        .iter()
        .map(|(key, value, timestamp)| (key.as_str(), value.as_str(), *timestamp))
        .collect();
    send(&node, "flights", &ticks).await;
    app.wait_until_caught_up().await.expect("it catches up");
    app.shutdown(PATIENCE).await.expect("it ends");
    let counts = latest(&node, "counts").await;
    for (name, count) in [("Kennedy", "0"), ("LAX?", "0"), ("Los Angeles", "2")] {
        assert_eq!(
            counts.get(name).map(String::as_str),
            Some(count),
            "{name} in {counts:?}"
        );
    }
    // Whether anybody was there in between depends on which side was faster.
    let between = counts.get("JFK International").map_or("0", String::as_str);
    assert_eq!(between, "0");
}
