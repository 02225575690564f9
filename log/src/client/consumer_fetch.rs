//! What a consumer asks the broker for, and how the answer becomes records.
//!
//! Always true: an answer is taken only for a place the consumer is still at; partitions take turns at being first; a position that fell out of the log starts
//! again where the options say, and only there.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};

use crate::broker::{
    Broker, BrokerError, ErrorCode, FetchPartition, FetchRequest, FetchResponse, FetchedData, Isolation,
    OffsetSpec,
};
use crate::record::BatchIter;
use crate::types::{Offset, TopicPartition};

use super::committed::CommittedFilter;
use super::consumer::{Buffered, Consumer, ConsumerRecord};
use super::consumer_options::OffsetReset;

const FETCH_WAIT_MIN: Duration = Duration::from_millis(1);

/// A fetch under way.
pub(super) struct Fetching {
    pub(super) asked: Vec<FetchPartition>,
    pub(super) response: BoxFuture<'static, Fetched>,
}

/// What a fetch brought.
pub(super) struct Fetched {
    response: FetchResponse,
    /// Partitions whose position fell out of the log, and where their answer starts instead.
    resets: BTreeMap<TopicPartition, Offset>,
}

impl Consumer {
    pub(super) fn start_fetch(&mut self) -> Fetching {
        let max_bytes = self.options.partition_bytes;
        let mut asked: Vec<_> = self
            .places
            .iter()
            .map(|(partition, place)| FetchPartition {
                partition: partition.clone(),
                fetch_offset: place.fetch_from,
                max_bytes,
            })
            .collect();
        let turn = self.turn % asked.len().max(1);
        asked.rotate_left(turn);
        self.turn = turn + 1;
        let request = FetchRequest {
            // Never zero: an empty answer at once would be asked for again at once.
            max_wait: self.options.fetch_wait.max(FETCH_WAIT_MIN),
            min_bytes: 1,
            max_bytes: self.options.fetch_bytes,
            isolation: self.options.isolation,
            partitions: asked.clone(),
        };
        let (broker, reset) = (self.broker.clone(), self.options.offset_reset);
        let isolation = self.options.isolation;
        let response = async move {
            let mut response = broker.fetch(request).await;
            let mut resets = BTreeMap::new();
            // A position that fell out of the log starts again where the options say.
            for (partition, result) in &mut response.partitions {
                let spec = match reset {
                    OffsetReset::Earliest => OffsetSpec::Earliest,
                    OffsetReset::Latest => OffsetSpec::Latest,
                    OffsetReset::Error => continue,
                };
                if result
                    .as_ref()
                    .is_err_and(|error| error.code() == ErrorCode::OffsetOutOfRange)
                {
                    *result = match refetch(&broker, partition, spec, isolation, max_bytes).await {
                        Ok((start, data)) => {
                            resets.insert(partition.clone(), start);
                            Ok(data)
                        }
                        Err(error) => Err(error),
                    };
                }
            }
            Fetched { response, resets }
        };
        Fetching {
            asked,
            response: response.boxed(),
        }
    }

    pub(super) fn take_response(&mut self, asked: Vec<FetchPartition>, fetched: Fetched) {
        let Fetched { response, resets } = fetched;
        for (asked, (partition, result)) in asked.into_iter().zip(response.partitions) {
            // A seek or a new assignment since then: the answer is for a place nobody is at.
            let current = self
                .places
                .get(&partition)
                .is_some_and(|place| place.fetch_from == asked.fetch_offset);
            if !current {
                continue;
            }
            let mut from = asked.fetch_offset;
            if let Some(start) = resets.get(&partition) {
                from = *start;
                self.buffered.push_back(Buffered::SkipTo(partition.clone(), from));
                if let Some(place) = self.places.get_mut(&partition) {
                    place.fetch_from = from;
                }
            }
            let taken = result.and_then(|data| self.take_data(&partition, from, data));
            if let Err(error) = taken {
                self.buffered.push_back(Buffered::Failed(error));
            }
        }
    }

    fn take_data(
        &mut self,
        partition: &TopicPartition,
        from: Offset,
        data: FetchedData,
    ) -> Result<(), BrokerError> {
        let mut filter = CommittedFilter::new(data.aborted);
        let mut next = from;
        for run in data.batches {
            for batch in BatchIter::new(run) {
                let batch = batch?;
                let admitted = match self.options.isolation {
                    Isolation::ReadCommitted => filter.admits(&batch)?,
                    Isolation::ReadUncommitted => !batch.is_control(),
                };
                next = batch.next_offset();
                if admitted {
                    let decoded = batch.decode()?;
                    for record in decoded.iter() {
                        let record = record?;
                        if record.offset >= from {
                            let record = decoded.to_record(&record);
                            self.buffered.push_back(Buffered::Record(ConsumerRecord {
                                partition: partition.clone(),
                                record,
                            }));
                        }
                    }
                }
                self.buffered.push_back(Buffered::SkipTo(partition.clone(), next));
            }
        }
        if let Some(place) = self.places.get_mut(partition) {
            place.fetch_from = next.max(place.fetch_from);
        }
        Ok(())
    }
}

/// One look at a partition from where it starts (or ends), and that place.
async fn refetch(
    broker: &Broker,
    partition: &TopicPartition,
    spec: OffsetSpec,
    isolation: Isolation,
    max_bytes: usize,
) -> Result<(Offset, FetchedData), BrokerError> {
    let listed = broker
        .list_offsets(vec![(partition.clone(), spec)], isolation)
        .await;
    let fetch_offset = match listed.into_iter().next() {
        Some(listed) => listed?.offset.unwrap_or(Offset::ZERO),
        None => Offset::ZERO,
    };
    let request = FetchRequest {
        max_wait: Duration::ZERO,
        min_bytes: 0,
        max_bytes,
        isolation,
        partitions: vec![FetchPartition {
            partition: partition.clone(),
            fetch_offset,
            max_bytes,
        }],
    };
    let unknown = || {
        BrokerError::new(
            ErrorCode::UnknownTopicOrPartition,
            format!("unknown partition {partition}"),
        )
    };
    broker
        .fetch(request)
        .await
        .partitions
        .pop()
        .map_or_else(|| Err(unknown()), |(_, result)| Ok((fetch_offset, result?)))
}
