//! The plain path: count, restart, several workers, at-least-once.

use std::time::Duration;

use millpond_streams::dsl::{StreamsBuilder, TimeWindows};
use millpond_streams::runtime::{Streams, StreamsConfig, StreamsState};

use super::support::{Node, PATIENCE, expected, last_counts};

const LINES: [&str; 4] = [
    "to be or not to be",
    "that is the question",
    "to die to sleep",
    "to sleep perchance to dream",
];

fn lines() -> impl Iterator<Item = String> {
    LINES.iter().map(|line| (*line).to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_and_resumes_after_a_restart() {
    let node = Node::start().await;
    node.send(lines()).await;
    let app = node.run_words(StreamsConfig::default()).await;
    app.wait_until_caught_up().await.expect("it catches up");
    assert_eq!(node.counts().await, expected(LINES));
    app.shutdown(PATIENCE).await.expect("it ends");

    node.send(lines()).await;
    let app = node.run_words(StreamsConfig::default()).await;
    app.wait_until_caught_up().await.expect("it catches up");
    assert_eq!(app.state(), StreamsState::Running);
    assert_eq!(
        app.metrics().restored_records,
        0,
        "an orderly end leaves nothing to replay"
    );
    let twice = expected(LINES.iter().chain(&LINES).copied());
    assert_eq!(node.counts().await, twice);
    app.shutdown(PATIENCE).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_workers_share_the_tasks() {
    let node = Node::start().await;
    let app = node
        .run_words(StreamsConfig {
            workers: 3,
            ..StreamsConfig::default()
        })
        .await;
    for _ in 0..5 {
        node.send(lines()).await;
    }
    app.wait_until_caught_up().await.expect("it catches up");
    let five = expected(std::iter::repeat_n(LINES, 5).flatten());
    assert_eq!(node.counts().await, five);
    app.shutdown(PATIENCE).await.expect("it ends");

    // Other tasks on other workers, the same answer.
    let app = node
        .run_words(StreamsConfig {
            workers: 2,
            ..StreamsConfig::default()
        })
        .await;
    node.send(lines()).await;
    app.wait_until_caught_up().await.expect("it catches up");
    let six = expected(std::iter::repeat_n(LINES, 6).flatten());
    assert_eq!(node.counts().await, six);
    app.shutdown(PATIENCE).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_takes_the_same_path_without_transactions() {
    let node = Node::start().await;
    node.send(lines()).await;
    let config = StreamsConfig {
        exactly_once: false,
        ..StreamsConfig::default()
    };
    let app = node.run_words(config.clone()).await;
    app.wait_until_caught_up().await.expect("it catches up");
    app.shutdown(PATIENCE).await.expect("it ends");
    let app = node.run_words(config).await;
    node.send(lines()).await;
    app.wait_until_caught_up().await.expect("it catches up");
    assert_eq!(node.counts().await, expected(LINES.iter().chain(&LINES).copied()));
    app.shutdown(PATIENCE).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_are_counted_and_can_be_queried() {
    let node = Node::start().await;
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>("lines")
        .group_by(|_, word| word.clone())
        .windowed_by(TimeWindows::of(Duration::from_millis(10)).grace(Duration::from_millis(5)))
        .count("per-window")
        .updates()
        .map(|windowed, count| (windowed.key, count.to_string()))
        .to("counts");
    let topology = builder.build().expect("a sound topology");
    // Timestamps are 0, 1, 2, …: ten per window.
    node.send((0..40).map(|index| {
        if index % 2 == 0 {
            "even".to_owned()
        } else {
            "odd".to_owned()
        }
    }))
    .await;
    let app = Streams::builder(topology)
        .application_id("windows")
        .embedded(&node.broker)
        .state_dir(&node.state_dir)
        .run()
        .await
        .expect("the application starts");
    app.wait_until_caught_up().await.expect("it catches up");
    let store = app.store::<String, u64>("per-window").expect("the store exists");
    let newest = store.fetch(&"even".to_owned(), 30, 39).expect("readable");
    assert_eq!(newest.len(), 1);
    assert_eq!(
        (newest[0].start_ms, newest[0].end_ms, newest[0].value),
        (30, 40, 5)
    );
    let error = store
        .get(&"even".to_owned())
        .expect_err("a window store has no plain keys");
    assert!(error.to_string().contains("window store"), "{error}");
    app.shutdown(PATIENCE).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_application_reads_nothing_until_resumed() {
    let node = Node::start().await;
    let app = node.run_words(StreamsConfig::default()).await;
    app.wait_until_running().await.expect("it runs");
    app.pause();
    node.send(lines()).await;
    app.resume();
    app.wait_until_caught_up().await.expect("it catches up");
    assert_eq!(last_counts(&node.read("counts").await), expected(LINES));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_part_waits_while_the_others_go_on() {
    let node = Node::start().await;
    let app = node.run_words(StreamsConfig::default()).await;
    app.wait_until_running().await.expect("it runs");
    assert!(app.pause_part("no-such-store").is_err());
    app.pause_part("word-counts").expect("it is there");
    node.send(lines()).await;
    // The first part hands all words over and the second takes none of them.
    let words: usize = LINES.iter().map(|line| line.split(' ').count()).sum();
    let handed_over = async || {
        let records = node.read("words-word-counts-repartition").await;
        records.iter().filter(|record| record.value.is_some()).count()
    };
    while handed_over().await < words {
        node.broker.clock().sleep(Duration::from_millis(10)).await;
    }
    node.broker.clock().sleep(Duration::from_millis(300)).await;
    assert_eq!(node.read("counts").await.len(), 0);
    app.resume_part("word-counts").expect("it is there");
    app.wait_until_caught_up().await.expect("it catches up");
    assert_eq!(last_counts(&node.read("counts").await), expected(LINES));
    app.shutdown(PATIENCE).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_flushed_beside_the_worker_is_not_replayed_after_a_crash() {
    let node = Node::start().await;
    let mut config = StreamsConfig::default();
    config.state.apply_interval = Duration::ZERO;
    config.state.flush_interval = Duration::ZERO;
    let app = node.run_words(config).await;
    for _ in 0..3 {
        node.send(lines()).await;
        app.wait_until_caught_up().await.expect("it catches up");
    }
    // An idle worker looks after its state once a second.
    node.broker.clock().sleep(Duration::from_millis(2_500)).await;
    drop(app);
    let app = node.run_words(StreamsConfig::default()).await;
    app.wait_until_caught_up().await.expect("it catches up");
    assert_eq!(app.metrics().restored_records, 0);
    assert_eq!(
        node.counts().await,
        expected(std::iter::repeat_n(LINES, 3).flatten())
    );
    app.shutdown(PATIENCE).await.expect("it ends");
}
