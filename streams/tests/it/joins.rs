//! Joins on a real broker: what waits for a partner outlives a restart and the loss of the disk, and nothing comes out twice.

use std::time::Duration;

use millpond_log::broker::Broker;
use millpond_log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond_streams::dsl::{Consumed, JoinWindows, Joined, Materialized, StreamJoined, StreamsBuilder};
use millpond_streams::runtime::{Streams, StreamsHandle};
use millpond_streams::topology::Topology;

use super::support::{Node, PATIENCE, topic};

/// Clicks joined with the views they follow within 100 ms, and orders with the price of their time, after a grace of 50 ms.
fn both_joins() -> Topology {
    let builder = StreamsBuilder::new();
    let views = builder.stream::<String, String>("views");
    let clicks = builder.stream::<String, String>("clicks");
    views
        .outer_join(
            &clicks,
            |view, click| format!("{view:?} {click:?}"),
            JoinWindows::of_time_difference_and_grace(Duration::from_millis(100), Duration::from_millis(20)),
            StreamJoined::named("seen"),
        )
        .to("results");
    let versioned = Materialized::default().versioned(Duration::from_millis(1_000));
    let prices = builder.table_with::<String, String>("prices", "prices", Consumed::default(), versioned);
    builder
        .stream::<String, String>("orders")
        .left_join_table(
            &prices,
            |order, price| format!("{order} at {price:?}"),
            Joined::named("paid").grace(Duration::from_millis(50)),
        )
        .to("results");
    builder.build().expect("a sound topology")
}

async fn run(node: &Node) -> StreamsHandle {
    Streams::builder(both_joins())
        .application_id("joins")
        .embedded(&node.broker)
        .state_dir(&node.state_dir)
        .run()
        .await
        .expect("the application starts")
}

async fn send(broker: &Broker, name: &str, key: &str, value: &str, timestamp: i64) {
    let producer = Producer::new(broker, ProducerOptions::default())
        .await
        .expect("a producer");
    let record = ProducerRecord::new(&topic(name))
        .key(key.to_owned())
        .value(value.to_owned())
        .timestamp(timestamp);
    drop(producer.send(record).await.expect("accepted"));
    producer.close().await.expect("durable");
}

async fn results(node: &Node) -> Vec<String> {
    let records = node.read("results").await.into_iter();
    let mut values: Vec<String> = records
        .map(|record| String::from_utf8(record.value.expect("a value").to_vec()).expect("text"))
        .collect();
    values.sort();
    values
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_outlives_a_restart_and_the_loss_of_the_disk() {
    for loses_disk in [false, true] {
        let node = Node::start().await;
        for name in ["views", "clicks", "prices", "orders", "results"] {
            node.create(name, 1).await;
        }
        let restart = async |app: StreamsHandle| {
            app.wait_until_caught_up().await.expect("it catches up");
            app.shutdown(PATIENCE).await.expect("it ends");
            drop(app);
            if loses_disk {
                std::fs::remove_dir_all(&node.state_dir).expect("the state is there");
            }
            run(&node).await
        };
        let app = run(&node).await;
        for (key, time) in [("a", 1_000), ("b", 1_010), ("c", 1_020)] {
            send(&node.broker, "views", key, &format!("view {key}"), time).await;
        }
        send(&node.broker, "prices", "lamp", "10", 500).await;
        send(&node.broker, "prices", "lamp", "12", 1_005).await;
        send(&node.broker, "orders", "lamp", "early", 1_000).await;
        send(&node.broker, "orders", "lamp", "late", 1_030).await;
        let app = restart(app).await;
        // A partner for one of the views, from before the restart to after it.
        send(&node.broker, "clicks", "b", "click b", 1_040).await;
        app.wait_until_caught_up().await.expect("it catches up");
        assert_eq!(results(&node).await, [r#"Some("view b") Some("click b")"#]);
        let app = restart(app).await;
        // The others have waited in vain, and the orders long enough.
        send(&node.broker, "clicks", "d", "click d", 2_000).await;
        send(&node.broker, "orders", "lamp", "last", 2_000).await;
        let app = restart(app).await;
        app.wait_until_caught_up().await.expect("it catches up");
        let expected = [
            r#"Some("view a") None"#,
            r#"Some("view b") Some("click b")"#,
            r#"Some("view c") None"#,
            r#"early at Some("10")"#,
            r#"late at Some("12")"#,
        ];
        assert_eq!(results(&node).await, expected, "disk lost: {loses_disk}");
        let app = restart(app).await;
        // Nothing of it comes out again.
        send(&node.broker, "views", "e", "view e", 5_000).await;
        send(&node.broker, "orders", "lamp", "very last", 5_000).await;
        app.wait_until_caught_up().await.expect("it catches up");
        let found = results(&node).await;
        assert_eq!(found.len(), expected.len() + 2, "{found:?}");
        assert!(found.contains(&r#"None Some("click d")"#.to_owned()), "{found:?}");
        assert!(found.contains(&r#"last at Some("12")"#.to_owned()), "{found:?}");
        app.shutdown(PATIENCE).await.expect("it ends");
    }
}
