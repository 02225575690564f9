//! What the log in memory holds and how transactions change it: partitions, producers, markers. No waiting and no lost answers.
//!
//! Always true: an open transaction holds the last stable offset of its partitions; ending one writes its markers and bumps the epoch, whatever the result.
//! `fake_log.rs` hands it out as a `LogClient`, `fake_offsets.rs` are its committed offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millpond_log::broker::{AbortedTxn, FetchRequest, OffsetAndMetadata, ProducerIdentity, TxnResult};
use millpond_log::record::patch::set_base_offset;
use millpond_log::record::{ControlRecord, RecordBatch};
use millpond_log::types::{
    GroupId, Offset, PartitionId, ProducerEpoch, ProducerId, TopicName, TopicPartition, TransactionalId,
};
use tokio::sync::Notify;

use super::fake_log::EndTxnLuck;
use super::fake_offsets::FakeOffsets;
use super::log_client::LogError;

#[derive(Clone, Debug, Default)]
pub(super) struct Partition {
    pub(super) batches: Vec<Bytes>,
    pub(super) end: i64,
    /// First offset of each open transaction.
    pub(super) open: BTreeMap<ProducerId, i64>,
    /// With the offset of the marker.
    pub(super) aborted: Vec<(AbortedTxn, i64)>,
    pub(super) start: i64,
}

#[derive(Debug)]
pub(super) struct Producer {
    pub(super) identity: ProducerIdentity,
    /// Who ended the last transaction, until somebody takes the id: that one may still ask for a new epoch (KIP-360).
    pub(super) ended_as: Option<ProducerIdentity>,
    pub(super) partitions: BTreeSet<TopicPartition>,
    pub(super) offsets: Vec<(GroupId, TopicPartition, OffsetAndMetadata)>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) topics: BTreeMap<TopicName, (i32, BTreeMap<String, String>)>,
    pub(super) partitions: BTreeMap<TopicPartition, Partition>,
    pub(super) producers: BTreeMap<TransactionalId, Producer>,
    pub(super) offsets: FakeOffsets,
    pub(super) next_producer: i64,
    pub(super) luck: Vec<EndTxnLuck>,
    /// The next answer to `init_producer_id` is lost, which is noticed after so long.
    pub(super) lose_next_init: Option<Duration>,
    /// So many answers to `describe_topics` are lost.
    pub(super) lose_describes: u32,
    pub(super) silent_topic: Option<TopicName>,
    pub(super) end_txns: u64,
    pub(super) leases: BTreeMap<TopicPartition, Offset>,
    pub(super) horizons: BTreeMap<TopicPartition, Offset>,
    /// This horizon is reached when that partition is read next.
    pub(super) compacts_at_fetch: Option<(TopicPartition, Offset)>,
    pub(super) appended: Arc<Notify>,
}

impl Inner {
    pub(super) fn compact_if_asked(&mut self, request: &FetchRequest) {
        let asked = |(partition, _): &mut (TopicPartition, Offset)| {
            request.partitions.iter().any(|p| p.partition == *partition)
        };
        if let Some((partition, horizon)) = self.compacts_at_fetch.take_if(asked) {
            self.horizons.insert(partition, horizon);
        }
    }
}

pub(crate) fn partition_of(topic: &str, partition: i32) -> TopicPartition {
    let topic = TopicName::new(topic).expect("a valid name");
    TopicPartition {
        topic,
        partition: PartitionId::new(partition),
    }
}

impl Partition {
    pub(super) fn stable(&self) -> i64 {
        self.open.values().copied().min().unwrap_or(self.end)
    }

    /// What a read_committed fetch from `from` gets.
    pub(super) fn stable_from(&self, from: Offset) -> (Vec<Bytes>, Vec<AbortedTxn>) {
        let stable = self.stable();
        let visible = |bytes: &&Bytes| {
            let batch = RecordBatch::parse((*bytes).clone()).expect("our own batch");
            batch.last_offset() >= from && batch.base_offset().get() < stable
        };
        let aborted = self
            .aborted
            .iter()
            .filter(|(_, marker)| *marker >= from.get())
            .map(|(txn, _)| *txn);
        (
            self.batches.iter().filter(visible).cloned().collect(),
            aborted.collect(),
        )
    }
}

impl Inner {
    /// Takes a transactional id, or a fresh identity.
    pub(super) fn init_producer_id(
        &mut self,
        id: Option<TransactionalId>,
        own: Option<ProducerIdentity>,
    ) -> Result<ProducerIdentity, LogError> {
        self.next_producer += 1;
        let fresh = ProducerIdentity {
            producer_id: ProducerId::new(self.next_producer),
            producer_epoch: ProducerEpoch::ZERO,
        };
        let Some(id) = id else { return Ok(fresh) };
        if let Some(known) = self.producers.get(&id) {
            if own.is_some_and(|own| own != known.identity && Some(own) != known.ended_as) {
                return Err(LogError::Fenced(format!("{id} has a newer producer")));
            }
            let identity = self.finish(&id, TxnResult::Abort);
            let producer = self.producers.get_mut(&id).expect("found just above");
            producer.ended_as = None;
            return Ok(identity);
        }
        let producer = Producer {
            identity: fresh,
            ended_as: None,
            partitions: BTreeSet::new(),
            offsets: Vec::new(),
        };
        self.producers.insert(id, producer);
        Ok(fresh)
    }

    pub(super) fn add_topic(&mut self, name: TopicName, partitions: i32, configs: BTreeMap<String, String>) {
        for partition in 0..partitions {
            self.partitions
                .insert(partition_of(name.as_str(), partition), Partition::default());
        }
        self.topics.insert(name, (partitions, configs));
    }

    pub(super) fn append(&mut self, partition: &TopicPartition, bytes: &Bytes) -> Option<i64> {
        let log = self.partitions.get_mut(partition)?;
        let base = log.end;
        let mut bytes = bytes.to_vec();
        set_base_offset(&mut bytes, Offset::new(base));
        let batch = RecordBatch::parse(Bytes::from(bytes)).expect("a sound batch");
        log.end = batch.next_offset().get();
        if batch.is_transactional() && !batch.is_control() {
            log.open.entry(batch.producer_id()).or_insert(base);
        }
        log.batches.push(batch.bytes().clone());
        self.appended.notify_waiters();
        Some(base)
    }

    pub(super) fn current(
        &mut self,
        id: &TransactionalId,
        producer: ProducerId,
        epoch: ProducerEpoch,
    ) -> Result<&mut Producer, LogError> {
        let known = self
            .producers
            .get_mut(id)
            .ok_or_else(|| LogError::Refused(format!("no {id}")))?;
        if known.identity.producer_id != producer || known.identity.producer_epoch != epoch {
            return Err(LogError::Fenced(format!("epoch {epoch} of {id} is not current")));
        }
        Ok(known)
    }

    pub(super) fn finish(&mut self, id: &TransactionalId, result: TxnResult) -> ProducerIdentity {
        let producer = self.producers.get_mut(id).expect("checked by the caller");
        let identity = producer.identity;
        let partitions = std::mem::take(&mut producer.partitions);
        let offsets = std::mem::take(&mut producer.offsets);
        let next = identity.producer_epoch.next().expect("tests are short");
        producer.identity.producer_epoch = next;
        producer.ended_as = Some(identity);
        let answer = producer.identity;
        let marker = match result {
            TxnResult::Commit => ControlRecord::Commit { coordinator_epoch: 0 },
            TxnResult::Abort => ControlRecord::Abort { coordinator_epoch: 0 },
        };
        for partition in partitions {
            let batch = marker.to_batch(identity.producer_id, identity.producer_epoch, 0);
            self.append(&partition, &batch);
            let log = self.partitions.get_mut(&partition).expect("appended just above");
            if let Some(first) = log
                .open
                .remove(&identity.producer_id)
                .filter(|_| result == TxnResult::Abort)
            {
                let txn = AbortedTxn {
                    producer_id: identity.producer_id,
                    first_offset: Offset::new(first),
                };
                log.aborted.push((txn, log.end - 1));
            }
        }
        if result == TxnResult::Commit {
            for (group, partition, offset) in offsets {
                self.offsets.commit(group, partition, offset);
            }
        }
        answer
    }
}
