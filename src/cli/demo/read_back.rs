//! Reads whole topics back, as any committed reader would see them.
//!
//! What is always true: reading ends at the end the topic had when it began, and sees committed records only.

use std::future::poll_fn;
use std::task::Poll;

use anyhow::Context;
use bytes::Bytes;
use futures::StreamExt;
use millpond::log::broker::{Broker, BrokerError};
use millpond::log::client::{Admin, Consumer, ConsumerOptions, ConsumerRecord};
use millpond::log::record::Record;
use millpond::log::types::{Offset, TopicName, TopicPartition};

/// Calls `each` for every committed record of `topic`, partition by partition in offset order.
pub(crate) async fn for_each_record(
    broker: &Broker,
    topic: &TopicName,
    mut each: impl FnMut(&Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let reading = || format!("cannot read topic {topic}");
    let mut consumer = Consumer::new(broker, ConsumerOptions::default());
    for (partition, _, end) in Admin::new(broker).offsets(topic).await.with_context(reading)? {
        consumer.assign([partition.clone()]).await.with_context(reading)?;
        while let Some(record) = next_before(&mut consumer, &partition, end)
            .await
            .with_context(reading)?
        {
            each(&record.record)?;
        }
    }
    Ok(())
}

/// The next record below `end`. What lies before `end` may be markers and aborted records alone, for which no record
/// ever comes; the position moves past them all the same, so it decides.
async fn next_before(
    consumer: &mut Consumer,
    partition: &TopicPartition,
    end: Offset,
) -> Result<Option<ConsumerRecord>, BrokerError> {
    poll_fn(|context| {
        if consumer.position(partition) >= Some(end) {
            return Poll::Ready(Ok(None));
        }
        match consumer.poll_next_unpin(context) {
            Poll::Ready(taken) => Poll::Ready(taken.transpose()),
            Poll::Pending if consumer.position(partition) >= Some(end) => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
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
