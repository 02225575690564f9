//! The broker is restarted under a job, again and again: in an orderly way, and so that every connection and every answer on its way is lost.
//!
//! `MILLPOND_TEST_KAFKA_RESTART=COMMAND` beside `MILLPOND_TEST_KAFKA` restarts a cluster from outside as well: a command that kills its broker and returns
//! when it serves again on the same data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::broker::{Broker, BrokerOptions};
use millpond_log::clock::SystemClock;
use millpond_log::server::{Server, ServerOptions};
use millpond_streams::dsl::StreamsBuilder;
use millpond_streams::runtime::{LogClient, RemoteLog, RemoteOptions, Streams, StreamsConfig, StreamsState};

use super::cut_proxy::CutProxy;
use super::log_io::{create, read_committed, send_lines};
use super::same_job::last_counts;
use crate::support::{PATIENCE, expected, topic};

const CLUSTER: &str = "MILLPOND_TEST_KAFKA";
const RESTART: &str = "MILLPOND_TEST_KAFKA_RESTART";

/// What is restarted.
enum Node {
    Served {
        dir: PathBuf,
        proxy: CutProxy,
        running: Option<(Broker, Server)>,
    },
    Outside {
        address: String,
        command: String,
    },
}

impl Node {
    async fn served(dir: &Path) -> Node {
        let mut node = Node::Served {
            dir: dir.to_owned(),
            proxy: CutProxy::start(7, 0, 0).await,
            running: None,
        };
        node.restart(true).await;
        node
    }

    fn outside() -> Option<Node> {
        Some(Node::Outside {
            address: std::env::var(CLUSTER).ok()?,
            command: std::env::var(RESTART).ok()?,
        })
    }

    fn address(&self) -> String {
        match self {
            Node::Served { proxy, .. } => proxy.address.to_string(),
            Node::Outside { address, .. } => address.clone(),
        }
    }

    async fn restart(&mut self, orderly: bool) {
        match self {
            Node::Served { dir, proxy, running } => {
                proxy.lead_to(None);
                if let Some((broker, server)) = running.take() {
                    if orderly {
                        server.shutdown().await;
                    }
                    // Dropped before the broker is shut down: requests are cut in the middle.
                    drop(server);
                    broker.shutdown().await.expect("the broker stops");
                }
                let broker = Broker::start(BrokerOptions::at(&*dir))
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
                *running = Some((broker, server));
            }
            Node::Outside { command, .. } => {
                let status = Command::new("sh")
                    .args(["-c", command])
                    .status()
                    .expect("the command starts");
                assert!(status.success(), "{command}: {status}");
            }
        }
    }
}

async fn restart_under_a_job(mut node: Node) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let address = node.address();
    let log: Arc<dyn LogClient> = Arc::new(RemoteLog::new(RemoteOptions::new(&address)).expect("a client"));
    let named = |name: &str, now: i64| format!("millpond-{now}-{name}");
    let now = SystemClock::shared().now_ms();
    let (lines_topic, counts_topic) = (named("lines", now), named("counts", now));
    create(&*log, topic(&lines_topic), 4).await;
    create(&*log, topic(&counts_topic), 1).await;
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(&lines_topic)
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("word-counts")
        .updates()
        .map_values(|count| count.to_string())
        .to(&counts_topic);
    let app = Streams::builder(builder.build().expect("a sound topology"))
        .application_id(named("words", now))
        .connect(address)
        .state_dir(dir.path())
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
        send_lines(&*log, &topic(&lines_topic), 4, part.iter().cloned()).await;
        if round % 3 == 0 {
            app.wait_until_caught_up().await.expect("it catches up");
        }
        // Else in the middle of the work.
        node.restart(round % 2 == 0).await;
    }
    app.wait_until_caught_up().await.expect("it catches up");
    assert_eq!(app.state(), StreamsState::Running);
    let expected = expected(lines.iter().map(String::as_str));
    let counts = last_counts(&read_committed(&*log, &topic(&counts_topic)).await);
    assert_eq!(counts, expected);
    let store = app.store::<String, u64>("word-counts").expect("the store exists");
    let state: BTreeMap<String, u64> = store.all().expect("readable").into_iter().collect();
    assert_eq!(state, expected);
    assert_eq!(app.metrics().restored_records, 0, "state was kept, not rebuilt");
    println!("{} recoveries", app.metrics().recoveries);
    app.shutdown(PATIENCE).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_restarts_under_a_job_neither_loses_nor_doubles_anything() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    restart_under_a_job(Node::served(dir.path()).await).await;
    if let Some(outside) = Node::outside() {
        restart_under_a_job(outside).await;
    }
}
