//! Groups of all kinds, side by side, of one partition of `__consumer_offsets`.
//!
//! Always true: a name belongs to one group of one kind; a request for another kind is told that the group does not exist, as Kafka does. A group
//! that only has offsets is a classic one without protocol type. What a group holds here is durable, or was decided and waits for its write
//! (`coordinator.rs` says which); its offsets are in `offsets.rs`.
//!
//! To add a kind: a variant of [`Group`], its [`GroupRules`], its key versions in [`Groups::replay`], its timers in `timers.rs`. Everything the kinds share
//! goes through the rules.

use std::collections::BTreeMap;

use crate::codec::{CodecError, Reader};
use crate::coordinator::txn::Now;
use crate::types::{GroupId, Timestamp};

use super::classic::{ClassicGroup, GROUP_METADATA_KEY, decode_group_key, decode_group_value};
use super::consumer::{self, ConsumerGroup};
use super::error::GroupError;
use super::rules::{GroupRules, GroupType};

/// A group of some kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// The leader assigns.
    Classic(Box<ClassicGroup>),
    /// KIP-848: the coordinator assigns.
    Consumer(Box<ConsumerGroup>),
}

impl Group {
    /// What all kinds can be asked.
    pub fn rules(&self) -> &dyn GroupRules {
        match self {
            Self::Classic(group) => &**group,
            Self::Consumer(group) => &**group,
        }
    }

    /// From now on it takes no members and no commits. Returns what `cancel_removal` needs.
    pub(super) fn begin_removal(&mut self, now: Now) -> Option<Timestamp> {
        match self {
            Self::Classic(group) => {
                let since = group.state_since();
                group.begin_removal(now);
                since
            }
            Self::Consumer(group) => {
                group.set_being_removed(true);
                None
            }
        }
    }

    /// The removal failed: it is as it was.
    pub(super) fn cancel_removal(&mut self, since: Option<Timestamp>) {
        match self {
            Self::Classic(group) => group.cancel_removal(since),
            Self::Consumer(group) => group.set_being_removed(false),
        }
    }
}

/// Groups by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    by_id: BTreeMap<GroupId, Group>,
}

impl Groups {
    /// The group of this name.
    pub fn get(&self, id: &GroupId) -> Option<&Group> {
        self.by_id.get(id)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, id: &GroupId) -> Option<&mut Group> {
        self.by_id.get_mut(id)
    }

    /// What the group of this name answers, or that there is none.
    pub fn rules(&self, id: &GroupId) -> Result<&dyn GroupRules, GroupError> {
        self.by_id
            .get(id)
            .map(Group::rules)
            .ok_or_else(|| GroupError::GroupIdNotFound { group: id.clone() })
    }

    /// Puts a group in place of whatever had its name.
    pub fn insert(&mut self, id: GroupId, group: Group) {
        self.by_id.insert(id, group);
    }

    /// Takes a group out.
    pub fn remove(&mut self, id: &GroupId) -> Option<Group> {
        self.by_id.remove(id)
    }

    /// Every group, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupId, &Group)> {
        self.by_id.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The classic group of this name.
    pub fn classic(&self, id: &GroupId) -> Result<&ClassicGroup, GroupError> {
        match self.by_id.get(id) {
            Some(Group::Classic(group)) => Ok(group),
            Some(Group::Consumer(_)) => Err(not_classic(id)),
            None => Err(GroupError::GroupIdNotFound { group: id.clone() }),
        }
    }

    /// The same, to be changed.
    pub fn classic_mut(&mut self, id: &GroupId) -> Result<&mut ClassicGroup, GroupError> {
        match self.by_id.get_mut(id) {
            Some(Group::Classic(group)) => Ok(group),
            Some(Group::Consumer(_)) => Err(not_classic(id)),
            None => Err(GroupError::GroupIdNotFound { group: id.clone() }),
        }
    }

    /// The classic group of this name, made if there is no group of any kind.
    pub fn classic_or_new(&mut self, id: &GroupId) -> Result<&mut ClassicGroup, GroupError> {
        let new = || Group::Classic(Box::new(ClassicGroup::new(id.clone())));
        match self.by_id.entry(id.clone()).or_insert_with(new) {
            Group::Classic(group) => Ok(group),
            Group::Consumer(_) => Err(not_classic(id)),
        }
    }

    /// Makes sure that there is a group to hold offsets.
    pub fn ensure(&mut self, id: &GroupId) {
        let new = || Group::Classic(Box::new(ClassicGroup::new(id.clone())));
        self.by_id.entry(id.clone()).or_insert_with(new);
    }

    /// Takes on a record of a group as it was stored; with no value, its removal. Keys of offsets and of kinds this broker does not have are passed
    /// over. Records of different keys may come in any order: compaction keeps the last of each key, not their first order (KAFKA-17306).
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), CodecError> {
        let mut reader = Reader::new(key);
        if reader.i16()? == GROUP_METADATA_KEY {
            let id = decode_group_key(&mut reader)?;
            match value {
                Some(value) => {
                    let group = ClassicGroup::replay(id.clone(), decode_group_value(value)?);
                    self.by_id.insert(id, Group::Classic(Box::new(group)));
                }
                None => {
                    if let Some(Group::Classic(_)) = self.by_id.get(&id) {
                        self.by_id.remove(&id);
                    }
                }
            }
        } else if let Some((id, record)) = consumer::decode(key, value)? {
            self.replay_consumer(id, &record, value.is_some());
        }
        Ok(())
    }

    /// A fact of a consumer group makes one, also in place of a classic group: that one's removal was stored before. A removal never does.
    fn replay_consumer(&mut self, id: GroupId, record: &consumer::ConsumerGroupRecord, is_fact: bool) {
        let is_there = matches!(self.by_id.get(&id), Some(Group::Consumer(_)));
        if is_fact && !is_there {
            let group = ConsumerGroup::new(id.clone());
            self.by_id.insert(id.clone(), Group::Consumer(Box::new(group)));
        }
        if let Some(Group::Consumer(group)) = self.by_id.get_mut(&id) {
            group.apply(record);
            if group.is_gone() {
                self.by_id.remove(&id);
            }
        }
    }

    /// Groups of a kind and state, by name; no filter lets everything through. States are compared without regard to case, as Kafka does.
    pub fn list<'a>(
        &'a self,
        states: &'a [String],
        types: &'a [GroupType],
    ) -> impl Iterator<Item = (&'a GroupId, &'a dyn GroupRules)> {
        let wanted = move |rules: &dyn GroupRules| {
            let state = rules.state_name();
            let is_state =
                states.is_empty() || states.iter().any(|wanted| wanted.eq_ignore_ascii_case(state));
            is_state && (types.is_empty() || types.contains(&rules.group_type()))
        };
        let all = self.by_id.iter().map(|(id, group)| (id, group.rules()));
        all.filter(move |(_, rules)| wanted(*rules))
    }
}

fn not_classic(id: &GroupId) -> GroupError {
    GroupError::WrongKind {
        group: id.clone(),
        expected: "classic",
    }
}
