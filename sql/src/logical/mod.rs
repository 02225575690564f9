//! Our nodes in DataFusion's logical plans, and the streaming plan that is taken from them.
//!
//! Always true: nothing here runs; `window.rs` is the node for TUMBLE, HOP and CUMULATE, `stream_plan.rs` the plan of a job as our
//! operators run it, `aggregate.rs` its GROUP BY;
//! `group_changes.rs`, `join.rs` and `over.rs` are the operators that take rows back. The same names stand in `physical/`.

mod aggregate;
mod group_changes;
mod join;
mod over;
mod stream_plan;
mod window;

pub use aggregate::{AggregateFunctionKind, AggregatePlan, AggregateSpec, GroupColumn, PaneColumn};
pub use group_changes::{AggregateCall, GroupChangesPlan};
pub use join::{JoinFilter, JoinPlan};
pub use over::{OverOutput, OverPlan};
pub use stream_plan::{
    EventTime, GroupsResult, Operator, PlanNode, ProjectedColumn, ResultPlan, RowsResult, SourcePlan, Step,
    StreamPlan, UpsertsPlan,
};
pub(crate) use window::Micros;
pub use window::{WINDOW_END, WINDOW_START, WindowKind, WindowNode, WindowSpec};
