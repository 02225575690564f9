//! Topologies: the graph of sources, processors and sinks, before anything runs.
//!
//! `builder.rs` adds nodes, `graph.rs` cuts them into `subtopology.rs`, `plan.rs` puts numbers to it (tasks, internal topics; `partition_counts.rs`
//! works them out), `describe.rs` prints it, `diff.rs` compares two.
//! Always true for a built `Topology`: names are unique, every store used exists, parents stand before children, sub-topologies meet only in repartition topics.

mod builder;
mod describe;
mod diff;
mod error;
mod feedback;
mod global_source;
mod graph;
mod node;
mod partition_counts;
mod plan;
mod subtopology;
pub mod topic_names;
#[cfg(test)]
mod topology_test;

pub use crate::state::{StoreKind, StoreSpec};
pub use builder::{RepartitionOptions, SinkOptions, SourceOptions, TopologyBuilder};
pub use diff::{StoreChange, TopologyDiff};
pub use error::TopologyError;
pub use global_source::{GlobalSource, RecordCheck};
pub use graph::Topology;
pub use node::{Node, NodeId, NodeKind};
pub use plan::{InternalTopic, Plan};
pub use subtopology::{IdleAdvance, SubTopology};
pub use topic_names::TopicRef;
