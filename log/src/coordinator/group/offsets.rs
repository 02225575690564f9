//! Committed offsets of the groups of one `__consumer_offsets` partition. A pure fold over that partition's records and markers.
//!
//! Always true: for each key the offset whose record lies furthest in the log wins, so the order in which durable appends are taken on
//! does not matter; offsets of an open transaction are pending and become the group's with its commit marker, or vanish with its abort marker.
//! The state after the records up to `o` equals the replay of the log up to `o`.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::OffsetAndMetadata;
use crate::types::{GroupId, Offset, ProducerId, Timestamp, TopicName, TopicPartition};

/// As the time of expiry: the offset does not expire.
pub const NEVER: Timestamp = Timestamp::MAX;

/// What is stored of a committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset.
    pub offset: OffsetAndMetadata,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// When it expires, if its committer said so (OffsetCommit 2 to 4), or `NEVER`; otherwise the group's rules decide.
    pub expires_at: Option<Timestamp>,
}

/// An offset with the place of its record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Committed {
    /// None: removed. Kept while an older record may still be taken on, so that it does not bring the offset back.
    offset: Option<CommittedOffset>,
    logged_at: Offset,
}

/// Offsets by group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetsState {
    groups: BTreeMap<GroupId, BTreeMap<TopicPartition, Committed>>,
    pending: BTreeMap<ProducerId, BTreeMap<(GroupId, TopicPartition), Committed>>,
}

/// A pending offset stands in the way of a stable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstable {
    /// Whose transaction is open.
    pub producer_id: ProducerId,
    /// The partition.
    pub partition: TopicPartition,
}

impl OffsetsState {
    /// Takes on a record that is durable at `logged_at`: an offset, or its removal. With a producer it is pending until the marker.
    pub fn on_record(
        &mut self,
        group: GroupId,
        partition: TopicPartition,
        offset: Option<CommittedOffset>,
        logged_at: Offset,
        producer: Option<ProducerId>,
    ) {
        let committed = Committed { offset, logged_at };
        match producer {
            Some(producer) => {
                let pending = self.pending.entry(producer).or_default();
                keep_later(
                    pending
                        .entry((group, partition))
                        .or_insert_with(|| committed.clone()),
                    committed,
                );
            }
            None => self.commit(group, partition, committed),
        }
    }

    /// Takes on a marker: the producer's pending offsets become the groups' or vanish.
    pub fn on_marker(&mut self, producer: ProducerId, committed: bool) {
        let pending = self.pending.remove(&producer).unwrap_or_default();
        if committed {
            for ((group, partition), offset) in pending {
                self.commit(group, partition, offset);
            }
        }
    }

    fn commit(&mut self, group: GroupId, partition: TopicPartition, committed: Committed) {
        let offsets = self.groups.entry(group).or_default();
        keep_later(
            offsets.entry(partition).or_insert_with(|| committed.clone()),
            committed,
        );
    }

    /// The committed offsets of a group, of the asked partitions or of all. Errs if `require_stable` and one of them is pending in an
    /// open transaction.
    pub fn fetch(
        &self,
        group: &GroupId,
        partitions: Option<&[TopicPartition]>,
        require_stable: bool,
    ) -> Result<Vec<(TopicPartition, OffsetAndMetadata)>, Unstable> {
        if require_stable && let Some(unstable) = self.first_pending(group, partitions) {
            return Err(unstable);
        }
        let Some(offsets) = self.groups.get(group) else {
            return Ok(Vec::new());
        };
        let found = |(partition, committed): (&TopicPartition, &Committed)| {
            let stored = committed.offset.as_ref()?;
            Some((partition.clone(), stored.offset.clone()))
        };
        Ok(match partitions {
            Some(asked) => asked
                .iter()
                .filter_map(|asked| found(offsets.get_key_value(asked)?))
                .collect(),
            None => offsets.iter().filter_map(found).collect(),
        })
    }

    fn first_pending(&self, group: &GroupId, partitions: Option<&[TopicPartition]>) -> Option<Unstable> {
        self.pending.iter().find_map(|(producer, pending)| {
            let mut keys = pending
                .keys()
                .filter(|(of, _)| of == group)
                .map(|(_, partition)| partition);
            let partition =
                keys.find(|partition| partitions.is_none_or(|asked| asked.contains(partition)))?;
            Some(Unstable {
                producer_id: *producer,
                partition: partition.clone(),
            })
        })
    }

    /// How many partitions a group has offsets for.
    pub fn offsets_of(&self, group: &GroupId) -> usize {
        self.groups.get(group).map_or(0, BTreeMap::len)
    }

    /// The committed offset of one partition.
    pub fn get(&self, group: &GroupId, partition: &TopicPartition) -> Option<&CommittedOffset> {
        self.groups.get(group)?.get(partition)?.offset.as_ref()
    }

    /// Committed offsets of a group, by partition.
    pub fn committed(&self, group: &GroupId) -> impl Iterator<Item = (&TopicPartition, &CommittedOffset)> {
        let offsets = self.groups.get(group).into_iter().flatten();
        offsets.filter_map(|(partition, committed)| Some((partition, committed.offset.as_ref()?)))
    }

    /// True while an open transaction holds an offset of this partition.
    pub fn is_pending(&self, group: &GroupId, partition: &TopicPartition) -> bool {
        let key = (group.clone(), partition.clone());
        self.pending.values().any(|pending| pending.contains_key(&key))
    }

    /// True while an open transaction holds an offset of this group.
    pub fn has_pending(&self, group: &GroupId) -> bool {
        let mut keys = self.pending.values().flat_map(BTreeMap::keys);
        keys.any(|(of, _)| of == group)
    }

    /// Partitions with an offset of the group, committed or pending.
    pub fn partitions_of(&self, group: &GroupId) -> Vec<TopicPartition> {
        let pending = self.pending.values().flat_map(BTreeMap::keys);
        let pending = pending
            .filter(|(of, _)| of == group)
            .map(|(_, partition)| partition);
        let committed = self.committed(group).map(|(partition, _)| partition);
        committed.chain(pending).cloned().collect()
    }

    /// Groups with an offset, committed or pending.
    pub fn groups(&self) -> BTreeSet<GroupId> {
        let pending = self.pending.values().flat_map(BTreeMap::keys);
        let committed = self.groups.iter().filter(|(_, offsets)| {
            let mut live = offsets.values();
            live.any(|committed| committed.offset.is_some())
        });
        let committed = committed.map(|(group, _)| group);
        committed
            .chain(pending.map(|(group, _)| group))
            .cloned()
            .collect()
    }

    /// Lets go of what reminds of a group's removed offsets. Only to be called while no append of its offsets is under way.
    pub fn forget_removed(&mut self, group: &GroupId) {
        let pending: BTreeSet<&TopicPartition> = self
            .pending
            .values()
            .flat_map(BTreeMap::keys)
            .filter(|(of, _)| of == group)
            .map(|(_, partition)| partition)
            .collect();
        let Some(offsets) = self.groups.get_mut(group) else {
            return;
        };
        // A pending offset lies before its removal in the log and may still be committed.
        offsets.retain(|partition, committed| committed.offset.is_some() || pending.contains(partition));
        if offsets.is_empty() {
            self.groups.remove(group);
        }
    }

    /// The same for all groups.
    pub fn forget_all_removed(&mut self) {
        let groups: Vec<GroupId> = self.groups.keys().cloned().collect();
        for group in &groups {
            self.forget_removed(group);
        }
    }

    /// Every offset of a topic's partitions, committed or pending: what must be removed when the topic is. A pending one is overruled by the
    /// removal when its transaction commits, because the removal lies further in the log.
    pub fn offsets_on(&self, topic: &TopicName) -> Vec<(GroupId, TopicPartition)> {
        let mut found = Vec::new();
        for (group, offsets) in &self.groups {
            let on_topic = offsets
                .iter()
                .filter(|(partition, committed)| partition.topic == *topic && committed.offset.is_some());
            found.extend(on_topic.map(|(partition, _)| (group.clone(), partition.clone())));
        }
        let pending = self.pending.values().flat_map(BTreeMap::keys);
        found.extend(
            pending
                .filter(|(_, partition)| partition.topic == *topic)
                .cloned(),
        );
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Topics with offsets, committed or pending.
    pub fn topics(&self) -> BTreeSet<TopicName> {
        let committed = self.groups.values().flat_map(BTreeMap::keys);
        let pending = self.pending.values().flat_map(BTreeMap::keys);
        committed
            .chain(pending.map(|(_, partition)| partition))
            .map(|partition| partition.topic.clone())
            .collect()
    }

    /// Groups a producer's open transaction holds offsets of.
    pub fn groups_of(&self, producer: ProducerId) -> BTreeSet<GroupId> {
        let pending = self.pending.get(&producer).into_iter().flat_map(BTreeMap::keys);
        pending.map(|(group, _)| group.clone()).collect()
    }

    /// Producers with pending offsets.
    pub fn pending_producers(&self) -> impl Iterator<Item = ProducerId> + '_ {
        self.pending.keys().copied()
    }
}

fn keep_later(current: &mut Committed, candidate: Committed) {
    if candidate.logged_at >= current.logged_at {
        *current = candidate;
    }
}
