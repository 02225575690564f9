//! The host on disk: one RocksDB per task.
//!
//! `host.rs` maps the seam onto RocksDB, `options.rs` says how each database is set up and why, `budget.rs` holds the
//! memory all of them share, `directory.rs` the lock and the format of a task's directory.

mod budget;
mod directory;
mod host;
mod options;

pub use budget::RocksBudget;
pub use host::RocksHosts;
