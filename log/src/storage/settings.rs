//! Settings of the storage layer: one struct for the node, one for each topic.
//!
//! Both are plain data with Kafka's defaults; names and text forms live in `config/`. A value here is already checked.
//! See `roll.rs`, `retention.rs`, `cleaner.rs` and `flusher.rs` for who reads what.

use std::time::Duration;

/// When an append may be acknowledged, and what the high watermark of a single copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// Acknowledged after the bytes reached the medium; the high watermark is the durable end.
    #[default]
    Fsync,
    /// Acknowledged when the operating system has the bytes; a power cut may lose the newest of them.
    PageCache,
}

/// What a topic does with old data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Delete whole segments by age and size.
    pub delete: bool,
    /// Keep only the newest record of each key.
    pub compact: bool,
}

/// Whose clock a record's timestamp comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TimestampSource {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, at append.
    LogAppendTime,
}

/// Settings of one topic, under Kafka's names with the unit last.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `durability`: ours, `fsync` or `page-cache`.
    pub durability: Durability,
    /// `cleanup.policy`.
    pub cleanup_policy: CleanupPolicy,
    /// `segment.bytes`: a segment is closed before it would grow beyond this.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment is closed when its first record is older than this.
    pub segment_ms: i64,
    /// `segment.index.bytes`: most bytes of an offset index.
    pub segment_index_bytes: u64,
    /// `index.interval.bytes`: bytes of log between two index entries.
    pub index_interval_bytes: u64,
    /// `retention.ms`; -1 keeps for ever.
    pub retention_ms: i64,
    /// `retention.bytes`; -1 keeps everything.
    pub retention_bytes: i64,
    /// `delete.retention.ms`: how long a tombstone outlives the compaction that first saw it.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: a record younger than this is never compacted.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: a record older than this makes the log due for compaction.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: share of dirty bytes that makes the log due for compaction.
    pub min_cleanable_dirty_ratio: f64,
    /// `max.message.bytes`: largest batch accepted.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`.
    pub timestamp_source: TimestampSource,
    /// `message.timestamp.before.max.ms`: how far a record's timestamp may lie before the broker's time.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far it may lie after it.
    pub timestamp_after_max_ms: i64,
    /// `file.delete.delay.ms`: how long a `.deleted` file stays before it is removed.
    pub file_delete_delay_ms: i64,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            cleanup_policy: CleanupPolicy {
                delete: true,
                compact: false,
            },
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            delete_retention_ms: 24 * 3_600_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            max_message_bytes: 1_048_588,
            timestamp_source: TimestampSource::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            file_delete_delay_ms: 60_000,
        }
    }
}

/// Settings of the storage layer of one node.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// Owner loops; each is the only writer of its share of the partitions.
    pub owner_loops: usize,
    /// Requests one owner loop keeps waiting before senders are held back.
    pub owner_inbox: usize,
    /// Bytes the tail caches of all partitions share.
    pub tail_cache_bytes: usize,
    /// Most segment files kept open at once.
    pub open_files_max: usize,
    /// Appends of clients are refused while the file system has less free space than this; metadata, coordinator records and transaction
    /// markers while it has less than half of it.
    pub reserved_disk_bytes: u64,
    /// Longest time the stored recovery points lag behind the flushed ends.
    pub checkpoint_interval: Duration,
    /// Bytes one journal file may take before its segments are synced and it is cut; 0 switches the journal off.
    pub journal_bytes: u64,
    /// Time between two rounds of retention.
    pub retention_check_interval: Duration,
    /// `log.retention.lease.ms`: a retention lease nobody renews counts for so long; `None`: for ever.
    pub retention_lease_ms: Option<i64>,
    /// Time between two looks for logs that need compaction (`log.cleaner.backoff.ms`).
    pub cleaner_interval: Duration,
    /// Bytes of keys one compaction pass may remember (`log.cleaner.dedupe.buffer.size`).
    pub cleaner_map_bytes: usize,
    /// `producer.id.expiration.ms`: an idle producer without an open transaction is forgotten after this.
    pub producer_id_expiration_ms: i64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            owner_loops: 2,
            owner_inbox: 1024,
            tail_cache_bytes: 32 << 20,
            open_files_max: 512,
            reserved_disk_bytes: 256 << 20,
            checkpoint_interval: Duration::from_secs(1),
            journal_bytes: 64 << 20,
            retention_check_interval: Duration::from_secs(300),
            retention_lease_ms: Some(7 * 24 * 3_600_000),
            cleaner_interval: Duration::from_secs(15),
            cleaner_map_bytes: 128 << 20,
            producer_id_expiration_ms: 24 * 3_600_000,
        }
    }
}
