//! Our nodes in DataFusion's logical plans, and the streaming plan that is taken from them.
//!
//! Always true: nothing here runs; `window.rs` is the node for TUMBLE and HOP, `stream_plan.rs` the plan of a job as our
//! operators run it, `aggregate.rs` its GROUP BY. The same names stand in `physical/`.

mod aggregate;
mod stream_plan;
mod window;

pub use aggregate::{AggregateFunctionKind, AggregatePlan, AggregateSpec, GroupColumn, PaneColumn};
pub use stream_plan::{EventTime, ProjectedColumn, Step, StreamPlan};
pub(crate) use window::Micros;
pub use window::{WINDOW_END, WINDOW_START, WindowNode, WindowSpec};
