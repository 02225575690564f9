//! Queries to plans: DataFusion plans the SQL, we take the streaming plan from it.
//!
//! Always true: names resolve against the catalogue alone (no files, no object stores, no `information_schema` of DataFusion's);
//! an error names the thing, the place and what to do. `session.rs` holds DataFusion's state, `names.rs` resolves tables
//! and functions, `window_relation.rs` makes TUMBLE and HOP nodes, `optimiser.rs` lists the rules a streaming plan may meet,
//! `streaming/` turns the logical plan into a [`StreamPlan`](crate::logical::StreamPlan),
//! `refuse.rs` words what streaming does not do, `plan_error.rs` rewords DataFusion's errors.

mod catalog_table;
mod names;
mod optimiser;
mod plan_error;
mod refuse;
mod session;
mod streaming;
mod window_relation;

pub use catalog_table::{CatalogTable, RowSource};
pub use names::Tables;
pub use plan_error::{PlaceFinder, plan_error};
pub use session::Planner;
use streaming::stream_plan;
