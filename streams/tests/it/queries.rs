//! Reads of committed state from outside.

use millpond_streams::query::QueryError;
use millpond_streams::runtime::StreamsConfig;

use super::support::{Node, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_points_ranges_and_everything_over_all_tasks() {
    let node = Node::start().await;
    let app = node
        .run_words(StreamsConfig {
            workers: 2,
            ..StreamsConfig::default()
        })
        .await;
    node.send((0..100).map(|n| format!("word{:02}", n % 20))).await;
    app.wait_until_caught_up().await.expect("it catches up");
    let store = app.store::<String, u64>("word-counts").expect("the store exists");
    assert_eq!(store.get(&"word07".to_owned()).expect("readable"), Some(5));
    assert_eq!(store.get(&"nothing".to_owned()).expect("readable"), None);
    assert_eq!(store.all().expect("readable").len(), 20);
    let range = store
        .range(Some(&"word03".to_owned()), Some(&"word06".to_owned()))
        .expect("readable");
    let words: Vec<&str> = range.iter().map(|(word, _)| word.as_str()).collect();
    assert_eq!(words, ["word03", "word04", "word05", "word06"]);

    let unknown = app
        .store::<String, u64>("word-count")
        .expect_err("there is none of that name");
    assert!(
        unknown.to_string().contains("word-counts"),
        "the names there are help: {unknown}"
    );
    app.shutdown(PATIENCE).await.expect("it ends");
    let closed = store.get(&"word07".to_owned()).expect_err("the tasks are closed");
    assert!(matches!(closed, QueryError::NotHere { .. }), "{closed}");
}
