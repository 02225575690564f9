//! Streaming SQL on the millpond log: planned by DataFusion, run by the tasks of millpond-streams, exactly-once.
//!
//! Data path: text → `parser/` (statements of our own, queries by sqlparser) → `planner/` (DataFusion's logical plan, an allow-list of its
//! rules, then a `logical::StreamPlan`) → `runtime/` (the plan as a topology, one streams application per view) → `physical/` (operators over
//! Arrow batches; formats in `format/`). Queries: `serving/` reads topics and committed state under whole DataFusion plans.
//! `catalog/` holds what names mean, in a compacted topic. Begin with `engine/mod.rs`.
//!
//! Always true: views are deterministic functions of their topics; queries see committed data only; SQL reaches no file and no network.
//! Deliberately absent: sockets, clocks, threads; storing and committing (the streams runtime does both).

pub mod catalog;
mod config;
mod engine;
pub mod error;
pub mod format;
pub mod logical;
pub mod parser;
pub mod physical;
pub mod plain;
pub mod planner;
mod result;
pub mod runtime;
pub mod serving;
mod suggest;

pub use config::SqlOptions;
pub use engine::SqlEngine;
pub use error::{Place, SqlError, SqlErrorKind};
pub use result::StatementResult;
pub use serving::ChangeStream;
