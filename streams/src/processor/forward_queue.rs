//! What nodes forwarded, on its way to their children.
//!
//! Always true: what the node that is running forwards is taken up in that order once it is done, before anything else runs. Between batches lie the marks of a decoder
//! that works a record at a time: what stream time it is, and that nodes may act on it. Taken up by `graph_executor.rs`.

use millpond_log::types::Timestamp;

use super::Batch;

/// Batches on their way, and who is whose child.
pub(super) struct ForwardQueue {
    children: Vec<Vec<usize>>,
    /// Forwarded by the node that is running, in order.
    forwarded: Vec<Forwarded>,
}

/// What a node left to be done after it.
pub(super) enum Forwarded {
    /// A batch for a node.
    Batch(usize, Batch),
    /// Stream time of what follows.
    Time(Timestamp),
    /// A record is through; nodes may act on the time, all of them if it went on.
    OnTime { advanced: bool },
}

impl ForwardQueue {
    /// An empty queue between nodes with these children.
    pub(super) fn new(children: Vec<Vec<usize>>) -> ForwardQueue {
        ForwardQueue {
            children,
            forwarded: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.forwarded.is_empty()
    }

    /// Everything that waits, in order.
    pub(super) fn take(&mut self) -> Vec<Forwarded> {
        std::mem::take(&mut self.forwarded)
    }

    pub(super) fn clear(&mut self) {
        self.forwarded.clear();
    }

    pub(super) fn has_children(&self, node: usize) -> bool {
        !self.children[node].is_empty()
    }

    pub(super) fn forward_time(&mut self, time: Timestamp) {
        self.forwarded.push(Forwarded::Time(time));
    }

    pub(super) fn forward_on_time(&mut self, advanced: bool) {
        self.forwarded.push(Forwarded::OnTime { advanced });
    }

    /// To the `child`th child of the node, or to all of them.
    pub(super) fn forward(&mut self, node: usize, child: Option<usize>, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        let children = &self.children[node];
        match child {
            Some(child) => self.forwarded.push(Forwarded::Batch(children[child], batch)),
            None => {
                let Some((last, others)) = children.split_last() else {
                    return;
                };
                for child in others {
                    self.forwarded.push(Forwarded::Batch(*child, batch.duplicate()));
                }
                self.forwarded.push(Forwarded::Batch(*last, batch));
            }
        }
    }
}
