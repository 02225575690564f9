//! What a classic group answers to the requests that all kinds of groups share.

use crate::coordinator::group::error::GroupError;
use crate::coordinator::group::rules::{Committer, GroupRecord, GroupRules, GroupType, OffsetExpiry};
use crate::types::{MemberId, TopicName};

use super::group::{ClassicGroup, ClassicState};
use super::log_format::encode_group_key;

impl GroupRules for ClassicGroup {
    fn group_type(&self) -> GroupType {
        GroupType::Classic
    }

    fn state_name(&self) -> &'static str {
        self.state.name()
    }

    fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.state == ClassicState::Empty && self.pending_joins.is_empty()
    }

    fn check_commit(&self, committer: &Committer) -> Result<(), GroupError> {
        if self.state == ClassicState::Dead {
            return Err(GroupError::NotAvailable);
        }
        let generation = committer.generation_or_epoch;
        if generation < 0 && self.state == ClassicState::Empty {
            return Ok(());
        }
        if committer.names_a_member() {
            self.validate_member(&committer.member_id, committer.instance_id.as_ref())?;
            if generation != self.generation {
                return Err(GroupError::IllegalGeneration {
                    found: generation,
                    current: self.generation,
                });
            }
        } else if !committer.transactional && self.state != ClassicState::Empty {
            return Err(GroupError::UnknownMember {
                member: committer.member_id.clone(),
            });
        }
        // It has joined the new generation and commits what it read in the old one: it must sync first.
        if !committer.transactional && self.state == ClassicState::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    fn check_fetch(&self, _member_id: Option<&MemberId>, _member_epoch: i32) -> Result<(), GroupError> {
        Ok(())
    }

    fn check_offset_delete(&self) -> Result<(), GroupError> {
        match self.state {
            ClassicState::Dead => Err(GroupError::GroupIdNotFound {
                group: self.id.clone(),
            }),
            ClassicState::Empty => Ok(()),
            _ if self.is_of_consumers() => Ok(()),
            _ => Err(GroupError::NonEmpty),
        }
    }

    fn is_subscribed_to(&self, topic: &TopicName) -> bool {
        match self.subscribed_topics() {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    fn check_delete(&self) -> Result<(), GroupError> {
        match self.state {
            ClassicState::Empty => Ok(()),
            ClassicState::Dead => Err(GroupError::GroupIdNotFound {
                group: self.id.clone(),
            }),
            _ => Err(GroupError::NonEmpty),
        }
    }

    fn offset_expiry(&self) -> OffsetExpiry {
        let since_commit = |subscribed| OffsetExpiry::SinceCommit { subscribed };
        match (self.state, &self.protocol_type, self.state_since) {
            // Only ever committed to by outsiders.
            (ClassicState::Empty, None, _) => since_commit(Default::default()),
            (ClassicState::Empty, Some(_), Some(since)) => OffsetExpiry::Since(since),
            (ClassicState::Empty, Some(_), None) => since_commit(Default::default()),
            (ClassicState::Stable, Some(_), _) if self.is_of_consumers() => match self.subscribed_topics() {
                Some(subscribed) => since_commit(subscribed),
                None => OffsetExpiry::Never,
            },
            _ => OffsetExpiry::Never,
        }
    }

    fn tombstones(&self) -> Vec<GroupRecord> {
        // A group that never had members was never stored.
        let stored = self.protocol_type.is_some();
        let key = stored.then(|| encode_group_key(&self.id));
        key.map(|key| GroupRecord { key, value: None })
            .into_iter()
            .collect()
    }
}
