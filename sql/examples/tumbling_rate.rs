//! How many JSON rows a second go through a tumbling count, exactly-once, with state in RocksDB.
//!
//! `cargo run -p millpond-sql --example tumbling_rate -- 1000000`

use millpond_log::broker::{Broker, BrokerOptions};
use millpond_log::client::{Producer, ProducerOptions, ProducerRecord};
use millpond_log::types::TopicName;
use millpond_sql::{SqlEngine, SqlOptions, StatementResult};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows: i64 = std::env::args().nth(1).map_or(Ok(1_000_000), |n| n.parse())?;
    let dir = tempfile::tempdir()?;
    let broker = Broker::start(BrokerOptions::at(dir.path().join("log"))).await?;
    let engine = SqlEngine::open(SqlOptions::new(&broker, dir.path().join("state"))).await?;
    engine
        .execute(
            "CREATE STREAM bids (auction BIGINT, bidder BIGINT, price DOUBLE, channel VARCHAR, url VARCHAR, at TIMESTAMP,
             WATERMARK FOR at AS at - INTERVAL '4' SECOND) WITH (format = 'json', partitions = 2)",
        )
        .await?;
    let topic = TopicName::new("bids")?;
    let producer = Producer::new(&broker, ProducerOptions::default()).await?;
    for i in 0..rows {
        let second = i / 10_000;
        let value = format!(
            r#"{{"auction":{},"bidder":{},"price":{}.5,"channel":"channel-{}","url":"https://www.example.com/item.htm?query={}","at":"2024-01-01T{:02}:{:02}:{:02}.{:03}Z"}}"#,
            i * 7 % 100,
            i * 13 % 1_000,
            i % 500,
            i % 4,
            i % 1_000,
            second / 3_600 % 24,
            second / 60 % 60,
            second % 60,
            i / 10 % 1_000,
        );
        let record = ProducerRecord::new(&topic)
            .partition((i % 2) as i32)
            .timestamp(1_704_067_200_000 + i / 10)
            .value(value);
        drop(producer.send(record).await?);
    }
    producer.flush().await?;
    let before = broker.clock().monotonic();
    engine
        .execute(
            "CREATE MATERIALIZED VIEW counts AS SELECT auction, window_start, COUNT(*) AS n, MAX(price) AS best
             FROM TUMBLE(bids, at, INTERVAL '10' SECOND) GROUP BY auction, window_start",
        )
        .await?;
    engine.wait_until_caught_up().await?;
    let elapsed = (broker.clock().monotonic() - before).as_secs_f64();
    let answer = engine.execute("SELECT COUNT(*), SUM(n) FROM counts").await?;
    if let [StatementResult::Rows { batches, .. }] = answer.as_slice() {
        println!(
            "{}",
            datafusion::arrow::util::pretty::pretty_format_batches(batches)?
        );
    }
    println!(
        "{rows} rows in {elapsed:.2} s: {:.0} rows/s",
        rows as f64 / elapsed
    );
    engine.shutdown().await?;
    broker.shutdown().await?;
    Ok(())
}
