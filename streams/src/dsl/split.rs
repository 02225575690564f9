//! Splitting a stream into branches.

use std::marker::PhantomData;
use std::sync::Arc;

use parking_lot::Mutex;

use super::KStream;
use super::builder::{GraphRef, supplier};
use super::operators::stateless::{PassThrough, Predicate, Split};
use crate::serde::Data;
use crate::topology::NodeId;

/// A stream being split. Branches are tried in the order they were added; a record that none takes is dropped.
pub struct SplitStream<K, V> {
    graph: GraphRef,
    node: NodeId,
    name: String,
    rekeyed: bool,
    predicates: Arc<Mutex<Vec<Predicate<K, V>>>>,
}

impl<K: Data, V: Data> SplitStream<K, V> {
    pub(super) fn new(stream: &KStream<K, V>, name: &str) -> SplitStream<K, V> {
        let predicates: Arc<Mutex<Vec<Predicate<K, V>>>> = Arc::default();
        let seen = predicates.clone();
        // Processors are made when the job starts; by then all branches are known.
        let make = supplier(move || Split {
            predicates: seen.lock().clone(),
            types: PhantomData,
        });
        let node = stream
            .graph
            .lock()
            .topology
            .add_processor(name, make, &[stream.node], &[]);
        let name = name.to_owned();
        SplitStream {
            graph: stream.graph.clone(),
            node,
            name,
            rekeyed: stream.rekeyed,
            predicates,
        }
    }

    /// The records the predicate takes and no earlier branch took. Its node is called `{split}-{name}`.
    pub fn branch(
        &self,
        name: &str,
        takes: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
    ) -> KStream<K, V> {
        // The n-th predicate belongs to the n-th child, so both grow together.
        self.predicates.lock().push(Arc::new(takes));
        let name = format!("{}-{name}", self.name);
        let node =
            self.graph
                .lock()
                .topology
                .add_processor(&name, supplier(|| PassThrough), &[self.node], &[]);
        KStream::new(self.graph.clone(), node, self.rekeyed)
    }

    /// The records no branch took. Add it last.
    pub fn default_branch(&self, name: &str) -> KStream<K, V> {
        self.branch(name, |_, _| true)
    }
}
