//! Exactly once through handles that are dropped in the middle, again and again.

use millpond_streams::runtime::{RuntimeError, StreamsConfig};

use super::support::{Node, PATIENCE, expected, topic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_handle_in_the_middle_changes_nothing() {
    let node = Node::start().await;
    let lines: Vec<String> = (0..2_000)
        .map(|n| format!("w{} w{} all", n % 7, n % 50))
        .collect();
    for (round, part) in lines.chunks(200).enumerate() {
        let config = StreamsConfig {
            workers: 1 + round % 3,
            ..StreamsConfig::default()
        };
        let app = node.run_words(config).await;
        node.send(part.iter().cloned()).await;
        // Odd rounds are dropped with everything open, even ones after having caught up once.
        if round % 2 == 0 {
            app.wait_until_caught_up().await.expect("it catches up");
        }
        drop(app);
    }
    let app = node.run_words(StreamsConfig::default()).await;
    app.wait_until_caught_up().await.expect("it catches up");
    let expected = expected(lines.iter().map(String::as_str));
    assert_eq!(node.counts().await, expected);
    let store = app.store::<String, u64>("word-counts").expect("the store exists");
    assert_eq!(
        store
            .all()
            .expect("readable")
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>(),
        expected
    );
    app.shutdown(PATIENCE).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_instance_fences_the_first() {
    let node = Node::start().await;
    let first = node.run_words(StreamsConfig::default()).await;
    node.send(["a b".to_owned()]).await;
    first.wait_until_caught_up().await.expect("it catches up");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let second = node
        .words()
        .state_dir(elsewhere.path())
        .run()
        .await
        .expect("it starts");
    node.send(["a c".to_owned()]).await;
    second.wait_until_caught_up().await.expect("it catches up");
    let error = first.wait_until_caught_up().await.expect_err("it is fenced");
    assert!(matches!(error, RuntimeError::Commit(_)), "{error}");
    assert_eq!(node.counts().await, expected(["a b", "a c"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_input_topic_is_named() {
    let node = Node::start().await;
    for answer in node.broker.delete_topics(vec![topic("lines")]).await {
        answer.expect("deleted");
    }
    let error = node.words().run().await.expect_err("there is no input");
    assert!(error.to_string().contains("lines"), "{error}");
}
