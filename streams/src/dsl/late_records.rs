//! What a windowed stream does with records that come too late.

use std::sync::Arc;

use super::builder::{GraphRef, supplier};
use super::operators::late::{LateHook, LateOutput};
use super::operators::stateless::PassThrough;
use super::{KStream, LateRecord, Windowed};
use crate::serde::Data;
use crate::topology::NodeId;

/// Is given the stream of late records of an aggregation when it is built.
type LateStream<K, V> = Arc<dyn Fn(KStream<Windowed<K>, V>) + Send + Sync>;

/// Wishes of a windowed stream, handed to each of its aggregations.
pub(super) struct LateWishes<K, V> {
    hook: Option<LateHook<K, V>>,
    stream: Option<LateStream<K, V>>,
}

impl<K, V> Clone for LateWishes<K, V> {
    fn clone(&self) -> Self {
        LateWishes {
            hook: self.hook.clone(),
            stream: self.stream.clone(),
        }
    }
}

impl<K, V> Default for LateWishes<K, V> {
    fn default() -> Self {
        LateWishes {
            hook: None,
            stream: None,
        }
    }
}

impl<K: Data, V: Data> LateWishes<K, V> {
    pub(super) fn with_hook(self, hook: impl Fn(LateRecord<'_, K, V>) + Send + Sync + 'static) -> Self {
        LateWishes {
            hook: Some(Arc::new(hook)),
            ..self
        }
    }

    pub(super) fn with_stream(
        self,
        use_it: impl Fn(KStream<Windowed<K>, V>) + Send + Sync + 'static,
    ) -> Self {
        LateWishes {
            stream: Some(Arc::new(use_it)),
            ..self
        }
    }

    /// For the operator.
    pub(super) fn output(&self) -> LateOutput<K, V> {
        LateOutput {
            hook: self.hook.clone(),
            is_stream: self.stream.is_some(),
        }
    }

    /// Connects the outputs of the operator `node`; returns the node its results come from.
    pub(super) fn connect(&self, graph: &GraphRef, node: NodeId) -> NodeId {
        let Some(use_it) = &self.stream else { return node };
        let mut building = graph.lock();
        let mut add = |prefix: &str| {
            let name = building.new_name(prefix);
            let make = supplier(|| PassThrough);
            building.topology.add_processor(&name, make, &[node], &[])
        };
        // Their order is the order of the operator's children.
        let (results, late) = (add("KTABLE-RESULTS"), add("KSTREAM-LATE"));
        drop(building);
        use_it(KStream::new(graph.clone(), late, false));
        results
    }
}
