//! Windows on the real runtime: final results of sessions and tumbling windows over a restart, and queries of sessions.

use std::time::Duration;

use millpond_log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond_streams::dsl::{EmitStrategy, SessionWindows, StreamsBuilder, TimeWindows};
use millpond_streams::runtime::{Streams, StreamsHandle};
use millpond_streams::topology::Topology;

use super::support::{Node, PATIENCE, topic};

/// Final results as lines `kind key start-end count`.
fn visits() -> Topology {
    let builder = StreamsBuilder::new();
    let events = builder.stream::<String, String>("events").group_by_key();
    let sessions = events
        .windowed_by(SessionWindows::with_inactivity_gap(Duration::from_millis(10)))
        .emit_strategy(EmitStrategy::on_window_close())
        .count("sessions");
    let windows = events
        .windowed_by(TimeWindows::of(Duration::from_millis(20)))
        .emit_strategy(EmitStrategy::on_window_close())
        .count("windows");
    let early = events
        .windowed_by(TimeWindows::of(Duration::from_millis(20)))
        .emit_strategy(EmitStrategy::every(Duration::from_millis(50)))
        .count("early");
    for (kind, table) in [("session", sessions), ("window", windows), ("early", early)] {
        let line = move |windowed: millpond_streams::dsl::Windowed<String>, count: u64| {
            let window = windowed.window;
            (
                (),
                format!(
                    "{kind} {} {}-{} {count}",
                    windowed.key, window.start_ms, window.end_ms
                ),
            )
        };
        table.updates().map(line).to("results");
    }
    builder.build().expect("a sound topology")
}

async fn run(node: &Node) -> StreamsHandle {
    Streams::builder(visits())
        .application_id("visits")
        .embedded(&node.broker)
        .state_dir(&node.state_dir)
        .run()
        .await
        .expect("the application starts")
}

async fn send(node: &Node, events: &[(&str, i64)]) {
    let producer = Producer::new(&node.broker, ProducerOptions::default())
        .await
        .expect("a producer");
    for (key, timestamp) in events {
        let record = ProducerRecord::new(&topic("events"))
            .key((*key).to_owned())
            .value("x".to_owned())
            .timestamp(*timestamp);
        drop(producer.send(record).await.expect("accepted"));
    }
    producer.close().await.expect("durable");
}

async fn results(node: &Node, kind: &str) -> Vec<String> {
    let text =
        |bytes: Option<bytes::Bytes>| String::from_utf8(bytes.unwrap_or_default().to_vec()).expect("text");
    let lines = node
        .read("results")
        .await
        .into_iter()
        .map(|record| text(record.value));
    lines
        .filter_map(|line| line.strip_prefix(kind).map(|line| line.trim().to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn final_and_early_results_come_once_over_a_restart_and_sessions_can_be_queried() {
    let node = Node::start().await;
    node.create("events", 1).await;
    node.create("results", 1).await;
    send(&node, &[("a", 0), ("a", 5), ("b", 3), ("a", 30)]).await;
    let app = run(&node).await;
    app.wait_until_caught_up().await.expect("it catches up");
    let store = app.store::<String, u64>("sessions").expect("the store exists");
    let found = store.find_sessions(&"a".to_owned(), 25, 40).expect("readable");
    let found: Vec<_> = found
        .iter()
        .map(|entry| (entry.start_ms, entry.end_ms, entry.value))
        .collect();
    assert_eq!(found, [(30, 30, 1)]);
    let all = store.find_all_sessions(0, 40).expect("readable");
    let last = all.last().map(|entry| (entry.key.as_str(), entry.end_ms));
    assert_eq!(last, Some(("a", 30)));
    let no_keys = store.get(&"a".to_owned()).expect_err("it has no plain keys");
    assert!(no_keys.to_string().contains("a store of sessions"), "{no_keys}");
    let no_grid = store.fetch(&"a".to_owned(), 0, 40).expect_err("it has no grid");
    assert!(no_grid.to_string().contains("use find_sessions"), "{no_grid}");
    app.shutdown(PATIENCE).await.expect("it ends");
    assert_eq!(results(&node, "session").await, ["b 3-3 1", "a 0-5 2"]);
    assert_eq!(results(&node, "window").await, ["a 0-20 2", "b 0-20 1"]);
    assert_eq!(results(&node, "early").await, Vec::<String>::new());

    let app = run(&node).await;
    app.wait_until_caught_up().await.expect("it catches up");
    send(&node, &[("b", 33), ("a", 60)]).await;
    app.wait_until_caught_up().await.expect("it catches up");
    app.shutdown(PATIENCE).await.expect("it ends");
    assert_eq!(
        results(&node, "session").await,
        ["b 3-3 1", "a 0-5 2", "a 30-30 1", "b 33-33 1"]
    );
    assert_eq!(
        results(&node, "window").await,
        ["a 0-20 2", "b 0-20 1", "a 20-40 1", "b 20-40 1"]
    );
    assert_eq!(
        results(&node, "early").await,
        ["a 0-20 2", "b 0-20 1", "a 20-40 1", "b 20-40 1"]
    );
}
