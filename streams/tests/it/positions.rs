//! What is noted beside committed offsets: of tasks with hundreds of stores, and by the version before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use millpond_log::broker::OffsetAndMetadata;
use millpond_log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond_log::types::{GroupId, TopicPartition};
use millpond_streams::dsl::StreamsBuilder;
use millpond_streams::runtime::{
    EmbeddedLog, LogClient, OffsetMetadata, RuntimeError, Streams, StreamsConfig, StreamsLauncher,
};
use millpond_streams::topology::Topology;

use super::support::{Node, PATIENCE, expected, topic};

/// So many counts of one stream, all of them in one task.
fn counts(stores: usize) -> Topology {
    let builder = StreamsBuilder::new();
    let words = builder.stream::<String, String>("words");
    for store in 0..stores {
        words.clone().group_by_key().count(&store_name(store));
    }
    builder.build().expect("a sound topology")
}

fn store_name(store: usize) -> String {
    format!("how-often-a-word-was-said-in-{store:03}")
}

fn launcher(node: &Node, stores: usize) -> StreamsLauncher {
    Streams::builder(counts(stores))
        .application_id("many")
        .embedded(&node.broker)
        .state_dir(&node.state_dir)
}

async fn say(node: &Node, word: &str) {
    let producer = Producer::new(&node.broker, ProducerOptions::default())
        .await
        .expect("a producer");
    let record = ProducerRecord::new(&topic("words"))
        .key(word.to_owned())
        .value(word.to_owned());
    drop(producer.send(record).await.expect("accepted"));
    producer.close().await.expect("durable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_with_three_hundred_logged_stores_commits_and_restarts() {
    const STORES: usize = 300;
    let node = Node::start().await;
    node.create("words", 1).await;
    for round in 1..=3_u64 {
        say(&node, "pond").await;
        let launcher = match round {
            // Everything comes back from the changelogs, each checked against what the commit noted.
            3 => launcher(&node, STORES).state_dir(node.state_dir.with_extension("new")),
            _ => launcher(&node, STORES),
        };
        let app = launcher.run().await.expect("it starts");
        app.wait_until_caught_up().await.expect("it catches up");
        for store in [0, 127, STORES - 1] {
            let counts = app
                .store::<String, u64>(&store_name(store))
                .expect("the store exists");
            assert_eq!(
                counts.get(&"pond".to_owned()).expect("readable"),
                Some(round),
                "store {store}"
            );
        }
        let metrics = app.metrics();
        assert_eq!(metrics.recoveries, 0, "every commit was taken");
        assert_eq!(
            metrics.restored_records,
            if round == 3 { 2 * STORES as u64 } else { 0 }
        );
        app.shutdown(PATIENCE).await.expect("it ends");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_with_too_many_logged_stores_says_so_at_the_start() {
    let node = Node::start().await;
    node.create("words", 1).await;
    let error = launcher(&node, 400).run().await.expect_err("there is no room");
    assert!(
        matches!(error, RuntimeError::PositionTooLarge { stores: 400, .. }),
        "{error}"
    );
    assert!(
        node.broker
            .partition_count(&topic(&format!("many-{}-changelog", store_name(0))))
            .is_none(),
        "nothing was created"
    );
}

/// As the version before wrote it, for a task with one store.
fn version_1(metadata: &OffsetMetadata, store: &str, more: i64) -> String {
    let mut bytes = vec![1, u8::from(metadata.transactional)];
    bytes.extend(metadata.txn.0.to_be_bytes());
    let end = metadata.changelog(store);
    bytes.extend(u16::from(end.is_some()).to_be_bytes());
    if let Some(end) = end {
        bytes.extend((store.len() as u16).to_be_bytes());
        bytes.extend(store.as_bytes());
        bytes.extend((end.get() + more).to_be_bytes());
    }
    bytes.extend(&metadata.clock[..]);
    STANDARD_NO_PAD.encode(bytes)
}

/// Replaces what stands beside the committed offsets of the word count; ends of changelogs are `more` than they were.
async fn make_old(node: &Node, more: i64) {
    let log = EmbeddedLog::new(node.broker.clone());
    let group = GroupId::new("words");
    let repartition = topic("words-word-counts-repartition");
    let count = node
        .broker
        .partition_count(&repartition)
        .expect("the topic exists");
    let partitions = (0..count).map(|partition| TopicPartition::new(repartition.clone(), partition));
    let committed = log
        .offset_fetch(group.clone(), partitions.collect())
        .await
        .expect("readable");
    assert!(!committed.is_empty());
    let old = committed.into_iter().map(|(partition, offset)| {
        let metadata = OffsetMetadata::decode(&offset.metadata).expect("ours");
        let old = version_1(&metadata, "word-counts", more);
        (
            partition,
            OffsetAndMetadata::new(offset.offset).with_metadata(old),
        )
    });
    log.offset_commit(group, old.collect()).await.expect("committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_of_the_version_before_are_understood() {
    let node = Node::start().await;
    let run = async |lines: &[&str]| {
        node.send(lines.iter().map(|line| (*line).to_owned())).await;
        let app = node.run_words(StreamsConfig::default()).await;
        let end = app.wait_until_caught_up().await;
        match end {
            Ok(()) => app.shutdown(PATIENCE).await,
            Err(error) => Err(error),
        }
    };
    run(&["a b", "b c"]).await.expect("it runs");
    make_old(&node, 0).await;
    run(&["c d", "a a"]).await.expect("it goes on");
    assert_eq!(node.counts().await, expected(["a b", "b c", "c d", "a a"]));
    // They are read, not passed over: a commit that counts on more than a changelog has stops the start.
    make_old(&node, 1_000).await;
    let error = run(&[]).await.expect_err("records of a changelog are missing");
    assert!(matches!(error, RuntimeError::StateMismatch { .. }), "{error}");
}
