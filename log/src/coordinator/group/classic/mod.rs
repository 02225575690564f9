//! The classic group protocol as a pure state machine: the leader of the group assigns partitions.
//!
//! ```text
//!            join                        all joined, or timeout             leader's sync is durable
//!   Empty ─────────► PreparingRebalance ──────────────────────► CompletingRebalance ─────────► Stable
//!     ▲                │          ▲  ▲                               │                            │
//!     └── nobody left ─┘          │  └── join, leave, silence ───────┘                            │
//!                                 └───── join of leader or changed member, leave, silence ────────┘
//! ```
//!
//! Requests, timers and outcomes of writes come in with `now` (a [`Step`]); commands come out: answers, records to store, timers to set. No
//! clock, no I/O, no ids made here. Always true: one answer per request; nobody learns an assignment before it is durable.
//!
//! `group.rs` the state · `join.rs` `sync.rs` `leave.rs` the requests · `rebalance.rs` what happens between them · `rules.rs` what all kinds of groups
//! answer · `log_format.rs` how it is stored. The shell is `../coordinator.rs`.

mod command;
mod group;
mod join;
mod leave;
mod log_format;
mod member;
mod rebalance;
mod rules;
pub(super) mod subscription;
mod sync;

pub use command::{
    AfterStore, ClassicCommand, ClassicRules, ClassicTimer, JoinRefusal, JoinRequest, JoinedGroup,
    JoinedMember, LeavingMember, Protocol, ReplacedMember, RequestId, Step, SyncRequest, SyncedGroup,
};
pub use group::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, ClassicState};
pub(crate) use log_format::decode_group_key;
pub use log_format::{
    GROUP_METADATA_KEY, GroupMetadata, StoredMember, decode_group_value, encode_group_key, encode_group_value,
};
pub use member::ClassicMember;

#[cfg(test)]
mod script_test;
