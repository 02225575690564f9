//! What an operator sees and sets: metrics of tasks, partitions and stores, the limit of RocksDB's memory.

use std::sync::Arc;
use std::time::Duration;

use millpond_log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond_log::http::HttpServer;
use millpond_log::metrics::NodeMetrics;
use millpond_streams::dsl::StreamsBuilder;
use millpond_streams::metrics::StreamsCollector;
use millpond_streams::runtime::{Streams, StreamsConfig};
use millpond_streams::state::{RocksBudget, RocksHosts, StateLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Node, PATIENCE, topic};

/// `/metrics` as a scraper gets it.
async fn scraped(http: &HttpServer) -> String {
    let mut socket = tokio::net::TcpStream::connect(http.local_addr())
        .await
        .expect("it listens");
    let request = b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    socket.write_all(request).await.expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    answer
}

fn lines(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("w{} all", n % 50)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_tells_lag_by_partition_and_size_and_restoring_by_store() {
    let node = Node::start().await;
    let mut metrics = NodeMetrics::of(&node.broker);
    metrics.register(Box::new(StreamsCollector));
    let any = "127.0.0.1:0".parse().expect("an address");
    let http = HttpServer::start(&node.broker, metrics, any)
        .await
        .expect("it listens");
    node.send(lines(400)).await;
    let launcher = node.words().application_id("scraped");
    let app = launcher.workers(2).run().await.expect("it starts");
    app.wait_until_caught_up().await.expect("it catches up");
    // Readings are a second old at most.
    node.broker.clock().sleep(Duration::from_millis(1_500)).await;
    let tasks = app.task_metrics();
    assert_eq!(tasks.len(), 8);
    assert_eq!(
        tasks.iter().map(|task| task.processed_records).sum::<u64>(),
        400 + 800
    );
    assert!(
        tasks
            .iter()
            .all(|task| task.partitions.iter().all(|input| input.lag == 0))
    );
    let of_lines = tasks.iter().flat_map(|task| &task.partitions);
    let of_lines = of_lines.filter(|input| input.partition.topic.as_str() == "lines");
    assert_eq!(of_lines.map(|input| input.position.get()).sum::<i64>(), 400);
    let stores = app.store_metrics();
    assert_eq!(stores.len(), 4);
    assert_eq!(
        stores
            .iter()
            .filter_map(|store| store.estimated_keys)
            .sum::<u64>(),
        51
    );
    assert!(stores.iter().all(|store| store.file_bytes.is_some()));
    let text = scraped(&http).await;
    for line in [
        "millpond_streams_records_in_total{application=\"scraped\"} 1200",
        "millpond_streams_client_state{application=\"scraped\",state=\"running\"} 1",
        "millpond_streams_partition_lag_records{application=\"scraped\",task=\"0_2\",topic=\"lines\",partition=\"2\"} 0",
        "millpond_streams_partition_position{application=\"scraped\",task=\"0_2\",topic=\"lines\",partition=\"2\"} 100",
        "millpond_streams_task_processed_records_total{application=\"scraped\",task=\"0_2\"} 100",
        "millpond_streams_store_file_bytes{application=\"scraped\",task=\"1_0\",store=\"word-counts\"}",
        "millpond_streams_store_restored_records{application=\"scraped\",task=\"1_0\",store=\"word-counts\"} 0",
    ] {
        assert!(
            text.lines().any(|told| told.starts_with(line)),
            "{line} in\n{text}"
        );
    }
    app.shutdown(PATIENCE).await.expect("it ends");
    drop(app);
    // Lost with its disk: everything comes back from the changelog, and is told per store.
    std::fs::remove_dir_all(node.state_dir.join("scraped")).expect("it was there");
    let app = node
        .words()
        .application_id("scraped")
        .run()
        .await
        .expect("it starts");
    app.wait_until_caught_up().await.expect("it catches up");
    let restored: Vec<(u64, u64)> = app
        .store_metrics()
        .iter()
        .map(|store| (store.restored_records, store.restore_remaining))
        .collect();
    assert_eq!(
        restored.iter().map(|store| store.0).sum::<u64>(),
        app.metrics().restored_records
    );
    assert!(
        restored.iter().all(|store| store.0 > 0 && store.1 == 0),
        "{restored:?}"
    );
    app.shutdown(PATIENCE).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_a_node_tells_its_jobs_and_the_limit_it_was_given() {
    let node = Node::start().await;
    let limit = 100 << 20;
    let launcher = node.words().application_id("limited").rocksdb_memory_limit(limit);
    let app = launcher.run().await.expect("it starts");
    let mut metrics = NodeMetrics::default();
    metrics.register(Box::new(StreamsCollector));
    let any = "127.0.0.1:0".parse().expect("an address");
    let http = HttpServer::start_without_node(metrics, any)
        .await
        .expect("it listens");
    let text = scraped(&http).await;
    let told = format!("millpond_streams_rocksdb_memory_limit_bytes {limit}");
    assert!(text.lines().any(|line| line.starts_with(&told)), "{text}");
    assert!(text.contains("application=\"limited\""), "{text}");
    app.shutdown(PATIENCE).await.expect("it ends");
    let hosts = Arc::new(RocksHosts::new(RocksBudget::limited(limit)));
    let both = node
        .words()
        .state_hosts(hosts)
        .rocksdb_memory_limit(limit)
        .run()
        .await;
    let refused = both.expect_err("which of the two?").to_string();
    assert!(refused.starts_with("rocksdb_memory_limit: "), "{refused}");
}

const TASKS: i32 = 8;
const ROWS: usize = 4_000;
const ROW_BYTES: usize = 10_000;
/// A fifth of the state.
const LIMIT_BYTES: usize = 8 << 20;
const APPLY_BYTES: usize = 256 << 10;
/// Blocks that reads have in their hands.
const IN_HANDS_BYTES: usize = 1 << 20;

/// Blocks, index and filter blocks and write buffers of all tasks stay below one number, while state of five times its size is written, read and read again after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_rocksdbs_of_a_job_stay_below_the_limit() {
    let node = Node::start().await;
    node.create("rows", TASKS).await;
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("rows")
        .group_by_key()
        .reduce("kept", |_, new| new.clone())
        .updates()
        .map_values(|row| row.len().to_string())
        .to("counts");
    let topology = builder.build().expect("a sound topology");
    let budget = RocksBudget::limited(LIMIT_BYTES);
    let config = StreamsConfig {
        workers: 2,
        state: StateLimits {
            apply_bytes: APPLY_BYTES,
            memory_bytes_max: 0,
            ..StateLimits::default()
        },
        ..StreamsConfig::default()
    };
    let producer = Producer::new(&node.broker, ProducerOptions::default())
        .await
        .expect("a producer");
    let rows = topic("rows");
    for row in 0..ROWS {
        // Not to be compressed.
        let value: String = (0..ROW_BYTES / 8)
            .map(|part| format!("{:08x}", (part as u32 ^ row as u32).wrapping_mul(0x9e37_79b9)))
            .collect();
        let record = ProducerRecord::new(&rows)
            .key(format!("row-{row}"))
            .value(value)
            .partition(row as i32 % TASKS);
        drop(producer.send(record).await.expect("accepted"));
    }
    producer.close().await.expect("durable");
    let most = LIMIT_BYTES + IN_HANDS_BYTES;
    let mut peak = 0;
    for round in 0..2 {
        let app = Streams::builder(topology.clone())
            .application_id("large")
            .embedded(&node.broker)
            .state_dir(&node.state_dir)
            .state_hosts(Arc::new(RocksHosts::new(budget.clone())))
            .config(config.clone())
            .run()
            .await
            .expect("it starts");
        {
            let caught_up = std::pin::pin!(app.wait_until_caught_up());
            let mut caught_up = caught_up;
            loop {
                peak = peak.max(budget.used_bytes());
                let soon = node.broker.clock().sleep(Duration::from_millis(2));
                tokio::select! {
                    biased;
                    done = &mut caught_up => break done.expect("it catches up"),
                    () = soon => {}
                }
            }
        }
        let view = app.store::<String, String>("kept").expect("there is one");
        for row in (0..ROWS).step_by(7) {
            let found = view.get(&format!("row-{row}")).expect("readable");
            assert_eq!(
                found.map(|row| row.len()),
                Some(ROW_BYTES),
                "row {row} in round {round}"
            );
            peak = peak.max(budget.used_bytes());
        }
        let bytes: u64 = app
            .store_metrics()
            .iter()
            .filter_map(|store| store.file_bytes)
            .sum();
        assert!(bytes > 2 * LIMIT_BYTES as u64, "only {bytes} bytes are on disk");
        app.shutdown(PATIENCE).await.expect("it ends");
    }
    assert!(
        peak <= most,
        "{peak} bytes, {most} are allowed by a limit of {LIMIT_BYTES}"
    );
    assert!(peak > LIMIT_BYTES / 2, "{peak} bytes prove nothing");
}
