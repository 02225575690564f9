//! What the older protocol of transactions wants before a write: AddPartitionsToTxn (24) and AddOffsetsToTxn (25).
//!
//! Adding what is in the transaction already does nothing, so a repetition is safe; what was added is remembered until the transaction is ended.

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
};
use millpond_log::broker::{ProducePartition, ProducerIdentity};
use millpond_log::record::BatchHeader;
use millpond_log::types::{GroupId, TopicPartition, TransactionalId};

use super::RemoteLog;
use super::cluster::{Coordinates, text, wire_topic};
use super::code;
use super::grouping::by_topic;
use super::transactions::identity;
use crate::runtime::log_client::LogError;

/// From version 4 on the request is the brokers' own.
const ADD_PARTITIONS: (i16, i16) = (1, 3);
const ADD_OFFSETS: (i16, i16) = (1, 4);

impl RemoteLog {
    /// Makes sure that these batches may be written into the transaction. `true`: by TV2, in which nothing is to be done.
    pub(super) async fn enter_transaction(
        &self,
        id: &TransactionalId,
        parts: &[ProducePartition],
    ) -> Result<bool, LogError> {
        if self.has_tv2(id).await? {
            return Ok(true);
        }
        let transactional = parts.iter().filter_map(|part| {
            let header = BatchHeader::parse(&part.batches).ok()?;
            header.is_transactional().then_some((part, header))
        });
        let transactional: Vec<_> = transactional.collect();
        let Some((_, header)) = transactional.first() else {
            return Ok(false);
        };
        let own = identity(header.producer_id().get(), header.producer_epoch().get());
        let named = transactional.iter().map(|(part, _)| &part.partition);
        let missing = self.producers.not_added(id, named);
        if !missing.is_empty() {
            self.add_partitions(id, own, &missing).await?;
            self.producers.added(id, missing);
        }
        Ok(false)
    }

    async fn add_partitions(
        &self,
        id: &TransactionalId,
        own: ProducerIdentity,
        partitions: &[TopicPartition],
    ) -> Result<(), LogError> {
        let request = |_| {
            let topics = by_topic(partitions.iter().map(|partition| (partition, ())));
            let topics = topics.into_iter().map(|(name, partitions)| {
                let numbers = partitions.into_iter().map(|(number, ())| number);
                AddPartitionsToTxnTopic::default()
                    .with_name(wire_topic(name))
                    .with_partitions(numbers.collect())
            });
            AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(text(id.as_str()).into())
                .with_v3_and_below_producer_id(own.producer_id.get().into())
                .with_v3_and_below_producer_epoch(own.producer_epoch.get())
                .with_v3_and_below_topics(topics.collect())
        };
        let answer = self
            .cluster
            .ask_coordinator(
                Coordinates::Transaction,
                id.as_str(),
                ADD_PARTITIONS,
                request,
                |answer| code::first_failed(codes_of(answer)),
            )
            .await?;
        let what = format!("adding partitions to the transaction of {id}");
        for code in codes_of(&answer) {
            if code != code::NONE {
                return Err(code::partition_error(code, &what, None));
            }
        }
        Ok(())
    }

    /// Tells the coordinator that offsets of this group come into the transaction.
    pub(super) async fn add_group(
        &self,
        id: &TransactionalId,
        own: ProducerIdentity,
        group: &GroupId,
    ) -> Result<(), LogError> {
        if self.producers.has_group(id, group) {
            return Ok(());
        }
        let request = |_| {
            AddOffsetsToTxnRequest::default()
                .with_transactional_id(text(id.as_str()).into())
                .with_producer_id(own.producer_id.get().into())
                .with_producer_epoch(own.producer_epoch.get())
                .with_group_id(text(group.as_str()).into())
        };
        let answer = self
            .cluster
            .ask_coordinator(
                Coordinates::Transaction,
                id.as_str(),
                ADD_OFFSETS,
                request,
                |answer| answer.error_code,
            )
            .await?;
        code::check(
            answer.error_code,
            &format!("adding group {group} to the transaction of {id}"),
            None,
        )?;
        self.producers.added_group(id, group.clone());
        Ok(())
    }
}

fn codes_of(answer: &AddPartitionsToTxnResponse) -> impl Iterator<Item = i16> + '_ {
    let parts = answer
        .results_by_topic_v3_and_below
        .iter()
        .flat_map(|topic| &topic.results_by_partition);
    parts.map(|part| part.partition_error_code)
}
