//! Every cap on what metadata and coordinators may hold.
//!
//! A collection without a cap is a way to take the broker down; a request that would exceed one is refused with `PolicyViolation`.

/// Topics in the cluster, internal ones included.
pub const TOPICS: usize = 100_000;
/// Partitions of one topic.
pub const PARTITIONS_PER_TOPIC: i32 = 10_000;
/// Partitions in the cluster.
pub const PARTITIONS: usize = 200_000;
/// Settings stored on one topic.
pub const CONFIGS_PER_TOPIC: usize = 64;
/// Groups, client metrics subscriptions and brokers that have settings of their own.
pub const CONFIG_OWNERS: usize = 10_000;
/// Settings stored on one of those.
pub const CONFIGS_PER_OWNER: usize = 256;
/// Longest value of a setting, in bytes.
pub const CONFIG_VALUE_BYTES: usize = 4_096;
/// Partitions one transaction may touch.
pub const PARTITIONS_PER_TRANSACTION: usize = 20_000;
/// Longest transactional id or group id, in bytes (the record formats hold 32,767).
pub const ID_BYTES: usize = 1_024;
/// Partitions one group may have committed offsets for.
pub const OFFSETS_PER_GROUP: usize = 1_000_000;
/// Groups of one partition of the offsets topic.
pub const GROUPS_PER_SHARD: usize = 100_000;
/// Members of one classic group, whatever `group.max.size` says.
pub const MEMBERS_PER_GROUP: usize = 20_000;
/// Producer ids taken from metadata at once.
pub const PRODUCER_ID_BLOCK: i64 = 1_000;
