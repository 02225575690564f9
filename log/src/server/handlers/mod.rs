//! One file per Kafka API: wire struct in, typed `Broker` call, wire struct out.
//!
//! Always true: nothing is decided here that an embedded client would not meet too. Shared translations are in `wire.rs`.

pub(super) mod add_offsets_to_txn;
pub(super) mod add_partitions_to_txn;
pub(super) mod api_versions;
pub(super) mod consumer_group_describe;
pub(super) mod consumer_group_heartbeat;
pub(super) mod delete_groups;
pub(super) mod describe_groups;
pub(super) mod describe_producers;
pub(super) mod describe_transactions;
pub(super) mod end_txn;
pub(super) mod fetch;
pub(super) mod find_coordinator;
mod group_wire;
pub(super) mod heartbeat;
pub(super) mod init_producer_id;
pub(super) mod join_group;
pub(super) mod leave_group;
pub(super) mod list_groups;
pub(super) mod list_offsets;
pub(super) mod list_transactions;
pub(super) mod metadata;
pub(super) mod offset_commit;
pub(super) mod offset_delete;
pub(super) mod offset_fetch;
pub(super) mod produce;
pub(super) mod sync_group;
mod txn_codes;
pub(super) mod txn_offset_commit;
pub(super) mod wire;
pub(super) mod write_txn_markers;
