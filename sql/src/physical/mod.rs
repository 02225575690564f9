//! Our operators over Arrow batches, and the accumulators and layouts they share.
//!
//! Always true: an operator belongs to one task; what it holds in memory is either a cache of the store or belongs to the open
//! transaction, and `on_abort` drops it. The path of a row: `topic_source.rs` (decode, event time, `calc.rs` for filters and
//! projections, `windows.rs`) → `local_aggregate.rs` → repartition topic (`exchange.rs`, `exchange_sink.rs`) →
//! `final_aggregate.rs` (`state_rows.rs` in the store) → `group_results.rs` → `results.rs` writes the view's topic.
//! A topic whose records replace each other begins at `upsert_source.rs` instead.
//! Rows that change go through `shuffle.rs` to the operators that keep them (`join/`, `over/`, `group_changes/`; `row_steps.rs` between them), and into the store of `result_rows.rs`.

mod accumulators;
mod calc;
mod column_batch;
mod exchange;
mod exchange_sink;
mod final_aggregate;
mod group_changes;
mod group_results;
mod group_table;
mod join;
mod local_aggregate;
mod over;
mod pre_aggregation;
mod result_rows;
mod results;
mod row_bag;
mod row_steps;
mod shuffle;
mod state_rows;
mod topic_source;
mod upsert_source;
mod windows;

pub use accumulators::Accumulator;
pub use calc::run_steps;
pub use column_batch::ColumnBatch;
pub use exchange_sink::ExchangeSink;
pub use final_aggregate::{EMITTED_KEY, EmitMode, FinalAggregate};
pub use group_changes::{GroupChanges, group_changes_layout, group_changes_stores};
pub use group_results::GroupResults;
pub use join::{Join, join_layouts};
pub use local_aggregate::LocalAggregate;
pub use over::{Over, over_layout};
pub use pre_aggregation::PreAggregation;
pub use result_rows::ResultRows;
pub use results::TopicSink;
pub use row_bag::RowLayout;
pub use row_steps::RowSteps;
pub use shuffle::{ShuffleReader, ShuffleWriter};
pub use state_rows::{FLAG_FINAL, GroupLayout, parse_store_key};
pub use topic_source::TopicSource;
pub use upsert_source::{UpsertSource, upsert_layout};
pub use windows::assign_windows;
