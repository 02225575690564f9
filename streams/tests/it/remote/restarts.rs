//! The broker is restarted under a job, again and again: in an orderly way, and so that every connection and every answer on its way is lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use millpond_log::broker::{Broker, BrokerOptions};
use millpond_log::server::{Server, ServerOptions};
use millpond_streams::runtime::{Streams, StreamsConfig, StreamsState};

use super::cut_proxy::CutProxy;
use crate::support::{PATIENCE, create, expected, last_counts, read_committed, send_lines, word_count};

struct Node {
    broker: Broker,
    server: Server,
}

impl Node {
    /// Starts a broker on `dir` and leads the proxy to it.
    async fn start(dir: &Path, proxy: &CutProxy) -> Node {
        let broker = Broker::start(BrokerOptions::at(dir))
            .await
            .expect("the broker starts");
        let options = ServerOptions {
            advertised: Some(("127.0.0.1".to_owned(), proxy.address.port())),
            ..ServerOptions::on("127.0.0.1:0".parse().expect("an address"))
        };
        let server = Server::start(broker.clone(), options)
            .await
            .expect("the server starts");
        proxy.lead_to(Some(server.local_addr()));
        Node { broker, server }
    }

    async fn stop(self, proxy: &CutProxy, orderly: bool) {
        proxy.lead_to(None);
        if orderly {
            self.server.shutdown().await;
        }
        // Dropped before the broker is shut down: requests are cut in the middle.
        drop(self.server);
        self.broker.shutdown().await.expect("the broker stops");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_restarts_under_a_job_neither_loses_nor_doubles_anything() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log_dir = dir.path().join("log");
    let proxy = CutProxy::start(7, 0).await;
    let mut node = Node::start(&log_dir, &proxy).await;
    create(&node.broker, "lines", 4).await;
    create(&node.broker, "counts", 1).await;
    let app = Streams::builder(word_count())
        .application_id("words")
        .connect(proxy.address.to_string())
        .state_dir(dir.path().join("state"))
        .config(StreamsConfig {
            workers: 2,
            commit_interval: Duration::from_millis(10),
            ..StreamsConfig::default()
        })
        .run()
        .await
        .expect("the application starts");
    let lines: Vec<String> = (0..800).map(|n| format!("w{} w{} all", n % 7, n % 31)).collect();
    for (round, part) in lines.chunks(100).enumerate() {
        send_lines(&node.broker, part.iter().cloned()).await;
        if round % 3 == 0 {
            app.wait_until_caught_up().await.expect("it catches up");
        }
        // Else in the middle of the work.
        node.stop(&proxy, round % 2 == 0).await;
        node = Node::start(&log_dir, &proxy).await;
    }
    app.wait_until_caught_up().await.expect("it catches up");
    assert_eq!(app.state(), StreamsState::Running);
    let expected = expected(lines.iter().map(String::as_str));
    assert_eq!(
        last_counts(&read_committed(&node.broker, "counts").await),
        expected
    );
    let store = app.store::<String, u64>("word-counts").expect("the store exists");
    let state: BTreeMap<String, u64> = store.all().expect("readable").into_iter().collect();
    assert_eq!(state, expected);
    assert_eq!(app.metrics().restored_records, 0, "state was kept, not rebuilt");
    app.shutdown(PATIENCE).await.expect("it ends");
}
