//! `Consumer::read_to_end`: a topic as it is now, for whoever wants an answer and not a stream.

use std::future::poll_fn;
use std::task::Poll;

use futures::StreamExt;

use super::{Consumer, ConsumerRecord};
use crate::broker::{BrokerError, OffsetSpec};
use crate::types::{Offset, TopicPartition};

impl Consumer {
    /// All records between the positions of the assigned partitions and their ends as they are when it is called, partition by partition, each in order. Nothing is
    /// waited for that is not there yet; a consumer at the end gets nothing. Records that are written while it reads may be among them.
    ///
    /// All of it is held in memory. Cancelled or failed, what it had taken is gone for this consumer until it seeks back.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use millpond_log::broker::{Broker, BrokerOptions};
    /// # use millpond_log::client::{Admin, Consumer, ConsumerOptions, Producer, ProducerOptions, ProducerRecord};
    /// # let dir = tempfile::tempdir()?;
    /// # let broker = Broker::start(BrokerOptions::at(dir.path())).await?;
    /// # let topic = Admin::new(&broker).create_topic("words", 3).await?.name;
    /// # let producer = Producer::new(&broker, ProducerOptions::default()).await?;
    /// # for word in ["to", "be"] { producer.send(ProducerRecord::new(&topic).key(word)).await?.await?; }
    /// let mut consumer = Consumer::new(&broker, ConsumerOptions::default());
    /// consumer.assign_topic(&topic).await?;
    /// assert_eq!(consumer.read_to_end().await?.len(), 2);
    /// assert!(consumer.read_to_end().await?.is_empty());
    /// # broker.shutdown().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub async fn read_to_end(&mut self) -> Result<Vec<ConsumerRecord>, BrokerError> {
        let partitions: Vec<TopicPartition> = self.assignment().cloned().collect();
        let ends = self.offsets_of(partitions, OffsetSpec::Latest).await?;
        let mut records = Vec::new();
        while let Some(record) = self.next_before(&ends).await? {
            records.push(record);
        }
        // Stable, so that each partition's order stays.
        records.sort_by(|left: &ConsumerRecord, right| left.partition.cmp(&right.partition));
        Ok(records)
    }

    /// The next record, none once all partitions are at `ends`. What lies before an end may be markers and aborted records alone, for which no record ever comes; the
    /// position moves past them all the same, so it decides.
    async fn next_before(
        &mut self,
        ends: &[(TopicPartition, Offset)],
    ) -> Result<Option<ConsumerRecord>, BrokerError> {
        poll_fn(|context| {
            if self.has_reached(ends) {
                return Poll::Ready(Ok(None));
            }
            match self.poll_next_unpin(context) {
                Poll::Ready(taken) => Poll::Ready(taken.transpose()),
                Poll::Pending if self.has_reached(ends) => Poll::Ready(Ok(None)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn has_reached(&self, ends: &[(TopicPartition, Offset)]) -> bool {
        let mut ends = ends.iter();
        ends.all(|(partition, end)| self.position(partition) >= Some(*end))
    }
}
