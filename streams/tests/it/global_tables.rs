//! Global tables on a real broker: read before the first record, followed, and taken up again after a restart.

use millpond_log::broker::Broker;
use millpond_log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond_streams::dsl::{Joined, StreamsBuilder};
use millpond_streams::runtime::{Streams, StreamsConfig, StreamsHandle};
use millpond_streams::topology::Topology;

use super::support::{Node, PATIENCE, topic};

/// Flights (key: number, value: destination) with the name of their destination.
fn named_flights() -> Topology {
    let builder = StreamsBuilder::new();
    let airports = builder.global_table::<String, String>("airports", "airport-names");
    builder
        .stream::<String, String>("flights")
        .left_join_global_table(
            &airports,
            |_, destination| destination.clone(),
            |destination, name| format!("{destination}={}", name.map_or("?", String::as_str)),
            Joined::named("named-flights"),
        )
        .to("named");
    builder.build().expect("a sound topology")
}

async fn run(node: &Node) -> StreamsHandle {
    Streams::builder(named_flights())
        .application_id("flights")
        .embedded(&node.broker)
        .state_dir(&node.state_dir)
        .config(StreamsConfig {
            workers: 2,
            ..StreamsConfig::default()
        })
        .run()
        .await
        .expect("the application starts")
}

/// Sends `(key, value)` records, spread over the partitions by key; no value deletes.
async fn send(broker: &Broker, name: &str, records: &[(&str, Option<&str>)]) {
    let producer = Producer::new(broker, ProducerOptions::default())
        .await
        .expect("a producer");
    for (key, value) in records {
        let record = ProducerRecord::new(&topic(name))
            .key((*key).to_owned())
            .timestamp(1);
        let record = match value {
            Some(value) => record.value((*value).to_owned()),
            None => record,
        };
        drop(producer.send(record).await.expect("accepted"));
    }
    producer.close().await.expect("durable");
}

async fn named(node: &Node) -> Vec<String> {
    let mut values: Vec<String> = node
        .read("named")
        .await
        .into_iter()
        .map(|record| String::from_utf8(record.value.expect("a value").to_vec()).expect("text"))
        .collect();
    values.sort();
    values
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_topic_is_there_before_the_first_record_and_kept_over_a_restart() {
    let node = Node::start().await;
    node.create("airports", 3).await;
    node.create("flights", 2).await;
    node.create("named", 1).await;
    let airports: Vec<(String, String)> = (0..500)
        .map(|n| (format!("A{n}"), format!("airport {n}")))
        .collect();
    let records: Vec<(&str, Option<&str>)> = airports
        .iter()
        .map(|(code, name)| (code.as_str(), Some(name.as_str())))
        .collect();
    send(&node.broker, "airports", &records).await;
    send(
        &node.broker,
        "flights",
        &[("1", Some("A3")), ("2", Some("A499")), ("3", Some("ZZZ"))],
    )
    .await;

    let app = run(&node).await;
    app.wait_until_caught_up().await.expect("it catches up");
    assert_eq!(named(&node).await, ["A3=airport 3", "A499=airport 499", "ZZZ=?"]);
    let store = app
        .store::<String, String>("airport-names")
        .expect("the store exists");
    assert_eq!(store.all().expect("readable").len(), 500);

    // Followed while the application runs.
    send(&node.broker, "airports", &[("ZZZ", Some("zed")), ("A3", None)]).await;
    app.wait_until_caught_up().await.expect("it catches up");
    send(&node.broker, "flights", &[("4", Some("ZZZ")), ("5", Some("A3"))]).await;
    app.wait_until_caught_up().await.expect("it catches up");
    assert_eq!(
        named(&node).await[1..],
        ["A3=airport 3", "A499=airport 499", "ZZZ=?", "ZZZ=zed"]
    );
    app.shutdown(PATIENCE).await.expect("it ends");

    // What changed while it was down is read before the first record of the next run.
    send(&node.broker, "airports", &[("A4", Some("moved"))]).await;
    send(&node.broker, "flights", &[("6", Some("A4")), ("7", Some("A5"))]).await;
    let app = run(&node).await;
    app.wait_until_caught_up().await.expect("it catches up");
    let found = named(&node).await;
    assert!(found.contains(&"A4=moved".to_owned()), "{found:?}");
    assert!(
        found.contains(&"A5=airport 5".to_owned()),
        "kept over the restart: {found:?}"
    );
    app.shutdown(PATIENCE).await.expect("it ends");
}
