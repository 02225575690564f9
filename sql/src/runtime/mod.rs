//! Jobs: a materialised view as a streams application, from its plan to its topics.
//!
//! Always true: one view = one application `sql-{view}`; everything a job needs is in its definition, so it can be started again by
//! anyone who reads the catalogue. `view_plan.rs` checks a view and fixes its names, `topology.rs` builds its graph, `job.rs` runs it
//! and removes it, `stores.rs` lists what it keeps, `failure.rs` says why it does not run, `topics.rs` makes and removes topics.

mod failure;
mod job;
pub(crate) mod stores;
mod topics;
mod topology;
mod view_plan;

pub use failure::Failure;
pub use job::{JobSettings, ViewJob};
pub use topics::{ensure_topic, topic_partitions};
pub use topology::{internal_topics, view_topology};
pub use view_plan::{GROUPS_STORE, ViewPlan};
