//! Reads whole topics back, as any committed reader would see them.
//!
//! What is always true: reading ends at the end the topic had when it began, and sees committed records only.

use anyhow::Context;
use bytes::Bytes;
use millpond::log::broker::Broker;
use millpond::log::client::{Consumer, ConsumerOptions};
use millpond::log::record::Record;
use millpond::log::types::TopicName;

/// Calls `each` for every committed record of `topic`, partition by partition in offset order.
pub(crate) async fn for_each_record(
    broker: &Broker,
    topic: &TopicName,
    mut each: impl FnMut(&Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let reading = || format!("cannot read topic {topic}");
    let mut consumer = Consumer::new(broker, ConsumerOptions::default());
    consumer.assign_topic(topic).await.with_context(reading)?;
    for found in consumer.read_to_end().await.with_context(reading)? {
        each(&found.record)?;
    }
    Ok(())
}

/// Value of the last committed record of a one-partition topic.
pub(crate) async fn last_value(broker: &Broker, topic: &TopicName) -> anyhow::Result<Option<Bytes>> {
    let mut last = None;
    for_each_record(broker, topic, |record| {
        last = record.value.clone();
        Ok(())
    })
    .await?;
    Ok(last)
}
