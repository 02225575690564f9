//! Fetch (key 1): batches of partitions, from each partition's leader.
//!
//! Without fetch sessions, and in versions that name topics (up to 12). Leaders are asked at the same time; when one has something, the others
//! get a moment more: waiting for all would hold the data of the busiest up by the longest poll. What comes later is read by the next fetch again.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kafka_protocol::messages::fetch_request::{FetchPartition as WirePartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest as WireRequest, FetchResponse as WireResponse};
use millpond_log::broker::{
    AbortedTxn, BrokerError, ErrorCode, FetchPartition, FetchRequest, FetchResponse, FetchedData, Isolation,
};
use millpond_log::record::{BatchError, batches_of};
use millpond_log::types::{Offset, ProducerId, TopicPartition};

use super::RemoteLog;
use super::cluster::wire_topic;
use super::code;
use super::connection::within;
use super::grouping::{Answers, by_topic};
use crate::runtime::log_client::LogError;

/// Version 4 tells aborted transactions; from 13 on topics are named by id.
const VERSIONS: (i16, i16) = (4, 12);
/// How long the other leaders may take once one has answered with something.
const MOMENT: Duration = Duration::from_millis(10);

type Outcome = Result<FetchedData, BrokerError>;

impl RemoteLog {
    pub(super) async fn fetch_from_leaders(&self, request: FetchRequest) -> FetchResponse {
        let partitions: Vec<TopicPartition> = request
            .partitions
            .iter()
            .map(|asked| asked.partition.clone())
            .collect();
        let mut outcomes: BTreeMap<TopicPartition, Outcome> = BTreeMap::new();
        let mut leaders: BTreeMap<i32, Vec<&FetchPartition>> = BTreeMap::new();
        for (asked, leader) in request
            .partitions
            .iter()
            .zip(self.cluster.leaders(&partitions).await)
        {
            match leader {
                Ok(leader) => leaders.entry(leader).or_default().push(asked),
                Err(error) => {
                    outcomes.insert(asked.partition.clone(), Err(told(error)));
                }
            }
        }
        // An error is told at once.
        let max_wait = match outcomes.is_empty() {
            true => request.max_wait,
            false => Duration::ZERO,
        };
        let mut answers: FuturesUnordered<_> = leaders
            .into_iter()
            .map(|(leader, asked)| self.fetch_from(leader, asked, &request, max_wait))
            .collect();
        let mut found = false;
        loop {
            let answer = match found {
                false => answers.next().await,
                true => match within(&*self.options().clock, MOMENT, answers.next()).await {
                    Some(answer) => answer,
                    None => break,
                },
            };
            let Some(answer) = answer else { break };
            for (partition, outcome) in answer {
                found |= match &outcome {
                    Ok(data) => !data.batches.is_empty(),
                    Err(_) => true,
                };
                outcomes.insert(partition, outcome);
            }
        }
        drop(answers);
        // Partitions of leaders that were too late are not in the answer; they are asked for again.
        let in_order = partitions.into_iter();
        FetchResponse {
            partitions: in_order
                .filter_map(|partition| outcomes.remove(&partition).map(|outcome| (partition, outcome)))
                .collect(),
        }
    }

    async fn fetch_from(
        &self,
        leader: i32,
        asked: Vec<&FetchPartition>,
        request: &FetchRequest,
        max_wait: Duration,
    ) -> Vec<(TopicPartition, Outcome)> {
        let wire = wire_request(&asked, request, max_wait);
        let answer = self
            .cluster
            .ask_broker(leader, VERSIONS, max_wait, |_| wire)
            .await;
        let answer = answer.and_then(|answer| {
            code::check(answer.error_code, &format!("fetching from broker {leader}"), None)?;
            Ok(answer)
        });
        let mut parts = match answer {
            Ok(answer) => parts_of(answer),
            Err(error) => {
                let failed = asked
                    .iter()
                    .map(|asked| (asked.partition.clone(), Err(told(error.clone()))));
                return failed.collect();
            }
        };
        let outcome = |asked: &&FetchPartition| {
            let partition = &asked.partition;
            let Some(data) = parts.take(partition) else {
                let missing = LogError::Retriable(format!("broker {leader} left {partition} out"));
                return (partition.clone(), Err(told(missing)));
            };
            if code::leader_moved(data.error_code) {
                self.cluster.forget_topic(&partition.topic);
            }
            (partition.clone(), outcome_of(data, partition, asked.fetch_offset))
        };
        asked.iter().map(outcome).collect()
    }
}

fn wire_request(asked: &[&FetchPartition], request: &FetchRequest, max_wait: Duration) -> WireRequest {
    let bytes = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
    let topics = by_topic(asked.iter().map(|asked| (&asked.partition, *asked)));
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(number, asked)| {
            WirePartition::default()
                .with_partition(number)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(asked.fetch_offset.get())
                .with_partition_max_bytes(bytes(asked.max_bytes))
        });
        FetchTopic::default()
            .with_topic(wire_topic(name))
            .with_partitions(partitions.collect())
    });
    WireRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(i32::try_from(max_wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(bytes(request.min_bytes))
        .with_max_bytes(bytes(request.max_bytes))
        .with_isolation_level(i8::from(request.isolation == Isolation::ReadCommitted))
        .with_session_epoch(-1)
        .with_topics(topics.collect())
}

fn parts_of(answer: WireResponse) -> Answers<PartitionData> {
    Answers::new(answer.responses.into_iter().flat_map(|topic| {
        let name = topic.topic.0;
        let named = move |data: PartitionData| ((name.to_string(), data.partition_index), data);
        topic.partitions.into_iter().map(named)
    }))
}

fn outcome_of(data: PartitionData, partition: &TopicPartition, at: Offset) -> Outcome {
    if data.error_code != code::NONE {
        let what = format!("fetching {partition} at {at}");
        return Err(told(code::partition_error(data.error_code, &what, None)));
    }
    let mut aborted: Vec<AbortedTxn> = data
        .aborted_transactions
        .unwrap_or_default()
        .into_iter()
        .map(|aborted| AbortedTxn {
            first_offset: Offset::new(aborted.first_offset),
            producer_id: ProducerId::new(aborted.producer_id.0),
        })
        .collect();
    aborted.sort_by_key(|aborted| aborted.first_offset);
    let records = whole_batches(data.records.unwrap_or_default());
    let batches = match records.is_empty() {
        true => Vec::new(),
        false => vec![records],
    };
    Ok(FetchedData {
        high_watermark: Offset::new(data.high_watermark),
        last_stable_offset: Offset::new(data.last_stable_offset),
        log_start_offset: Offset::new(data.log_start_offset),
        aborted,
        batches,
    })
}

/// An answer may end inside a batch when it is full; the next one begins with it. Other damage stays for the reader to name.
fn whole_batches(records: Bytes) -> Bytes {
    let mut whole = 0;
    for batch in batches_of(&records) {
        match batch {
            Ok(batch) => whole += batch.header.size_bytes(),
            Err(BatchError::Truncated { .. }) => return records.slice(..whole),
            Err(_) => break,
        }
    }
    records
}

/// The error in the form answers about single partitions have.
fn told(error: LogError) -> BrokerError {
    let code = match &error {
        LogError::Retriable(_) | LogError::Unknown(_) => ErrorCode::NotLeaderOrFollower,
        LogError::OffsetOutOfRange(_) => ErrorCode::OffsetOutOfRange,
        LogError::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
        _ => ErrorCode::UnknownServerError,
    };
    BrokerError::new(code, error.to_string())
}

#[cfg(test)]
#[path = "fetch_test.rs"]
mod fetch_test;
