//! What the node counts and measures, and how it is told: `/metrics` in the OpenMetrics text form.
//!
//! Always true: names are `millpond_<area>_<noun>_<unit>[_total]`, seconds and bytes; a name once published stays; no label can take more values than
//! its cap (names of topics and clients are no labels, group ids are capped). Counting is an atomic add: nothing here takes a lock across I/O.
//! Each area has a file: `storage.rs` and `server.rs` are counted as things happen, `node.rs` is looked up when somebody asks.

mod node;
mod server;
mod storage;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::broker::Broker;

pub(crate) use server::{RejectReason, ServerMetrics};
pub(crate) use storage::StorageMetrics;

/// Everything a node tells of itself. [`Default`] is that of a process without a node: nothing but what is [registered](Self::register).
#[derive(Debug)]
pub struct NodeMetrics {
    registry: Registry,
}

impl NodeMetrics {
    /// The metrics of a broker and, if it serves clients, of its server.
    pub(crate) fn new(broker: &Broker, server: Option<&ServerMetrics>) -> Self {
        let mut registry = Registry::with_prefix("millpond");
        if let Some(storage) = broker.storage_metrics() {
            storage.register(&mut registry);
        }
        if let Some(server) = server {
            server.register(&mut registry);
        }
        registry.register_collector(Box::new(node::NodeCollector::new(broker)));
        Self { registry }
    }

    /// The metrics of a node that serves no clients: one inside a program.
    pub fn of(broker: &Broker) -> Self {
        Self::new(broker, None)
    }

    /// Tells what `collector` finds as well, with names that begin with `millpond_`: what else runs in this process.
    pub fn register(&mut self, collector: Box<dyn prometheus_client::collector::Collector>) {
        self.registry.register_collector(collector);
    }

    /// All of them, as `/metrics` answers: OpenMetrics text, ended by `# EOF`.
    pub fn render(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing into a string does not fail; whoever finds another reason gets no half text.
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                String::new()
            }
        }
    }
}

impl Default for NodeMetrics {
    fn default() -> Self {
        Self {
            registry: Registry::with_prefix("millpond"),
        }
    }
}

/// From a tenth of a millisecond to a minute.
fn seconds() -> Histogram {
    Histogram::new([
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
        60.0,
    ])
}

/// From a kibibyte to a gibibyte.
fn bytes() -> Histogram {
    Histogram::new((0..11).map(|power| f64::from(1u32 << (10 + 2 * power))))
}

#[cfg(test)]
#[path = "metrics_test.rs"]
mod metrics_test;
