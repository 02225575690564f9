//! What a consumer group remembers, one record per fact. The state is a fold of these; `log_format.rs` turns them into Kafka's bytes.
//!
//! A record whose value is none removes its fact (a tombstone).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::partitions::{OwnedPartitions, PartitionSet};
use crate::types::{MemberId, Timestamp};

/// One fact about one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerGroupRecord {
    /// The group exists, at this epoch.
    Metadata(Option<GroupMetadata>),
    /// Topic metadata as Kafka before 4.1 kept it; only ever removed here.
    PartitionMetadata(Option<()>),
    /// Who a member is and what it wants.
    Member(MemberId, Option<Arc<MemberMetadata>>),
    /// Up to which epoch the target assignment was computed.
    TargetMetadata(Option<TargetMetadata>),
    /// What a member shall own.
    Target(MemberId, Option<Arc<PartitionSet>>),
    /// What a member owns.
    Current(MemberId, Option<Arc<CurrentAssignment>>),
    /// The topics a pattern matched.
    Pattern(String, Option<Arc<ResolvedPattern>>),
}

/// The group itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupMetadata {
    /// Grows by one with each change that asks for another assignment.
    pub epoch: i32,
    /// Hash of the subscribed topics: ids and partition counts (KIP-1101). 0 if there are none.
    pub metadata_hash: i64,
}

/// The target assignment as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetMetadata {
    /// The group epoch it was computed for.
    pub epoch: i32,
    /// When.
    pub computed_at: Timestamp,
}

/// What a member told about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberMetadata {
    /// Name that outlives the process (static membership).
    pub instance_id: Option<String>,
    /// Where it runs.
    pub rack_id: Option<String>,
    /// Its `client.id`.
    pub client_id: String,
    /// The address it came from.
    pub client_host: String,
    /// Longest time it takes to give up partitions.
    pub rebalance_timeout_ms: i32,
    /// Topics it named; perhaps such as do not exist.
    pub subscribed_names: BTreeSet<String>,
    /// Pattern of further topics; never empty.
    pub subscribed_pattern: Option<String>,
    /// The assignor it asks for.
    pub server_assignor: Option<String>,
    /// There if it speaks the classic protocol.
    pub classic: Option<ClassicMemberMetadata>,
}

impl MemberMetadata {
    /// True if both ask for the same topics.
    pub(super) fn subscribes_as(&self, other: &MemberMetadata) -> bool {
        self.subscribed_names == other.subscribed_names && self.subscribed_pattern == other.subscribed_pattern
    }
}

/// What is known of a member that speaks the classic protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicMemberMetadata {
    /// It is dropped if silent for so long.
    pub session_timeout_ms: i32,
    /// The assignors it has, with its subscription for each, as it sent them.
    pub protocols: Vec<(String, Bytes)>,
}

/// How far a member is on its way to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i8)]
pub enum MemberState {
    /// It owns what the target of its epoch gives it.
    #[default]
    Stable = 0,
    /// It has to give up partitions first.
    UnrevokedPartitions = 1,
    /// It waits for partitions that others have not given up yet.
    UnreleasedPartitions = 2,
    /// A state of a later version.
    Unknown = 127,
}

/// What a member owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrentAssignment {
    /// The epoch it must send: 0 before the first answer, -2 while a static member is away.
    pub epoch: i32,
    /// The one before: accepted too, because the answer with the new one may have been lost.
    pub previous_epoch: i32,
    /// How far it is.
    pub state: MemberState,
    /// What it may consume.
    pub assigned: OwnedPartitions,
    /// What it must give up, and still owns.
    pub revoking: OwnedPartitions,
}

impl CurrentAssignment {
    /// True if it shall own just what it owns, as of that target.
    pub fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }
}

/// The topics a pattern matched, and when that was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedPattern {
    /// Names of topics.
    pub topics: BTreeSet<String>,
    /// Version of the topics looked at.
    pub version: i64,
    /// When.
    pub resolved_at: Timestamp,
}
