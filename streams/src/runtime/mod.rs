//! The runtime: tasks on workers, input from a log, outputs and state committed together.
//!
//! Data path: `session_fetch.rs` fills `input_queue.rs` → `partition_group.rs` chooses a run → `task.rs` runs the graph → `record_collector.rs` packs
//! outputs → `commit.rs` decides, `session_commit.rs` carries out → state joins the committed layer. Begin with `worker.rs` (the loop) and `commit.rs`
//! (the protocol, pure). `restore.rs` opens a task; `streams.rs` and `handle.rs` are what users hold. The log is in this process (`embedded_log.rs`) or
//! a cluster (`remote/`).
//!
//! What is always true: uncommitted effects live in memory only; nothing here deletes state; `thread.rs` alone knows threads.
//! Deliberately absent: operators (`processor/`), store layers (`state/`), what a topic's bytes mean.

mod application;
mod assignment;
mod changelog_ends;
pub mod commit;
mod config;
mod dry_run;
mod embedded_log;
mod error;
#[cfg(test)]
mod fake_log;
#[cfg(test)]
mod fake_offsets;
#[cfg(test)]
mod fake_partitions;
mod global_updater;
mod handle;
pub(crate) mod idle;
mod input_queue;
mod internal_topics;
mod log_calls;
mod log_client;
mod membership;
mod offset_metadata;
mod output_rules;
mod partition_group;
mod record_collector;
mod remote;
mod restart_policy;
mod restore;
mod restore_watch;
mod session_commit;
mod session_fetch;
mod session_upkeep;
mod session_wait;
mod state_directory;
mod streams;
mod task;
#[cfg(test)]
mod test_world;
mod thread;
mod txn_counts;
mod worker;
#[cfg(test)]
mod worker_commit_request_test;
#[cfg(test)]
mod worker_faults_test;
#[cfg(test)]
mod worker_idle_test;
mod worker_open;
#[cfg(test)]
mod worker_processor_test;
#[cfg(test)]
mod worker_repeat_commit_test;
mod worker_status;
#[cfg(test)]
mod worker_test;
#[cfg(test)]
mod worker_timers_test;
#[cfg(test)]
mod worker_uncaught_test;
mod workers;
#[cfg(test)]
mod workers_test;

pub use application::{RestoreListener, RestorePhase, RestoreProgress};
pub use assignment::assign;
pub use changelog_ends::ChangelogEnds;
pub use config::StreamsConfig;
pub use dry_run::{DryRun, StoreForecast, TopicForecast};
pub use embedded_log::EmbeddedLog;
pub use error::RuntimeError;
pub use handle::StreamsHandle;
pub use log_client::{LogClient, LogError};
pub use offset_metadata::{BadOffsetMetadata, OffsetMetadata};
pub use remote::{RemoteLog, RemoteOptions};
pub use restart_policy::{RestartPolicy, UncaughtError, UncaughtErrorHandler, UncaughtResponse};
pub use streams::{Streams, StreamsLauncher};
pub use worker::Worker;
pub use workers::{StateListener, StreamsState};
