//! An embedded broker with an engine in a temporary directory, and what tests do with it.

use std::collections::BTreeMap;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use millpond_log::broker::{Broker, BrokerOptions};
use millpond_log::client::{
    Consumer, ConsumerOptions, OffsetReset, Producer, ProducerOptions, ProducerRecord,
};
use millpond_log::types::TopicName;
use millpond_sql::{SqlEngine, SqlOptions, StatementResult};
use tempfile::TempDir;

/// The statement of the demo, on any topic settings.
pub(crate) const FLIGHTS: &str =
    "CREATE STREAM flights (carrier VARCHAR, flight INT, origin VARCHAR, dest VARCHAR, dep_delay DOUBLE,
    distance DOUBLE, scheduled TIMESTAMP, WATERMARK FOR scheduled AS scheduled - INTERVAL '1' DAY)
    WITH (topic = 'flights', format = 'json', partitions = 4);";

pub(crate) struct Node {
    pub(crate) dir: TempDir,
    pub(crate) broker: Broker,
    pub(crate) engine: SqlEngine,
}

impl Node {
    pub(crate) async fn start() -> Node {
        Node::start_in(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn start_in(dir: TempDir) -> Node {
        Node::start_with(dir, |_| {}).await
    }

    /// Starts an engine with other options.
    pub(crate) async fn start_with(dir: TempDir, change: impl FnOnce(&mut SqlOptions)) -> Node {
        let broker = Broker::start(BrokerOptions::at(dir.path().join("log")))
            .await
            .unwrap();
        let mut options = SqlOptions::new(&broker, dir.path().join("state"));
        options.streams.commit_interval = Duration::from_millis(20);
        options.streams.fetch_max_wait = Duration::from_millis(20);
        change(&mut options);
        let engine = SqlEngine::open(options).await.unwrap();
        Node { dir, broker, engine }
    }

    /// Stops engine and broker, and starts them again in the same directory.
    pub(crate) async fn restart(self) -> Node {
        self.restart_with(|_| {}).await
    }

    /// The same, with other options.
    pub(crate) async fn restart_with(self, change: impl FnOnce(&mut SqlOptions)) -> Node {
        Node::start_with(self.stop().await, change).await
    }

    /// Stops engine and broker.
    pub(crate) async fn stop(self) -> TempDir {
        let Node { dir, broker, engine } = self;
        engine.shutdown().await.unwrap();
        drop(engine);
        broker.shutdown().await.unwrap();
        drop(broker);
        dir
    }

    /// Runs a script that must succeed.
    pub(crate) async fn run(&self, sql: &str) -> Vec<StatementResult> {
        match self.engine.execute(sql).await {
            Ok(results) => results,
            Err(e) => panic!("{e}"),
        }
    }

    /// The rows of a script's last statement as text, lines sorted.
    pub(crate) async fn sorted(&self, sql: &str) -> Vec<String> {
        sorted_lines(&self.rows(sql).await)
    }

    /// The rows of a script's last statement.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<RecordBatch> {
        match self.run(sql).await.pop() {
            Some(StatementResult::Rows { batches, .. }) => batches,
            other => panic!("no rows but {other:?}"),
        }
    }

    /// The rows of a script's last statement as a table.
    pub(crate) async fn table(&self, sql: &str) -> String {
        pretty_format_batches(&self.rows(sql).await).unwrap().to_string()
    }

    /// The error of a script.
    pub(crate) async fn error(&self, sql: &str) -> String {
        match self.engine.execute(sql).await {
            Ok(results) => panic!("no error but {results:?}"),
            Err(e) => e.to_string(),
        }
    }

    /// Writes values to a topic: (partition, timestamp, value).
    pub(crate) async fn produce(&self, topic: &str, values: impl IntoIterator<Item = (i32, i64, String)>) {
        let topic = TopicName::new(topic).unwrap();
        let producer = Producer::new(&self.broker, ProducerOptions::default())
            .await
            .unwrap();
        let mut deliveries = Vec::new();
        for (partition, timestamp, value) in values {
            let record = ProducerRecord::new(&topic)
                .partition(partition)
                .timestamp(timestamp)
                .value(value);
            deliveries.push(producer.send(record).await.unwrap());
        }
        producer.flush().await.unwrap();
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        producer.close().await.unwrap();
    }

    /// The first `count` committed records of a topic: (key, value, headers), in the order they arrive.
    pub(crate) async fn consume(&self, topic: &str, count: usize) -> Vec<Consumed> {
        let options = ConsumerOptions {
            offset_reset: OffsetReset::Earliest,
            ..ConsumerOptions::default()
        };
        let mut consumer = Consumer::new(&self.broker, options);
        consumer
            .assign_topic(&TopicName::new(topic).unwrap())
            .await
            .unwrap();
        let mut records = Vec::new();
        while records.len() < count {
            let record = consumer.recv().await.unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let headers = record
                .record
                .headers
                .iter()
                .map(|h| {
                    (
                        text(h.key.as_ref()),
                        h.value.as_deref().map(text).unwrap_or_default(),
                    )
                })
                .collect();
            records.push(Consumed {
                key: record.record.key.as_deref().map(text),
                value: record.record.value.as_deref().map(text),
                headers,
            });
        }
        records
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Consumed {
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
}

pub(crate) fn sorted_lines(batches: &[RecordBatch]) -> Vec<String> {
    let text = pretty_format_batches(batches).unwrap().to_string();
    let mut lines: Vec<String> = text
        .lines()
        .skip(3)
        .filter(|l| l.starts_with('|'))
        .map(|l| l.split('|').map(str::trim).collect::<Vec<_>>().join("|"))
        .collect();
    lines.sort();
    lines
}

/// Flights made from a seed: (partition, timestamp, JSON). Times run forward, a little out of order.
pub(crate) fn flights(seed: u64, count: usize) -> Vec<(i32, i64, String)> {
    let mut state = seed;
    let mut next = |n: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let origins = ["JFK", "LGA", "EWR"];
    let carriers = ["UA", "AA", "B6", "DL"];
    (0..count)
        .map(|i| {
            let minutes = i as i64 * 3 + next(240) as i64;
            let timestamp = 1_357_000_200_000 + minutes * 60_000;
            let delay = match next(5) {
                0 => "null".to_owned(),
                n => format!("{}.0", n as i64 * 7 - 10),
            };
            let day = minutes / 1_440;
            let value = format!(
                r#"{{"carrier":"{}","flight":{},"origin":"{}","dest":"D{}","dep_delay":{delay},"distance":{}.5,"scheduled":"2013-01-{:02}T{:02}:{:02}:00Z"}}"#,
                carriers[next(4) as usize],
                next(3_000),
                origins[next(3) as usize],
                next(20),
                next(2_000),
                day + 1,
                minutes % 1_440 / 60,
                minutes % 60,
            );
            (next(4) as i32, timestamp, value)
        })
        .collect()
}
