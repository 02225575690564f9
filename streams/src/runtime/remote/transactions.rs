//! InitProducerId (22), EndTxn (26), TxnOffsetCommit (28), DescribeTransactions (65).
//!
//! Two protocols. TV2 (KIP-890) where the cluster has finalised it: partitions enter a transaction by being written to, and its end hands out
//! the epoch of the next. The older one elsewhere: partitions and groups are added first, the epoch stays. Always true: an identity is used by one
//! protocol only, chosen when the coordinator gave it out.

use std::time::Duration;

use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    DescribeTransactionsRequest, EndTxnRequest, EndTxnResponse, InitProducerIdRequest, TxnOffsetCommitRequest,
};
use millpond_log::broker::{ProducerIdentity, TxnOffsetCommit, TxnResult};
use millpond_log::types::{ProducerEpoch, ProducerId, TransactionalId};

use super::RemoteLog;
use super::cluster::{ANY_VERSION, Coordinates, text, wire_topic};
use super::code;
use super::grouping::by_topic;
use crate::runtime::log_client::LogError;

/// From version 3 on a producer may ask for a new epoch of its own identity (KIP-360).
const INIT_VERSIONS: (i16, i16) = (3, i16::MAX);
const END_TV2: (i16, i16) = (5, i16::MAX);
const END_OLD: (i16, i16) = (1, 4);
const OFFSETS_TV2: (i16, i16) = (5, i16::MAX);
/// Version 3 lets the group's members be checked (KIP-447), so that a group with members of its own is refused.
const OFFSETS_OLD: (i16, i16) = (3, 4);

impl RemoteLog {
    /// Whether this transactional id is used by TV2.
    pub(super) async fn has_tv2(&self, id: &TransactionalId) -> Result<bool, LogError> {
        if let Some(tv2) = self.producers.tv2(id) {
            return Ok(tv2);
        }
        let coordinator = self
            .cluster
            .coordinator(Coordinates::Transaction, id.as_str())
            .await?;
        let tv2 = self.cluster.versions(coordinator).await?.has_tv2();
        self.producers.set_tv2(id, tv2);
        Ok(tv2)
    }

    pub(super) async fn init(
        &self,
        id: Option<TransactionalId>,
        timeout: Duration,
        own: Option<ProducerIdentity>,
    ) -> Result<ProducerIdentity, LogError> {
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let request = |_| {
            let request = InitProducerIdRequest::default()
                .with_transactional_id(id.as_ref().map(|id| text(id.as_str()).into()))
                .with_transaction_timeout_ms(timeout_ms);
            match own {
                Some(own) => request
                    .with_producer_id(own.producer_id.get().into())
                    .with_producer_epoch(own.producer_epoch.get()),
                None => request,
            }
        };
        let answer = match &id {
            None => self.cluster.ask_any(INIT_VERSIONS, request).await?,
            Some(id) => {
                let key = id.as_str();
                let asked = self.cluster.ask_coordinator(
                    Coordinates::Transaction,
                    key,
                    INIT_VERSIONS,
                    request,
                    |answer| answer.error_code,
                );
                asked.await?
            }
        };
        let what = match &id {
            None => "asking for a producer id".to_owned(),
            Some(id) => format!("fencing transactional id {id}"),
        };
        code::check(answer.error_code, &what, None)?;
        if let Some(id) = &id {
            self.producers.introduced(id);
        }
        Ok(identity(answer.producer_id.0, answer.producer_epoch))
    }

    pub(super) async fn end(
        &self,
        id: &TransactionalId,
        own: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError> {
        let tv2 = self.has_tv2(id).await?;
        let answer = self.ask_to_end(id, own, result, tv2).await?;
        let what = format!("ending the transaction of {id}");
        code::check(answer.error_code, &what, None)?;
        self.producers.ended(id);
        Ok(identity_after(&answer, own, tv2))
    }

    /// The bare answer to EndTxn.
    pub(super) async fn ask_to_end(
        &self,
        id: &TransactionalId,
        own: ProducerIdentity,
        result: TxnResult,
        tv2: bool,
    ) -> Result<EndTxnResponse, LogError> {
        self.producers.ending(id);
        let request = |_| {
            EndTxnRequest::default()
                .with_transactional_id(text(id.as_str()).into())
                .with_producer_id(own.producer_id.get().into())
                .with_producer_epoch(own.producer_epoch.get())
                .with_committed(result == TxnResult::Commit)
        };
        let versions = if tv2 { END_TV2 } else { END_OLD };
        self.cluster
            .ask_coordinator(
                Coordinates::Transaction,
                id.as_str(),
                versions,
                request,
                |answer| answer.error_code,
            )
            .await
    }

    pub(super) async fn commit_offsets_in_transaction(
        &self,
        commit: TxnOffsetCommit,
    ) -> Result<(), LogError> {
        let id = commit.transactional_id.clone();
        let own = ProducerIdentity {
            producer_id: commit.producer_id,
            producer_epoch: commit.producer_epoch,
        };
        let tv2 = self.has_tv2(&id).await?;
        if !tv2 {
            self.add_group(&id, own, &commit.group).await?;
        }
        let versions = if tv2 { OFFSETS_TV2 } else { OFFSETS_OLD };
        let group = commit.group.clone();
        let what = format!("committing offsets of group {group} in a transaction");
        let answer = self
            .cluster
            .ask_coordinator(
                Coordinates::Group,
                group.as_str(),
                versions,
                |_| offsets_request(&commit),
                |answer| {
                    let parts = answer.topics.iter().flat_map(|topic| &topic.partitions);
                    code::first_failed(parts.map(|part| part.error_code))
                },
            )
            .await?;
        for part in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            // The coordinator may not have heard of the newest topics.
            check_offset(part.error_code, &what)?;
        }
        self.producers.opened(&id, own);
        Ok(())
    }

    /// What the coordinator knows of a transactional id; nothing if it does not know it.
    pub(super) async fn describe_transaction(
        &self,
        id: &TransactionalId,
    ) -> Result<Option<TransactionState>, LogError> {
        let request =
            |_| DescribeTransactionsRequest::default().with_transactional_ids(vec![text(id.as_str()).into()]);
        let answer = self
            .cluster
            .ask_coordinator(
                Coordinates::Transaction,
                id.as_str(),
                ANY_VERSION,
                request,
                |answer| code::first_failed(answer.transaction_states.iter().map(|state| state.error_code)),
            )
            .await?;
        let what = format!("describing transactional id {id}");
        let state = answer
            .transaction_states
            .into_iter()
            .next()
            .ok_or_else(|| LogError::Unknown(format!("{what}: the answer is empty")))?;
        if state.error_code == code::TRANSACTIONAL_ID_NOT_FOUND {
            return Ok(None);
        }
        code::check(state.error_code, &what, None)?;
        Ok(Some(state))
    }
}

/// As [`code::partition_error`]: a group's coordinator hears of new topics a little later than others.
pub(super) fn check_offset(code: i16, what: &str) -> Result<(), LogError> {
    match code {
        code::NONE => Ok(()),
        code => Err(code::partition_error(code, what, None)),
    }
}

pub(super) fn identity(producer_id: i64, producer_epoch: i16) -> ProducerIdentity {
    ProducerIdentity {
        producer_id: ProducerId::new(producer_id),
        producer_epoch: ProducerEpoch::new(producer_epoch),
    }
}

/// The identity to go on with: the one handed out, or in the older protocol the same.
pub(super) fn identity_after(answer: &EndTxnResponse, own: ProducerIdentity, tv2: bool) -> ProducerIdentity {
    match tv2 {
        true => identity(answer.producer_id.0, answer.producer_epoch),
        false => own,
    }
}

fn offsets_request(commit: &TxnOffsetCommit) -> TxnOffsetCommitRequest {
    let topics = by_topic(
        commit
            .offsets
            .iter()
            .map(|(partition, offset)| (partition, offset)),
    );
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(number, offset)| {
            TxnOffsetCommitRequestPartition::default()
                .with_partition_index(number)
                .with_committed_offset(offset.offset.get())
                .with_committed_leader_epoch(offset.leader_epoch.map_or(-1, |epoch| epoch.get()))
                .with_committed_metadata(Some(text(&offset.metadata)))
        });
        TxnOffsetCommitRequestTopic::default()
            .with_name(wire_topic(name))
            .with_partitions(partitions.collect())
    });
    TxnOffsetCommitRequest::default()
        .with_transactional_id(text(commit.transactional_id.as_str()).into())
        .with_group_id(text(commit.group.as_str()).into())
        .with_producer_id(commit.producer_id.get().into())
        .with_producer_epoch(commit.producer_epoch.get())
        .with_generation_id(-1)
        .with_group_instance_id(None)
        .with_topics(topics.collect())
}
