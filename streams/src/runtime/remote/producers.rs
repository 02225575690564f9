//! What a client remembers of its transactional ids: the protocol they are used by, and what is in the open transaction.
//!
//! Always true: nothing here is needed to be right about the outcome of a transaction; it saves requests in the older protocol, and tells a transaction
//! that the coordinator gave up from one that somebody else ended (`claim.rs`).

use std::collections::{BTreeMap, BTreeSet};

use millpond_log::broker::ProducerIdentity;
use millpond_log::types::{GroupId, TopicPartition, TransactionalId};
use parking_lot::Mutex;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Producers {
    known: Mutex<BTreeMap<TransactionalId, Producer>>,
}

#[derive(Debug, Default)]
struct Producer {
    /// Whether every transaction has an epoch of its own (KIP-890); asked of the coordinator once per fence.
    tv2: Option<bool>,
    /// Partitions the coordinator was told of, in the older protocol.
    added: BTreeSet<TopicPartition>,
    /// Groups it was told of.
    groups: BTreeSet<GroupId>,
    /// A write of this identity was acknowledged inside a transaction that it has not ended since.
    open: Option<ProducerIdentity>,
}

impl Producers {
    pub(super) fn tv2(&self, id: &TransactionalId) -> Option<bool> {
        self.known.lock().get(id).and_then(|producer| producer.tv2)
    }

    pub(super) fn set_tv2(&self, id: &TransactionalId, tv2: bool) {
        self.known.lock().entry(id.clone()).or_default().tv2 = Some(tv2);
    }

    /// Those of the partitions the coordinator was not told of.
    pub(super) fn not_added<'a>(
        &self,
        id: &TransactionalId,
        partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Vec<TopicPartition> {
        let known = self.known.lock();
        let added = known.get(id).map(|producer| &producer.added);
        partitions
            .filter(|partition| added.is_none_or(|added| !added.contains(*partition)))
            .cloned()
            .collect()
    }

    pub(super) fn added(&self, id: &TransactionalId, partitions: Vec<TopicPartition>) {
        self.known
            .lock()
            .entry(id.clone())
            .or_default()
            .added
            .extend(partitions);
    }

    pub(super) fn has_group(&self, id: &TransactionalId, group: &GroupId) -> bool {
        let known = self.known.lock();
        known
            .get(id)
            .is_some_and(|producer| producer.groups.contains(group))
    }

    pub(super) fn added_group(&self, id: &TransactionalId, group: GroupId) {
        self.known
            .lock()
            .entry(id.clone())
            .or_default()
            .groups
            .insert(group);
    }

    /// A write of this identity is in the open transaction.
    pub(super) fn opened(&self, id: &TransactionalId, identity: ProducerIdentity) {
        self.known.lock().entry(id.clone()).or_default().open = Some(identity);
    }

    /// Whether this identity was seen to have a transaction open, and has not ended it.
    pub(super) fn has_open(&self, id: &TransactionalId, identity: ProducerIdentity) -> bool {
        let known = self.known.lock();
        known
            .get(id)
            .is_some_and(|producer| producer.open == Some(identity))
    }

    /// The transaction is being ended: the next one begins with nothing in it.
    pub(super) fn ending(&self, id: &TransactionalId) {
        if let Some(producer) = self.known.lock().get_mut(id) {
            producer.added.clear();
            producer.groups.clear();
        }
    }

    /// The transaction is ended: nothing is open until the next write.
    pub(super) fn ended(&self, id: &TransactionalId) {
        if let Some(producer) = self.known.lock().get_mut(id) {
            producer.open = None;
        }
    }

    /// A new identity was given out: nothing is open under it, and the protocol may have changed.
    pub(super) fn introduced(&self, id: &TransactionalId) {
        self.known.lock().remove(id);
    }
}
