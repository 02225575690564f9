//! Consumer groups of the new protocol (KIP-848): the coordinator assigns, members converge one heartbeat at a time. Pure: no clock, no I/O.
//!
//! Always true: a partition is owned by at most one member, counting those that still have to give it up; epochs never go back; a group's state is
//! the fold of its records, in any order a compacted log can keep them in.
//!
//! `heartbeat.rs` what a member says → records, timers, answer · `reconcile.rs` one member's steps from what it owns to what it shall own ·
//! `target.rs` who shall own what, by an `assignor/` · `leave.rs` goodbye, fencing, timers · `group.rs` the state, a fold of `record.rs` ·
//! `log_format.rs` the records' bytes · `classic.rs` members of the
//! old protocol inside such a group · `migrate.rs` from one kind of group to the other · `describe.rs`, `rules.rs` for other APIs.
//! What runs it (durability, timers, loading) is the shell in the parent folder.

mod assignor;
mod change;
mod classic;
pub(super) mod classic_format;
mod config;
mod describe;
mod group;
mod heartbeat;
mod leave;
mod log_format;
mod migrate;
mod partitions;
mod pattern;
mod reconcile;
mod record;
mod request;
mod rules;
mod subscription;
mod target;
mod topics;

pub use assignor::{Assignor, GroupSpec, MemberSpec, RangeAssignor, UniformAssignor};
pub use change::{Change, Context, Timer, TimerCommand, TimerKind};
pub use config::{ConsumerGroupConfig, MigrationPolicy};
pub use describe::{ConsumerGroupState, DescribedConsumerGroup, DescribedMember, DescribedPartitions};
pub use group::ConsumerGroup;
pub use log_format::{decode, encode};
pub use partitions::{OwnedPartitions, PartitionSet, TopicIdPartition};
pub use record::{
    ClassicMemberMetadata, ConsumerGroupRecord, CurrentAssignment, GroupMetadata, MemberMetadata,
    MemberState, ResolvedPattern, TargetMetadata,
};
pub use request::{HeartbeatRequest, HeartbeatResponse};
pub use topics::Topics;

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod replay_test;
#[cfg(test)]
mod script_test;
#[cfg(test)]
mod testing;
