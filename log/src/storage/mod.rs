//! Partition directories in Kafka's file formats, and the disk they live on.
//!
//! [`LogStore`] opens a data directory and hands out [`PartitionHandle`]s; everything else here is behind those two. The data path of an
//! append: handle → owner loop (`owner.rs`) → `partition_log.rs` (check, number, write) → `flush_queue.rs` → `flusher.rs` (make durable) →
//! `watermarks.rs` (publish) → the waiting handle. A read takes one snapshot of the ends, then the tail cache or the files.
//!
//! Always: the `.log` files are the truth, every other file can be rebuilt from them (`verify.rs` does it); one owner loop is the only writer
//! of a partition; nothing is acknowledged before its topic's durability says so. Pure, without files or clocks: `producer_state.rs`,
//! `watermarks.rs`, `roll.rs`, `retention.rs`, `compaction.rs`, `flush_plan.rs`, `journal_format.rs`, `recovery.rs`.

pub mod checkpoint;
pub mod disk;
pub mod disk_fs;
pub mod disk_sim;
mod disk_sim_file;
mod disk_sim_node;
mod disk_sim_tree;
pub mod epoch_cache;
pub mod file_cache;
mod index_file;
pub mod offset_index;
pub mod partition_metadata;
pub mod producer_snapshot;
pub mod time_index;
pub mod txn_index;

pub use index_file::{IndexError, IndexResult};

mod aborted_segments;
mod aligned_buffer;
mod append;
mod batch_facts;
mod batch_walk;
mod checkpoints;
mod cleaner;
pub mod compaction;
pub mod dump;
mod epoch_log;
pub mod flush_plan;
mod flush_queue;
mod flusher;
mod found;
mod headroom;
mod housekeeper;
mod index_rebuild;
mod journal;
pub mod journal_format;
pub mod leases;
mod leftovers;
mod loader;
mod loader_unclean;
mod log_dir;
mod log_offsets;
mod log_store;
mod owner;
mod partition;
mod partition_dirs;
mod partition_handle;
mod partition_log;
mod prepared_append;
mod producer_replay;
pub mod producer_state;
mod reader;
mod record_rules;
pub mod recovery;
pub mod retention;
pub mod roll;
mod segment;
mod segment_set;
mod settings;
mod snapshots;
mod storage_error;
mod tail_cache;
mod upkeep;
pub mod verify;
mod verify_partition;
mod waiters;
pub mod watermarks;

pub use append::{AppendAck, AppendOrigin, AppendRequest, Verification};
pub use cleaner::CleanStats;
pub use log_offsets::{AbortedTxn, Isolation, LogOffsets, ReadResult};
pub use log_store::{LogStore, LogStoreOptions, NewPartition};
pub use partition_handle::{PartitionHandle, QueuedAppend};
pub use producer_state::ProducerDescription;
pub use record_rules::{REFUSED_RECORDS_TOLD, RecordFault, RefusedRecord, RefusedRecords};
pub use settings::{CleanupPolicy, Durability, StorageConfig, TimestampSource, TopicConfig};
pub use storage_error::StorageError;

#[cfg(test)]
mod cleaner_test;
#[cfg(test)]
mod compaction_test;
#[cfg(test)]
mod crash_model;
#[cfg(test)]
mod crash_test;
#[cfg(test)]
mod disk_contract_test;
#[cfg(test)]
mod flush_plan_test;
#[cfg(test)]
mod index_file_test;
#[cfg(test)]
mod index_rebuild_test;
#[cfg(test)]
mod journal_format_test;
#[cfg(test)]
mod log_store_failure_test;
#[cfg(test)]
mod log_store_test;
#[cfg(test)]
mod mortal_disk;
#[cfg(test)]
mod partition_dirs_test;
#[cfg(test)]
mod producer_state_test;
#[cfg(test)]
mod record_rules_test;
#[cfg(test)]
mod recovery_test;
#[cfg(test)]
mod retention_test;
#[cfg(test)]
mod roll_test;
#[cfg(test)]
mod store_testing;
#[cfg(test)]
mod watermarks_test;
