//! Task state: what a stateful operator reads and writes, and what survives a crash of it.
//!
//! Four layers answer a read, newest first:
//! ```text
//! overlay      writes of the transaction being filled          lost on abort
//!   ↓ freeze
//! frozen       writes of the transaction being committed (I7)  lost on abort
//!   ↓ commit_frozen, after the commit is acknowledged (I1)
//! committed    in memory, not yet in the host                  replayed from the changelog after a crash
//!   ↓ apply: one atomic batch with its positions (I2)
//! host         RocksDB, or its twin in memory; may lag
//! ```
//! The first three are versions of one entry in one hash table (`hot_table.rs`), so that a read-modify-write is a
//! single probe. Always true: the host holds committed effects only, together with the position they reflect;
//! nothing in this module deletes state in order to recover.
//!
//! Start reading at [`TaskState`] (`task_state.rs`), then `hot_table.rs` for the memory layout and `host.rs` for the
//! seam to RocksDB. Changelog topics, transactions and threads are absent here: they belong to `runtime/`.

mod apply;
mod arena;
mod changes;
mod committed;
mod entries;
mod error;
mod frozen;
pub mod host;
#[cfg(test)]
mod host_contract;
mod hot_table;
mod index;
mod key_batch;
mod key_range;
#[cfg(test)]
mod lag_test;
mod limits;
mod lookup;
mod memory_host;
mod metrics;
#[cfg(test)]
mod model_test;
mod overlay;
mod position;
mod reader;
mod restore;
pub mod rocksdb;
mod scan;
pub mod span_list;
mod split_host;
#[cfg(test)]
mod split_host_test;
mod store;
mod store_batch;
mod store_read;
mod store_ref;
mod store_table;
mod tables;
mod task_id;
mod task_state;
pub mod value_envelope;
pub mod window_key;

pub use apply::FlushJob;
pub use changes::{Change, FrozenChanges};
pub use error::StateError;
pub use host::{DirectoryLock, StoreHost, StoreHostFactory, StoredTask};
pub use key_batch::KeyBatch;
pub use key_range::KeyRange;
pub use limits::StateLimits;
pub use memory_host::{MemoryHosts, Survivors};
pub use metrics::{StateMetrics, StoreSize};
pub use position::{CommitPosition, NO_STREAM_TIME};
pub use reader::{PinnedState, SnapshotScan, StateReader, StateSnapshot};
pub use rocksdb::{RocksBudget, RocksHosts};
pub use scan::{EntryRef, Scan};
pub use store::{StoreIndex, StoreKind, StoreSpec};
pub use store_ref::{StoreRef, Update};
pub use task_id::{InvalidTaskId, TaskId};
pub use task_state::{StateOptions, TaskState};
pub use value_envelope::ValueEnvelope;
