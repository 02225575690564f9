//! Reads the committed records of one partition, from an offset on.
//!
//! Always true: records of undecided or aborted transactions are never seen (read_committed); the position moves over them.

use std::collections::BTreeSet;
use std::time::Duration;

use millpond_log::broker::{Broker, FetchPartition, FetchRequest, Isolation, OffsetSpec};
use millpond_log::record::{BatchIter, ControlRecord, DecodedBatch};
use millpond_log::types::{Offset, ProducerId, TopicName, TopicPartition};

use crate::error::{Result, SqlError};

/// Bytes asked for at once.
const FETCH_BYTES: usize = 4 << 20;

/// Reads one partition.
#[derive(Debug)]
pub(crate) struct TopicReader {
    broker: Broker,
    partition: TopicPartition,
    position: Offset,
}

impl TopicReader {
    pub(crate) fn new(broker: Broker, partition: TopicPartition, position: Offset) -> TopicReader {
        TopicReader {
            broker,
            partition,
            position,
        }
    }

    /// Offset of the next record to come.
    pub(crate) fn position(&self) -> Offset {
        self.position
    }

    /// The next committed batches; empty when there are none within `wait`. A batch may begin below the position before the call.
    pub(crate) async fn next(&mut self, wait: Duration) -> Result<Vec<DecodedBatch>> {
        let request = FetchRequest {
            max_wait: wait,
            min_bytes: usize::from(!wait.is_zero()),
            max_bytes: FETCH_BYTES,
            isolation: Isolation::ReadCommitted,
            partitions: vec![FetchPartition {
                partition: self.partition.clone(),
                fetch_offset: self.position,
                max_bytes: FETCH_BYTES,
            }],
        };
        let reading = format!("reading {}", self.partition);
        let mut batches = Vec::new();
        for (_, answer) in self.broker.fetch(request).await.partitions {
            let data = answer.map_err(|e| SqlError::runtime(&reading, e))?;
            let mut ahead = data.aborted;
            ahead.sort_unstable_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
            let mut aborting: BTreeSet<ProducerId> = BTreeSet::new();
            for run in data.batches {
                for batch in BatchIter::new(run) {
                    let batch = batch.map_err(|e| SqlError::runtime(&reading, e))?;
                    while let Some(aborted) = ahead.pop_if(|a| a.first_offset <= batch.last_offset()) {
                        aborting.insert(aborted.producer_id);
                    }
                    self.position = self.position.max(batch.next_offset());
                    if !batch.is_control()
                        && batch.is_transactional()
                        && aborting.contains(&batch.producer_id())
                    {
                        continue;
                    }
                    let decoded = batch.decode().map_err(|e| SqlError::runtime(&reading, e))?;
                    if !batch.is_control() {
                        batches.push(decoded);
                        continue;
                    }
                    for record in decoded.iter() {
                        let record = record.map_err(|e| SqlError::runtime(&reading, e))?;
                        let marker = ControlRecord::parse(record.key, record.value)
                            .map_err(|e| SqlError::runtime(&reading, e))?;
                        if matches!(marker, Some(ControlRecord::Abort { .. })) {
                            aborting.remove(&batch.producer_id());
                        }
                    }
                }
            }
        }
        Ok(batches)
    }
}

/// (partition, first offset, end of committed data) of each partition of a topic.
pub(crate) async fn committed_ranges(
    broker: &Broker,
    topic: &str,
) -> Result<Vec<(TopicPartition, Offset, Offset)>> {
    let looking = format!("looking up topic {topic}");
    let name = TopicName::new(topic).map_err(|e| SqlError::runtime(&looking, e))?;
    let described = broker.describe_topics(Some(vec![name.clone()])).await;
    let description = match described.into_iter().next() {
        Some(answer) => answer.map_err(|e| SqlError::runtime(&looking, e))?,
        None => return Err(SqlError::invalid(format!("topic \"{topic}\" is gone"))),
    };
    let partitions: Vec<TopicPartition> = (0..description.partitions)
        .map(|p| TopicPartition::new(name.clone(), p))
        .collect();
    let ask = |spec: OffsetSpec| {
        let asked = partitions.iter().map(|p| (p.clone(), spec)).collect();
        broker.list_offsets(asked, Isolation::ReadCommitted)
    };
    let starts = ask(OffsetSpec::Earliest).await;
    let ends = ask(OffsetSpec::Latest).await;
    let mut ranges = Vec::with_capacity(partitions.len());
    for ((partition, start), end) in partitions.into_iter().zip(starts).zip(ends) {
        let start = start
            .map_err(|e| SqlError::runtime(&looking, e))?
            .offset
            .unwrap_or(Offset::ZERO);
        let end = end
            .map_err(|e| SqlError::runtime(&looking, e))?
            .offset
            .unwrap_or(start);
        ranges.push((partition, start, end));
    }
    Ok(ranges)
}
