//! Nodes of a topology: what they are called, what they do, who feeds them.

use std::fmt;

use super::TopicRef;
use crate::config::ErrorPolicy;
use crate::processor::ProcessorSupplier;

/// Handle of a node in a [`super::TopologyBuilder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

/// What a node does.
#[derive(Clone)]
pub enum NodeKind {
    /// Reads topics. Its decoder turns raw records into what its children take; without one they get raw batches.
    Source {
        /// Topics read.
        topics: Vec<TopicRef>,
        /// Turns raw batches into typed ones.
        decoder: Option<ProcessorSupplier>,
    },
    /// Works on batches.
    Processor {
        /// Makes it.
        supplier: ProcessorSupplier,
    },
    /// Writes to a topic. Its encoder turns batches into records.
    Sink {
        /// Topic written.
        topic: TopicRef,
        /// Further topics, among which the encoder chooses.
        others: Vec<TopicRef>,
        /// Sends records for the batches it gets.
        encoder: Option<ProcessorSupplier>,
    },
}

/// A node. Indices are positions in the list it stands in (topology or sub-topology).
#[derive(Clone)]
pub struct Node {
    /// Unique name.
    pub name: String,
    /// What it does.
    pub kind: NodeKind,
    /// Who feeds it.
    pub parents: Vec<usize>,
    /// Whom it feeds, in the order they were added.
    pub children: Vec<usize>,
    /// Stores it uses.
    pub stores: Vec<String>,
    /// Set for sources whose batches must not hold a key twice.
    pub in_step: bool,
    /// What happens to records that fail here; none = as the application says.
    pub on_error: Option<ErrorPolicy>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            NodeKind::Source { .. } => "source",
            NodeKind::Processor { .. } => "processor",
            NodeKind::Sink { .. } => "sink",
        };
        write!(f, "{kind} {}", self.name)
    }
}
