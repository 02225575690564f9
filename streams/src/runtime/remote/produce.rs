//! Produce (key 0): batches as they were built, to each partition's leader, acknowledged by all replicas in sync.
//!
//! In versions that name topics (up to 12). Version 12 is how a client of TV2 writes: partitions enter the transaction by themselves (KIP-890). In the
//! older protocol they are added first, see `old_transactions.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use kafka_protocol::messages::ProduceRequest as WireRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use millpond_log::broker::{Acks, ProduceAck, ProducePartition, ProduceRequest, ProducerIdentity};
use millpond_log::record::BatchHeader;
use millpond_log::types::{Offset, TopicPartition, TransactionalId};

use super::RemoteLog;
use super::cluster::{text, wire_topic};
use super::code;
use super::grouping::{Answers, by_topic};
use crate::runtime::log_client::LogError;

/// Without a transaction.
const PLAIN: (i16, i16) = (3, 12);
/// In a transaction of its own epoch.
const TV2: (i16, i16) = (12, 12);
/// In a transaction of the older protocol.
const OLD: (i16, i16) = (3, 11);

type Outcome = Result<ProduceAck, LogError>;

impl RemoteLog {
    pub(super) async fn produce_to_leaders(&self, request: ProduceRequest) -> Vec<Outcome> {
        let count = request.partitions.len();
        let mut versions = PLAIN;
        let mut producer = None;
        if let Some(id) = &request.transactional_id {
            producer = request
                .partitions
                .iter()
                .find_map(|partition| writer_of(partition).map(|identity| (id.clone(), identity)));
            match self.enter_transaction(id, &request.partitions).await {
                Ok(true) => versions = TV2,
                Ok(false) => versions = OLD,
                Err(error) => return vec![Err(error); count],
            }
        }
        let partitions: Vec<TopicPartition> = request
            .partitions
            .iter()
            .map(|produce| produce.partition.clone())
            .collect();
        let leaders = self.cluster.leaders(&partitions).await;
        let mut outcomes: BTreeMap<TopicPartition, Outcome> = BTreeMap::new();
        let mut parts: BTreeMap<i32, Vec<ProducePartition>> = BTreeMap::new();
        for (produce, leader) in request.partitions.into_iter().zip(leaders) {
            match leader {
                Ok(leader) => parts.entry(leader).or_default().push(produce),
                Err(error) => {
                    outcomes.insert(produce.partition, Err(error));
                }
            }
        }
        let id = request.transactional_id.as_ref();
        let sent = parts
            .into_iter()
            .map(|(leader, parts)| self.produce_to(leader, parts, id, request.acks, versions));
        outcomes.extend(join_all(sent).await.into_iter().flatten());
        if let Some((id, identity)) = producer
            && outcomes.values().any(Result::is_ok)
        {
            self.producers.opened(&id, identity);
        }
        let outcome = |partition: &TopicPartition| {
            outcomes.remove(partition).unwrap_or_else(|| {
                Err(LogError::Refused(format!(
                    "{partition} is named twice in one request"
                )))
            })
        };
        partitions.iter().map(outcome).collect()
    }

    async fn produce_to(
        &self,
        leader: i32,
        parts: Vec<ProducePartition>,
        id: Option<&TransactionalId>,
        acks: Acks,
        versions: (i16, i16),
    ) -> Vec<(TopicPartition, Outcome)> {
        let partitions: Vec<TopicPartition> = parts.iter().map(|part| part.partition.clone()).collect();
        let wire = wire_request(parts, id, acks, self.options().request_timeout);
        let answer = self
            .cluster
            .ask_broker(leader, versions, Duration::ZERO, |_| wire)
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let failed = partitions
                    .into_iter()
                    .map(|partition| (partition, Err(error.clone())));
                return failed.collect();
            }
        };
        let mut answers = Answers::new(answer.responses.into_iter().flat_map(|topic| {
            let name = topic.name.0;
            let named = move |part: PartitionProduceResponse| ((name.to_string(), part.index), part);
            topic.partition_responses.into_iter().map(named)
        }));
        let outcome = |partition: TopicPartition| {
            let outcome = match answers.take(&partition) {
                Some(answer) => {
                    if code::leader_moved(answer.error_code) {
                        self.cluster.forget_topic(&partition.topic);
                    }
                    outcome_of(&answer, &partition)
                }
                None => Err(LogError::Unknown(format!("broker {leader} left {partition} out"))),
            };
            (partition, outcome)
        };
        partitions.into_iter().map(outcome).collect()
    }
}

fn wire_request(
    parts: Vec<ProducePartition>,
    id: Option<&TransactionalId>,
    acks: Acks,
    timeout: Duration,
) -> WireRequest {
    let parts: Vec<_> = parts
        .into_iter()
        .map(|part| (part.partition, part.batches.into_shared()))
        .collect();
    let topics = by_topic(parts.iter().map(|(partition, batches)| (partition, batches)));
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(number, batches)| {
            PartitionProduceData::default()
                .with_index(number)
                .with_records(Some(batches.clone()))
        });
        TopicProduceData::default()
            .with_name(wire_topic(name))
            .with_partition_data(partitions.collect())
    });
    WireRequest::default()
        .with_transactional_id(id.map(|id| text(id.as_str()).into()))
        .with_acks(match acks {
            // Silence cannot be told from a lost answer: what nobody waits for is acknowledged by the leader.
            Acks::None | Acks::Leader => 1,
            Acks::All => -1,
        })
        .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
        .with_topic_data(topics.collect())
}

fn outcome_of(answer: &PartitionProduceResponse, partition: &TopicPartition) -> Outcome {
    if answer.error_code != code::NONE {
        let said = answer.error_message.as_ref().map(|said| said.as_str());
        let what = format!("writing to {partition}");
        return Err(code::partition_error(answer.error_code, &what, said));
    }
    Ok(ProduceAck {
        base_offset: Offset::new(answer.base_offset),
        log_append_time: Some(answer.log_append_time_ms).filter(|time| *time >= 0),
        log_start_offset: Offset::new(answer.log_start_offset),
    })
}

/// Who writes these batches.
fn writer_of(part: &ProducePartition) -> Option<ProducerIdentity> {
    let header = BatchHeader::parse(&part.batches).ok()?;
    Some(ProducerIdentity {
        producer_id: header.producer_id(),
        producer_epoch: header.producer_epoch(),
    })
}
