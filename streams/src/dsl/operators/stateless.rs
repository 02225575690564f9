//! Operators without state: one closure over a whole batch, and the split into branches.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::dsl::row::{Row, batch_of, rows_of};
use crate::processor::{Batch, ProcessContext, ProcessError, Processor};
use crate::serde::Data;

/// What a stateless operator does with a batch.
pub(in crate::dsl) type BatchFn<K, V, K2, V2> = Arc<
    dyn Fn(Vec<Row<K, V>>, &mut ProcessContext<'_>) -> Result<Vec<Row<K2, V2>>, ProcessError> + Send + Sync,
>;

/// Rows in, rows out, by a closure in which the user's own closure is inlined.
pub(in crate::dsl) struct MapBatch<K, V, K2, V2> {
    pub(in crate::dsl) apply: BatchFn<K, V, K2, V2>,
}

impl<K: Data, V: Data, K2: Data, V2: Data> Processor for MapBatch<K, V, K2, V2> {
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, V>(batch, context)?;
        let rows = (self.apply)(rows, context)?;
        if !rows.is_empty() {
            context.forward(batch_of(rows));
        }
        Ok(())
    }
}

/// Hands every batch on: where streams are merged, and at the head of a branch.
pub(in crate::dsl) struct PassThrough;

impl Processor for PassThrough {
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        context.forward(batch);
        Ok(())
    }
}

/// Decides whether a row belongs to a branch.
pub(in crate::dsl) type Predicate<K, V> = Arc<dyn Fn(&K, &V) -> bool + Send + Sync>;

/// Sends each row to the first branch whose predicate takes it; the n-th predicate belongs to the n-th child.
pub(in crate::dsl) struct Split<K, V> {
    pub(in crate::dsl) predicates: Vec<Predicate<K, V>>,
    pub(in crate::dsl) types: PhantomData<fn(K, V)>,
}

impl<K: Data, V: Data> Processor for Split<K, V> {
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let mut branches: Vec<Vec<Row<K, V>>> = self.predicates.iter().map(|_| Vec::new()).collect();
        for row in rows_of::<K, V>(batch, context)? {
            if let Some(branch) = self
                .predicates
                .iter()
                .position(|takes| takes(&row.key, &row.value))
            {
                branches[branch].push(row);
            }
        }
        for (branch, rows) in branches.into_iter().enumerate() {
            if !rows.is_empty() {
                context.forward_to(branch, batch_of(rows));
            }
        }
        Ok(())
    }
}
