//! The right side of a foreign-key join, where the right table changes: answers everybody who subscribed to the entry.

use std::marker::PhantomData;

use super::messages::Response;
use super::subscription_store::{SubscriptionKeys, read_value};
use crate::dsl::change::Change;
use crate::dsl::row::{batch_of, rows_of};
use crate::processor::{Batch, BoxError, InitContext, ProcessContext, ProcessError, Processor};
use crate::serde::Data;
use crate::state::{KeyRange, StoreIndex};

/// Changes of the right table in, responses by left key out.
pub(in crate::dsl) struct AnswerSubscribers<K, KO, VO> {
    store_name: String,
    keys: SubscriptionKeys<K, KO>,
    store: StoreIndex,
    types: PhantomData<fn(VO)>,
}

impl<K: Data, KO: Data, VO: Data> AnswerSubscribers<K, KO, VO> {
    pub(in crate::dsl) fn new(store_name: String, keys: SubscriptionKeys<K, KO>) -> Self {
        AnswerSubscribers {
            store_name,
            keys,
            store: StoreIndex::new(0),
            types: PhantomData,
        }
    }
}

impl<K: Data, KO: Data, VO: Data> Processor for AnswerSubscribers<K, KO, VO> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.store = context.store_index(&self.store_name)?;
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let mut rows = rows_of::<KO, Change<VO>>(batch, context)?;
        // What held in the past of a versioned table joins nothing now.
        let all = rows.len();
        rows.retain(|row| row.value.is_latest);
        context.skipped((all - rows.len()) as u64);
        let node = context.node().to_owned();
        let failed = |cause: BoxError| ProcessError::node(&node, cause);
        let mut out = Vec::new();
        let mut prefix = Vec::new();
        let mut store = context.store(self.store);
        for row in rows {
            prefix.clear();
            let written = self.keys.append_prefix(&row.key, &mut prefix);
            written.map_err(|cause| failed(cause.into()))?;
            let (_, change, rest) = row.into_parts();
            let mut scan = store.scan(&KeyRange::prefix(&prefix))?;
            while let Some((store_key, stored)) = scan.next_entry()? {
                let left = self.keys.left_of(store_key, prefix.len()).map_err(failed)?;
                let (partition, hash) = read_value(stored).map_err(failed)?;
                let response = Response {
                    partition,
                    hash,
                    value: change.new.clone(),
                };
                out.push(rest.clone().with(left, response));
            }
        }
        drop(store);
        context.forward(batch_of(out));
        Ok(())
    }
}
