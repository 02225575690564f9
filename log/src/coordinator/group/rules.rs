//! What every kind of group answers to the requests that all kinds share: commits, fetches, deletion, expiry, listing.
//!
//! Each kind implements [`GroupRules`]; `groups.rs` holds groups of all kinds and asks them only through it. Always true: these are
//! questions, they change nothing.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::types::{GroupInstanceId, MemberId, Timestamp, TopicName};

use super::error::GroupError;

/// A record of `__consumer_offsets`: an encoded key, and an encoded value or its removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// Kafka's key, version first.
    pub key: Bytes,
    /// Kafka's value, version first; none removes it.
    pub value: Option<Bytes>,
}

/// The kinds of groups, by Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupType {
    /// JoinGroup and SyncGroup: the leader assigns.
    Classic,
    /// KIP-848: the coordinator assigns.
    Consumer,
}

impl GroupType {
    /// As ListGroups names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

/// Who commits offsets, as the request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committer {
    /// Empty if it is no member.
    pub member_id: MemberId,
    /// Of a static member.
    pub instance_id: Option<GroupInstanceId>,
    /// Generation of a classic group or epoch of a KIP-848 member; below 0 if it is no member.
    pub generation_or_epoch: i32,
    /// True for TxnOffsetCommit.
    pub transactional: bool,
    /// True if the request can tell a KIP-848 member what is wrong with its epoch: OffsetCommit from version 9 on.
    pub knows_member_epochs: bool,
}

impl Committer {
    /// A consumer that assigns its partitions itself, or an administrator.
    pub fn outsider() -> Self {
        Self {
            member_id: MemberId::new(""),
            instance_id: None,
            generation_or_epoch: -1,
            transactional: false,
            knows_member_epochs: true,
        }
    }

    /// A producer from before KIP-447, which says nothing of its consumer.
    pub fn transaction() -> Self {
        Self {
            transactional: true,
            ..Self::outsider()
        }
    }

    /// True if the request names a member in any way.
    pub fn names_a_member(&self) -> bool {
        self.generation_or_epoch >= 0 || !self.member_id.as_str().is_empty() || self.instance_id.is_some()
    }
}

/// Which committed offsets of a group may expire, and since when their time counts (KIP-211).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OffsetExpiry {
    /// None: the group rebalances, or its subscription is not known.
    Never,
    /// All, counted from this moment.
    Since(Timestamp),
    /// All but those of these topics, counted from when each was committed.
    SinceCommit {
        /// Topics the group consumes.
        subscribed: BTreeSet<TopicName>,
    },
}

/// Answers of a group to requests that exist for all kinds.
pub trait GroupRules {
    /// The kind.
    fn group_type(&self) -> GroupType;

    /// Kafka's name of its state, as DescribeGroups and ListGroups say it.
    fn state_name(&self) -> &'static str;

    /// `consumer` for consumers; empty for a group that only has offsets.
    fn protocol_type(&self) -> &str;

    /// True if it has no members: then it may be deleted, and vanishes with its last offset.
    fn is_empty(&self) -> bool;

    /// May these offsets be committed?
    fn check_commit(&self, committer: &Committer) -> Result<(), GroupError>;

    /// May offsets be fetched by this member? Without member id and epoch anybody may.
    fn check_fetch(&self, member_id: Option<&MemberId>, member_epoch: i32) -> Result<(), GroupError>;

    /// May single offsets be deleted at all? Each topic is then checked with `is_subscribed_to`.
    fn check_offset_delete(&self) -> Result<(), GroupError>;

    /// True if a member consumes the topic, or if that cannot be told.
    fn is_subscribed_to(&self, topic: &TopicName) -> bool;

    /// May the group be deleted?
    fn check_delete(&self) -> Result<(), GroupError>;

    /// Which offsets may expire now.
    fn offset_expiry(&self) -> OffsetExpiry;

    /// Records that remove everything of the group but its offsets.
    fn tombstones(&self) -> Vec<GroupRecord>;
}
