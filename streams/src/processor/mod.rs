//! Nodes and the executor of a task's graph.
//!
//! Start at `api.rs` (what a node implements and may touch), then `batch.rs` (what flows), `task_clock.rs` (time), `outputs.rs` (what leaves), `graph_executor.rs`
//! (how it runs; `graph_setup.rs` makes it), `refusal.rs` (records that fail). Deliberately absent: sockets, files, clocks, threads and typed rows (those are the DSL's).

mod api;
mod batch;
mod copy_sink;
mod forward_queue;
mod global_tables;
mod graph_executor;
#[cfg(test)]
mod graph_executor_test;
mod graph_setup;
mod graph_time;
mod headers;
mod operator_time;
mod operator_times;
#[cfg(test)]
mod operator_times_test;
mod outputs;
#[cfg(test)]
mod outputs_test;
mod partitioner;
mod raw_batch;
mod refusal;
mod task_clock;
#[cfg(test)]
mod task_clock_test;
pub mod time_header;
mod time_mark;
mod time_track;
mod topic_rules;
mod wall_clock;

pub use api::{
    BoxError, InitContext, ProcessContext, ProcessError, Processor, ProcessorSupplier, TaskCounters,
};
pub use batch::{Batch, Columns, RowBatch};
pub use global_tables::GlobalTables;
pub use graph_executor::TaskGraph;
pub use graph_setup::TaskGraphOptions;
pub use headers::Headers;
pub use operator_time::OPERATOR_TIMES_MAX;
pub(crate) use operator_time::{OperatorIndex, OperatorTime};
pub use outputs::{OutputCollector, OutputIndex, OutputRecord, Outputs, SinkRecord};
pub use partitioner::{murmur2, partition_for_key};
pub use raw_batch::{RawBatch, RawRecord, RawRecordRef};
pub use task_clock::{ClockStateError, NO_TIME, TaskClock};
pub use time_header::TIME_HEADER;
pub use time_mark::{DamagedMark, TimeMark};
pub use time_track::TimeTrack;
pub use topic_rules::{RecordRefused, TopicRules};
