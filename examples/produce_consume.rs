//! A producer and a consumer on an embedded node: `cargo run --example produce_consume`
//!
//! Acknowledged means durable: when `delivery.await` returns, the record survives `kill -9` and power loss.

use futures::{StreamExt, TryStreamExt};
use millpond::log::broker::{Broker, BrokerOptions};
use millpond::log::client::{Admin, Consumer, ConsumerOptions, Producer, ProducerOptions, ProducerRecord};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let broker = Broker::start(BrokerOptions::at(dir.path())).await?;
    let topic = Admin::new(&broker).create_topic("departures", 2).await?.name;

    // Idempotent by default: a retry never writes a record twice, records of one key keep their order.
    let producer = Producer::new(&broker, ProducerOptions::default()).await?;
    for (origin, flight) in [
        ("EWR", "UA1545"),
        ("LGA", "UA1714"),
        ("JFK", "AA1141"),
        ("EWR", "UA1696"),
    ] {
        let delivery = producer
            .send(ProducerRecord::new(&topic).key(origin).value(flight))
            .await?;
        let place = delivery.await?;
        println!("sent {flight} to {} at offset {}", place.partition, place.offset);
    }

    // A consumer is a stream without an end; it sees committed records only.
    let mut consumer = Consumer::new(&broker, ConsumerOptions::default());
    consumer.assign_topic(&topic).await?;
    let received: Vec<_> = consumer.take(4).try_collect().await?;
    for read in &received {
        let text = |bytes: &Option<bytes::Bytes>| {
            String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned()
        };
        println!(
            "read {} {} from {}",
            text(&read.record.key),
            text(&read.record.value),
            read.partition
        );
    }
    broker.shutdown().await?;
    Ok(())
}
